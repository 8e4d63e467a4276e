"""Random cases for the oracle and an engine: x87, MMX and SSE instructions over edge operands and modes."""

from itertools import product
from typing import Any

import attrs
import numpy as np
from fpu_values import DECIMAL, DOUBLE, DWORD, EXTENDED, EXTENDED_KIND, QWORD, SINGLE, WORD, Array, Rng, Vectors
from oracle import blank_cases, set_code
from oracle.layout import CODE_MAX, FX_IN, FX_OUT, PATCH, WINDOW_BASE, WINDOW_SIZE
from silicon import missing_features

from vpcore.engine.isa.table import Encoding, Row, rows

FX_XMM, FX_ST, FX_END, FX_SLOT = 160, 32, 288, 16
OPERAND = 0x4000
"""Offset in the window of the memory operand, mostly."""
OPERAND_SIZE = 16
EDGE = WINDOW_SIZE - 16
"""Behind the window nothing is mapped."""
WITHOUT_UNIT = frozenset({"MOVNTI_Md_Gd", "CLFLUSH_Mb", "LFENCE", "MFENCE", "SFENCE"})
_EDI = 7
_ESP = 4

KINDS_OF_MEMORY = {
    "Md": [SINGLE], "Mq": [DOUBLE], "Mt": [EXTENDED_KIND, DECIMAL], "Mwi": [WORD], "Mdi": [DWORD], "Mqi": [QWORD],
    "Wps": [SINGLE], "Wss": [SINGLE], "Wpd": [DOUBLE], "Wsd": [DOUBLE], "Wq": [SINGLE, DWORD], "Qq": [WORD, DWORD],
}  # fmt: skip
ANY_KIND = [SINGLE, DOUBLE, WORD, DWORD, QWORD]


def unit_rows(*traits: str, without: frozenset[str] = frozenset()) -> list[Row]:
    """Rows of the opcode table with one of *traits* (fp, mmx, sse), and those near them that need no unit."""
    near = WITHOUT_UNIT if "sse" in traits else frozenset()
    return [
        row
        for row in rows()
        if (row.id in near or not row.traits.isdisjoint(traits))
        and row.id not in without
        and row.feature not in missing_features()
    ]


def operand(rng: Rng) -> int:
    """The offset of a memory operand: aligned, or not, or where a part or all of it is not mapped."""
    kind = rng.random()
    if kind < 0.8:
        return OPERAND
    return OPERAND + int(rng.integers(0, 16)) if kind < 0.95 else EDGE + int(rng.integers(0, 32))


def encode(rng: Rng, row: Row, encoding: Encoding, *, mem: bool, at: int = OPERAND) -> bytes:
    """One instruction with random registers and immediate; its memory operand is at offset *at* of the window."""
    code = b"" if encoding.prefix in (None, "NP") else bytes.fromhex(encoding.prefix)
    if "os" in row.traits and rng.random() < 0.5:
        code = b"\x66" + code
    code += encoding.escape + bytes([encoding.opcode])
    register, other = (int(n) for n in rng.integers(0, 8, 2))
    if encoding.modrm is not None:
        code += bytes([encoding.modrm + (register if encoding.plus_i else 0)])
    elif row.operands or encoding.digit is not None:
        field = other if encoding.digit is None else encoding.digit
        if field == _ESP and "Gd" in row.operands:
            field = 0  # ESP stays what it is
        if register == _ESP and not {"Ed", "Rd"}.isdisjoint(row.operands):
            register = 0
        if mem:
            code += bytes([field << 3 | 5]) + (WINDOW_BASE + at).to_bytes(4, "little")
        else:
            code += bytes([0xC0 | field << 3 | register])
    if "Ib" in row.operands:
        code += rng.bytes(1)
    return code


def forms(row: Row) -> list[bool]:
    """With memory operand or without, as the row has them."""
    return {"both": [False, True], "mem": [True]}.get(row.rm or "", [False])


@attrs.frozen
class Piece:
    """One case's code."""

    name: str
    code: bytes
    at: int
    """Offset of the memory operand in the window."""
    kinds: tuple[int, ...]
    """What kinds of value the operand is."""


def singles(rng: Rng, chosen: list[Row], count: int) -> list[Piece]:
    """*count* of each encoding and form of each row."""
    pieces = []
    for row in chosen:
        for encoding, mem in product(row.encodings, forms(row)):
            for _ in range(count):
                at = operand(rng)
                pieces.append(Piece(row.id, encode(rng, row, encoding, mem=mem, at=at), at, memory_kinds(row)))
    return pieces


def sequences(rng: Rng, chosen: list[Row], count: int) -> list[Piece]:
    """*count* programs of up to seven random instructions that share one operand."""
    every = [(row, encoding, mem) for row in chosen for encoding, mem in product(row.encodings, forms(row))]
    pieces = []
    for _ in range(count):
        parts, names = b"", []
        for index in rng.integers(0, len(every), int(rng.integers(2, 8))):
            row, encoding, mem = every[index]
            part = encode(rng, row, encoding, mem=mem)
            if len(parts) + len(part) <= CODE_MAX:
                parts += part
                names.append(row.id)
        pieces.append(Piece(" ".join(names), parts, OPERAND, tuple(ANY_KIND)))
    return pieces


def _modes(rng: Rng, count: int) -> tuple[Array, Array, Array, Array]:
    """FCW, FSW, abridged tags and MXCSR; most have all exceptions masked, few have one pending."""

    def sometimes(share: float, value: Array, otherwise: Array | int) -> Array:
        return np.where(rng.random(count) < share, value, otherwise)

    def bits(width: int) -> Array:
        return rng.integers(0, 1 << width, count)

    masks = sometimes(0.4, bits(6), 0x3F)
    fcw = masks | 0x40 | sometimes(0.5, bits(4) << 8, 0x300)
    flags = bits(6) & bits(6)
    flags = sometimes(0.1, flags, flags & masks)
    fsw = flags | (bits(1) << 6) | (bits(3) << 8) | (bits(3) << 11) | (bits(1) << 14)
    tags = sometimes(0.3, bits(8), 0xFF)
    simd_masks = sometimes(0.4, bits(6), 0x3F)
    modes = sometimes(0.3, bits(1) << 6, 0) | sometimes(0.3, bits(1) << 15, 0) | sometimes(0.5, bits(2) << 13, 0)
    mxcsr = simd_masks << 7 | modes | sometimes(0.3, bits(6), 0)
    return fcw, fsw, tags, mxcsr


def _fx(rng: Rng, vectors: Vectors, count: int) -> Array:
    fx = np.zeros((count, 512), np.uint8)
    fcw, fsw, tags, mxcsr = _modes(rng, count)
    fx[:, 0:2] = fcw.astype(np.uint16).view(np.uint8).reshape(count, 2)
    fx[:, 2:4] = fsw.astype(np.uint16).view(np.uint8).reshape(count, 2)
    fx[:, 4] = tags
    fx[:, 24:28] = mxcsr.astype(np.uint32).view(np.uint8).reshape(count, 4)
    slots = fx[:, FX_ST:FX_XMM].reshape(count, 8, FX_SLOT)
    slots[:, :, :EXTENDED] = vectors.pick(rng, count * 8, [EXTENDED_KIND]).reshape(count, 8, 16)[:, :, :EXTENDED]
    mmx = rng.random(count) < 0.3
    integer = vectors.pick(rng, count * 8, [WORD, DWORD]).reshape(count, 8, 16)
    slots[mmx, :, :8] = integer[mmx, :, :8]
    fx[:, FX_XMM:FX_END] = vectors.pick(rng, count * 8, ANY_KIND).reshape(count, 8 * 16)
    alike = rng.random(count) < 0.7  # most cases: both operands of one kind
    for kind in ANY_KIND:
        chosen = alike & (rng.integers(0, len(ANY_KIND), count) == 0)
        fx[chosen, FX_XMM:FX_END] = vectors.pick(rng, int(chosen.sum()) * 8, [kind]).reshape(-1, 8 * 16)
    return fx


def make(rng: Rng, vectors: Vectors, pieces: list[Piece]) -> tuple[Any, Any]:
    """Cases and patches, one each a piece."""
    count = len(pieces)
    cases = blank_cases(count)
    esp = cases["gpr"][:, _ESP].copy()
    cases["gpr"] = vectors.pick(rng, count * 2, [DWORD, SINGLE]).view(np.uint32).reshape(count, 8)
    cases["gpr"][:, _ESP] = esp
    inside, outside = rng.integers(0, EDGE, count), EDGE + rng.integers(0, 32, count)
    cases["gpr"][:, _EDI] = WINDOW_BASE + np.where(rng.random(count) < 0.8, inside, outside)
    cases["eflags"] |= (rng.integers(0, 1 << 12, count) & 0x8D5).astype(np.uint32)
    cases["options"] = FX_IN | FX_OUT
    cases["fx"] = _fx(rng, vectors, count)
    patches = np.zeros(count, PATCH)
    patches["offset"] = [min(piece.at, WINDOW_SIZE - OPERAND_SIZE) for piece in pieces]
    patches["size"] = OPERAND_SIZE
    cases["patch_first"], cases["patch_count"] = np.arange(count), 1
    for n, piece in enumerate(pieces):
        set_code(cases[n], piece.code)
    for kinds in {piece.kinds for piece in pieces}:
        where = np.array([piece.kinds == kinds for piece in pieces])
        patches["data"][where] = vectors.pick(rng, int(where.sum()), list(kinds))
    return cases, patches


def memory_kinds(row: Row) -> tuple[int, ...]:
    """What kinds of value the memory operand of *row* is taken from."""
    for letters in row.operands:
        if letters in KINDS_OF_MEMORY:
            return tuple(KINDS_OF_MEMORY[letters])
    return tuple(ANY_KIND)
