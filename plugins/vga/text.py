"""Text modes: characters, attributes, fonts and cursor (IBM VGA, alphanumeric modes)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from vpcore_plugins.vga.colors import paint, palette_colors
from vpcore_plugins.vga.raster import NINE_DOTS, Raster, dots_of, pel_pan, raster_of, shift_left
from vpcore_plugins.vga.regs import Attr, Crtc, Seq
from vpcore_plugins.vga.state import VgaState

Pixels = npt.NDArray[np.uint8]

CP437: Final = (
    " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~⌂"
    + bytes(range(0x80, 0xFF)).decode("cp437")
    + " "
)
"""Code page 437 as it is seen; 0 and 255 are blank."""
GLYPHS: Final = 256
GLYPH_SIZE: Final = 32
FONT_PLANE: Final = 2
FONT_PLACES: Final = (0, 0x4000, 0x8000, 0xC000, 0x2000, 0x6000, 0xA000, 0xE000)
LINE_GRAPHICS: Final = range(0xC0, 0xE0)
"""Characters whose eighth dot is repeated as the ninth."""
UNDERLINED: Final = 0x01
UNDERLINE_BITS: Final = 0x77
INTENSE: Final = 0x08
BLINKING: Final = 0x80


def cells(state: VgaState, planes: Pixels) -> Pixels:
    """(rows, columns, 2): character and attribute of every cell that the screen shows."""
    raster = raster_of(state)
    rows = raster.columns_of(0)[raster.row_lines]
    return planes[rows, :2]


def cursor(state: VgaState) -> tuple[int, int] | None:
    """Row and column of the cursor, or None where it is off or out of sight."""
    raster = raster_of(state)
    crtc = state.crtc
    if crtc[Crtc.CURSOR_START] & Crtc.CURSOR_OFF or not _cursor_scans(state):
        return None
    found = np.argwhere(raster.columns_of(0)[raster.row_lines] == _cursor_address(state))
    return (int(found[0][0]), int(found[0][1])) if len(found) else None


def lines(state: VgaState, planes: Pixels) -> list[str]:
    """The screen's text."""
    return ["".join(CP437[code] for code in row.tolist()) for row in cells(state, planes)[:, :, 0]]


def frame(state: VgaState, planes: Pixels, *, cursor_on: bool, text_on: bool) -> Pixels:
    """The picture; *cursor_on* and *text_on* are the phases of blinking."""
    raster = raster_of(state)
    dots = dots_of(state)
    where = raster.columns_of()
    codes = planes[where, 0]
    attributes = planes[where, 1]
    lit = _dots(state, planes, raster, codes, attributes)
    blink = bool(state.attr[Attr.MODE] & Attr.BLINK)
    if blink and not text_on:
        lit[(attributes & BLINKING) != 0] = 0
    if cursor_on:
        _draw_cursor(state, raster, where, lit)
    front = attributes & 0x0F
    back = attributes >> 4 & (0x07 if blink else 0x0F)
    pixels = np.where(lit[:, :, :dots], front[:, :, None], back[:, :, None]).reshape(raster.height, -1)
    shown = shift_left(pixels, pel_pan(state, dots), raster.columns * dots, raster.panned)
    return paint(palette_colors(state), shown)


def _fonts(state: VgaState, planes: Pixels) -> tuple[Pixels, Pixels]:
    """The fonts for attribute bit 3 clear and set (IBM VGA, character map select register)."""
    select = state.seq[Seq.CHARACTER_MAP]
    clear = select & 3 | select >> 2 & 4
    set_ = select >> 2 & 3 | select >> 3 & 4
    plane = planes[:, FONT_PLANE]

    def font(number: int) -> Pixels:
        at = FONT_PLACES[number]
        return plane[at : at + GLYPHS * GLYPH_SIZE].reshape(GLYPHS, GLYPH_SIZE)

    return font(clear), font(set_)


def _dots(state: VgaState, planes: Pixels, raster: Raster, codes: Pixels, attributes: Pixels) -> Pixels:
    """(lines, columns, 9): 1 where a character's dot is lit, underline included."""
    scan = raster.scan[:, None]
    first, second = _fonts(state, planes)
    rows = first[codes, scan]
    if not np.shares_memory(first, second):
        rows = np.where(attributes & INTENSE, second[codes, scan], rows)
    if state.attr[Attr.MODE] & Attr.MONO:
        at_line = scan == state.crtc[Crtc.UNDERLINE] & Crtc.SCAN_MASK
        rows = np.where(at_line & (attributes & UNDERLINE_BITS == UNDERLINED), 0xFF, rows)
    dots = np.zeros((*rows.shape, NINE_DOTS), dtype=np.uint8)
    dots[:, :, :8] = np.unpackbits(rows.astype(np.uint8)[:, :, None], axis=2)
    if state.attr[Attr.MODE] & Attr.LINE_GRAPHICS:
        joined = (codes >= LINE_GRAPHICS.start) & (codes < LINE_GRAPHICS.stop)
        dots[:, :, 8] = dots[:, :, 7] & joined
    return dots


def _cursor_scans(state: VgaState) -> range:
    """Row scans that the cursor covers; none where its end is above its start."""
    crtc = state.crtc
    return range(crtc[Crtc.CURSOR_START] & Crtc.SCAN_MASK, (crtc[Crtc.CURSOR_END] & Crtc.SCAN_MASK) + 1)


def _cursor_address(state: VgaState) -> int:
    crtc = state.crtc
    skew = crtc[Crtc.CURSOR_END] >> Crtc.CURSOR_SKEW_SHIFT & Crtc.CURSOR_SKEW_MASK
    return (crtc[Crtc.CURSOR_HIGH] << 8 | crtc[Crtc.CURSOR_LOW]) + skew


def _draw_cursor(state: VgaState, raster: Raster, where: npt.NDArray[np.int64], lit: Pixels) -> None:
    if state.crtc[Crtc.CURSOR_START] & Crtc.CURSOR_OFF:
        return
    scans = _cursor_scans(state)
    covered = (raster.scan >= scans.start) & (raster.scan < scans.stop)
    lit[(where == _cursor_address(state)) & covered[:, None]] = 1
