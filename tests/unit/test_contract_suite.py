"""The contract catches devices that break it: each check fails for the mistake it is there for, and for no other."""

import attrs
import pytest

from vpcore import contract
from vpcore.contract import Access, Recipe, inp, out, size_of, wait, without
from vpcore.device import Device, DeviceType, option
from vpcore.ports import PortMap

BASE = 0x300


@attrs.define
class State:
    """Counts writes."""

    count: int = 0
    due_at: int | None = None
    history: list[int] = attrs.field(factory=list)


@attrs.frozen
class Config:
    """A counter."""

    name: str
    base: int = option(BASE, "its ports")


class Good(Device):
    """Counts writes, interrupts 100 ns after each, and keeps the last ten values."""

    ports = PortMap(2)

    def __init__(self, config, board):
        self.line = board.line(5)
        self.clock = board.clock
        self.timer = self.clock.timer(self.ring)
        self.hidden = 0
        self.load(State())
        board.map_ports(config.base, self)

    def ring(self):
        self.state.due_at = None
        self.drive()

    def drive(self):
        self.line.set(self.state.due_at is not None)
        self.timer.at(self.state.due_at)

    @ports.read(0)
    def _read(self):
        return self.state.count & 0xFF

    @ports.write(0)
    def _write(self, value):
        state = self.state
        state.count += 1
        state.history = [*state.history, value][-10:]
        state.due_at = self.clock.now + 100
        self.drive()


class Raises(Good):
    ports = PortMap(2)

    @ports.write(0)
    def _write(self, value):
        return 1 // (value - 0x80)


class TooWide(Good):
    ports = PortMap(2)

    @ports.read(0)
    def _read(self):
        return 0x100

    @ports.write(0)
    def _write(self, value):
        return None


class Grows(Good):
    ports = PortMap(2)

    @ports.write(0)
    def _write(self, value):
        self.state.history += [value] * 4000


class ForgetsReset(Good):
    def reset(self):
        self.load(State(count=self.state.count))


class HidesState(Good):
    """Answers from an attribute that no checkpoint keeps."""

    ports = PortMap(2)

    @ports.read(0)
    def _read(self):
        return self.hidden

    @ports.write(0)
    def _write(self, value):
        self.hidden = value


class SetsLinesElsewhere(Good):
    """The line follows the access, not the state."""

    ports = PortMap(2)

    def drive(self):
        self.timer.at(self.state.due_at)

    @ports.read(0)
    def _read(self):
        return 0

    @ports.write(0)
    def _write(self, value):
        self.line.set(True)


class ForgetsTimer(Good):
    """Load does not set the timer."""

    def drive(self):
        self.line.set(self.state.due_at is not None)

    ports = PortMap(2)

    @ports.write(0)
    def _write(self, value):
        self.state.due_at = self.clock.now + 100
        self.timer.at(self.state.due_at)
        self.drive()


class KeepsOldTimer(Good):
    """Load leaves a timer of before alone."""

    def drive(self):
        self.line.set(self.state.due_at is not None)
        if self.state.due_at is not None:
            self.timer.at(self.state.due_at)


class BuiltOtherwise(Good):
    def __init__(self, config, board):
        super().__init__(config, board)
        self.state.count = 7


STORY = [Access("out", value=value) for value in (1, 0x80, 3)]


def recipe(kind, **options):
    return Recipe(DeviceType("counter", Config, kind), **options)


CHECKS = {
    "answers": lambda one: contract.check_any_access_is_answered(one, [*STORY * 40, Access("in")]),
    "reset": lambda one: contract.check_reset(one, STORY),
    "built": contract.check_built_as_reset,
    "restored": lambda one: contract.check_save_and_load(one, STORY, [Access("in")]),
    "overwritten": lambda one: contract.check_load_overwrites(one, [], STORY),
    "released": contract.check_ports_are_released,
}


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_device_passes(check):
    CHECKS[check](recipe(Good))


@pytest.mark.parametrize(
    ("kind", "check", "message"),
    [
        (Raises, "answers", "division"),
        (TooWide, "answers", "a read of 1 bytes gave 0x100"),
        (Grows, "answers", "the state has grown to"),
        (ForgetsReset, "reset", "after reset: .count is 3, not 0"),
        (HidesState, "restored", "gives 3, after load 0"),
        (SetsLinesElsewhere, "restored", "lines and timers after load: .lines"),
        (ForgetsTimer, "restored", "lines and timers after load: .deadlines"),
        (KeepsOldTimer, "overwritten", "lines and timers of a used device after load: .deadlines"),
        (BuiltOtherwise, "built", "a built device against one that was reset: .count is 0, not 7"),
    ],
)
def test_each_mistake_is_caught(kind, check, message):
    with pytest.raises((AssertionError, ZeroDivisionError)) as error:
        CHECKS[check](recipe(kind))

    assert message in str(error.value)


def test_a_recipe_may_allow_a_larger_state():
    contract.check_any_access_is_answered(recipe(Grows, most_state=1 << 30), STORY * 40)


def test_fields_that_a_reset_keeps_may_be_named():
    contract.check_reset(recipe(ForgetsReset), STORY, ("count",))


def test_phrases_reach_ports_by_number():
    specimen = recipe(Good).make()
    seen = contract.play(specimen, [out(BASE, 1), out(BASE, 2), inp(BASE), wait(100)])

    assert seen == [None, None, 2, None]
    assert specimen.device.state.due_at is None


@pytest.mark.parametrize(
    "keys", [{"base": attrs.field(type=int, default=0)}, {"base": option("x", "its port", type=str)}]
)
def test_config_without_help_is_caught(keys):
    config = attrs.make_class("Config", {"name": attrs.field(type=str), **keys}, frozen=True)
    config.__doc__ = "Anything."
    kind = DeviceType("counter", config, Good)
    if keys["base"].metadata.get("help"):
        contract.check_config_errors(kind)
    else:
        with pytest.raises(AssertionError, match="counter: key base needs a help text"):
            contract.check_config_errors(kind)


def test_config_without_a_docstring_is_caught():
    config = attrs.make_class("Config", {"name": attrs.field(type=str)}, frozen=True)
    config.__doc__ = ""

    with pytest.raises(AssertionError, match="Config needs a docstring"):
        contract.check_config_errors(DeviceType("counter", config, Good))


def test_fields_can_be_left_out_by_dotted_names():
    data = {"a": 1, "b": {"c": 2, "d": 3}, "list": [{"x": 1, "y": 2}, None]}

    assert without(data, ["a", "b.c", "list.*.x", "nothing.at.all"]) == {"b": {"d": 3}, "list": [{"y": 2}, None]}


@pytest.mark.parametrize(
    ("data", "size"), [(b"12345", 5), ("ab", 2), (0, 8), (1 << 64, 16), ([1, 1], 32), ({"a": b"bc"}, 3), (None, 8)]
)
def test_sizes_of_plain_data(data, size):
    assert size == size_of(data)
