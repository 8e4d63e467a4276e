"""Which memory each scan line shows: start address, line pitch, doubling, split screen, panning (IBM VGA, CRT controller)."""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np
import numpy.typing as npt
from vpcore_plugins.vga.regs import Attr, Crtc, Seq
from vpcore_plugins.vga.state import VgaState

WORDS: Final = 0x10000
"""Addresses of a plane that the standard modes reach."""
NINE_DOTS: Final = 9
NINE_DOT_NO_PAN: Final = 8


@attrs.frozen(eq=False)
class Raster:
    """The scan lines of one frame; lines that hardware merely repeats are left out."""

    columns: int
    """Character clocks of a line, without the one more that panning may show."""
    address: npt.NDArray[np.int64]
    """By line: plane address of the first column."""
    scan: npt.NDArray[np.int64]
    """By line: row scan counter."""
    panned: npt.NDArray[np.bool_]
    """By line: pel panning applies."""

    @property
    def height(self) -> int:
        """Lines."""
        return len(self.address)

    @property
    def row_lines(self) -> npt.NDArray[np.int64]:
        """The lines at which character rows begin."""
        first = self.scan == 0
        first[0] = True
        return np.flatnonzero(first)

    def columns_of(self, extra: int = 1) -> npt.NDArray[np.int64]:
        """By line and column: plane address."""
        return (self.address[:, None] + np.arange(self.columns + extra)) % WORDS


def line_compare(state: VgaState) -> int:
    """The scan line after which the picture starts again at address 0."""
    crtc = state.crtc
    high = bool(crtc[Crtc.OVERFLOW] & Crtc.OVERFLOW_LINE_COMPARE) << 8
    return crtc[Crtc.LINE_COMPARE] | high | bool(crtc[Crtc.MAX_SCAN] & Crtc.MAX_SCAN_LINE_COMPARE) << Crtc.BIT_9


def row_scan_addressed(state: VgaState) -> bool:
    """CGA and Hercules compatible: the row scan counter chooses a bank of memory."""
    both = Crtc.ROW_SCAN_13 | Crtc.ROW_SCAN_14
    return state.crtc[Crtc.MODE] & both != both


def raster_of(state: VgaState) -> Raster:
    """The raster of a standard mode."""
    crtc = state.crtc
    lines = state.vertical(Crtc.V_DISPLAY_END, Crtc.OVERFLOW_V_DISPLAY_END) + 1
    if crtc[Crtc.MODE] & Crtc.HALF_VERTICAL:
        lines *= 2
    double = 2 if crtc[Crtc.MAX_SCAN] & Crtc.DOUBLE_SCAN else 1
    row_height = (crtc[Crtc.MAX_SCAN] & Crtc.SCAN_MASK) + 1
    merged = state.graphics and not row_scan_addressed(state)
    line = np.arange(0, lines, double * row_height if merged else double)
    above = line <= line_compare(state)
    preset = crtc[Crtc.PRESET_ROW] & Crtc.SCAN_MASK
    counter = np.where(above, line // double + preset, (line - line_compare(state) - 1) // double)
    together = bool(state.attr[Attr.MODE] & Attr.PANNING_COMPATIBLE)
    panned = above if together else np.ones_like(above)
    start = crtc[Crtc.START_HIGH] << 8 | crtc[Crtc.START_LOW]
    bytes_panned = crtc[Crtc.PRESET_ROW] >> Crtc.BYTE_PANNING_SHIFT & Crtc.BYTE_PANNING_MASK
    address = counter // row_height * (crtc[Crtc.OFFSET] * 2) + np.where(above, start, 0)
    return Raster(
        columns=crtc[Crtc.H_DISPLAY_END] + 1,
        address=address + np.where(panned, bytes_panned, 0),
        scan=counter % row_height,
        panned=panned,
    )


def pel_pan(state: VgaState, dots: int) -> int:
    """Pixels by which the picture is shifted left (IBM VGA, horizontal PEL panning register)."""
    value = state.attr[Attr.PEL_PANNING]
    if dots == NINE_DOTS:  # 8 is no shift, and 0 is one
        return 0 if value >= NINE_DOT_NO_PAN else value + 1
    return value & 7


def dots_of(state: VgaState) -> int:
    """Width of a text character."""
    return 8 if state.seq[Seq.CLOCKING] & Seq.EIGHT_DOTS else NINE_DOTS


def shift_left(
    pixels: npt.NDArray[np.uint8], pan: int, width: int, panned: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    """Cut *width* columns out of wider lines, from column *pan* on where the line is panned."""
    if not pan:
        return pixels[:, :width]
    return np.where(panned[:, None], pixels[:, pan : pan + width], pixels[:, :width])
