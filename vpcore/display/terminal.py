"""Display `terminal`: the machine's half.  Sends the screen to the painting process, takes keys from it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from vpcore.display.wire import PICTURE, TEXT, Frame
from vpcore.errors import BackendError
from vpcore.wires import Keyboard, Screen

if TYPE_CHECKING:
    from vpcore.machine import Machine

REFRESH_NS: Final = 40_000_000
READ_SIZE: Final = 4096


class TerminalDisplay:
    """Feeds one painting process while the machine runs."""

    def __init__(self, machine: Machine) -> None:
        if importlib.util.find_spec("blessed") is None:
            raise BackendError("display terminal needs blessed: pip install 'vpcore[terminal]', or use --display none")
        self._machine = machine
        self._screen: Screen = machine.board.service(Screen)  # type: ignore[type-abstract]
        self._keyboard: Keyboard = machine.board.service(Keyboard)  # type: ignore[type-abstract]
        frames_read, self._frames = os.pipe()
        self._keys, keys_write = os.pipe()
        command = [sys.executable, "-m", "vpcore.display.painter", str(frames_read), str(keys_write)]
        self._process = subprocess.Popen(command, pass_fds=(frames_read, keys_write))
        os.close(frames_read)
        os.close(keys_write)
        os.set_blocking(self._frames, False)
        self._unsent = b""
        self._partial = b""
        self._shown = -1
        machine.loop.add_reader(self._keys, self._read_keys)
        machine.clock.every(REFRESH_NS, self._refresh)

    def _refresh(self) -> None:
        """Send the screen when it changed and the painter has taken the last one."""
        if not self._unsent and self._screen.generation != self._shown:
            self._shown = self._screen.generation
            self._unsent = self._frame().pack()
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._frames, self._unsent) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._machine.stop()

    def _frame(self) -> Frame:
        if self._screen.text():
            cells, cursor = self._screen.cells()
            return Frame(TEXT, cells, cursor)
        return Frame(PICTURE, self._screen.frame())

    def _read_keys(self) -> None:
        data = os.read(self._keys, READ_SIZE)
        if not data:
            self._machine.loop.remove(self._keys)
            self._machine.stop()
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._act(*line.decode().split(" ", 1))

    def _act(self, what: str, value: str = "") -> None:
        if what == "quit":
            self._machine.stop()
        elif what == "text":
            self._keyboard.type(bytes.fromhex(value).decode())
        elif what == "key":
            keys = value.split("+")
            for key in keys:
                self._keyboard.press(key)
            for key in reversed(keys):
                self._keyboard.release(key)

    def close(self) -> None:
        """Let the painter restore the terminal and end."""
        self._machine.loop.remove(self._keys)
        os.close(self._frames)
        self._process.wait()
        os.close(self._keys)


def show(machine: Machine) -> None:
    """Run the machine with its screen in this terminal."""
    display = TerminalDisplay(machine)
    try:
        machine.run()
    finally:
        display.close()
