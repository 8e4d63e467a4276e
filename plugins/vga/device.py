"""Vga: the registers of a standard VGA with Bochs VBE extensions, as a PCI display controller."""

from __future__ import annotations

from vpcore_plugins.vga import dispi
from vpcore_plugins.vga.aperture import Aperture
from vpcore_plugins.vga.regs import (
    APERTURE_SIZE,
    Attr,
    Crtc,
    Dac,
    Dispi,
    Gfx,
    Misc,
    Mmio,
    Port,
    Seq,
    Status0,
)
from vpcore_plugins.vga.state import VgaState
from vpcore_plugins.vga.timing import Timing, timing_of

from vpcore.clock import Clock
from vpcore.device import Device
from vpcore.pci import PciFunction
from vpcore.ports import PortMap

OPEN_BUS = 0xFF
BYTE = 0xFF
COLOR_STEP = Port.CRTC_COLOR - Port.CRTC_MONO
CRTC_INDEX = range(Port.CRTC_MONO, Port.CRTC_COLOR + 1, COLOR_STEP)
CRTC_DATA = range(Port.CRTC_MONO + 1, Port.CRTC_COLOR + 2, COLOR_STEP)
STATUS1 = range(Port.STATUS1_MONO, Port.STATUS1_COLOR + 1, COLOR_STEP)
ROUTING = frozenset((Gfx.ENABLE_SET_RESET, Gfx.ROTATE, Gfx.READ_MAP, Gfx.MODE, Gfx.MISC, Gfx.BIT_MASK))
"""Graphics registers that decide how memory is reached; the others change the data path only."""


class Vga(Device[VgaState]):
    """The adapter; `screen.VgaScreen` looks at it from the monitor's side."""

    ports = PortMap(Port.SIZE)
    dispi_ports = PortMap(Dispi.PORTS)
    mmio = PortMap(Mmio.SIZE)
    memory = PortMap(APERTURE_SIZE)

    def __init__(self, *, aperture: Aperture, clock: Clock, function: PciFunction) -> None:
        self.aperture = aperture
        self.changes = 0
        """Counts what may have changed the picture, other than memory."""
        self._clock = clock
        self._function = function
        self._timing: Timing | None = None
        self._reset_config = bytes(function.config)
        self.load(VgaState())

    # -- state --

    def load(self, state: VgaState) -> None:
        """Become *state*, memory included."""
        super().load(state)
        if state.config:
            self._function.restore(state.config)
        else:
            self._function.reset()
            self._reset_config = bytes(self._function.config)
        if state.vbe:
            dispi.settle(state.dispi)
        self.aperture.load(state)
        state.vram = b""
        self._changed_timing()

    def save(self) -> VgaState:
        """Registers, configuration space and video memory."""
        config = bytes(self._function.config)
        self.state.config = b"" if config == self._reset_config else config
        self.state.vram = self.aperture.contents()
        return super().save()

    @property
    def timing(self) -> Timing:
        """The present frame timing."""
        if self._timing is None:
            self._timing = timing_of(self.state)
        return self._timing

    def _changed_timing(self) -> None:
        self._timing = None
        self.changes += 1

    # -- general registers --

    @ports.write(Port.MISC_WRITE)
    def _write_misc(self, value: int) -> None:
        self.state.misc = value & Misc.WRITABLE
        self._changed_timing()
        self.aperture.update()

    @ports.read(Port.MISC_WRITE)
    def _read_status0(self) -> int:
        """Input status 0: a monitor is there, and there is no retrace interrupt."""
        return Status0.SWITCH_SENSE

    @ports.read(Port.MISC_READ)
    def _read_misc(self) -> int:
        return self.state.misc

    @ports.read(Port.FEATURE_READ)
    def _read_feature(self) -> int:
        return self.state.feature

    ports.storage(Port.VIDEO_ENABLE, "video_enable")

    def _decodes(self, offset: int) -> bool:
        """The I/O address select bit lets 3Bx or 3Dx through."""
        return (offset >= Port.CRTC_COLOR) is bool(self.state.misc & Misc.COLOR)

    @ports.read(STATUS1)
    def _read_status1(self, offset: int) -> int:
        """Reading also makes 3C0 expect an index."""
        if not self._decodes(offset):
            return OPEN_BUS
        self.state.attr_data = False
        return self.timing.status(self._clock.now)

    @ports.write(STATUS1)
    def _write_feature(self, offset: int, value: int) -> None:
        if self._decodes(offset):
            self.state.feature = value

    # -- sequencer --

    @ports.read(Port.SEQUENCER)
    def _read_seq_index(self) -> int:
        return self.state.seq_index

    @ports.write(Port.SEQUENCER)
    def _write_seq_index(self, value: int) -> None:
        self.state.seq_index = value % Seq.COUNT

    @ports.read(Port.SEQUENCER + 1)
    def _read_seq(self) -> int:
        return self.state.seq[self.state.seq_index]

    @ports.write(Port.SEQUENCER + 1)
    def _write_seq(self, value: int) -> None:
        index = self.state.seq_index
        self.state.seq[index] = value & Seq.MASKS[index]
        if index in (Seq.MAP_MASK, Seq.MEMORY_MODE):
            self.aperture.update()
        else:
            self._changed_timing()

    @ports.write(Port.SEQUENCER, width=2)
    def _write_seq_word(self, value: int) -> None:
        self._write_seq_index(value & BYTE)
        self._write_seq(value >> 8)

    # -- graphics controller --

    @ports.read(Port.GRAPHICS)
    def _read_gfx_index(self) -> int:
        return self.state.gfx_index

    @ports.write(Port.GRAPHICS)
    def _write_gfx_index(self, value: int) -> None:
        self.state.gfx_index = value % Gfx.COUNT

    @ports.read(Port.GRAPHICS + 1)
    def _read_gfx(self) -> int:
        return self.state.gfx[self.state.gfx_index]

    @ports.write(Port.GRAPHICS + 1)
    def _write_gfx(self, value: int) -> None:
        index = self.state.gfx_index
        self.state.gfx[index] = value & Gfx.MASKS[index]
        if index in ROUTING:
            self.changes += 1
            self.aperture.update()
        else:
            self.aperture.changed()

    @ports.write(Port.GRAPHICS, width=2)
    def _write_gfx_word(self, value: int) -> None:
        self._write_gfx_index(value & BYTE)
        self._write_gfx(value >> 8)

    # -- CRT controller --

    @ports.read(CRTC_INDEX)
    def _read_crtc_index(self, offset: int) -> int:
        return self.state.crtc_index if self._decodes(offset) else OPEN_BUS

    @ports.write(CRTC_INDEX)
    def _write_crtc_index(self, offset: int, value: int) -> None:
        if self._decodes(offset):
            self.state.crtc_index = value & Crtc.INDEX_MASK

    @ports.read(CRTC_DATA)
    def _read_crtc(self, offset: int) -> int:
        if not self._decodes(offset):
            return OPEN_BUS
        index = self.state.crtc_index
        return self.state.crtc[index] if index < Crtc.COUNT else 0

    @ports.write(CRTC_DATA)
    def _write_crtc(self, offset: int, value: int) -> None:
        """Registers 0 to 7 may be protected, but for the line compare bit."""
        state = self.state
        index = state.crtc_index
        if index >= Crtc.COUNT or not self._decodes(offset):
            return
        crtc = state.crtc
        if index <= Crtc.OVERFLOW and crtc[Crtc.V_RETRACE_END] & Crtc.PROTECT:
            if index != Crtc.OVERFLOW:
                return
            kept = crtc[index] & ~Crtc.OVERFLOW_LINE_COMPARE
            value = kept | value & Crtc.OVERFLOW_LINE_COMPARE
        crtc[index] = value
        self._changed_timing()

    @ports.write(CRTC_INDEX, width=2)
    def _write_crtc_word(self, offset: int, value: int) -> None:
        self._write_crtc_index(offset, value & BYTE)
        self._write_crtc(offset, value >> 8)

    # -- attribute controller --

    @ports.read(Port.ATTRIBUTE)
    def _read_attr_index(self) -> int:
        return self.state.attr_index

    @ports.read(Port.ATTRIBUTE_READ)
    def _read_attr(self) -> int:
        return self.state.attr[self.state.attr_index & Attr.INDEX_MASK]

    @ports.write(Port.ATTRIBUTE)
    def _write_attr(self, value: int) -> None:
        """One port for index and data in turn."""
        state = self.state
        if state.attr_data:
            index = state.attr_index & Attr.INDEX_MASK
            state.attr[index] = value & Attr.MASKS[index]
        else:
            state.attr_index = value & Attr.ADDRESS_MASK
        state.attr_data = not state.attr_data
        self.changes += 1

    # -- DAC --

    @ports.read(Port.PEL_MASK)
    def _read_pel_mask(self) -> int:
        return self.state.pel_mask

    @ports.write(Port.PEL_MASK)
    def _write_pel_mask(self, value: int) -> None:
        self.state.pel_mask = value
        self.changes += 1

    @ports.read(Port.DAC_READ_INDEX)
    def _read_dac_state(self) -> int:
        return self.state.dac_state

    @ports.write(Port.DAC_READ_INDEX)
    def _write_dac_read_index(self, value: int) -> None:
        self.state.dac_read_index = value
        self.state.dac_component = 0
        self.state.dac_state = Dac.STATE_READ

    @ports.read(Port.DAC_WRITE_INDEX)
    def _read_dac_write_index(self) -> int:
        return self.state.dac_write_index

    @ports.write(Port.DAC_WRITE_INDEX)
    def _write_dac_write_index(self, value: int) -> None:
        self.state.dac_write_index = value
        self.state.dac_component = 0
        self.state.dac_state = Dac.STATE_WRITE

    def _dac_mask(self) -> int:
        return BYTE if self.state.dispi[Dispi.ENABLE] & Dispi.DAC_8BIT else Dac.MASK_6BIT

    @ports.read(Port.DAC_DATA)
    def _read_dac(self) -> int:
        state = self.state
        value = state.dac[3 * state.dac_read_index + state.dac_component]
        state.dac_component = (state.dac_component + 1) % 3
        if not state.dac_component:
            state.dac_read_index = (state.dac_read_index + 1) % Dac.COLORS
        return value & self._dac_mask()

    @ports.write(Port.DAC_DATA)
    def _write_dac(self, value: int) -> None:
        """Red, green, blue; the color changes with the third."""
        state = self.state
        state.dac_cache[state.dac_component] = value & self._dac_mask()
        state.dac_component = (state.dac_component + 1) % 3
        if not state.dac_component:
            at = 3 * state.dac_write_index
            state.dac[at : at + 3] = state.dac_cache
            state.dac_write_index = (state.dac_write_index + 1) % Dac.COLORS
            self.changes += 1

    @ports.write_block(Port.DAC_DATA)
    def _write_dac_block(self, buffer: memoryview) -> int:
        for value in buffer:
            self._write_dac(value)
        return len(buffer)

    # -- Bochs VBE --

    @dispi_ports.read(Dispi.INDEX_PORT, width=2)
    def _read_dispi_index(self) -> int:
        return self.state.dispi_index

    @dispi_ports.write(Dispi.INDEX_PORT, width=2)
    def _write_dispi_index(self, value: int) -> None:
        self.state.dispi_index = value

    @dispi_ports.read(range(Dispi.DATA_PORT, Dispi.DATA_PORT_EVEN + 1), width=2)
    def _read_dispi(self, offset: int) -> int:  # noqa: ARG002 - both data ports
        return dispi.read(self.state, self.state.dispi_index)

    @dispi_ports.write(range(Dispi.DATA_PORT, Dispi.DATA_PORT_EVEN + 1), width=2)
    def _write_dispi(self, offset: int, value: int) -> None:  # noqa: ARG002
        self._set_dispi(self.state.dispi_index, value)

    def _set_dispi(self, index: int, value: int) -> None:
        dispi.write(self.state, self.aperture, index, value)
        self._changed_timing()

    # -- BAR2: the same registers in memory --

    @mmio.read(range(Mmio.VGA, Mmio.VGA + Mmio.VGA_PORTS))
    def _read_mmio_vga(self, offset: int) -> int:
        port = offset - Mmio.VGA + Port.ATTRIBUTE
        handler = self.ports.reads.get((port, 1))
        if handler is None:
            return OPEN_BUS
        value: int = getattr(self, handler.name)(*handler.args)
        return value

    @mmio.write(range(Mmio.VGA, Mmio.VGA + Mmio.VGA_PORTS))
    def _write_mmio_vga(self, offset: int, value: int) -> None:
        handler = self.ports.writes.get((offset - Mmio.VGA + Port.ATTRIBUTE, 1))
        if handler is not None:
            getattr(self, handler.name)(*handler.args, value)

    @mmio.read(range(Mmio.DISPI, Mmio.DISPI + 2 * Dispi.COUNT, 2), width=2)
    def _read_mmio_dispi(self, offset: int) -> int:
        return dispi.read(self.state, (offset - Mmio.DISPI) // 2)

    @mmio.write(range(Mmio.DISPI, Mmio.DISPI + 2 * Dispi.COUNT, 2), width=2)
    def _write_mmio_dispi(self, offset: int, value: int) -> None:
        self._set_dispi((offset - Mmio.DISPI) // 2, value)

    # -- A0000-BFFFF where no window answers --

    @memory.read_area
    def _read_memory(self, offset: int, width: int) -> int:
        if width == 1:
            return self.aperture.read(offset)
        return sum(self.aperture.read(offset + index) << 8 * index for index in range(width))

    @memory.write_area
    def _write_memory(self, offset: int, width: int, value: int) -> None:
        if width == 1:
            self.aperture.write(offset, value)
            return
        for index in range(width):
            self.aperture.write(offset + index, value >> 8 * index & BYTE)
