"""The machine's half of the terminal display, with a fake machine and programs in place of the painter."""

import sys
import textwrap
import types

import numpy as np
import pytest

from vpcore.clock import Clock
from vpcore.display.terminal import TerminalDisplay
from vpcore.errors import BackendError
from vpcore.host.loop import HostLoop
from vpcore.wires import Keyboard, Screen

FRAME_NS = 40_000_000
ROUNDS = 2000

PREAMBLE = """
import json, os, sys
from vpcore.display.wire import unpack
frames, keys = int(sys.argv[1]), int(sys.argv[2])
def tell(*message):
    os.write(keys, json.dumps(message).encode() + b"\\n")
data = b""
def frame():
    global data
    while True:
        got, data = unpack(data)
        if got is not None:
            return got
        more = os.read(frames, 65536)
        if not more:
            sys.exit(0)
        data += more
"""


class FakeScreen:
    def __init__(self):
        self.generation = 1
        self.shown = np.full((25, 80, 2), 65, np.uint8)
        self.picture = np.zeros((480, 640, 3), np.uint8)

    def cells(self):
        return self.shown, (2, 3)

    def frame(self):
        return self.picture


class FakeKeyboard:
    def __init__(self):
        self.log = []

    def type(self, text):
        self.log.append(("type", text))

    def chord(self, *keys):
        if "nonsense" in keys:
            raise KeyError(keys)
        self.log.append(("chord", *keys))


class FakeMachine:
    """A machine that only has time, a screen and a keyboard."""

    def __init__(self):
        self.screen, self.keys = FakeScreen(), FakeKeyboard()
        self.loop = HostLoop()
        self.now = 0
        self.clock = Clock(lambda: self.now)
        self.stopping = False
        self.config = types.SimpleNamespace(machine=types.SimpleNamespace(name="fake"))
        offers = {Screen: [self.screen], Keyboard: [self.keys]}
        self.board = types.SimpleNamespace(service=lambda kind: offers[kind][0], services=offers.get)

    def run(self, until, *, rarely=False):
        for _ in range(ROUNDS):
            if self.stopping or until():
                return
            self.now += FRAME_NS
            self.clock.run_due()
            self.loop.wait(0.01)
        pytest.fail("the display never ended")

    def stop(self):
        self.stopping = True


@pytest.fixture
def machine():
    machine = FakeMachine()
    yield machine
    machine.loop.close()


def show(machine, program, until=lambda: False):
    """Run the machine with a Python program as its painter."""
    painter = (sys.executable, "-c", PREAMBLE + textwrap.dedent(program))
    TerminalDisplay(machine, painter).run(until)


def test_what_is_typed_reaches_the_keyboard_in_order(machine):
    show(
        machine,
        """
        tell("text", "dir")
        tell("chord", "left-alt", "f1")
        tell("text", "x")
        tell("quit")
        frame(); frame(); frame()
        """,
    )

    assert machine.keys.log == [("type", "dir"), ("chord", "left-alt", "f1"), ("type", "x")]


def test_a_key_that_the_guest_lacks_is_ignored(machine):
    show(machine, 'tell("chord", "nonsense"); tell("text", "y"); tell("quit"); frame(); frame(); frame()')

    assert machine.keys.log == [("type", "y")]


def test_the_screen_and_a_status_line_reach_the_painter(machine):
    show(
        machine,
        """
        from vpcore.display.wire import STATUS, TEXT
        status, screen = frame(), frame()
        tell("text", status.pixels.tobytes().decode())
        tell("text", f"{screen.kind == TEXT} {screen.pixels.shape} {screen.cursor} {screen.pixels.max()}")
        tell("quit")
        frame()
        """,
    )

    assert machine.keys.log == [("type", "fake: Ctrl-] leaves"), ("type", "True (25, 80, 2) (2, 3) 65")]


def test_a_picture_is_sent_in_the_terminals_size(machine):
    machine.screen.shown = np.zeros((0, 0, 2), np.uint8)

    show(
        machine,
        """
        tell("size", 10, 20)
        while True:
            got = frame()
            if got.kind == 1 and got.pixels.shape[1] == 20:
                break
        tell("text", str(got.pixels.shape))
        tell("quit")
        frame()
        """,
    )

    assert machine.keys.log == [("type", "(14, 20, 3)")]


def test_a_screen_that_does_not_change_is_sent_once(machine):
    show(
        machine,
        """
        import select, time
        frame(); frame()
        ready = select.select([frames], [], [], 0.5)[0]
        tell("text", str(bool(ready or data)))
        tell("quit")
        frame()
        """,
    )

    assert machine.keys.log == [("type", "False")]


def test_a_message_of_the_machine_is_shown_as_status(machine):
    painter = (
        sys.executable,
        "-c",
        PREAMBLE + 'frame(); frame(); tell("text", frame().pixels.tobytes().decode()); tell("quit"); frame()',
    )
    display = TerminalDisplay(machine, painter)

    display.run(lambda: machine.now > 20 * FRAME_NS and display.say("com1 is on /dev/pts/9"))

    assert machine.keys.log == [("type", "com1 is on /dev/pts/9")]


def test_the_machine_ends_and_the_painter_with_it(machine):
    show(machine, "while True: frame()", until=lambda: machine.now > 5 * FRAME_NS)


def test_a_painter_that_fails_stops_the_machine_with_its_reason(machine):
    with pytest.raises(BackendError, match="display terminal: out of paint: use --display none"):
        show(machine, 'tell("error", "out of paint"); sys.exit(1)')

    assert machine.stopping


def test_a_painter_that_is_killed_stops_the_machine_with_the_signal(machine):
    with pytest.raises(BackendError, match="ended by SIGKILL"):
        show(machine, "import signal; os.kill(os.getpid(), signal.SIGKILL)")

    assert machine.stopping


def test_a_painter_that_never_reads_holds_nothing_up(machine, monkeypatch):
    monkeypatch.setattr("vpcore.display.terminal.PATIENCE_S", 0.1)
    machine.screen.shown = np.zeros((0, 0, 2), np.uint8)

    def change():
        machine.screen.generation += 1
        return machine.now > 50 * FRAME_NS

    show(machine, 'import time; tell("size", 400, 400); time.sleep(60)', until=change)
