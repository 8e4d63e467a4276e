"""All that a VGA remembers."""

from __future__ import annotations

import attrs
from vpcore_plugins.vga.regs import Attr, Crtc, Dac, Dispi, Gfx, Seq


def _dispi() -> list[int]:
    return [Dispi.ID5] + [0] * (Dispi.COUNT - 1)


@attrs.define
class VgaState:
    """Registers and memory; the defaults are the values after reset (all zero until the VGA BIOS sets a mode)."""

    config: bytes = b""
    """PCI configuration space; empty is that after reset."""
    vram: bytes = b""
    """Video memory without the zero bytes at its end, brought up to date by `Vga.save`."""
    misc: int = 0
    feature: int = 0
    video_enable: int = 0
    seq_index: int = 0
    seq: bytearray = attrs.field(factory=lambda: bytearray(Seq.COUNT))
    crtc_index: int = 0
    crtc: bytearray = attrs.field(factory=lambda: bytearray(Crtc.COUNT))
    gfx_index: int = 0
    gfx: bytearray = attrs.field(factory=lambda: bytearray(Gfx.COUNT))
    latch: int = 0
    """The four latches, plane 0 in the lowest byte."""
    attr_index: int = 0
    attr_data: bool = False
    """The flip-flop: the next write to 3C0 is data."""
    attr: bytearray = attrs.field(factory=lambda: bytearray(Attr.COUNT))
    pel_mask: int = 0xFF
    dac_state: int = Dac.STATE_WRITE
    dac_read_index: int = 0
    dac_write_index: int = 0
    dac_component: int = 0
    dac_cache: bytearray = attrs.field(factory=lambda: bytearray(3))
    dac: bytearray = attrs.field(factory=lambda: bytearray(3 * Dac.COLORS))
    dispi_index: int = 0
    dispi: list[int] = attrs.field(factory=_dispi)
    """The Bochs VBE registers."""

    @property
    def vbe(self) -> bool:
        """A Bochs VBE mode is on: the standard CRT timing does not count."""
        return bool(self.dispi[Dispi.ENABLE] & Dispi.ENABLED)

    @property
    def graphics(self) -> bool:
        """The graphics controller is in a graphics mode."""
        return bool(self.gfx[Gfx.MISC] & Gfx.GRAPHICS)

    def vertical(self, register: int, overflow: tuple[int, int]) -> int:
        """A vertical CRTC count with its bits 8 and 9 from the overflow register."""
        high = self.crtc[Crtc.OVERFLOW]
        return self.crtc[register] | bool(high & overflow[0]) << 8 | bool(high & overflow[1]) << Crtc.BIT_9
