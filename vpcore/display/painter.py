"""Display `terminal`: the painting process.  `python -m vpcore.display.painter FRAMES_FD KEYS_FD`, by terminal.py only."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import termios
from typing import Final

from blessed import Terminal

from vpcore.display.keys import UserTerminal, read
from vpcore.display.paint import Painter
from vpcore.display.wire import unpack
from vpcore.errors import BackendError

STDIN, STDOUT = 0, 1
READ_SIZE: Final = 1 << 16
ESCAPE_S: Final = 0.05
"""How long an ESC waits for the rest of a sequence."""
IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The machine takes these and closes the pipe of frames, which ends this process."""


def open_terminal() -> Terminal:
    """The terminal of this process.  Raises `BackendError` where it cannot move its cursor."""
    term = UserTerminal()
    if not term.move_yx(0, 0):
        raise BackendError(f"a terminal of type {term.kind!r} (TERM) cannot show a screen")
    return term


def _send(text: str) -> None:
    data = memoryview(text.encode())
    while data:
        try:
            data = data[os.write(STDOUT, data) :]
        except BlockingIOError:  # somebody else made it non-blocking
            select.select((), (STDOUT,), ())


class PaintingProcess:
    """Paints frames and sends keys until the machine closes its end."""

    def __init__(self, term: Terminal, frames: int, keys: int) -> None:
        self._term, self._frames, self._keys = term, frames, keys
        self._painter = Painter(1, 1, term)
        self._unpainted = b""
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
        self._read_keys()  # typed while the terminal was asked what it can do
        sources = [self._frames, STDIN, self._resized]
        while True:
            ready, _, _ = select.select(sources, (), ())
            if self._resized in ready:
                os.read(self._resized, READ_SIZE)
                self._resize()
            if STDIN in ready:
                self._read_keys()
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

    def _read_keys(self) -> None:
        try:
            messages = read(self._term, ESCAPE_S)
        except EOFError:
            raise BackendError("the terminal was closed") from None
        for each in messages:
            self.tell(*each)


def main() -> int:
    """Paint and read keys until the machine or the user ends it; the exit status."""
    frames, keys = int(sys.argv[1]), int(sys.argv[2])
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    try:
        term = open_terminal()
        with contextlib.suppress(termios.error), term.fullscreen(), term.raw(), term.hidden_cursor():
            PaintingProcess(term, frames, keys).run()
    except BrokenPipeError:
        return 0  # the machine is gone
    except Exception as error:  # noqa: BLE001 - told by the machine, in one line
        with contextlib.suppress(OSError):
            os.write(keys, json.dumps(["error", str(error)]).encode() + b"\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
