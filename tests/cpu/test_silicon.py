"""The engines against the host's processor: every user-mode integer encoding of the table, random and edge operands.

Registers, memory, defined flags, EIP, exceptions with error code and CR2 must agree; see silicon.py for the cases.
VPCORE_SILICON_SCALE multiplies their number (1: some 800 thousand), VPCORE_SILICON_SEED repeats a run.
"""

import os
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import silicon
from oracle import REGISTERS
from oracle.layout import TRAP
from subject import Subject

from vpcore.engine import disassemble
from vpcore.engine.isa import Row, rows

SCALE = float(os.environ.get("VPCORE_SILICON_SCALE", "1"))
SEED = int(os.environ.get("VPCORE_SILICON_SEED", random.randrange(1 << 32)))
SHAPES_EACH = max(1, round(20 * SCALE))
CASES_EACH = 24
SEQUENCES = max(1, round(5000 * SCALE))

LEFT_OUT = {
    "the host has other values, or its kernel answers": [
        "CPUID", "RDTSC", "RDPMC", "SGDT_Ms", "SIDT_Ms", "SLDT_Ev", "STR_Ev", "SMSW_Ev", "SYSENTER", "INT_Ib",
        "RDRAND_Rv", "RDSEED_Rv",
    ],
    "a hypervisor may get it wrong (oracle/README.md)": ["INT1"],
    "leads through the host's descriptors": [
        "CALLF_Ap", "CALLF_Mp", "JMPF_Ap", "JMPF_Mp", "RETF", "RETF_Iw", "IRET",
    ],
}  # fmt: skip
INTEGER = {"I386", "I486", "P5", "P6", *silicon.ADDED}
NOT_INTEGER = {"fp", "mmx", "sse"}


def integer_rows() -> list[Row]:
    left_out = {name for names in LEFT_OUT.values() for name in names}
    features = INTEGER - silicon.missing_features()
    return [
        row for row in rows() if row.feature in features and not row.traits & NOT_INTEGER and row.id not in left_out
    ]


def is_amd_prefetch(shape: silicon.Shape) -> bool:
    """0F 0D with a register: a NOP since the P6, #UD on AMD's processors (APM 3, "PREFETCH")."""
    return shape.row.id == "NOP_Ev" and shape.address is None and b"\x0f\x0d" in shape.code


def has_two_faults(shape: silicon.Shape, theirs: Any, ours: Any) -> bool:
    """Both operands of CMPS fault: which is reported depends on the processor."""
    return shape.row.mnemonic == "CMPS" and theirs["status"] == ours["status"] == TRAP


def ran_its_own_bytes(shape: silicon.Shape, theirs: Any) -> bool:
    """An indirect branch into the case's own code, or its way out: those bytes may leave flags undefined."""
    return shape.row.id in {"RET", "RET_Iw", "CALL_Ev", "JMP_Ev"} and 0 <= theirs["eip"] < NEAR


NEAR = 32
GENERAL_PROTECTION, BOUND_RANGE = 13, 5


def agree(theirs: Any, ours: Any, besides: frozenset[str] = frozenset()) -> bool:
    """Registers and outcome are the same, memory aside."""
    fields = {"gpr", "seg", "eflags", "eip", "status", "trapno", "error"} - besides
    return all(np.array_equal(theirs[field], ours[field]) for field in fields)


def pushes_half(shape: silicon.Shape, theirs: Any, ours: Any) -> bool:
    """A segment register is pushed as 32 bits or, by Intel's, as 16 that leave the rest of the slot (SDM 2, PUSH)."""
    pushes = shape.row.id == "PUSH_Zs" and shape.os32
    return pushes and agree(theirs, ours) and theirs["change_count"] <= ours["change_count"]


def stores_before_it_faults(shape: silicon.Shape, theirs: Any, ours: Any) -> bool:
    """CALL to behind the limit: Intel's have stored where to return to, below an ESP that stays as it was."""
    calls = shape.row.mnemonic == "CALL" and theirs["status"] == TRAP and theirs["trapno"] == GENERAL_PROTECTION
    return calls and agree(theirs, ours)


def faults_within(shape: silicon.Shape, theirs: Any, ours: Any) -> bool:
    """Where a repeated comparison faults, Intel's have the flags that it began with (SDM 2, REP, names none)."""
    compares = shape.row.mnemonic in {"SCAS", "CMPS"} and theirs["status"] == TRAP
    return compares and agree(theirs, ours, frozenset({"eflags"}))


def is_below_bounds(shape: silicon.Shape, theirs: Any, ours: Any) -> bool:
    """BOUND below the lower bound: Intel's do not look at the upper one, which cannot be accessed."""
    below = shape.row.mnemonic == "BOUND" and theirs["trapno"] == BOUND_RANGE and ours["status"] == TRAP
    return below and agree(theirs, ours, frozenset({"trapno", "error"}))


BY_TASTE = (has_two_faults, pushes_half, stores_before_it_faults, faults_within, is_below_bounds)
"""What processors do differently, and the manual leaves open."""


@pytest.fixture(params=["interp", "bt"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with Subject(request.param) as engine:
        yield engine


ATTEMPTS = 3
"""The host's kernel may come in between and lose NT, or the RPL of a null selector: a difference has to be there again."""


def compare(oracle: Any, subject: Any, cases: Any, images: Any, flags: Any) -> Iterator[tuple[int, Any, Any]]:
    """Index and both results of each case that differs."""
    which, found = np.arange(len(cases)), np.arange(0)
    for _ in range(ATTEMPTS):
        theirs, ours = oracle.run(cases[which], windows=images), subject.run(cases[which], windows=images)
        found = silicon.differences(theirs, ours, flags[which])
        if not found.size:
            return
        results = [(theirs.results[k], ours.results[k]) for k in found]
        which = which[found]
    for k, (one, other) in zip(which.tolist(), results, strict=True):
        yield k, one, other


def describe(code: bytes, mode: int, case: Any, silicon_result: Any, our_result: Any) -> str:
    """One failure, to be read by a human."""
    lines = [f"{disassemble(code, 0, mode)} {code.hex()} in {mode}-bit code, window {case['window']}"]
    for name, record in (("before", case), ("silicon", silicon_result), ("ours", our_result)):
        text = " ".join(f"{n}={v:08x}" for n, v in zip(REGISTERS, record["gpr"].tolist(), strict=True))
        text += f" eflags={record['eflags']:x} seg={record['seg'].tolist()}"
        if name != "before":
            text += (
                f" eip=+{record['eip']} status={record['status']} vector={record['trapno']} error={record['error']:x}"
            )
            text += f" cr2={record['cr2']:x} changed={record['change_count']}"
        lines.append(f"  {name:8}{text}")
    return "\n".join(lines)


@pytest.mark.parametrize("mode", [16, 32])
def test_integer_encodings_do_what_silicon_does(oracle, subject, mode):
    """SDM 2, every instruction's page."""
    rng = np.random.default_rng((SEED, mode))
    images = silicon.windows(rng)
    found: list[str] = []
    for shapes, cases in silicon.batches(integer_rows(), mode, SHAPES_EACH, CASES_EACH, rng, images):
        blocks = [cases[n * CASES_EACH : (n + 1) * CASES_EACH] for n in range(len(shapes))]
        flags = np.concatenate([silicon.defined_flags(*pair) for pair in zip(shapes, blocks, strict=True)])
        for k, theirs, ours in compare(oracle, subject, cases, images, flags):
            shape = shapes[k // CASES_EACH]
            excused = is_amd_prefetch(shape) or ran_its_own_bytes(shape, theirs)
            if not excused and not any(allowed(shape, theirs, ours) for allowed in BY_TASTE):
                found.append(describe(shape.code, mode, cases[k], theirs, ours))
    assert [] == found[:10], "\n".join([f"seed {SEED}: {len(found)} differences", *found[:10]])


TRAPPING = {"BOUND", "DIV", "IDIV", "AAM", "INTO"}


def sequence_rows() -> list[Row]:
    """Rows that go straight on, touch no stack and no string, and never leave a result to the processor's taste."""
    return [
        row
        for row in integer_rows()
        if not row.traits & {"end", "priv", "io", "rep", "repz"}
        and row.mnemonic not in TRAPPING | silicon.SELECTOR_USERS | {"XLAT", "CLI"}
        and not row.flags.maybe
        and silicon.ESP not in row.regs_read | row.regs_written
        and row.id not in {*silicon.LOADS_SEGMENT, "NOP_Ev", "ARPL_Ew_Gw"}
        and (row.operands[-1:] != ("Gv",) or not row.mnemonic.startswith("BT"))
    ]


@pytest.mark.parametrize("mode", [16, 32])
def test_sequences_leave_what_silicon_leaves(oracle, subject, mode):
    """Instructions in a row: what one leaves (lazy flags above all) is what the next finds."""
    rng = np.random.default_rng((SEED, mode, 1))
    images = silicon.windows(rng)
    found: list[str] = []
    left = SEQUENCES
    while left > 0:
        sequences, cases = silicon.sequence_batch(sequence_rows(), mode, min(left, 500), CASES_EACH, rng)
        left -= len(sequences)
        flags = np.repeat(np.array([sequence.flags for sequence in sequences], np.int64), CASES_EACH)
        for k, theirs, ours in compare(oracle, subject, cases, images, flags):
            found.append(describe(sequences[k // CASES_EACH].code, mode, cases[k], theirs, ours))
    assert [] == found[:5], "\n".join([f"seed {SEED}: {len(found)} differences", *found[:5]])


def test_a_wrong_result_would_be_seen(oracle, subject):
    """The comparison is no rubber stamp: one changed bit of a register, of memory or of a flag is a difference."""
    rng = np.random.default_rng(1)
    images = silicon.windows(rng)
    row = next(row for row in rows() if row.id == "ADD_Ev_Gv")
    ((shapes, cases),) = silicon.batches([row], 32, 8, CASES_EACH, rng, images)
    theirs, ours = oracle.run(cases, windows=images), subject.run(cases, windows=images)
    done = np.flatnonzero(theirs.results["status"] == 0)
    changed = np.flatnonzero(theirs.results["change_count"] > 0)
    flags = np.full(len(cases), 0xFFFFFFFF, np.int64)
    ours.results["gpr"][done[0], 7] ^= 1
    ours.results["eflags"][done[1]] ^= 1
    ours.changes["after"][ours.results["change_first"][changed[-1]]] ^= 1
    assert len(shapes) * CASES_EACH == len(cases)
    assert {done[0], done[1], changed[-1]} == set(silicon.differences(theirs, ours, flags).tolist())
