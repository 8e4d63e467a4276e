"""Returns of `bt` that do not lead behind their calls: found out by a fault, once each place (csrc/bt/front_link.c)."""

import pytest
from box import CODE, EDX, STACK0
from box import Box as Processor

from vpcore.engine import Exit
from vpcore.engine.engine import probe

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])

ROUNDS = 20_000
OTHER, STRANGE, PLACES = 0x100, 15, 6
"""What is added where a return leads elsewhere; which rounds do that, a mask; calls."""

CALLS = "".join(f"call f\nadc edx, {k}\njmp join{k}\nother{k}:\nadc edx, {OTHER}\njoin{k}:\n" for k in range(PLACES))
PROGRAM = f"""
mov ecx, {ROUNDS}
again:
{CALLS}
dec ecx
jnz near again
hlt
f:
test ecx, {STRANGE}
jnz as_called
add dword [esp], 5 ; behind `adc edx, n` and the jump
as_called:
bt ecx, 0
ret
"""


@pytest.fixture(params=["flat", "window"], autouse=True)
def mode(request, monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", request.param)
    return request.param


def expected():
    """EDX: the carry of `bt ecx, 0` is added wherever a return leads to."""
    edx = 0
    for ecx in range(ROUNDS, 0, -1):
        strange = not ecx & STRANGE
        edx += sum((OTHER if strange else k) + (ecx & 1) for k in range(PLACES))
    return edx & 0xFFFFFFFF


def run(clock, text=PROGRAM):
    made = Processor(engine="bt", clock=clock)
    made.page_32()
    made.load(text)
    made.set(eip=CODE, halted=0, esp=STACK0, edx=0)
    assert made.engine.run() is Exit.HALT
    return made.cpu.gpr[EDX], made.engine.stats()


@pytest.mark.parametrize("clock", ["realtime", "icount"])
def test_a_return_leads_where_the_stack_says_with_the_flags_that_are(clock):
    edx, stats = run(clock)

    assert edx == expected()
    assert 1 <= stats.doubted_returns <= PLACES


def test_returns_behind_their_calls_are_never_doubted():
    edx, stats = run("realtime", PROGRAM.replace("add dword [esp], 5", "nop"))

    assert edx == sum(k + (ecx & 1) for ecx in range(1, ROUNDS + 1) for k in range(PLACES))
    assert stats.doubted_returns == 0


def test_a_host_without_room_for_a_guard_compares(monkeypatch):
    monkeypatch.setenv("VPCORE_WINDOW_FAIL", "guard")

    edx, stats = run("realtime")

    assert edx == expected()
    assert stats.doubted_returns == 0
