"""What tests and scripts hold in their hands: the serial ports, screen and keyboard of a running machine.

Waiting runs the guest on the calling thread (`Machine.run`), so no thread is needed anywhere.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vpcore.errors import BackendError, GuestTimeoutError
from vpcore.host.ends import BufferChar
from vpcore.wires import Keyboard, Screen

if TYPE_CHECKING:
    from vpcore.machine import Machine

SHOWN = 400
"""Characters of the guest's output that an error quotes."""


class SerialView:
    """The far end of a serial port with backend `buffer`."""

    def __init__(self, machine: Machine, buffer: BufferChar) -> None:
        self._machine = machine
        self._buffer = buffer

    @property
    def text(self) -> str:
        """All that the guest has sent (its last megabyte)."""
        return self._buffer.sent.decode("utf-8", "replace")

    def write(self, data: str | bytes) -> None:
        """Send to the guest."""
        self._buffer.feed(data.encode() if isinstance(data, str) else data)

    def wait_for(self, pattern: str, timeout: float = 60, *, after: int = 0) -> int:
        """Run until the output from position *after* on matches the regular expression; return the match's end.

        Raises `GuestTimeoutError` with the last output after *timeout* host seconds, or when the guest turns off.
        """
        wanted = re.compile(pattern)

        def found() -> re.Match[str] | None:
            return wanted.search(self.text, after)

        with contextlib.suppress(GuestTimeoutError):
            self._machine.run(lambda: found() is not None, timeout)
        match = found()
        if match is None:
            raise GuestTimeoutError(f"serial port: no {pattern!r} within {timeout} s; last: {self.text[-SHOWN:]!r}")
        return match.end()


class ScreenView:
    """The screen of a machine."""

    def __init__(self, machine: Machine, screen: Screen) -> None:
        self._machine = machine
        self._screen = screen

    @property
    def text(self) -> str:
        """The text screen, lines joined; empty in graphics modes."""
        return "\n".join(line.rstrip() for line in self._screen.text())

    @property
    def frame(self) -> npt.NDArray[np.uint8]:
        """The picture, (height, width, 3) RGB."""
        return self._screen.frame()

    def wait_for_text(self, pattern: str, timeout: float = 60) -> None:
        """Run until the text screen matches the regular expression.  Raises `GuestTimeoutError` with the screen."""
        wanted = re.compile(pattern)
        with contextlib.suppress(GuestTimeoutError):
            self._machine.run(lambda: wanted.search(self.text) is not None, timeout)
        if wanted.search(self.text) is None:
            raise GuestTimeoutError(f"screen: no {pattern!r} within {timeout} s; it shows:\n{self.text}")

    def save(self, path: str | Path) -> None:
        """Write the picture as PNG."""
        try:
            from PIL import Image  # noqa: PLC0415 - an extra
        except ImportError:
            raise BackendError(f"{path}: screenshots need Pillow: pip install 'vpcore[png]'") from None
        Image.fromarray(self.frame).save(path)


class KeyboardView:
    """The keyboard of a machine."""

    def __init__(self, keyboard: Keyboard) -> None:
        self._keyboard = keyboard

    def type(self, text: str) -> None:
        r"""Type text on a US keyboard; `\\n` is Enter."""
        self._keyboard.type(text)

    def press(self, *keys: str) -> None:
        """Press keys together, in order, and release them in reverse: `press("left ctrl", "c")`."""
        for key in keys:
            self._keyboard.press(key)
        for key in reversed(keys):
            self._keyboard.release(key)
