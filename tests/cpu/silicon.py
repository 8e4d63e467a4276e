"""Cases for the silicon tests: encodings of table rows with operands that matter, and what may be compared of the result.

A *shape* is one piece of code; its cases differ in registers, flags, selectors and memory.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import attrs
import numpy as np
from box import Box as Processor
from native import HERE, library
from oracle import STACK_TOP, blank_cases, set_code
from oracle.layout import DONE, TRAP, WINDOW_BASE, WINDOW_SIZE
from oracle.segments import FS, GS, Sel

from vpcore.engine.engine import probe
from vpcore.engine.isa import Encoding, Row

EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI = range(8)
ADDED = {
    "SSE3": (1, ECX, 0), "PCLMUL": (1, ECX, 1), "SSSE3": (1, ECX, 9), "SSE41": (1, ECX, 19), "SSE42": (1, ECX, 20),
    "MOVBE": (1, ECX, 22), "POPCNT": (1, ECX, 23), "AES": (1, ECX, 25), "RDRAND": (1, ECX, 30), "RDSEED": (7, EBX, 18),
    "ADX": (7, EBX, 19), "SHA": (7, EBX, 29), "LZCNT": (0x80000001, ECX, 5),
}  # fmt: skip
"""Features that model `host` has where the host has them: leaf, register and bit of each (SDM 2, CPUID)."""


@cache
def missing_features() -> frozenset[str]:
    """Those of ADDED that the present host has not.

    The processor is asked, not Linux, which hides RDSEED on a Zen 5, where its 32-bit form is broken (AMD-SB-7055).
    """
    ffi, host = library(HERE / "host_cpuid.c", "void host_cpuid(uint32_t leaf, uint32_t out[4]);", [])
    out = ffi.new("uint32_t[4]")

    def has(leaf: int, register: int, bit: int) -> bool:
        host.host_cpuid(leaf & 1 << 31, out)
        last = out[0]
        host.host_cpuid(leaf, out)
        return leaf <= last and bool(out[register] >> bit & 1)

    return frozenset(feature for feature, place in ADDED.items() if not has(*place))


OF, CF = 0x800, 0x1
STATUS_FLAGS = 0x8D5
DF = 0x400
PAGE_FAULT = 14
FETCH = 0x10  # page-fault error code, bit 4: the host has NX, the models have not
MARGIN = 0x100
"""Operands mostly stay so far inside the window."""

EDGES = np.array(
    [
        *(0, 1, 2, 3, 4, 7, 8, 9, 0xF, 0x10, 0x1F, 0x20, 0x21, 0x3F, 0x7F, 0x80, 0x81, 0x99, 0x9A, 0xFF),
        *(0x100, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFF0000),
        *(0xFFFFFF80, 0xFFFFFFFE, 0xFFFFFFFF, 0x7F7F7F7F),
    ],
    np.uint32,
)
DATA_SELECTORS = {16: [Sel.DATA16], 32: [Sel.DATA32]}
ODD_SELECTORS = [Sel.SMALL, Sel.DOWN16, Sel.READ_ONLY, 0]
SELECTORS = [*(n << 3 | 7 for n in range(10)), *(n << 3 | 4 for n in range(10)), 0, 1, 2, 3]
"""The oracle's local descriptors with RPL 3 and 0, and null; others are the host's own."""

Values = np.ndarray[Any, np.dtype[np.uint32]]


def interesting(rng: np.random.Generator, *shape: int) -> Values:
    """Random numbers, half of them edges or near one."""
    values = rng.integers(0, 1 << 32, shape, np.uint32)
    edges = rng.choice(EDGES, shape) + rng.integers(0, 3, shape, np.uint32) - np.uint32(1)
    return np.where(rng.random(shape) < 0.5, edges, values).astype(np.uint32)


def windows(rng: np.random.Generator) -> Any:
    """The window images: random, edges, one whose words make harmless EFLAGS (TF, bit 8, is 0), one of selectors."""
    images = rng.integers(0, 256, (4, WINDOW_SIZE), np.uint8)
    images[1] = rng.choice(EDGES, WINDOW_SIZE // 4).astype("<u4").view(np.uint8)
    images[FLAGS_IMAGE, 1::2] &= 0xFE
    images[SELECTOR_IMAGE] = rng.choice(SELECTORS, WINDOW_SIZE // 2).astype("<u2").view(np.uint8)
    return images


FLAGS_IMAGE, SELECTOR_IMAGE = 2, 3
BEHIND_THE_CODE = 0x7FF0
"""How far before the oracle's gate page the code lies, less its length."""


@attrs.frozen
class Address:
    """A memory operand: what ModRM, SIB and displacement say."""

    base: int | None
    index: int | None
    scale: int
    disp: int
    wide: bool
    """32-bit addressing."""
    segment: int | None
    """FS or GS where overridden."""


@attrs.frozen
class Shape:
    """One piece of code."""

    row: Row
    mode: int
    code: bytes
    os32: bool
    as32: bool
    address: Address | None
    rm: int
    reg: int
    locked: bool
    imm: int


# -- code --


def immediate(row: Row, rng: np.random.Generator, *, os32: bool, as32: bool) -> tuple[bytes, int]:
    """The bytes behind ModRM, and the value of the first immediate."""
    wide = 4 if os32 else 2
    sizes = {"Ib": 1, "Ibs": 1, "Jb": 1, "Iw": 2, "Iz": wide, "Jz": wide, "Ap": wide + 2, "Ob": 4 if as32 else 2}
    sizes["Ov"] = sizes["Ob"]
    out, value = b"", 0
    for operand in reversed([operand for operand in row.operands if operand in sizes]):
        value = int(interesting(rng, 1)[0])
        if operand[0] == "J":
            value = _clear_of_the_code(value, sizes[operand])
        if operand in {"Ob", "Ov"}:
            value = int(rng.integers(MARGIN, WINDOW_SIZE - MARGIN)) + (WINDOW_BASE if as32 else 0)
        out = value.to_bytes(8, "little")[: sizes[operand]] + out
    return out, value


def _clear_of_the_code(distance: int, size: int) -> int:
    """A branch distance that leads to what follows, or away from the code and the way out behind it."""
    half = 1 << 8 * size - 1
    signed = (distance + half) % (2 * half) - half
    near = -16 <= signed < 16 and signed != 0
    return 0x30 if near or BEHIND_THE_CODE <= signed < BEHIND_THE_CODE + 0x1000 else distance


def modrm16(rng: np.random.Generator, segment: int | None) -> tuple[int, bytes, Address]:
    """A 16-bit memory operand (SDM 2 table 2-1): mod and rm, what follows, what it says."""
    pairs = [(EBX, ESI), (EBX, EDI), (EBP, ESI), (EBP, EDI), (ESI, None), (EDI, None), (EBP, None), (EBX, None)]
    mod, rm = int(rng.integers(0, 3)), int(rng.integers(0, 8))
    if mod == 0 and rm == 6:
        disp = int(rng.integers(MARGIN, WINDOW_SIZE - MARGIN))
        return rm, disp.to_bytes(2, "little"), Address(None, None, 0, disp, False, segment)
    disp = int(rng.integers(-0x80, 0x80)) if mod == 1 else int(rng.integers(-0x8000, 0x8000)) if mod else 0
    base, index = pairs[rm]
    return mod << 6 | rm, disp.to_bytes(mod, "little", signed=True), Address(base, index, 0, disp, False, segment)


def modrm32(rng: np.random.Generator, flat: bool, segment: int | None) -> tuple[int, bytes, Address]:
    """A 32-bit memory operand (SDM 2 tables 2-2 and 2-3)."""
    mod, rm = int(rng.integers(0, 3)), int(rng.integers(0, 8))
    tail, base, index, scale = b"", rm, None, 0
    if rm == ESP:
        sib = int(rng.integers(0, 256))
        tail, base, scale = bytes((sib,)), sib & 7, sib >> 6
        index = None if sib >> 3 & 7 == ESP else sib >> 3 & 7
    if mod == 0 and base == EBP:
        disp = int(rng.integers(MARGIN, WINDOW_SIZE - MARGIN)) + (WINDOW_BASE if flat else 0)
        return rm, tail + disp.to_bytes(4, "little"), Address(None, index, scale, disp, True, segment)
    disp = int(rng.integers(-0x80, 0x80)) if mod == 1 else int(rng.integers(-(1 << 31), 1 << 31)) if mod else 0
    tail += disp.to_bytes((0, 1, 4)[mod], "little", signed=True)
    return mod << 6 | rm, tail, Address(base, index, scale, disp, True, segment)


def modrm_absolute(rng: np.random.Generator, flat: bool, wide: bool) -> tuple[int, bytes, Address]:
    """A memory operand that depends on no register."""
    disp = int(rng.integers(MARGIN, WINDOW_SIZE - MARGIN)) & ~7 | int(rng.integers(0, 5))
    disp += WINDOW_BASE if flat else 0
    mod_rm, size = (5, 4) if wide else (6, 2)
    return mod_rm, disp.to_bytes(size, "little"), Address(None, None, 0, disp, wide, None)


def make_shape(row: Row, encoding: Encoding, mode: int, rng: np.random.Generator, *, absolute: bool = False) -> Shape:
    """Code of one encoding with random prefixes, registers and addressing; *absolute*: memory in the window, always."""
    os32 = (mode == 32) ^ bool(rng.random() < 0.4)
    if encoding.prefix in {"NP", "66"}:  # then it belongs to the opcode
        os32 = (mode == 32) ^ (encoding.prefix == "66")
    as32 = (mode == 32) ^ bool(rng.random() < 0.1 and not absolute)
    segment = (FS, GS)[rng.integers(0, 2)] if rng.random() < 0.12 and not absolute else None
    prefixes = [b"\x66"] * (os32 != (mode == 32)) + [b"\x67"] * (as32 != (mode == 32))
    prefixes += [b"\x64" if segment == FS else b"\x65"] * (segment is not None)
    repeat = encoding.prefix if encoding.prefix in {"F2", "F3"} else None
    if row.traits & {"rep", "repz"} and rng.random() < 0.7:
        repeat = ("F2", "F3")[rng.integers(0, 2)]
    prefixes += [bytes.fromhex(repeat)] if repeat else []
    locked = "lock" in row.traits and rng.random() < 0.1 and not absolute
    prefixes += [b"\xf0"] * locked
    rng.shuffle(prefixes)
    low = int(rng.integers(0, 8)) if encoding.plus_r else 0
    opcode = encoding.escape + bytes((encoding.opcode + low,))
    reg = encoding.digit if encoding.digit is not None else int(rng.integers(0, 8))
    modrm, address, rm = b"", None, low
    if row.rm or encoding.digit is not None:
        memory = row.rm == "mem" or (row.rm == "both" and rng.random() < 0.6)
        mod_rm, tail = 0xC0 | int(rng.integers(0, 8)), b""
        if memory:
            flat = mode == 32 and segment is None
            if absolute:
                mod_rm, tail, address = modrm_absolute(rng, flat, as32)
            else:
                mod_rm, tail, address = modrm32(rng, flat, segment) if as32 else modrm16(rng, segment)
        modrm, rm = bytes((mod_rm | reg << 3,)) + tail, mod_rm & 7
    tail, imm = immediate(row, rng, os32=os32, as32=as32)
    return Shape(row, mode, b"".join(prefixes) + opcode + modrm + tail, os32, as32, address, rm, reg, locked, imm)


# -- operands --


def fill(cases: Any, shape: Shape, rng: np.random.Generator, images: Any) -> None:
    """Registers, flags, selectors and memory of all cases of one shape."""
    count = len(cases)
    gpr = interesting(rng, count, 8)
    top = np.uint32(WINDOW_BASE if shape.mode == 32 else 0)
    stack = STACK_TOP + 4 * rng.integers(-64, 64, (2, count)).astype(np.uint32)
    high = rng.integers(0, 1 << 16, count, np.uint32) << 16 if shape.mode == 16 else top
    gpr[:, ESP] = stack[0] | high
    gpr[:, EBP] = np.where(rng.random(count) < 0.6, stack[1] + top, gpr[:, EBP])
    cases["window"] = rng.integers(0, 2, count)
    cases["eflags"] = rng.integers(0, 1 << 12, count) & (STATUS_FLAGS | DF) | 2
    _fill_selectors(cases, shape, rng)
    prepare = _adjust_selector if shape.row.id in LOADS_SEGMENT else ADJUST.get(shape.row.mnemonic)
    if prepare:
        prepare(gpr, cases, shape, rng)
    if shape.row.traits & {"rep", "repz"}:
        _adjust_string(gpr, shape, rng)
    if shape.address:
        _aim(gpr, cases, shape, rng, images)
    cases["gpr"] = gpr


def _fill_selectors(cases: Any, shape: Shape, rng: np.random.Generator) -> None:
    plain = DATA_SELECTORS[shape.mode]
    for segment in (FS, GS):
        cases["seg"][:, segment] = rng.choice(plain * 4 + ODD_SELECTORS, len(cases))


def _target(cases: Any, shape: Shape, rng: np.random.Generator) -> Any:
    """Where the memory operand shall lie: offsets in its segment, some across the window's ends."""
    offset = rng.integers(MARGIN, WINDOW_SIZE - MARGIN, len(cases))
    offset = np.where(rng.random(len(cases)) < 0.05, rng.integers(WINDOW_SIZE - 8, WINDOW_SIZE + 4, len(cases)), offset)
    offset = np.where(rng.random(len(cases)) < 0.05, rng.integers(0xFFC, 0x1004, len(cases)), offset)
    if shape.locked:
        offset &= ~7  # a split lock may be punished by the host's kernel
    if shape.row.mnemonic in SELECTOR_USERS or shape.row.id in LOADS_SEGMENT:
        offset &= ~1  # where the image's words are
    if shape.mode == 16:
        return offset
    assert shape.address is not None
    segment = shape.address.segment
    flat = np.ones(len(cases), bool) if segment is None else cases["seg"][:, segment] == Sel.DATA32
    return offset + np.where(flat, WINDOW_BASE, 0)


def _aim(gpr: Values, cases: Any, shape: Shape, rng: np.random.Generator, images: Any) -> None:
    """Set the base (or index) so that the memory operand lies at its target."""
    address = shape.address
    assert address is not None
    target = _target(cases, shape, rng)
    if address.base is not None and address.base == address.index:
        gpr[:, address.base] = ((target - address.disp) % (1 << 32)) // (1 + (1 << address.scale))
    elif address.base is not None:
        rest = np.zeros(len(cases), np.int64)
        if address.index is not None:
            rest = gpr[:, address.index].astype(np.int64) << address.scale
        width = 0xFFFFFFFF if address.wide else 0xFFFF
        aimed = (target - address.disp - rest) & width
        gpr[:, address.base] = aimed | (gpr[:, address.base] & (0xFFFFFFFF ^ width))
    elif address.index is not None:
        gpr[:, address.index] = ((target - address.disp) % (1 << 32)) >> address.scale
    if shape.row.mnemonic.startswith("CMPXCHG"):
        _match(gpr, cases, target % WINDOW_SIZE, images, rng)


def _match(gpr: Values, cases: Any, at: Any, images: Any, rng: np.random.Generator) -> None:
    """Half of the compare-and-exchanges find what they expect, unless the register is part of the address."""
    chosen = rng.random(len(cases)) < 0.5
    found = [images[cases["window"], (at + n) % WINDOW_SIZE].astype(np.uint32) for n in range(8)]
    for register, first in ((EAX, 0), (EDX, 4)):
        value = found[first] | found[first + 1] << 8 | found[first + 2] << 16 | found[first + 3] << 24
        gpr[:, register] = np.where(chosen, value, gpr[:, register])


def _adjust_string(gpr: Values, shape: Shape, rng: np.random.Generator) -> None:
    """Indices in the window (with 16-bit addresses of flat segments they cannot be), counts mostly small."""
    count = len(gpr)
    base = WINDOW_BASE if shape.mode == 32 else 0
    for register in (ESI, EDI):
        at = rng.integers(MARGIN, WINDOW_SIZE - MARGIN, count).astype(np.uint32)
        near_end = np.where(rng.random(count) < 0.5, at % 0x40, np.uint32(WINDOW_SIZE) - at % 0x40)
        at = np.where(rng.random(count) < 0.08, near_end, at)
        high = gpr[:, register] & 0xFFFF0000 if shape.mode == 16 and not shape.as32 else np.uint32(base)
        gpr[:, register] = at | high if base == 0 else at + base
    overlap = rng.random(count) < 0.3
    gpr[:, EDI] = np.where(overlap, gpr[:, ESI] + rng.integers(0, 17, count).astype(np.uint32) - 8, gpr[:, EDI])
    small = rng.integers(0, 40, count).astype(np.uint32)
    gpr[:, ECX] = np.where(rng.random(count) < 0.97, small, gpr[:, ECX] & 0x3FFFF)


Adjust = Callable[[Values, Any, Shape, np.random.Generator], None]


def _adjust_divide(gpr: Values, _cases: Any, _shape: Shape, rng: np.random.Generator) -> None:
    """High halves that leave room for a quotient, mostly."""
    kind = rng.integers(0, 4, len(gpr))
    sign = (gpr[:, EAX].astype(np.int32) >> 31).astype(np.uint32)
    small = rng.integers(0, 1 << 16, len(gpr), np.uint32) >> rng.integers(0, 16, len(gpr)).astype(np.uint32)
    gpr[:, EDX] = np.select([kind == 0, kind == 1, kind == 2], [np.zeros_like(small), sign, small], gpr[:, EDX])
    shrink = rng.random(len(gpr)) < 0.4
    gpr[:, EAX] = np.where(shrink, gpr[:, EAX] & 0xFFFF00FF, gpr[:, EAX])


def _adjust_count(gpr: Values, _cases: Any, shape: Shape, rng: np.random.Generator) -> None:
    if shape.row.operands[-1] == "CL":
        gpr[:, ECX] = (gpr[:, ECX] & 0xFFFFFF00) | rng.integers(0, 40, len(gpr)).astype(np.uint32)


def _adjust_bit(gpr: Values, _cases: Any, shape: Shape, rng: np.random.Generator) -> None:
    """Bit offsets that stay near, mostly: half a window on either side."""
    if shape.row.operands[-1] == "Gv" and shape.address:
        near = rng.integers(-0x40000, 0x40000, len(gpr)).astype(np.uint32)
        gpr[:, shape.reg] = np.where(rng.random(len(gpr)) < 0.9, near, gpr[:, shape.reg])


def _adjust_xlat(gpr: Values, _cases: Any, shape: Shape, rng: np.random.Generator) -> None:
    gpr[:, EBX] = rng.integers(0, WINDOW_SIZE - MARGIN, len(gpr)) + (WINDOW_BASE if shape.mode == 32 else 0)


def _adjust_popf(gpr: Values, cases: Any, _shape: Shape, _rng: np.random.Generator) -> None:
    gpr[:, ESP] &= 0xFFFFFFFE
    cases["window"] = FLAGS_IMAGE


def _adjust_selector(gpr: Values, cases: Any, shape: Shape, rng: np.random.Generator) -> None:
    """Selectors in memory, and in the register operand if there is one."""
    cases["window"] = SELECTOR_IMAGE
    if shape.row.split and not shape.address:
        low = rng.choice(SELECTORS, len(gpr)).astype(np.uint32)
        gpr[:, shape.rm] = (gpr[:, shape.rm] & 0xFFFF0000) | low


SELECTOR_USERS = {"LAR", "LSL", "VERR", "VERW", "LES", "LDS", "LSS", "LFS", "LGS"}
SHIFTS = ("ROL", "ROR", "RCL", "RCR", "SHL", "SHR", "SAR", "SHLD", "SHRD")
LIKE_THE_HOST = frozenset({"MUL", "IMUL", "LZCNT"})
ADJUST: dict[str, Adjust] = {
    **dict.fromkeys(("DIV", "IDIV"), _adjust_divide),
    **dict.fromkeys(SHIFTS, _adjust_count),
    **dict.fromkeys(("BT", "BTS", "BTR", "BTC"), _adjust_bit),
    "XLAT": _adjust_xlat,
    "POPF": _adjust_popf,
    **dict.fromkeys(SELECTOR_USERS, _adjust_selector),
}
"""By mnemonic; LOADS_SEGMENT as well."""
LOADS_SEGMENT = {"MOV_Sw_Ew", "MOV_SS_Ew", "POP_Zs", "POP_SS"}


# -- what may be compared --


def shift_count(shape: Shape, cases: Any) -> Any:
    """The count as the processor takes it: modulo 32 (SDM 2, "SAL/SAR/SHL/SHR")."""
    last = shape.row.operands[-1]
    if last == "CL":
        return cases["gpr"][:, ECX] & 31
    return np.full(len(cases), 1 if last == "1" else shape.imm & 31, np.uint32)


def operand_bits(shape: Shape) -> int:
    return 8 if shape.row.operands[0] == "Eb" else 32 if shape.os32 else 16


@cache
def leaves_flags() -> bool:
    """Whether the engines leave undefined flags as this host does (csrc/silicon.h)."""
    return not probe()["bt"] and "flags differ" not in Processor(engine="bt").engine.lacks


def is_like_the_host(shape: Shape) -> bool:
    """Undefined flags are to be the host's: of narrow operands nobody has asked all makers for every count."""
    shifts = shape.row.mnemonic in SHIFTS
    return (shape.row.mnemonic in LIKE_THE_HOST or (shifts and operand_bits(shape) == 32)) and leaves_flags()


def defined_flags(shape: Shape, cases: Any) -> Any:
    """EFLAGS bits that the manual defines, or the host, for each case; -1: nothing of it is defined."""
    row, like_the_host = shape.row, is_like_the_host(shape)
    mask = np.full(len(cases), 0xFFFFFFFF & ~(0 if like_the_host else row.flags.undefined), np.int64)
    if row.mnemonic not in SHIFTS or like_the_host:
        return mask
    count, bits = shift_count(shape, cases), operand_bits(shape)
    mask = np.where(count != 1, mask & ~OF, mask)
    if row.mnemonic in {"SHL", "SHR"}:
        mask = np.where(count >= bits, mask & ~CF, mask)
    if row.mnemonic in {"SHLD", "SHRD"}:
        mask = np.where(count > bits, -1, mask)
    return np.where(count == 0, 0xFFFFFFFF, mask)


def differences(silicon: Any, ours: Any, flags: Any) -> Any:
    """Per case: whether anything differs that may be compared.

    *flags* is of `defined_flags`.  A trap leaves flags as they were, so all of them count.
    """
    a, b = silicon.results, ours.results
    comparable = ((a["status"] == DONE) | (a["status"] == TRAP)) & (flags >= 0) & (a["signal"] != SIGSYS)
    fault = (a["status"] == TRAP) & (a["trapno"] == PAGE_FAULT)
    in_window = (a["cr2"] >= WINDOW_BASE) & (a["cr2"] < WINDOW_BASE + WINDOW_SIZE)
    comparable &= ~(fault & (a["error"] & FETCH != 0) & in_window)  # ours executes data: no NX
    comparable &= ~((b["trapno"] == PAGE_FAULT) & (b["cr2"] >= LAST_BYTES))
    mask = np.where(a["status"] == TRAP, 0xFFFFFFFF, flags).astype(np.uint32)
    different = a["status"] != b["status"]
    different |= (a["gpr"] != b["gpr"]).any(1) | (a["seg"] != b["seg"]).any(1) | (a["eip"] != b["eip"])
    different |= (a["eflags"] & mask) != (b["eflags"] & mask)
    different |= a["change_count"] != b["change_count"]
    trap = a["status"] == TRAP
    error = np.where(fault, a["error"] & ~np.uint32(FETCH), a["error"])
    different |= trap & ((a["trapno"] != b["trapno"]) | (error != b["error"]))
    different |= trap & (a["trapno"] == PAGE_FAULT) & (a["cr2"] != b["cr2"])
    different |= _differ_in_memory(silicon, ours, ~different)
    return np.flatnonzero(different & comparable)


SIGSYS = 31
LAST_BYTES = 0xFFFFFFF0
"""What an access across 4 GB does in a segment of that size depends on the processor (SDM 3A 5.3)."""


def _differ_in_memory(silicon: Any, ours: Any, candidates: Any) -> Any:
    """Cases, of those with equal change counts, whose changed bytes differ."""
    out = np.zeros(len(candidates), bool)
    picked = np.flatnonzero(candidates & (silicon.results["change_count"] > 0))
    if len(picked) == 0:
        return out
    counts = silicon.results["change_count"][picked].astype(np.int64)
    owner = np.repeat(picked, counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    theirs = silicon.changes[np.repeat(silicon.results["change_first"][picked].astype(np.int64), counts) + within]
    mine = ours.changes[np.repeat(ours.results["change_first"][picked].astype(np.int64), counts) + within]
    out[owner[(theirs["offset"] != mine["offset"]) | (theirs["after"] != mine["after"])]] = True
    return out


def batches(
    table: list[Row], mode: int, shapes_each: int, cases_each: int, rng: np.random.Generator, images: Any
) -> Iterator[tuple[list[Shape], Any]]:
    """Shapes of every encoding, with their cases: cases_each consecutive ones a shape."""
    shapes = [
        make_shape(row, encoding, mode, rng)
        for row in table
        for encoding in row.encodings
        for _ in range(shapes_each * (2 if row.rm == "both" else 1))
    ]
    step = 200
    for start in range(0, len(shapes), step):
        part = shapes[start : start + step]
        cases = blank_cases(len(part) * cases_each, mode)
        for n, shape in enumerate(part):
            block = cases[n * cases_each : (n + 1) * cases_each]
            set_code_all(block, shape.code)
            fill(block, shape, rng, images)
        yield part, cases


@attrs.frozen
class Sequence:
    """Several instructions after one another, and the flags that are defined at the end."""

    code: bytes
    flags: int


def make_sequence(table: list[Row], mode: int, rng: np.random.Generator) -> Sequence:
    """Rows at random, none of which reads a flag that is undefined where it stands."""
    code, undefined = b"", 0
    while len(code) < SEQUENCE_BYTES:
        row = table[rng.integers(0, len(table))]
        if row.flags.read & undefined:
            continue
        undefined = (undefined | row.flags.undefined) & ~row.flags.written
        encoding = row.encodings[rng.integers(0, len(row.encodings))]
        code += make_shape(row, encoding, mode, rng, absolute=True).code
    return Sequence(code, 0xFFFFFFFF & ~undefined)


SEQUENCE_BYTES = 40


def sequence_batch(
    table: list[Row], mode: int, count: int, cases_each: int, rng: np.random.Generator
) -> tuple[list[Sequence], Any]:
    """Sequences with their cases: cases_each consecutive ones a sequence."""
    sequences = [make_sequence(table, mode, rng) for _ in range(count)]
    cases = blank_cases(count * cases_each, mode)
    gpr = interesting(rng, len(cases), 8)
    gpr[:, ESP] = cases["gpr"][:, ESP]
    cases["gpr"] = gpr
    cases["window"] = rng.integers(0, 2, len(cases))
    cases["eflags"] = rng.integers(0, 1 << 12, len(cases)) & (STATUS_FLAGS | DF) | 2
    for n, sequence in enumerate(sequences):
        set_code_all(cases[n * cases_each : (n + 1) * cases_each], sequence.code)
    return sequences, cases


def set_code_all(block: Any, code: bytes) -> None:
    set_code(block[0], code)
    block["code"] = block["code"][0]
    block["code_len"] = len(code)
