"""Captured 80286 real-mode instructions: loading them, running one, and which differences an i686 is allowed.

The vectors are those of github.com/SingleStepTests/80286 (MIT licence), not part of this repository; the folder that
holds `80286-real/` is given by VPCORE_SHARED (its `vectors`), or is `../shared/vectors` beside the repository.
"""

import json
import lzma
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from vpcore.engine.engine import Engine, EngineConfig, Exit

ROOT: Final = Path(__file__).parents[2]
SHARED: Final = Path(os.environ.get("VPCORE_SHARED", ROOT.parent / "shared"))
FOLDER: Final = SHARED / "vectors" / "80286-real"

GPRS: Final = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
SEGMENTS: Final = ("es", "cs", "ss", "ds")
PREFIXES: Final = frozenset({0x26, 0x2E, 0x36, 0x3E, 0xF0, 0xF2, 0xF3})
SHIFTS: Final = frozenset({"C0", "C1", "D0", "D1", "D2", "D3"})
FIRST_SHIFT: Final = 4
"""Rows 0 to 3 of the group are rotates."""
STRINGS: Final = frozenset({*range(0x6C, 0x70), *range(0xA4, 0xA8), *range(0xAA, 0xB0)})
FLAGS_286: Final = 0x0FFF
"""The flags compared: a 286 in real mode holds the others at 0, an i686 does not (SDM 3B 22.16)."""
HALTS: Final = 0x400
"""Where the vectors of exceptions go that a test does not provide for: HLT number n lies at HALTS + n."""
EXCEPTIONS: Final = 32
HLT: Final = 0xF4
FNINIT_CONTROL: Final = (0x7F, 0x03)
"""x87 control word with all exceptions masked, as FXSAVE stores it."""
BUDGET: Final = 200_000

CF, PF, AF, ZF, SF, OF = 0x1, 0x4, 0x10, 0x40, 0x80, 0x800

UNDEFINED: Final = {
    "27": OF, "2F": OF,  # DAA, DAS
    "37": OF | SF | ZF | PF, "3F": OF | SF | ZF | PF,  # AAA, AAS
    "D4": OF | AF | CF, "D5": OF | AF | CF,  # AAM, AAD
    "69": SF | ZF | AF | PF, "6B": SF | ZF | AF | PF,  # IMUL
    **{f"{group}.{row}": SF | ZF | AF | PF for group in ("F6", "F7") for row in (4, 5)},  # MUL, IMUL
    **{f"{group}.{row}": CF | PF | AF | ZF | SF | OF for group in ("F6", "F7") for row in (6, 7)},  # DIV, IDIV
}  # fmt: skip
"""Flags that the manual leaves undefined (SDM 1 appendix A), by form; of shifts see undefined()."""


@attrs.define
class Outcome:
    """What the engine did with one vector."""

    end: Exit
    raised: int | None
    """The exception raised, where the vector did not expect it."""
    differs: dict[str, tuple[int, int]]
    """Name or address of what is not as captured: ours, theirs."""


class _Silent:
    """No device: reads give ones."""

    def port_in(self, port, size):
        return (1 << 8 * size) - 1

    def port_out(self, port, size, value):
        pass

    def port_in_block(self, port, size, buffer):
        return 0

    def port_out_block(self, port, size, buffer):
        return 0

    mmio_read, mmio_write = port_in, port_out


class Machine:
    """One engine that runs vectors one after the other."""

    def __init__(self, engine: str) -> None:
        config = EngineConfig(ram_size=2 << 20, clock="icount", engine=engine)
        self._engine = Engine(config, _Silent(), lambda: 0)
        self._ram = self._engine.ram
        self._ram[HALTS : HALTS + EXCEPTIONS] = bytes([HLT]) * EXCEPTIONS
        table = b"".join((HALTS + n).to_bytes(4, "little") for n in range(EXCEPTIONS))
        self._ram[: len(table)] = table
        self._clean = bytes(self._ram)

    def run(self, vector: dict[str, Any]) -> Outcome:
        """Load the state, run to HLT, compare, and clean up."""
        before, after = vector["initial"], vector["final"]
        for address, value in before["ram"]:
            self._ram[address] = value
        self._load(before["regs"])
        end = self._engine.run(BUDGET)
        memory = dict(before["ram"]) | dict(after["ram"])
        differs = self._compare(before["regs"] | after["regs"])
        for address, value in memory.items():
            if self._ram[address] != value:
                differs[f"{address:x}"] = self._ram[address], value
            self._ram[address] = self._clean[address]
        self._compare_pushed_flags(vector, differs)
        cpu = self._engine.cpu
        stands = cpu.eip - 1 - HALTS
        raised = stands if cpu.seg[1].sel == 0 and 0 <= stands < EXCEPTIONS and "ip" in differs else None
        if raised is not None or end != Exit.HALT:
            self._ram[:] = self._clean
        return Outcome(end, raised, differs)

    def _load(self, regs: dict[str, int]) -> None:
        cpu = self._engine.cpu
        for index, name in enumerate(GPRS):
            cpu.gpr[index] = regs[name]
        for index, name in enumerate(SEGMENTS):
            cpu.seg[index].sel, cpu.seg[index].base = regs[name], regs[name] << 4
        cpu.eip, cpu.eflags = regs["ip"], regs["flags"] & FLAGS_286 | 2
        cpu.halted = cpu.shutdown = cpu.shadow = 0
        cpu.fx[0], cpu.fx[1], cpu.fx[2], cpu.fx[3], cpu.fx[4] = *FNINIT_CONTROL, 0, 0, 0
        self._engine.cpu_changed()
        self._engine.invalidate(0, len(self._ram))

    def _compare(self, wanted: dict[str, int]) -> dict[str, tuple[int, int]]:
        cpu = self._engine.cpu
        have = {name: cpu.gpr[index] for index, name in enumerate(GPRS)}
        have |= {name: cpu.seg[index].sel for index, name in enumerate(SEGMENTS)}
        have |= {"ip": cpu.eip, "flags": cpu.eflags & FLAGS_286}
        wanted = wanted | {"flags": wanted["flags"] & FLAGS_286}
        return {name: (value, wanted[name]) for name, value in have.items() if value != wanted[name]}

    @staticmethod
    def _compare_pushed_flags(vector: dict[str, Any], differs: dict[str, tuple[int, int]]) -> None:
        """The image of FLAGS that an exception pushed counts as flags."""
        if "exception" not in vector:
            return
        regs = vector["initial"]["regs"] | vector["final"]["regs"]
        at = [f"{(regs['ss'] << 4) + (regs['sp'] + 4 + k & 0xFFFF):x}" for k in range(2)]
        low, high = (differs.pop(each, (0, 0)) for each in at)
        ours, theirs = ((low[k] | high[k] << 8) & FLAGS_286 for k in range(2))
        if ours != theirs:
            differs["flags"] = ours, theirs


@attrs.frozen
class Excuse:
    """A difference that an i686 is right to have."""

    name: str
    reason: str
    applies: Callable[[str, dict[str, Any], Outcome], bool]


def opcode(vector: dict[str, Any]) -> tuple[frozenset[int], int, int]:
    """Prefixes, first opcode byte and the byte behind it."""
    code = bytes.fromhex(vector["bytes"])
    start = next(k for k, byte in enumerate(code) if byte not in PREFIXES)
    return frozenset(code[:start]), code[start], code[start + 1]


def fault(vector: dict[str, Any]) -> int | None:
    """The exception that the 286 raised."""
    number: int | None = vector.get("exception", {}).get("number")
    return number


def _only(outcome: Outcome, *names: str) -> bool:
    return outcome.differs.keys() <= set(names)


def _count(form: str, vector: dict[str, Any]) -> int:
    """The count of a shift or rotate, as the processor masks it."""
    counts = {"C": bytes.fromhex(vector["bytes"])[-2], "0": 1, "1": 1}
    return counts.get(form[0], counts.get(form[1], vector["initial"]["regs"]["cx"])) & 0x1F


def undefined(form: str, vector: dict[str, Any]) -> int:
    """Flags that the manual leaves undefined for this instruction."""
    if form[:2] not in SHIFTS or "." not in form:
        return UNDEFINED.get(form, 0)
    count, row = _count(form, vector), int(form[-1])
    mask = OF if count > 1 else 0
    return mask | AF if count and row >= FIRST_SHIFT else mask


def _undefined_flags(form: str, vector: dict[str, Any], outcome: Outcome) -> bool:
    ours, theirs = outcome.differs.get("flags", (0, 0))
    return _only(outcome, "flags") and not (ours ^ theirs) & ~undefined(form, vector)


EXCUSES: Final = (
    Excuse(
        "undefined flags",
        "the manual leaves these flags undefined for the instruction (SDM 1, appendix A)",
        _undefined_flags,
    ),
    Excuse(
        "lock",
        "LOCK is #UD but with a memory destination that is modified (SDM 2, LOCK)",
        lambda _form, vector, outcome: outcome.raised == 6 and 0xF0 in opcode(vector)[0],
    ),
    Excuse(
        "string fault",
        "a faulting string instruction leaves SI, DI and CX at the element that failed; a 286 moves them",
        lambda _form, vector, outcome: (
            fault(vector) == 13 and opcode(vector)[1] in STRINGS and _only(outcome, "si", "di", "cx")
        ),
    ),
    Excuse(
        "stack fault",
        "an access through SS beyond the limit is #SS, vector 12 (SDM 3A 6.15); a 286 in real mode raises 13",
        lambda _form, vector, outcome: outcome.raised == 12 and fault(vector) == 13,
    ),
    Excuse(
        "length",
        "instructions may have 15 bytes, on a 286 ten (SDM 3A 6.15, interrupt 13)",
        lambda _form, vector, _outcome: fault(vector) == 13 and len(bytes.fromhex(vector["bytes"])) > 10 + 1,
    ),
    Excuse(
        "fs and gs",
        "segment registers 4 and 5 exist since the 386",
        lambda _form, vector, _outcome: (
            fault(vector) == 6 and opcode(vector)[1] in (0x8C, 0x8E) and opcode(vector)[2] >> 3 & 7 in (4, 5)
        ),
    ),
    Excuse(
        "ip wrap",
        "EIP behind a HLT at FFFFh is 10000h (the next fetch would be #GP); IP wraps to 0",
        lambda _form, _vector, outcome: outcome.differs == {"ip": (0x10000, 0)},
    ),
    Excuse(
        "pop fault",
        "POP to memory that faults leaves SP alone; a 286 has added 2",
        lambda _form, vector, outcome: (
            fault(vector) == 13
            and opcode(vector)[1] == 0x8F
            and outcome.differs["sp"][0] == outcome.differs["sp"][1] - 2
        ),
    ),
)


def judge(form: str, vector: dict[str, Any], outcome: Outcome) -> str | None:
    """None where all is as captured, the name of an excuse, or "" for a real difference."""
    if outcome.end == Exit.HALT and not outcome.differs:
        return None
    return next((excuse.name for excuse in EXCUSES if excuse.applies(form, vector, outcome)), "")


def forms() -> list[str]:
    """The forms (opcodes, with the ModRM.reg of groups) that there are files for."""
    return sorted(path.name.removesuffix(".jsonl.xz") for path in FOLDER.glob("*.jsonl.xz"))


def vectors(form: str, *, every: int = 1) -> Iterator[dict[str, Any]]:
    """The vectors of a form, or each *every*-th of them."""
    with lzma.open(FOLDER / f"{form}.jsonl.xz", "rt") as lines:
        for number, line in enumerate(lines):
            if number % every == 0:
                yield json.loads(line)
