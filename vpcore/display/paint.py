"""Turning frames into what a terminal is sent: text cell by cell, pictures as half blocks, only what changed.

blessed knows what a terminal understands and shows the nearest of its colours.  Nothing here touches a terminal.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, cast

import numpy as np
import numpy.typing as npt
from blessed import Terminal

from vpcore.display.wire import STATUS, TEXT, Frame

Cells = npt.NDArray[np.uint8]
Style = Callable[[Cells], str]

BRIGHT: Final = 8
CGA_TO_ANSI: Final = (0, 4, 2, 6, 1, 5, 3, 7)
CONTROL_PICTURES: Final = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
CP437: Final = (
    CONTROL_PICTURES + bytes(range(32, 127)).decode("ascii") + "⌂" + bytes(range(128, 255)).decode("cp437") + "\u00a0"
)
STYLES_KEPT: Final = 1 << 14
"""Escape sequences of colours that are remembered."""


class Painter:
    """Knows what the terminal shows, and sends only what differs."""

    def __init__(self, rows: int, columns: int, term: Terminal) -> None:
        self._term = term
        self._status = ""
        self._text_style = lru_cache(STYLES_KEPT)(self._make_text_style)
        self._pair_style = lru_cache(STYLES_KEPT)(self._make_pair_style)
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
            out = self._update(
                frame, self._window(frame), lambda cell: self._text_style(int(cell[1])), lambda cell: CP437[cell[0]]
            )
        else:
            pairs = np.concatenate((frame.pixels[0::2], frame.pixels[1::2]), axis=2)
            pairs = pairs[: self._rows, : self._columns]
            out = self._update(frame, pairs, lambda cell: self._pair_style(*cell.tolist()), lambda _: "▀")
        return self._term.hide_cursor + out + self._cursor(frame)

    def _window(self, frame: Frame) -> Cells:
        """The part of a text screen that there is room for: the part with the cursor."""
        hidden = max(len(frame.pixels) - self._rows, 0)
        if frame.cursor is not None:
            row = frame.cursor[0]
            self._top = min(max(self._top, row - self._rows + 1), row)
        self._top = min(self._top, hidden)
        return frame.pixels[self._top : self._top + self._rows, : self._columns]

    def _cursor(self, frame: Frame) -> str:
        term = self._term
        if frame.cursor is None:
            return term.normal
        row, column = frame.cursor[0] - self._top, frame.cursor[1]
        if not (0 <= row < self._rows and 0 <= column < self._columns):
            return term.normal
        return term.normal + term.move_yx(row, column) + term.normal_cursor

    def _update(self, frame: Frame, cells: Cells, style: Style, character: Callable[[Cells], str]) -> str:
        out = []
        if cells.shape != self._old.shape or frame.kind != self._kind:
            out += [self._term.normal, self._term.clear, self._status_line(len(cells))]
            changed = np.ones(cells.shape[:2], bool)
        else:
            changed = (cells != self._old).any(axis=2)
        self._old, self._kind = cells.copy(), frame.kind
        at, last = (-1, -1), ""
        for row, column in np.argwhere(changed).tolist():
            cell = cells[row, column]
            wanted = style(cell)
            if (row, column) != at:
                out.append(self._term.move_yx(row, column))
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
        term = self._term
        line = term.dim + text[: self._columns] + term.normal + term.clear_eol
        return term.save + term.move_yx(self._rows - 1, 0) + line + term.restore

    def _make_text_style(self, attribute: int) -> str:
        """Foreground in bits 0 to 3 of the attribute, background in 4 to 6."""
        term = self._term
        # blessed's annotations leave out the numbers that these take
        color, on_color = cast("Callable[[int], str]", term.color), cast("Callable[[int], str]", term.on_color)
        fore, back = CGA_TO_ANSI[attribute & 7], on_color(CGA_TO_ANSI[attribute >> 4 & 7])
        if not attribute & BRIGHT:
            return f"{term.normal}{color(fore)}{back}"
        if term.number_of_colors <= BRIGHT:
            return f"{term.normal}{term.bold}{color(fore)}{back}"
        return f"{term.normal}{color(fore | BRIGHT)}{back}"

    def _make_pair_style(self, *colors: int) -> str:
        """The upper pixel is the foreground of a half block, the lower its background."""
        return f"{self._term.color_rgb(*colors[:3])}{self._term.on_color_rgb(*colors[3:])}"
