"""Display `terminal`: the painting process.  `python -m vpcore.display.painter FRAMES_FD KEYS_FD`, by terminal.py only."""

from __future__ import annotations

import contextlib
import curses
import json
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from typing import Final

from vpcore.display.keys import decode
from vpcore.display.paint import HIDE_CURSOR, TRUE_COLOR, Painter
from vpcore.display.terminal import LEAVE_SCREEN
from vpcore.display.wire import unpack
from vpcore.errors import BackendError

STDIN, STDOUT = 0, 1
READ_SIZE: Final = 1 << 16
ESCAPE_S: Final = 0.05
"""How long an ESC waits for the rest of a sequence."""
ENTER_SCREEN: Final = "\x1b[?1049h\x1b[2J" + HIDE_CURSOR
FEW_COLORS: Final = 8
IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The machine takes these and closes the pipe of frames, which ends this process."""


def number_of_colors() -> int:
    """What the terminal can show.  Raises `BackendError` where it cannot move its cursor."""
    if os.environ.get("COLORTERM") in ("truecolor", "24bit"):
        return TRUE_COLOR
    kind = os.environ.get("TERM", "")
    try:
        curses.setupterm(kind, STDOUT)
    except curses.error:
        return FEW_COLORS  # a terminal that nobody has described; nearly all are like xterm
    if curses.tigetstr("cup") is None:
        raise BackendError(f"a terminal of type {kind!r} (TERM) cannot show a screen")
    return curses.tigetnum("colors")


@contextlib.contextmanager
def full_screen() -> Iterator[None]:
    """Have the terminal to ourselves."""
    mode = termios.tcgetattr(STDIN)
    tty.setraw(STDIN)
    _send(ENTER_SCREEN)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, termios.error):  # the terminal is gone
            _send(LEAVE_SCREEN)
            termios.tcsetattr(STDIN, termios.TCSADRAIN, mode)


def _send(text: str) -> None:
    data = memoryview(text.encode())
    while data:
        try:
            data = data[os.write(STDOUT, data) :]
        except BlockingIOError:  # somebody else made it non-blocking
            select.select((), (STDOUT,), ())


class PaintingProcess:
    """Paints frames and sends keys until the machine closes its end."""

    def __init__(self, frames: int, keys: int) -> None:
        self._frames, self._keys = frames, keys
        self._painter = Painter(1, 1, number_of_colors())
        self._typed = self._unpainted = b""
        self._resized, wake = os.pipe()
        for fd in (self._resized, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGWINCH, lambda _number, _frame: None)

    def tell(self, *message: object) -> None:
        """Send the machine a message."""
        os.write(self._keys, json.dumps(message).encode() + b"\n")

    def run(self) -> None:
        """Serve whatever comes."""
        self._resize()
        sources = [self._frames, STDIN, self._resized]
        while True:
            ready, _, _ = select.select(sources, (), (), ESCAPE_S if self._typed else None)
            if self._resized in ready:
                os.read(self._resized, READ_SIZE)
                self._resize()
            if STDIN in ready or self._typed:
                self._read_keys(waiting=STDIN in ready)
            if self._frames in ready and not self._paint():
                return

    def _resize(self) -> None:
        columns, rows = os.get_terminal_size(STDOUT)
        self._painter.resize(rows, columns)
        self.tell("size", rows, columns)

    def _paint(self) -> bool:
        data = os.read(self._frames, READ_SIZE)
        self._unpainted += data
        while True:
            frame, self._unpainted = unpack(self._unpainted)
            if frame is None:
                return bool(data)
            _send(self._painter.paint(frame))

    def _read_keys(self, *, waiting: bool) -> None:
        data = os.read(STDIN, READ_SIZE) if waiting else b""
        if waiting and not data:
            raise BackendError("the terminal was closed")
        messages, self._typed = decode(self._typed + data, final=not waiting)
        for message in messages:
            self.tell(*message)


def main() -> int:
    """Paint and read keys until the machine or the user ends it; the exit status."""
    frames, keys = int(sys.argv[1]), int(sys.argv[2])
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    try:
        process = PaintingProcess(frames, keys)
        with full_screen():
            process.run()
    except BrokenPipeError:
        return 0  # the machine is gone
    except Exception as error:  # noqa: BLE001 - told by the machine, in one line
        with contextlib.suppress(OSError):
            os.write(keys, json.dumps(["error", str(error)]).encode() + b"\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
