"""Loops of one block around x87 instructions: `bt` against `interp`, with what the last one leaves behind (SDM 1, 8.1.8: FOP, FIP, FDP
and their selectors) whatever ends the loop.
"""

from random import Random

import pytest
from box import CODE, ECX, ESI, ESP, PAGE, P, U, W
from box import Box as Processor
from compare import check_ends, check_slices, outcome

from vpcore.engine.engine import probe

SEED, ROUNDS, BUDGET = 8087, 150, 2000
AREA, AREA_SIZE = 0x40000, 2 * PAGE
"""Doubles, before a page that is not there; or a read-only one."""
COMPARED = ((0x7000, 0x2000), (AREA, AREA_SIZE))
TS, MASKS, OVERFLOW_UNMASKED = 8, 0x37F, 0x377
STEPS = (
    *(b"\xdd\x06", b"\xdc\x0e", b"\xdd\x1e", b"\xdc\x04\x24", b"\xdd\x5c\x24\xf8"),  # on [esi], [esp], [esp - 8]
    *(b"\xdd\x86\x10\x00\x00\x00", b"\xd9\xc0", b"\xde\xc1", b"\xdd\xd8", b"\xd9\xfa", b"\xd9\xe8", b"\xd9\xc9"),
    *(b"\x83\xc6\x08", b"\x8b\x06", b"\x89\x06", b"\x50\x58", b"\x01\xd8", b"\x9b", b"\xdf\xe0", b"\x0f\xa2"),
    *(b"\xd9\x36", b"\x36\xdd\x06", b"\xdd\xe1", b"\xdf\xe9\x9e"),
)
"""FLD, FMUL, FSTP; FLD1, FSQRT, FXCH and their kin; ADD ESI, loads and stores, PUSH and POP, WAIT, FNSTSW AX, CPUID; FNSTENV."""
LOOP = b"\x83\xc6\x08\x83\xe9\x01\x0f\x85"
"""ADD ESI,8; SUB ECX,1; JNZ"""

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])


def make(engine):
    box = Processor(engine=engine, icount_ns=1)
    box.page_32(P | W | U)
    box.map_32(AREA + AREA_SIZE, AREA, 0)
    box.user()
    state = box.engine.get_state()
    state["cr0"] |= 0x20  # NE
    box.engine.set_state(state)
    return box


def prepare(box, seed, state):
    rng = Random(seed)
    body = b"".join(rng.choice(STEPS) for _ in range(rng.randrange(1, 8)))
    end = len(body) + len(LOOP) + 4
    code = body + LOOP + (-end).to_bytes(4, "little", signed=True) + rng.choice((b"", b"\xd9\x36")) + b"\xf4"
    last = P | U | W * (rng.random() < 0.7)
    box.map_32(AREA + PAGE, AREA + PAGE, last)
    fx = bytearray(state["fx"])
    fx[0:2] = (MASKS if rng.random() < 0.8 else OVERFLOW_UNMASKED).to_bytes(2, "little")
    box.engine.set_state({**state, "fx": bytes(fx), "cr0": state["cr0"] | TS * (rng.random() < 0.05)})
    box.load(code + bytes(64))
    box.ram[AREA : AREA + AREA_SIZE] = (bytes(6) + b"\xf0\x3f" + bytes(6) + b"\x00\x40") * (AREA_SIZE // 16)
    box.cpu.gpr[ESI] = AREA + rng.randrange(PAGE - 64, AREA_SIZE)
    box.cpu.gpr[ESP] = AREA + rng.randrange(64, PAGE)
    box.cpu.gpr[ECX] = rng.choice((1, 2, 3, 5, 30, 200))
    box.set(eip=CODE, halted=0, eflags=2)
    return code


def result(box, end, began):
    return outcome(box, (end, box.engine.insns - began), COMPARED)


def test_loops_end_the_same():
    boxes = [make(name) for name in ("interp", "bt")]

    check_ends(boxes, prepare, result, range(SEED, SEED + ROUNDS), BUDGET)


def test_loops_may_be_left_anywhere():
    """Runs end after any number of instructions, on any engine; what is left behind is as if nothing had happened."""
    boxes = [make("interp") for _ in range(2)]

    check_slices(boxes, prepare, result, range(ROUNDS), slices=10, longest=60, rng=Random(SEED))
