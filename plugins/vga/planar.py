"""The graphics controller's data path, as pure functions on 32-bit words.

A word holds the same byte of all four planes, plane 0 lowest, as the latches do.  `unit_of` turns the registers into a
`Unit` once; `write` and `read` are then called for each byte the guest touches.  Nothing here knows addresses.
(IBM VGA, graphics controller registers; FreeVGA, "Accessing the VGA display memory".)
"""

from __future__ import annotations

from typing import Final, NamedTuple

from vpcore_plugins.vga.regs import Gfx

EACH: Final = 0x01010101
"""Multiplies a byte onto all planes."""
EXPAND: Final = tuple(sum(0xFF << 8 * plane for plane in range(4) if bits >> plane & 1) for bits in range(16))
"""Four plane bits to a word with 00h or FFh for each."""
ROTATED: Final = tuple(bytes((v >> n | v << 8 - n) & 0xFF for v in range(256)) for n in range(8))
"""By rotate count: each byte rotated right."""


class Function:
    """What combines data with the latches (data rotate register, bits 3-4)."""

    REPLACE: Final = 0
    AND: Final = 1
    OR: Final = 2
    XOR: Final = 3


class Unit(NamedTuple):
    """The graphics controller's registers, in the form in which a byte's path needs them."""

    write_mode: int
    rotated: bytes
    set_reset: int  # words of the four planes from here on
    enable_set_reset: int
    function: int
    bit_mask: int
    compare: bool
    color_compare: int
    color_care: int


def unit_of(gfx: bytearray) -> Unit:
    """The data path that these graphics controller registers make."""
    rotate = gfx[Gfx.ROTATE]
    mode = gfx[Gfx.MODE]
    return Unit(
        mode & Gfx.WRITE_MODE_MASK,
        ROTATED[rotate & Gfx.ROTATE_MASK],
        EXPAND[gfx[Gfx.SET_RESET]],
        EXPAND[gfx[Gfx.ENABLE_SET_RESET]],
        rotate >> Gfx.FUNCTION_SHIFT,
        gfx[Gfx.BIT_MASK] * EACH,
        bool(mode & Gfx.READ_COMPARE),
        EXPAND[gfx[Gfx.COLOR_COMPARE]],
        EXPAND[gfx[Gfx.COLOR_DONT_CARE]],
    )


def write(unit: Unit, latch: int, value: int) -> int:
    """What the four planes get when the processor writes the byte *value* (map mask not yet applied)."""
    mode = unit.write_mode
    mask = unit.bit_mask
    if mode == 0:
        enable = unit.enable_set_reset
        data = unit.rotated[value] * EACH & ~enable | unit.set_reset & enable
    elif mode == 1:
        return latch
    elif mode == 2:  # noqa: PLR2004 - write modes are numbers
        data = EXPAND[value & 0xF]
    else:
        data = unit.set_reset
        mask &= unit.rotated[value] * EACH
    function = unit.function
    if function == Function.AND:
        data &= latch
    elif function == Function.OR:
        data |= latch
    elif function == Function.XOR:
        data ^= latch
    return data & mask | latch & ~mask


def compare(unit: Unit, latch: int) -> int:
    """Read mode 1: a bit is 1 where all planes that are cared for hold the compare color."""
    differs = (latch ^ unit.color_compare) & unit.color_care
    differs |= differs >> 16
    differs |= differs >> 8
    return ~differs & 0xFF
