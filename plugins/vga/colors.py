"""From pixel values to RGB: attribute controller palette and DAC."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from vpcore_plugins.vga.regs import Attr, Dac, Dispi
from vpcore_plugins.vga.state import VgaState

Colors = npt.NDArray[np.uint8]
"""(colors, 3): red, green, blue of 0 to 255."""


def dac_colors(state: VgaState) -> Colors:
    """What the DAC makes of each 8-bit value, through the PEL mask."""
    levels: Colors = np.frombuffer(bytes(state.dac), dtype=np.uint8).reshape(Dac.COLORS, 3)
    if not state.dispi[Dispi.ENABLE] & Dispi.DAC_8BIT:
        levels = levels & np.uint8(Dac.MASK_6BIT)
        levels = levels << np.uint8(2) | levels >> np.uint8(4)
    shown: Colors = levels[np.arange(Dac.COLORS) & state.pel_mask]
    return shown


def palette_colors(state: VgaState) -> Colors:
    """What the attribute controller and the DAC make of each 4-bit value (IBM VGA, attribute controller registers)."""
    attr = state.attr
    select = attr[Attr.COLOR_SELECT]
    values = np.frombuffer(bytes(attr[: Attr.PALETTE_SIZE]), dtype=np.uint8)
    values = values[np.arange(Attr.PALETTE_SIZE) & attr[Attr.PLANE_ENABLE] & 0xF]
    if attr[Attr.MODE] & Attr.P54_SELECT:
        values = values & 0x0F | (select & 3) << 4
    shown: Colors = dac_colors(state)[values | (select >> 2 & 3) << 6]
    return shown


def paint(colors: Colors, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """(height, width, 3): the color of each pixel value."""
    return colors.take(pixels, axis=0)
