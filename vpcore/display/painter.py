"""Display `terminal`: the painting process.  `python -m vpcore.display.painter FRAMES_FD KEYS_FD`, by terminal.py only.

Text screens are painted cell by cell, only what changed; graphics modes as half blocks scaled to the terminal.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import Final

import blessed
import numpy as np
import numpy.typing as npt

from vpcore.display.wire import HEADER, TEXT, Frame, payload_size, unpack

ESCAPE: Final = "\x1d"
"""Ctrl-] leaves, as on the serial console."""
KEY_POLL_S: Final = 0.25
CGA_TO_ANSI: Final = (0, 4, 2, 6, 1, 5, 3, 7, 8, 12, 10, 14, 9, 13, 11, 15)
CONTROL_PICTURES: Final = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
CP437: Final = (
    CONTROL_PICTURES + bytes(range(32, 127)).decode("ascii") + "⌂" + bytes(range(128, 255)).decode("cp437") + " "
)
KEYS: Final = {
    "KEY_UP": "up",
    "KEY_DOWN": "down",
    "KEY_LEFT": "left",
    "KEY_RIGHT": "right",
    "KEY_HOME": "home",
    "KEY_END": "end",
    "KEY_PGUP": "page-up",
    "KEY_PGDOWN": "page-down",
    "KEY_INSERT": "insert",
    "KEY_DELETE": "delete",
    "KEY_ENTER": "enter",
    "KEY_BACKSPACE": "backspace",
    "KEY_TAB": "tab",
    "KEY_BTAB": "left-shift+tab",
    "KEY_ESCAPE": "esc",
    **{f"KEY_F{number}": f"f{number}" for number in range(1, 13)},
}


class Painter:
    """Keeps what the terminal shows, and changes only what differs."""

    def __init__(self, terminal: blessed.Terminal) -> None:
        self._terminal = terminal
        self._cells: npt.NDArray[np.uint8] = np.zeros((0, 0, 2), np.uint8)

    def paint(self, frame: Frame) -> None:
        """Show a frame."""
        terminal = self._terminal
        out = self._text(frame) if frame.kind == TEXT else self._picture(frame)
        cursor = terminal.hide_cursor
        if frame.cursor is not None and frame.cursor[0] < terminal.height and frame.cursor[1] < terminal.width:
            cursor = terminal.move_yx(*frame.cursor) + terminal.normal_cursor
        sys.stdout.write(out + terminal.normal + cursor)
        sys.stdout.flush()

    def _text(self, frame: Frame) -> str:
        terminal, cells = self._terminal, frame.pixels
        out = []
        if cells.shape != self._cells.shape:
            out.append(terminal.normal + terminal.clear)
            changed = np.ones(cells.shape[:2], bool)
        else:
            changed = (cells != self._cells).any(axis=2)
        self._cells = cells
        at, attribute = (-1, -1), -1
        for row, column in np.argwhere(changed[: terminal.height, : terminal.width]):
            character, style = cells[row, column]
            if (row, column) != at:
                out.append(terminal.move_yx(int(row), int(column)))
            if style != attribute:
                out.append(terminal.color(CGA_TO_ANSI[style & 15]) + terminal.on_color(CGA_TO_ANSI[style >> 4 & 7]))
                attribute = style
            out.append(CP437[character])
            at = (row, column + 1)
        return "".join(out)

    def _picture(self, frame: Frame) -> str:
        """Two pixels a cell, the upper as foreground of a half block."""
        terminal = self._terminal
        self._cells = np.zeros((0, 0, 2), np.uint8)
        height, width = frame.pixels.shape[:2]
        scale = max(width / max(terminal.width, 1), height / max(2 * (terminal.height - 1), 1), 1)
        rows = np.minimum((np.arange(int(height / scale) & ~1) * scale).astype(int), height - 1)
        columns = np.minimum((np.arange(int(width / scale)) * scale).astype(int), width - 1)
        small = frame.pixels[rows][:, columns]
        out = []
        for row in range(0, len(rows), 2):
            out.append(terminal.move_yx(row // 2, 0))
            for upper, lower in zip(small[row].tolist(), small[row + 1].tolist(), strict=True):
                out.append(terminal.color_rgb(*upper) + terminal.on_color_rgb(*lower) + "▀")
        return "".join(out)


def _read_frames(frames: int, painter: Painter) -> None:
    """Paint until the machine closes its end."""
    with os.fdopen(frames, "rb") as stream:
        while len(header := stream.read(HEADER.size)) == HEADER.size:
            painter.paint(unpack(header, stream.read(payload_size(header))))


def _message(key: blessed.keyboard.Keystroke) -> str:
    if key == ESCAPE:
        return "quit"
    if key.is_sequence:
        name = KEYS.get(key.name or "")
        return f"key {name}" if name else ""
    return f"text {str(key).encode().hex()}"


def main() -> None:
    """Paint frames and send keys until the machine or the user ends it."""
    frames, keys = int(sys.argv[1]), int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    terminal = blessed.Terminal()
    with terminal.fullscreen(), terminal.raw(), contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        reader = threading.Thread(target=_read_frames, args=(frames, Painter(terminal)), daemon=True)
        reader.start()
        while reader.is_alive():
            key = terminal.inkey(timeout=KEY_POLL_S)
            if key and (message := _message(key)):
                os.write(keys, message.encode() + b"\n")
    sys.stdout.write(terminal.normal + terminal.normal_cursor)


if __name__ == "__main__":
    main()
