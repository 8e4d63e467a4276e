"""Reads the table of opcodes.py into rows that the generator, the tests and the translator's tools walk."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

import attrs

from .opcodes import TABLE

PREFIXES: Final = ("NP", "66", "F3", "F2")
"""Mandatory prefixes, in the order of the decoder's prefix nodes."""

FEATURES: Final = (
    "I386", "I486", "P5", "P6", "SEP", "MMX", "SSE", "SSE2", "FXSR", "SSE3", "SSSE3", "SSE41", "SSE42", "POPCNT", "LZCNT",
    "MOVBE", "AES", "PCLMUL", "SHA", "RDRAND", "RDSEED", "ADX",
)  # fmt: skip
"""CPU generations and CPUID bits that rows depend on, in the order of their FEAT_ bits."""

ESCAPES: Final = (b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a")
"""What the opcode maps' bytes stand behind, in the order of the decoder's maps."""

FLAG_BITS: Final = {
    "c": 0x1, "p": 0x4, "a": 0x10, "z": 0x40, "s": 0x80, "t": 0x100, "i": 0x200, "d": 0x400, "o": 0x800,
}  # fmt: skip
REGISTERS: Final = "acdbSBsD"
"""Letters of the registers column, in the order of their encoding."""

OPERAND_SIZED: Final = frozenset({
    "Ev", "Gv", "Zv", "Iz", "Xv", "Yv", "Ov", "rAX", "Jb", "Jz", "Ap", "Ma", "Mp", "Mv", "Rv",
})  # fmt: skip
"""Operands that follow the operand size (a branch truncates EIP by it)."""

_LINE = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*(.*)")
_ENCODING = re.compile(
    r"(?:(NP|66|F3|F2)\.)?(?:(0F(?:38|3A)?)\.)?([0-9A-F]{2})((?:\+\d*\{\w+\}|\+r)*)"
    r"(?:/([0-7]|\{\w+\})|\.([0-9A-F]{2})((?:\+\d*\{\w+\})?)(\+i)?)?"
)


@attrs.frozen
class Encoding:
    """One way to write a row: its opcode and what of ModRM belongs to it."""

    prefix: str | None
    """Mandatory prefix, one of PREFIXES; None: any."""
    escape: bytes
    """One of ESCAPES."""
    opcode: int
    plus_r: bool
    """The low three bits of the opcode are a register."""
    digit: int | None
    """Value of ModRM.reg."""
    modrm: int | None
    """Value of the whole ModRM byte."""
    plus_i: bool
    """The low three bits of `modrm` are a register."""


@attrs.frozen
class Flags:
    """EFLAGS bits, as masks."""

    read: int
    written: int
    undefined: int
    maybe: bool
    """A zero count leaves them all."""


@attrs.frozen
class Row:
    """One instruction with one set of operands: what has one handler."""

    id: str
    mnemonic: str
    text: tuple[str, str]
    """What a disassembler calls it with 16-bit and 32-bit operand size."""
    operands: tuple[str, ...]
    access: str
    """r, w, x or - for each operand."""
    flags: Flags
    regs_read: frozenset[int]
    regs_written: frozenset[int]
    """Implicit registers by number."""
    feature: str
    traits: frozenset[str]
    handler: str
    """The row whose handlers serve this one; mostly its own id."""
    otherwise: str | None
    """The row that a model without the feature reads instead."""
    encodings: tuple[Encoding, ...]

    @property
    def rm(self) -> str | None:
        """What the ModRM r/m operand may be: "both", "mem", "reg"; None without one."""
        for operand in self.operands:
            kind = operand[0]
            if kind in "EQW" and len(operand) > 1:
                return "both"
            if kind == "M":
                return "mem"
            if kind in "NUR" or operand == "STi":
                return "reg"
        return None

    @property
    def sized(self) -> bool:
        """There are handlers for 16-bit and 32-bit operand size."""
        return "os" in self.traits or not OPERAND_SIZED.isdisjoint(self.operands)

    @property
    def split(self) -> bool:
        """There are handlers for register and memory."""
        return self.rm == "both"

    def suffix(self, *, os32: bool, mem: bool) -> str:
        """What the handler's name has after the row's id."""
        text = ("32" if os32 else "16") * self.sized + ("m" if mem else "r") * self.split
        return f"_{text}" if text else ""


def _read_sets(lines: list[str]) -> dict[str, list[tuple[int, list[str]]]]:
    sets = {}
    for line in lines:
        if line.startswith("set "):
            name, members = line.removeprefix("set ").split("=")
            sets[name.strip()] = [_read_member(n, text) for n, text in enumerate(members.split())]
    return sets


def _read_member(position: int, text: str) -> tuple[int, list[str]]:
    index, colon, rest = text.partition(":")
    texts = (rest if colon else text).split("/")
    return (int(index, 16) if colon else position), texts


def _expand(line: str, sets: dict[str, list[tuple[int, list[str]]]]) -> Iterator[str]:
    """The lines that one with a set's name stands for; the set's index goes into the encoding."""
    found = re.search(r"\{([a-z0-9]+?)\}", line)
    if found is None:
        yield line
        return
    name = found[1]
    for index, texts in sets[name]:
        encoding, rest = line.split(maxsplit=1)
        encoding = encoding.replace(f"{{{name}}}", f"{{{index}}}")
        rest = rest.replace(f"{{{name}}}", texts[0])
        for n, text in enumerate(texts):
            rest = rest.replace(f"{{{name}{n}}}", text)
        yield f"{encoding} {rest}"


def _read_encoding(text: str) -> Encoding:
    found = _ENCODING.fullmatch(text)
    if found is None:
        raise ValueError(f"opcodes.py: bad encoding {text!r}")
    prefix, escape, opcode, plus, digit, modrm, modrm_plus, plus_i = found.groups()
    return Encoding(
        prefix=prefix,
        escape=bytes.fromhex(escape or ""),
        opcode=int(opcode, 16) + _sum(plus),
        plus_r="+r" in plus,
        digit=None if digit is None else int(digit.strip("{}")),
        modrm=None if modrm is None else int(modrm, 16) + _sum(modrm_plus),
        plus_i=bool(plus_i),
    )


def _sum(terms: str | None) -> int:
    """The value of `+k{n}` terms."""
    return sum(int(k or 1) * int(n) for k, n in re.findall(r"\+(\d*)\{(\d+)\}", terms or ""))


def _mask(letters: str) -> int:
    return sum(FLAG_BITS[letter] for letter in letters)


def _read_flags(text: str) -> Flags:
    read, arrow, rest = re.fullmatch(r"([a-z]*)(?:([>?])(.*))?", text.strip("-")).groups()  # type: ignore[union-attr]
    written, _, undefined = (rest or "").partition("~")
    return Flags(read=_mask(read), written=_mask(written), undefined=_mask(undefined), maybe=arrow == "?")


def _read_registers(text: str) -> tuple[frozenset[int], frozenset[int]]:
    read, _, written = text.strip("-").partition(">")
    return frozenset(map(REGISTERS.index, read)), frozenset(map(REGISTERS.index, written))


def _read_row(line: str, feature: str) -> Row:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError(f"opcodes.py: bad line {line!r}")
    encoding, name, operands, access, flags, registers, traits = found.groups()
    mnemonic, _, text = name.partition("=")
    texts = (text or mnemonic.lower()).replace("_", " ").split("|")
    letters = () if operands == "-" else tuple(operands.split(","))
    identity = "_".join((mnemonic, *letters))
    words = {word for word in traits.split() if "=" not in word}
    named = dict(word.split("=") for word in traits.split() if "=" in word)
    if not access.startswith("x"):
        words.discard("lock")
    regs_read, regs_written = _read_registers(registers)
    return Row(
        id=identity,
        mnemonic=mnemonic,
        text=(texts[0], texts[-1]),
        operands=letters,
        access=access if letters else "",
        flags=_read_flags(flags),
        regs_read=regs_read,
        regs_written=regs_written,
        feature=feature,
        traits=frozenset(words),
        handler=named.get("h", identity),
        otherwise=named.get("else"),
        encodings=(_read_encoding(encoding),),
    )


@cache
def rows() -> tuple[Row, ...]:
    """All rows, in the order of the table, each with all its encodings."""
    lines = [line.strip() for line in TABLE.splitlines() if line.strip() and not line.startswith("#")]
    sets = _read_sets(lines)
    found: dict[str, Row] = {}
    feature = ""
    for line in lines:
        if line.startswith("feature "):
            feature = line.split()[1]
        elif not line.startswith("set "):
            for text in _expand(line, sets):
                _add(found, _read_row(text, feature))
    return tuple(found.values())


def _add(found: dict[str, Row], row: Row) -> None:
    known = found.setdefault(row.id, row)
    if known is row:
        return
    if attrs.evolve(row, encodings=known.encodings) != known:
        raise ValueError(f"opcodes.py: two different lines for row {row.id}")
    found[row.id] = attrs.evolve(known, encodings=known.encodings + row.encodings)
