"""Device models in C and what they are wired to: lines handed over, Python at the far end, state as a struct."""

import attrs
import cffi
import pytest

from vpcore.engine.ends import EngineEnds
from vpcore.irq import End, Line
from vpcore.native import pull, push
from vpcore.testing import FakeBoard

NEVER = (1 << 63) - 1
"""VP_NEVER (csrc/native.h)."""
WIRE = "void(*)(void *, uint32_t, uint32_t)"


@pytest.fixture
def ffi():
    made = cffi.FFI()
    made.cdef("struct part { uint8_t on; int32_t number; }; struct whole { struct part one, many[2]; int64_t at; };")
    return made


@attrs.define
class Part:
    on: bool = False
    number: int = -1


@attrs.define
class Whole:
    one: Part = attrs.field(factory=Part)
    many: list[Part] = attrs.field(factory=lambda: [Part(), Part()])
    at: int = 0
    only_python: str = "kept"


@pytest.fixture
def line():
    """A line with one listener, which is also C."""
    made = Line("irq0")
    made.listen(bool, End(1, 2, 3))
    return made


def test_a_line_with_one_driver_and_one_listener_in_c_is_handed_over(line):
    driver = line.input("timer")
    level = [True]

    assert driver.hand_over(lambda: level[0]) == End(1, 2, 3)
    assert (line.level, driver.level) == (True, True)
    level[0] = False
    assert (line.level, driver.level) == (False, False)


def test_a_line_with_another_driver_is_not_handed_over(line):
    driver, _other = line.input("timer"), line.input("other")

    assert driver.hand_over(bool) is None


def test_a_line_that_python_listens_to_is_not_handed_over(line):
    driver = line.input("timer")
    heard = []
    line.listen(heard.append)

    assert driver.hand_over(bool) is None
    driver.set(True)
    assert heard == [True]


def test_a_struct_takes_a_state_and_gives_it_back(ffi):
    model = ffi.new("struct whole *")
    state = Whole(Part(True, 5), [Part(False, 6), Part(True, 7)], 1 << 40)
    push(model, state)
    found = Whole(only_python="mine")
    pull(model, found)

    assert (model.one.number, model.many[1].on, model.at) == (5, 1, 1 << 40)
    assert found == attrs.evolve(state, only_python="mine")
    assert found.one.on is True


def _call(end, *args):
    """Call a wire's end as C does."""
    made = cffi.FFI()
    made.cast(WIRE, end.function)(made.cast("void *", end.target), end.which, *args)


def test_a_wire_leads_to_python():
    heard = []
    ends = FakeBoard().native
    end = ends.wire(heard.append)
    ends.call(_call, end, 1)
    ends.call(_call, end, 0)

    assert heard == [True, False]


def test_an_alarm_of_a_board_is_a_timer_of_its_clock(ffi):
    board, rung = FakeBoard(), []
    ring = ffi.callback("void(void *)", lambda target: rung.append((board.time, int(ffi.cast("uintptr_t", target)))))
    end = board.native.alarm(int(ffi.cast("uintptr_t", ring)), 0x1234)
    at = ffi.cast("void(*)(void *, int64_t)", end.function)
    at(ffi.cast("void *", end.target), 500)
    board.advance(1000)
    at(ffi.cast("void *", end.target), 2000)
    at(ffi.cast("void *", end.target), NEVER)
    board.advance(5000)

    assert rung == [(500, 0x1234)]


def fail(_level):
    raise KeyError("mine")


def test_what_python_raises_behind_c_is_raised_by_the_call_that_went_there():
    ends = FakeBoard().native
    end = ends.wire(fail)
    with pytest.raises(KeyError, match="mine"):
        ends.call(_call, end, 1)
    assert ends.call(int, "3") == 3


def test_on_a_machine_the_engine_is_told():
    told = []
    ends = EngineEnds(None, told.append)
    ends.call(_call, ends.wire(fail), 1)

    assert [type(error) for error in told] == [KeyError]
