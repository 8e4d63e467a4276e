"""Display `terminal`: the machine's half.  Sends the screen to the painting process, takes keys from it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from blessed import Terminal

from vpcore.display.wire import PICTURE, TEXT, Frame, shrink
from vpcore.errors import BackendError
from vpcore.wires import Keyboard, Screen

if TYPE_CHECKING:
    from vpcore.machine import Machine

REFRESH_NS: Final = 40_000_000
READ_SIZE: Final = 4096
PATIENCE_S: Final = 2.0
"""Seconds that the painter has to restore the terminal."""
NEVER_SHOWN: Final = -1
PAINTER: Final = (sys.executable, "-m", "vpcore.display.painter")


class TerminalDisplay:
    """Feeds one painting process while the machine runs."""

    def __init__(self, machine: Machine, painter: tuple[str, ...] = PAINTER) -> None:
        self._machine = machine
        self._screen: Screen = machine.board.service(Screen)  # type: ignore[type-abstract]
        keyboards = machine.board.services(Keyboard)  # type: ignore[type-abstract]
        self._keyboard: Keyboard | None = keyboards[0] if keyboards else None
        self._quit = False
        self._failed = ""
        self._lost = False
        self._unsent = b""
        self._partial = b""
        self._shown = NEVER_SHOWN
        self._rows, self._columns = 25, 80
        self._status = f"{machine.config.machine.name}: Ctrl-] leaves"
        self._terminal = _mode_of_terminal()
        self._start(painter)
        machine.loop.add_reader(self._keys, self._read_keys)
        machine.clock.every(REFRESH_NS, self._refresh)

    def _start(self, painter: tuple[str, ...]) -> None:
        frames_read, self._frames = os.pipe()
        self._keys, keys_write = os.pipe()
        self._process = subprocess.Popen(
            [*painter, str(frames_read), str(keys_write)], pass_fds=(frames_read, keys_write)
        )
        os.close(frames_read)
        os.close(keys_write)
        os.set_blocking(self._frames, False)

    def run(self, until: Callable[[], bool]) -> None:
        """Run the machine with its screen in this terminal.  Raises `BackendError` where the painter fails."""
        try:
            self._machine.run(lambda: self._quit or self._lost or until(), rarely=True)
        finally:
            self.close()
        if self._lost and not self._quit:
            raise BackendError(f"display terminal: {self._reason()}: use --display none")

    def say(self, text: str) -> None:
        """Show a line about the machine below its screen, where there is room."""
        self._status = text

    # -- to the painter --

    def _refresh(self) -> None:
        """Send the screen when it changed and the painter has taken the last one."""
        if not self._unsent:
            self._unsent = self._news()
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._frames, self._unsent) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._lose()

    def _news(self) -> bytes:
        news = b""
        if self._status:
            news, self._status = Frame.status(self._status).pack(), ""
        if self._screen.generation != self._shown:
            self._shown = self._screen.generation
            news += self._frame().pack()
        return news

    def _frame(self) -> Frame:
        cells, cursor = self._screen.cells()
        if cells.size:
            return Frame(TEXT, cells, cursor)
        return Frame(PICTURE, shrink(self._screen.frame(), 2 * self._rows, self._columns))

    # -- from the painter --

    def _read_keys(self) -> None:
        data = os.read(self._keys, READ_SIZE)
        if not data:
            self._lose()
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._act(*json.loads(line))

    def _lose(self) -> None:
        self._machine.loop.remove(self._keys)
        self._lost = True
        self._machine.stop()

    def _act(self, what: str, *values: Any) -> None:
        if what == "quit":
            self._quit = True
            self._machine.stop()
        elif what == "error":
            self._failed = values[0]
        elif what == "size":
            self._rows, self._columns = values
            self._shown = NEVER_SHOWN
        elif self._keyboard is not None:
            with contextlib.suppress(KeyError):  # a key that the guest's keyboard lacks
                self._keyboard.type(values[0]) if what == "text" else self._keyboard.chord(*values)

    # -- the end --

    def close(self) -> None:
        """Let the painter restore the terminal and end; restore it here where the painter cannot."""
        self._machine.loop.remove(self._keys)
        os.close(self._frames)
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._keys)
        if self._process.returncode != 0:
            _restore_terminal(self._terminal)

    def _reason(self) -> str:
        code = self._process.returncode
        if self._failed:
            return self._failed
        return (
            f"its process was ended by {signal.Signals(-code).name}" if code < 0 else f"its process ended with {code}"
        )


def _mode_of_terminal() -> list[Any] | None:
    with contextlib.suppress(termios.error, OSError, ValueError):
        return termios.tcgetattr(sys.stdin.fileno())
    return None


def _restore_terminal(mode: list[Any] | None) -> None:
    if mode is not None:
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, mode)
            term = Terminal()
            print(term.normal + term.normal_cursor + term.exit_fullscreen, end="", flush=True)  # noqa: T201
