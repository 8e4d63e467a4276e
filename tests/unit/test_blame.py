"""Which device an exception came from."""

from pathlib import Path

import pytest

from vpcore.blame import device_error, fault, refusal
from vpcore.device import Device
from vpcore.ports import PortMap
from vpcore.testing import FakeBoard


class Failing(Device[None]):
    """Fails in its registers and in its timer."""

    ports = PortMap(size=2)

    def __init__(self, board):
        board.map_ports(0x300, self)
        self.load(None)

    @ports.read(0)
    def _read(self):
        raise KeyError("no\nsuch thing")

    @ports.read(1)
    def _part(self):
        return helper()

    def tick(self):
        return 1 // 0


def helper():
    raise ValueError("deep")


@pytest.fixture
def failing(board):
    return Failing(board.named("bad-device"))


def told(board, devices, act):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        act()
    return str(device_error(caught.value, devices, board.bus.ports.owners))


def test_an_exception_in_a_register_names_its_device_and_line(board, failing):
    text = told(board, {"bad-device": failing}, lambda: board.inp(0x300))

    assert text.startswith("device 'bad-device' failed: KeyError: 'no\\nsuch thing' (at test_blame.py:")


def test_an_exception_in_a_helper_is_its_callers(board, failing):
    assert "'bad-device' failed: ValueError: deep" in told(board, {"bad-device": failing}, lambda: board.inp(0x301))


def test_an_exception_in_a_timer_is_the_timers_owner(board, failing):
    board.clock.at(10, failing.tick)

    assert "'bad-device' failed: ZeroDivisionError" in told(board, {"bad-device": failing}, lambda: board.advance(20))


def test_a_part_of_a_device_is_found_by_the_port_that_the_guest_used(board, failing):
    assert "'bad-device' failed" in told(board, {}, lambda: board.inp(0x300))


@pytest.mark.usefixtures("failing")
def test_a_part_called_without_the_bus_is_found_by_its_port_too(board):
    error = device_error(ValueError("deep"), {}, board.bus.ports.owners, 0x301)

    assert str(error).startswith("device 'bad-device' failed: ValueError: deep")


def test_an_exception_of_nobody_is_the_machines():
    assert told(FakeBoard(), {}, helper).startswith("the machine failed: ValueError: deep")


def test_a_fault_is_one_line():
    assert fault(ValueError("a\n b")) == "ValueError: a b"


def test_a_refusal_names_the_file():
    with pytest.raises(OSError) as caught:  # noqa: PT011
        Path("/nonexistent/x").read_text()

    assert refusal(caught.value) == "/nonexistent/x: No such file or directory"
