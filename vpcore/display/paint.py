"""Turning frames into what a terminal is sent: text cell by cell, pictures as half blocks, only what changed.

Escape sequences are those of ECMA-48 and xterm.  Nothing here touches a terminal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from vpcore.display.wire import STATUS, TEXT, Frame

Cells = npt.NDArray[np.uint8]
Style = Callable[[Cells], str]

TRUE_COLOR: Final = 1 << 24
INDEXED: Final = 256
BRIGHT: Final = 8
CGA_TO_ANSI: Final = (0, 4, 2, 6, 1, 5, 3, 7)
CONTROL_PICTURES: Final = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
CP437: Final = (
    CONTROL_PICTURES + bytes(range(32, 127)).decode("ascii") + "⌂" + bytes(range(128, 255)).decode("cp437") + "\u00a0"
)
CLEAR: Final = "\x1b[0m\x1b[2J"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
PLAIN: Final = "\x1b[0m"
DIM: Final = "\x1b[0;2m"
CLEAR_LINE: Final = "\x1b[K"
CUBE: Final = 6
"""Levels of a primary in xterm's 256 colours."""
CUBE_FIRST: Final = 16


def move(row: int, column: int) -> str:
    """Put the cursor there, from 0."""
    return f"\x1b[{row + 1};{column + 1}H"


class Painter:
    """Knows what the terminal shows, and sends only what differs."""

    def __init__(self, rows: int, columns: int, colors: int) -> None:
        self._colors = colors
        self._status = ""
        self.resize(rows, columns)

    def resize(self, rows: int, columns: int) -> None:
        """The terminal has a new size; the next frame is painted as a whole."""
        self._rows, self._columns = rows, columns
        self._top = 0
        self._kind = -1
        self._old: Cells = np.zeros((0, 0, 0), np.uint8)

    def paint(self, frame: Frame) -> str:
        """What shows the frame."""
        if frame.kind == STATUS:
            self._status = frame.pixels.tobytes().decode()
            return self._status_line(len(self._old))
        if frame.kind == TEXT:
            out = self._update(frame, self._window(frame), self._text_style(), lambda cell: CP437[cell[0]])
        else:
            pairs = np.concatenate((frame.pixels[0::2], frame.pixels[1::2]), axis=2)
            out = self._update(frame, pairs[: self._rows, : self._columns], self._pair_style(), lambda _: "▀")
        return HIDE_CURSOR + out + self._cursor(frame)

    def _window(self, frame: Frame) -> Cells:
        """The part of a text screen that there is room for: the part with the cursor."""
        hidden = max(len(frame.pixels) - self._rows, 0)
        if frame.cursor is not None:
            row = frame.cursor[0]
            self._top = min(max(self._top, row - self._rows + 1), row)
        self._top = min(self._top, hidden)
        return frame.pixels[self._top : self._top + self._rows, : self._columns]

    def _cursor(self, frame: Frame) -> str:
        if frame.cursor is None:
            return PLAIN
        row, column = frame.cursor[0] - self._top, frame.cursor[1]
        if not (0 <= row < self._rows and 0 <= column < self._columns):
            return PLAIN
        return PLAIN + move(row, column) + SHOW_CURSOR

    def _update(self, frame: Frame, cells: Cells, style: Style, character: Callable[[Cells], str]) -> str:
        out = []
        if cells.shape != self._old.shape or frame.kind != self._kind:
            out += [CLEAR, self._status_line(len(cells))]
            changed = np.ones(cells.shape[:2], bool)
        else:
            changed = (cells != self._old).any(axis=2)
        self._old, self._kind = cells.copy(), frame.kind
        at, last = (-1, -1), ""
        for row, column in np.argwhere(changed).tolist():
            cell = cells[row, column]
            wanted = style(cell)
            if (row, column) != at:
                out.append(move(row, column))
            if wanted != last:
                out.append(wanted)
            text = character(cell)
            out.append(text)
            # terminals differ in how wide they make other characters
            at, last = (row, column + 1) if text.isascii() or text == "▀" else (-1, -1), wanted
        return "".join(out)

    def _status_line(self, rows: int) -> str:
        """The status below the screen, where a line is free."""
        if not self._status or rows >= self._rows or self._kind == -1 == rows:
            return ""
        text = "".join(letter if letter.isprintable() else " " for letter in self._status)
        return "\x1b7" + move(self._rows - 1, 0) + DIM + text[: self._columns] + PLAIN + CLEAR_LINE + "\x1b8"

    def _text_style(self) -> Style:
        """Foreground in bits 0 to 3 of the attribute, background in 4 to 6."""

        def style(cell: Cells) -> str:
            attribute = int(cell[1])
            fore, back = CGA_TO_ANSI[attribute & 7], CGA_TO_ANSI[attribute >> 4 & 7]
            if not attribute & BRIGHT:
                return f"\x1b[0;{30 + fore};{40 + back}m"
            return f"\x1b[0;{90 + fore};{40 + back}m" if self._colors > BRIGHT else f"\x1b[0;1;{30 + fore};{40 + back}m"

        return style

    def _pair_style(self) -> Style:
        """The upper pixel is the foreground of a half block, the lower its background."""
        if self._colors >= TRUE_COLOR:
            return lambda cell: "\x1b[38;2;{};{};{};48;2;{};{};{}m".format(*cell.tolist())
        if self._colors >= INDEXED:
            return lambda cell: f"\x1b[38;5;{_indexed(cell[:3])};48;5;{_indexed(cell[3:])}m"
        return lambda cell: f"\x1b[{30 + _primary(cell[:3])};{40 + _primary(cell[3:])}m"


def _indexed(color: Cells) -> int:
    """The nearest of the colour cube."""
    red, green, blue = ((int(value) * (CUBE - 1) + 127) // 255 for value in color)
    return CUBE_FIRST + (red * CUBE + green) * CUBE + blue


def _primary(color: Cells) -> int:
    """One of eight: each primary on or off."""
    return sum(1 << bit for bit, value in enumerate(color) if value >= 128)  # noqa: PLR2004 - half of a byte
