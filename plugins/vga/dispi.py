"""The Bochs VBE registers: high resolutions and colors beside the standard VGA.

(Bochs VBE display API, revision B0C5.)  What a guest writes is kept as it is while a mode is off; from enabling on, it
is settled to the nearest mode that fits video memory, so that nothing that draws or decodes needs to check again.
"""

from __future__ import annotations

from vpcore_plugins.vga.aperture import VRAM_SIZE, Aperture
from vpcore_plugins.vga.regs import Dispi
from vpcore_plugins.vga.state import VgaState

WIDTH_STEP = 8
DEFAULT_DEPTH = 8
PLANAR_DEPTH = 4
PADDED_DEPTH = 15
ENABLE_BITS = Dispi.ENABLED | Dispi.GET_CAPS | Dispi.DAC_8BIT | Dispi.LFB_ENABLED | Dispi.NO_CLEAR
MAXIMA = {Dispi.XRES: Dispi.MAX_XRES, Dispi.YRES: Dispi.MAX_YRES, Dispi.BPP: Dispi.MAX_BPP}


def pixel_bits(bpp: int) -> int:
    """Bits of memory a pixel takes: 15 is kept in 16."""
    return bpp + 1 if bpp == PADDED_DEPTH else bpp


def pitch(regs: list[int]) -> int:
    """Bytes of memory from one line to the next (all planes together)."""
    return regs[Dispi.VIRT_WIDTH] * pixel_bits(regs[Dispi.BPP]) // 8


def start(regs: list[int]) -> int:
    """Byte of memory that the top left pixel is at."""
    return regs[Dispi.Y_OFFSET] * pitch(regs) + regs[Dispi.X_OFFSET] * pixel_bits(regs[Dispi.BPP]) // 8


def settle(regs: list[int]) -> None:
    """Change the registers of an enabled mode to one that fits."""
    if regs[Dispi.BPP] not in Dispi.DEPTHS:
        regs[Dispi.BPP] = DEFAULT_DEPTH
    bits = pixel_bits(regs[Dispi.BPP])
    width = min(max(regs[Dispi.XRES] & -WIDTH_STEP, WIDTH_STEP), Dispi.MAX_XRES)
    height = min(max(regs[Dispi.YRES], 1), Dispi.MAX_YRES)
    virtual = max(regs[Dispi.VIRT_WIDTH] & -WIDTH_STEP, width)
    if virtual * bits // 8 * height > VRAM_SIZE:
        virtual = width
    regs[Dispi.XRES], regs[Dispi.YRES], regs[Dispi.VIRT_WIDTH] = width, height, virtual
    line = pitch(regs)
    regs[Dispi.VIRT_HEIGHT] = VRAM_SIZE // line
    visible = line * height
    if start(regs) + visible > VRAM_SIZE:
        regs[Dispi.Y_OFFSET] = 0
    if start(regs) + visible > VRAM_SIZE:
        regs[Dispi.X_OFFSET] = 0
    banks = VRAM_SIZE // Dispi.BANK_SIZE
    regs[Dispi.BANK] &= (banks // 4 if bits == PLANAR_DEPTH else banks) - 1


def read(state: VgaState, index: int) -> int:
    """Read a register; unknown ones are 0."""
    regs = state.dispi
    if index == Dispi.VIDEO_MEMORY_64K:
        return VRAM_SIZE // Dispi.BANK_SIZE
    if index in MAXIMA and regs[Dispi.ENABLE] & Dispi.GET_CAPS:
        return MAXIMA[index]
    return regs[index] if index < Dispi.COUNT else 0


def write(state: VgaState, aperture: Aperture, index: int, value: int) -> None:
    """Write a register and follow it with the aperture."""
    regs = state.dispi
    if index == Dispi.ID:
        if Dispi.ID0 <= value <= Dispi.ID5:
            regs[index] = value
    elif index == Dispi.ENABLE:
        _enable(state, aperture, value)
    elif index < Dispi.VIRT_HEIGHT or index in (Dispi.X_OFFSET, Dispi.Y_OFFSET):
        regs[index] = value
    if state.vbe:
        settle(regs)
    aperture.update()


def _enable(state: VgaState, aperture: Aperture, value: int) -> None:
    regs = state.dispi
    was_on = state.vbe
    regs[Dispi.ENABLE] = value & ENABLE_BITS
    if was_on or not state.vbe:
        return
    regs[Dispi.VIRT_WIDTH] = regs[Dispi.X_OFFSET] = regs[Dispi.Y_OFFSET] = regs[Dispi.BANK] = 0
    settle(regs)
    aperture.update()
    if not value & Dispi.NO_CLEAR:
        aperture.clear(pitch(regs) * regs[Dispi.YRES])
