"""Writes csrc/gen/ from the table: what decode.c, disas.c and the interpreter include.

ops.inc             enum op, FEAT_, TRAIT_, operand and immediate kinds
decode_tables.inc   the decoder's tree and op_info
interp_handlers.h   declarations of all handlers
interp_table.inc    handlers of each row, indexed by insn.form & 3 (ORDER FORM in insn.h)

Files are written only where they changed, so that nothing is compiled in vain.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Final

import attrs

from .table import ESCAPES, FEATURES, PREFIXES, Encoding, Row, rows

GEN: Final = Path(__file__).resolve().parents[1] / "csrc" / "gen"

TRAITS: Final = (
    "end", "lock", "priv", "io", "fp", "mmx", "sse", "rep", "repz", "maybe", "modrm", "mod_ignored", "mem_read",
    "mem_write", "mem16",
)  # fmt: skip
"""TRAIT_ bits: those of the table and what follows from its other columns."""

IMMEDIATES: Final = {
    (): "NONE", ("Ib",): "IB", ("Ibs",): "IBS", ("Iw",): "IW", ("Iz",): "IZ", ("Jb",): "JB", ("Jz",): "JZ",
    ("Ap",): "AP", ("Ob",): "MOFFS", ("Ov",): "MOFFS", ("Iw", "Ib"): "IW_IB",
}  # fmt: skip
OPERANDS: Final = 3

INVALID: Final = 0
NODE: Final = 0x8000
"""A word of the tree with this bit is kind << NODE_SHIFT | index of its first branch; without it, an enum op."""
NODE_SHIFT: Final = 12


@attrs.frozen
class Case:
    """A row as the tree sees it: which prefixes, mod classes (0 memory, 1 register), reg and rm lead to it."""

    row: Row
    choices: tuple[frozenset[int], frozenset[int], frozenset[int], frozenset[int]]

    @property
    def size(self) -> int:
        """How much it covers; of two rows for the same bytes the smaller is meant."""
        one, two, three, four = map(len, self.choices)
        return one * two * three * four


BRANCHES: Final = (len(PREFIXES), 2, 8, 8)
"""Branches of the node kinds, in the order in which the tree asks: prefix, mod, reg, rm."""
ALL: Final = tuple(frozenset(range(n)) for n in BRANCHES)


def _case(row: Row, encoding: Encoding) -> Case:
    prefixes, mods, regs, rms = ALL
    if encoding.prefix is not None:
        prefixes = frozenset({PREFIXES.index(encoding.prefix)})
    if encoding.digit is not None:
        regs = frozenset({encoding.digit})
    if encoding.modrm is not None:
        regs = frozenset({encoding.modrm >> 3 & 7})
        if not encoding.plus_i:
            rms = frozenset({encoding.modrm & 7})
    if encoding.modrm is not None or (row.rm == "reg" and not _mod_ignored(row)):
        mods = frozenset({1})
    elif row.rm == "mem":
        mods = frozenset({0})
    return Case(row, (prefixes, mods, regs, rms))


def _mod_ignored(row: Row) -> bool:
    """MOV to and from control and debug registers take ModRM.rm as a register whatever mod is (SDM 2, "MOV")."""
    return not {"Cd", "Dd"}.isdisjoint(row.operands)


class Tree:
    """The decoder's tree: words of nodes, equal nodes kept once."""

    def __init__(self, numbers: dict[str, int]) -> None:
        self._numbers = numbers
        self._known: dict[tuple[int, ...], int] = {}
        self.words: list[int] = []

    def add(self, cases: Sequence[Case], kind: int = 0) -> int:
        """The word that leads to *cases*, asking from node kind *kind* on."""
        if not cases:
            return INVALID
        if kind == len(BRANCHES):
            best = min(case.size for case in cases)
            (found,) = {case.row.id for case in cases if case.size == best}
            return self._numbers[found]
        branches = tuple(
            self.add([case for case in cases if n in case.choices[kind]], kind + 1) for n in range(BRANCHES[kind])
        )
        if len(set(branches)) == 1:
            return branches[0]
        return NODE | kind << NODE_SHIFT | self._place(branches)

    def _place(self, branches: tuple[int, ...]) -> int:
        if branches not in self._known:
            self._known[branches] = len(self.words)
            self.words.extend(branches)
        return self._known[branches]


def _tree(table: Sequence[Row]) -> tuple[list[list[int]], list[int]]:
    """The opcode maps and the nodes they lead to."""
    maps: dict[tuple[bytes, int], list[Case]] = {key: [] for key in product(ESCAPES, range(256))}
    for row in table:
        for encoding in row.encodings:
            for low in range(8 if encoding.plus_r else 1):
                maps[encoding.escape, encoding.opcode + low].append(_case(row, encoding))
    tree = Tree({row.id: number for number, row in enumerate(table, 1)})
    words = [[tree.add(maps[escape, opcode]) for opcode in range(256)] for escape in ESCAPES]
    assert len(tree.words) < 1 << NODE_SHIFT
    return words, tree.words


def traits(row: Row) -> list[str]:
    """The TRAIT_ names of a row."""
    found = set(row.traits)
    if row.flags.maybe:
        found.add("maybe")
    if row.rm or any(operand[0] in "GEQWPV" for operand in row.operands) or _groups(row):
        found.add("modrm")
    if _mod_ignored(row):
        found.add("mod_ignored")
    for operand, access in zip(row.operands, row.access, strict=True):
        if operand[0] in "EQWMO":
            found.update(["mem_read"] * (access in "rx") + ["mem_write"] * (access in "wx"))
    return [trait for trait in TRAITS if trait in found]


def _groups(row: Row) -> bool:
    return any(encoding.digit is not None or encoding.modrm is not None for encoding in row.encodings)


def immediate(row: Row) -> str:
    """The IMM_ name of what follows ModRM."""
    return IMMEDIATES[
        tuple(operand for operand in row.operands if operand[0] in "IJAO" and operand not in {"AL", "AX"})
    ]


def operand_letters(table: Iterable[Row]) -> list[str]:
    """All operand letters, sorted."""
    return sorted({operand for row in table for operand in row.operands})


# -- text --


def _enum(name: str, members: Iterable[str]) -> str:
    return f"enum {name}{{\n" + "".join(f"    {member},\n" for member in members) + "};\n"


def _bits(prefix: str, names: Sequence[str]) -> str:
    return _enum("", [f"{prefix}_{name.upper()} = {1 << n:#x}" for n, name in enumerate(names)])


def _quoted(texts: Iterable[str]) -> list[str]:
    return [f'"{text}"' for text in texts]


def _ops(table: Sequence[Row]) -> str:
    immediates = dict.fromkeys(IMMEDIATES.values())
    return "".join((
        "#ifndef VP_OPS_INC\n#define VP_OPS_INC\n",
        _enum("op ", ["OP_NONE", *(f"OP_{row.id}" for row in table), "OP_COUNT"]),
        _bits("FEAT", FEATURES),
        _bits("TRAIT", TRAITS),
        _enum("imm_kind ", [f"IMM_{name}" for name in immediates]),
        _enum("operand ", ["OPD_NONE", *(f"OPD_{letters}" for letters in operand_letters(table))]),
        f"#define OPERAND_LETTERS {', '.join(_quoted(['', *operand_letters(table)]))}\n",
        _enum("node_kind ", ["NODE_PREFIX", "NODE_MOD", "NODE_REG", "NODE_RM"]),
        f"enum {{ NODE = {NODE:#x}, NODE_SHIFT = {NODE_SHIFT}, NODE_INDEX = {(1 << NODE_SHIFT) - 1:#x} }};\n",
        "#endif\n",
    ))  # fmt: skip


def _words(words: Sequence[int]) -> str:
    lines = [words[at : at + 16] for at in range(0, len(words), 16)]
    return "".join("    " + ", ".join(f"{word:#x}" for word in line) + ",\n" for line in lines)


def _mask(numbers: Iterable[int]) -> int:
    return sum(1 << number for number in numbers)


def _code(row: Row) -> int:
    """The first opcode with its escape bytes and mandatory prefix, as op_info.code has them."""
    encoding = row.encodings[0]
    prefix = 0 if encoding.prefix in {None, "NP"} else int(str(encoding.prefix), 16)
    second = encoding.escape[1] if len(encoding.escape) > 1 else 0
    return second << 20 | prefix << 12 | (0xF00 if encoding.escape else 0) | encoding.opcode


def _info(row: Row) -> str:
    bits = " | ".join(f"TRAIT_{trait.upper()}" for trait in traits(row)) or "0"
    operands = ", ".join(f"OPD_{operand}" for operand in row.operands) or "0"
    return (
        f'    [OP_{row.id}] = {{{{"{row.text[0]}", "{row.text[1]}"}}, FEAT_{row.feature}, {bits}, IMM_{immediate(row)}, '
        f"{{{operands}}}, {row.flags.read:#x}, {row.flags.written:#x}, {row.flags.undefined:#x}, "
        f"{_mask(row.regs_read):#x}, {_mask(row.regs_written):#x}, {_code(row):#x}, {row.encodings[0].digit or 0}, "
        f"{f'OP_{row.otherwise}' if row.otherwise else 'OP_NONE'}}},\n"
    )


def _decode_tables(table: Sequence[Row]) -> str:
    maps, nodes = _tree(table)
    return "".join((
        f"static const uint16_t opcode_map[{len(maps)}][256] = {{{{\n", "}, {\n".join(map(_words, maps)), "}};\n",
        f"static const uint16_t nodes[{len(nodes)}] = {{\n", _words(nodes), "};\n",
        "const struct op_info op_info[OP_COUNT] = {\n", *map(_info, table), "};\n",
    ))  # fmt: skip


def _handlers(table: Sequence[Row]) -> str:
    names = {
        f"i_{row.id}{row.suffix(os32=os32, mem=mem)}": None
        for row in table
        if row.handler == row.id
        for os32, mem in product((False, True), (False, True))
    }
    return "".join(f"void {name}(struct vp_vm *m, const struct insn *i);\n" for name in names)


def _interp_table(table: Sequence[Row]) -> str:
    known = {row.id: row for row in table}
    lines = []
    for row in table:
        server = known[row.handler]
        names = [
            f"i_{server.id}{server.suffix(os32=os32, mem=mem)}"
            for os32, mem in product((False, True), (False, True))
        ]  # fmt: skip
        lines.append(f"[OP_{row.id}] = {{{', '.join(names)}}},\n")
    return "".join(lines)


FILES: Final[dict[str, Callable[[Sequence[Row]], str]]] = {
    "ops.inc": _ops,
    "decode_tables.inc": _decode_tables,
    "interp_handlers.h": _handlers,
    "interp_table.inc": _interp_table,
}


def generate(out: Path = GEN) -> None:
    """Bring the generated files in *out* up to date."""
    out.mkdir(parents=True, exist_ok=True)
    for name, make in FILES.items():
        text = f"/* Made by isa/gen.py from isa/opcodes.py. */\n{make(rows())}"
        path = out / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


if __name__ == "__main__":
    generate()
