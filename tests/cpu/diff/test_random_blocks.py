"""`bt` against `interp`: random code in every state that matters, all of the state compared.

The interpreter is the definition: silicon has judged it (test_silicon.py).  Memory around the window is read-only,
absent and supervisor's, so faults come at any access; their frame, EIP, flags and registers are compared too.
"""

from random import Random

import pytest
from blocks import WINDOW, WINDOW_SIZE, Writer, lay_out, loop
from box import CODE, CS, ESP, FS, GS, PAGE, WP, P, U, W
from box import Box as Processor
from compare import differences, listing, odd_modes, outcome

from vpcore.engine.engine import probe

SEED = 19991
ROUNDS, LENGTH, REPEATS, BUDGET = 250, 14, 3, 5000
STATUS = 0x8D5
NE = 0x20
COMPARED = ((0x7000, 0x2000), (CODE, 0x1000), (WINDOW, WINDOW_SIZE))

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])


def make(engine, *, user):
    box = Processor(engine=engine, cpu="host", icount_ns=1)
    box.table()  # at 64 KB: operands with 16-bit addresses reach a little into it, so no page table may be there
    box.page_32(P | W | U)
    box.map_32(WINDOW - PAGE, WINDOW - PAGE, 0)
    box.map_32(WINDOW + WINDOW_SIZE - PAGE, WINDOW + WINDOW_SIZE - PAGE, P | U)
    box.map_32(WINDOW + WINDOW_SIZE, WINDOW + WINDOW_SIZE, 0)
    box.set(cr0=box.cpu.cr0 | WP)
    if user:
        box.user()
    state = box.engine.get_state()
    state["cr0"] |= NE
    state["seg"][FS]["base"] = -0x10 & 0xFFFFFFFF
    state["seg"][GS].update(base=0x20, limit=WINDOW + WINDOW_SIZE // 2)
    box.engine.set_state(state)
    return box


def prepare(box, code, seed, state, **fields):
    rng = Random(seed)
    box.engine.set_state(odd_modes(rng, state))
    lay_out(box, code, rng, state, REPEATS)
    if state["seg"][CS]["sel"] & 3 and rng.random() < 0.5:  # faults have another stack: this one may be anywhere
        box.cpu.gpr[ESP] = WINDOW + rng.choice((0, WINDOW_SIZE)) + rng.randrange(-24, 24)
    box.set(eip=CODE, halted=0, eflags=2 | rng.getrandbits(12) & STATUS, **fields)


@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
@pytest.mark.parametrize("part", range(8))
def test_random_blocks_end_the_same(part, user):
    boxes = [make(name, user=user) for name in ("interp", "bt")]
    states = [box.engine.get_state() for box in boxes]
    for number in range(ROUNDS):
        seed = (SEED * 100 + part) * 1000 + number
        code = loop(Writer(Random(seed)).block(LENGTH))

        results = []
        for box, state in zip(boxes, states, strict=True):
            began = box.engine.insns
            prepare(box, code, seed, state)
            end = box.engine.run(BUDGET)
            results.append(outcome(box, (end, box.engine.insns - began), COMPARED))

        assert {} == differences(*results), f"seed {seed}\n{listing(code)}"


def test_slices_of_any_length_and_changes_of_engine_leave_no_trace():
    """max_insns ends a run within translated blocks too; state goes from engine to engine."""
    rng = Random(SEED)
    steady, changing = (make("interp", user=False) for _ in range(2))
    state = steady.engine.get_state()
    for number in range(150):
        code = loop(Writer(Random(number)).block(LENGTH))
        for box in (steady, changing):
            prepare(box, code, number, state)

        for _ in range(12):
            changing.engine.select(rng.choice(("interp", "bt", "bt")))
            count = rng.randrange(1, 40)
            results = [outcome(box, box.engine.run(count), COMPARED) for box in (steady, changing)]
            assert {} == differences(*results), f"seed {number}\n{listing(code)}"


def test_a_store_into_the_running_block_takes_effect_at_the_next_instruction():
    """SDM 3A 11.6: the code is the test's own, at every distance from the store, forward and backward."""
    boxes = [make(name, user=False) for name in ("interp", "bt")]
    state = boxes[0].engine.get_state()
    rng = Random(SEED)
    for number in range(150):
        body = [bytes([0x83, 0xC0 | rng.randrange(3), rng.getrandbits(7)]) for _ in range(10)]
        victim, at = rng.randrange(10), rng.randrange(10)
        lengths = [7 if k == at else 3 for k in range(10)]
        place = CODE + sum(lengths[:victim]) + 2
        body[at] = b"\xfe\x05" + place.to_bytes(4, "little") + b"\x90"  # inc byte [place]
        code = loop(b"".join(body))
        results = []
        for box in boxes:
            prepare(box, code, number, state)
            results.append(outcome(box, box.engine.run(BUDGET), COMPARED))

        assert {} == differences(*results), f"seed {number}\n{listing(code)}"


@pytest.mark.parametrize("maker", ["amd", "intel"])
def test_flags_that_are_undefined_are_those_of_the_machine(maker, monkeypatch):
    """SDM 1 appendix A, of shifts and multiplications: one of the two is not what the host has."""
    monkeypatch.setenv("VPCORE_UNDEFINED_FLAGS", maker)
    boxes = [make(name, user=False) for name in ("interp", "bt")]
    state = boxes[0].engine.get_state()
    for seed in range(ROUNDS):
        code = loop(Writer(Random(seed)).block(LENGTH))

        results = []
        for box in boxes:
            prepare(box, code, seed, state)
            results.append(outcome(box, box.engine.run(BUDGET), COMPARED))

        assert {} == differences(*results), f"seed {seed}\n{listing(code)}"
