"""Graphics modes: how each turns memory into pixels."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from vpcore_plugins.vga import dispi
from vpcore_plugins.vga.colors import dac_colors, paint, palette_colors
from vpcore_plugins.vga.raster import Raster, pel_pan, raster_of, shift_left
from vpcore_plugins.vga.regs import Crtc, Dispi, Gfx
from vpcore_plugins.vga.state import VgaState

Pixels = npt.NDArray[np.uint8]

SPREAD: Final = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).view("<u8")[:, 0]
"""By byte: its eight bits in the bytes of a 64-bit word, leftmost pixel first."""
PAIR_SHIFTS: Final = np.array((6, 4, 2, 0), dtype=np.uint8)
ROW_SCAN_BIT: Final = 13
HIGH_COLOR: Final = {15: (5, 5, 5), 16: (5, 6, 5)}
"""By bits a pixel: those of red, green and blue."""
PIXELS_256: Final = 4
"""Pixels of a character clock with 256 colors."""


def frame(state: VgaState, planes: Pixels) -> Pixels:
    """The picture of a standard graphics mode."""
    raster = raster_of(state)
    words = planes[_addresses(state, raster)]
    mode = state.gfx[Gfx.MODE]
    pan = pel_pan(state, 8)
    if mode & Gfx.SHIFT_256:
        pixels = words.reshape(raster.height, -1)
        return paint(dac_colors(state), shift_left(pixels, pan // 2, raster.columns * PIXELS_256, raster.panned))
    pixels = _interleaved(words) if mode & Gfx.SHIFT_INTERLEAVE else _planar(words)
    return paint(palette_colors(state), shift_left(pixels, pan, raster.columns * 8, raster.panned))


def vbe_frame(state: VgaState, memory: Pixels) -> Pixels:
    """The picture of a Bochs VBE mode."""
    regs = state.dispi
    bpp = regs[Dispi.BPP]
    rows, pixels = regs[Dispi.YRES], regs[Dispi.XRES]
    size = pixels * dispi.pixel_bits(bpp) // 8
    visible = np.lib.stride_tricks.as_strided(
        memory[dispi.start(regs) :], (rows, size), (dispi.pitch(regs), 1), writeable=False
    )
    if bpp == dispi.PLANAR_DEPTH:
        return paint(palette_colors(state), _planar(visible.reshape(rows, -1, 4)))
    if bpp == 8:  # noqa: PLR2004 - bits per pixel
        return paint(dac_colors(state), visible)
    if bpp in HIGH_COLOR:
        return _high_color(np.ascontiguousarray(visible).view("<u2"), HIGH_COLOR[bpp])
    return np.ascontiguousarray(visible.reshape(rows, pixels, bpp // 8)[:, :, 2::-1])


def _addresses(state: VgaState, raster: Raster) -> npt.NDArray[np.int64]:
    """Plane addresses, with the row scan counter in bits 13 and 14 where a CGA or Hercules had it.

    In word mode memory is packed, so the bits are one lower.
    """
    mode = state.crtc[Crtc.MODE]
    where = raster.columns_of()
    bank = ROW_SCAN_BIT - (0 if mode & Crtc.BYTE_MODE else 1)
    for number, off in enumerate((Crtc.ROW_SCAN_13, Crtc.ROW_SCAN_14)):
        if not mode & off:
            bit = 1 << bank + number
            where = where & ~bit | (raster.scan[:, None] >> number & 1) * bit
    return where


def _planar(words: Pixels) -> Pixels:
    """(lines, columns, 4) bytes to 4-bit pixels: one bit of each plane."""
    pixels = SPREAD[words[:, :, 0]]
    for plane in (1, 2, 3):
        pixels |= SPREAD[words[:, :, plane]] << np.uint64(plane)
    return pixels.view(np.uint8).reshape(len(words), -1)


def _interleaved(words: Pixels) -> Pixels:
    """Two bits of plane 0 (then 1), and above them two of plane 2 (then 3), as mode 4 has it."""
    pairs = words[:, :, :, None] >> PAIR_SHIFTS & np.uint8(3)
    pixels: Pixels = pairs[:, :, :2] | pairs[:, :, 2:] << np.uint8(2)
    return pixels.reshape(len(words), -1)


def _high_color(pixels: npt.NDArray[np.uint16], layout: tuple[int, int, int]) -> Pixels:
    """Red, green and blue of so many bits to RGB, with the high bits repeated below."""
    out = np.empty((*pixels.shape, 3), dtype=np.uint8)
    _, green, blue = layout
    for index, (shift, bits) in enumerate(zip((green + blue, blue, 0), layout, strict=True)):
        level = pixels >> shift & (1 << bits) - 1
        out[:, :, index] = level << 8 - bits | level >> 2 * bits - 8
    return out
