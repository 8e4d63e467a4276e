"""x87, MMX, SSE and SSE2 of every engine against the host processor, on random and edge operands in all modes.

VPCORE_FPU_CASES multiplies the number of cases; a failure names its seed, and VPCORE_FPU_SEED repeats it.
"""

import os
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fpu_cases import FX_END, FX_ST, Piece, make, sequences, singles, unit_rows
from fpu_values import Vectors
from oracle import Oracle
from oracle.layout import TRAP
from subject import Subject

SCALE = float(os.environ.get("VPCORE_FPU_CASES", "1"))
SEED = int(os.environ.get("VPCORE_FPU_SEED", random.randrange(1 << 32)))
RF = 0x10000
GENERAL_PROTECTION, PAGE_FAULT = 13, 14
MXCSR_MM = 2
"""Byte 2 of MXCSR has a bit that only AMD's processors know; theirs is no judge of LDMXCSR and FXRSTOR then."""

FX_COMPARED = np.zeros(512, bool)
"""Not FOP, FIP, FDP (AMD keeps them only while an error is pending), not MXCSR_MASK, nothing behind XMM7."""
FX_COMPARED[0:6] = FX_COMPARED[24:28] = FX_COMPARED[FX_ST:FX_END] = True
NOT_IN_PROGRAMS = frozenset({"FXSAVE_M", "FXRSTOR_M", "FNSAVE_M", "FNSTENV_M", "MASKMOVQ_Pq_Nq", "MASKMOVDQU_Vdq_Udq"})
"""They show what is not compared, or store at EDI, which the instructions before them may change to anything."""
MMX_STORES = frozenset({"MOVD_Ed_Pd", "MOVQ_Qq_Pq", "MOVNTQ_Mq_Pq"})
STORES_OF_TEN = frozenset({"FSTP_Mt", "FBSTP_Mt"})
"""Two stores, of which the second may not be possible."""
ERROR_SUMMARY, TOP = 0x80, 0x38
"""Of the status word, in its lower and upper byte."""
INTO_EFLAGS = ("FCOMI", "FUCOMI")
FORGETS_ERRORS = ("FNINIT", "FNCLEX")


@pytest.fixture(scope="module", params=["interp", "bt"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with Subject(request.param) as engine:
        yield engine


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


def names(piece: Piece, mnemonics: tuple[str, ...]) -> bool:
    """The piece has one of these instructions."""
    return any(mnemonic in piece.name for mnemonic in mnemonics)


def only_amd(piece: Piece, want: Any) -> bool:
    """The host is no judge: it may be AMD's, which has another MXCSR, and sets EFLAGS where FCOMI is not to."""
    if want["fx"][26] & MXCSR_MM:
        return True
    return names(piece, INTO_EFLAGS) and names(piece, FORGETS_ERRORS)


def only_intel(piece: Piece, got: Any) -> bool:
    """SHA's memory operand has to be aligned (SDM 2, table 2-21); AMD's processors take any."""
    return piece.name.startswith("SHA") and piece.at % 16 != 0 and got["trapno"] == GENERAL_PROTECTION


def stores_in_order(piece: Piece, want: Any, got: Any) -> bool:
    """What a store does first where it cannot access its operand is each processor's affair (SDM 3A 6.9, table 6-2).

    Intel's find out about unmasked errors of x87 first, do not store then, and have no page fault; store a part of ten
    bytes; and make the stack MMX registers before they fault.
    """
    if got["trapno"] != PAGE_FAULT or " " in piece.name:
        return False
    if piece.name.startswith("F"):
        error = want["status"] != TRAP and bool(want["fx"][2] & ERROR_SUMMARY)
        return error or (piece.name in STORES_OF_TEN and not list(differences(piece, want, got)))
    top = want["fx"][3] & TOP
    return piece.name in MMX_STORES and want["trapno"] == PAGE_FAULT and not top


def unmasked_invalid(result: Any) -> bool:
    """IE is set and unmasked in the FXSAVE image."""
    return bool(result["fx"][2] & ~result["fx"][0] & 1)


def differences(piece: Piece, want: Any, got: Any) -> Iterator[str]:
    """What differs of registers and outcome; *want* is silicon's."""
    fields = ["status", "eip"]
    if want["status"] == TRAP:
        fields += ["trapno", "error"] + ["cr2"] * int(want["trapno"] == PAGE_FAULT)
    for field in fields:
        if want[field] != got[field]:
            yield f"{field} {want[field]:#x} but {got[field]:#x}"
    # SDM 2, FCOMI: an unmasked invalid operation leaves EFLAGS alone; AMD's processors set them
    amd = unmasked_invalid(want) and names(piece, INTO_EFLAGS)
    if (want["eflags"] ^ got["eflags"]) & ~np.uint32(RF) and not amd:
        yield f"eflags {want['eflags']:#x} but {got['eflags']:#x}"
    for register in np.nonzero(want["gpr"] != got["gpr"])[0]:
        yield f"gpr[{register}] {want['gpr'][register]:#x} but {got['gpr'][register]:#x}"
    for at in np.nonzero((want["fx"] != got["fx"]) & FX_COMPARED)[0]:
        yield f"fx[{at}] {want['fx'][at]:#x} but {got['fx'][at]:#x}"


def changes_of(result: Any, changes: Any) -> dict[int, int]:
    first, count = int(result["change_first"]), int(result["change_count"])
    return {int(change["offset"]): int(change["after"]) for change in changes[first : first + count]}


def suspects(want: Any, got: Any) -> Any:
    """Indices of the cases that differ at all: the rest need no closer look."""
    same = (want.results["fx"] == got.results["fx"])[:, FX_COMPARED].all(axis=1)
    for field in ("status", "trapno", "error", "eip", "eflags", "change_count"):
        same &= want.results[field] == got.results[field]
    same &= (want.results["gpr"] == got.results["gpr"]).all(axis=1)
    return np.nonzero(~same | (want.results["change_count"] > 0))[0]


def compare(oracle: Oracle, subject: Subject, rng: np.random.Generator, pieces: list[Piece]) -> list[str]:
    """One line for each case that the engine and silicon do not agree about."""
    cases, patches = make(rng, Vectors(rng), pieces)
    want, got = oracle.run(cases, patches), subject.run(cases, patches)
    lines = []
    for n in suspects(want, got):
        if only_amd(pieces[n], want.results[n]) or only_intel(pieces[n], got.results[n]):
            continue
        if stores_in_order(pieces[n], want.results[n], got.results[n]):
            continue
        found = list(differences(pieces[n], want.results[n], got.results[n]))
        memory = changes_of(want.results[n], want.changes), changes_of(got.results[n], got.changes)
        if memory[0] != memory[1]:
            found.append(f"memory {memory[0]} but {memory[1]}")
        if found:
            lines.append(f"{pieces[n].name} ({pieces[n].code.hex()}): {', '.join(found)}")
    return lines


@pytest.mark.parametrize("unit", ["fp", "mmx", "sse"])
def test_every_instruction_does_what_silicon_does(oracle, subject, rng, unit):
    """SDM 2, each instruction's page; results, tags, flags, exceptions, EFLAGS, memory."""
    rows = unit_rows(unit, without=frozenset({"FXSAVE_M", "FXRSTOR_M"}))

    lines = compare(oracle, subject, rng, singles(rng, rows, int(80 * SCALE)))

    assert [] == lines[:20], f"{len(lines)} cases differ, VPCORE_FPU_SEED={SEED}"


@pytest.mark.parametrize("units", [("fp",), ("fp", "mmx"), ("sse",), ("fp", "mmx", "sse")], ids="+".join)
def test_programs_do_what_silicon_does(oracle, subject, rng, units):
    """SDM 1, 8.6 (pending exceptions), 9.5 and 11.6.6 (MMX after x87 and back), 11.5 (MXCSR gathers flags)."""
    pieces = sequences(rng, unit_rows(*units, without=NOT_IN_PROGRAMS), int(20000 * SCALE))

    lines = compare(oracle, subject, rng, pieces)

    assert [] == lines[:20], f"{len(lines)} cases differ, VPCORE_FPU_SEED={SEED}"
