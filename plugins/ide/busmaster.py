"""The PIIX3's bus master: two channels that walk a list of memory regions for their drive (PIIX3 2.7, SFF-8038i)."""

from __future__ import annotations

import struct

import attrs
from vpcore_plugins.ide.channel import Channel, ChannelState
from vpcore_plugins.ide.regs import BusMaster as Bm
from vpcore_plugins.ide.regs import Pci

from vpcore.device import Device
from vpcore.memory import Memory
from vpcore.pci import PciFunction
from vpcore.ports import PortMap


@attrs.define
class MasterState:
    """Bus master registers of one channel."""

    command: int = 0
    status: int = 0
    table: int = 0


@attrs.define
class IdeState:
    """The whole function: configuration space, bus master and channels."""

    config: bytes = b""
    masters: list[MasterState] = attrs.field(factory=lambda: [MasterState(), MasterState()])
    channels: list[ChannelState] = attrs.field(factory=list)


class ScatterList:
    """Walks the physical region descriptors of one transfer (SFF-8038i 2.3); each step moves what fits."""

    def __init__(self, memory: Memory, table: int) -> None:
        self._memory = memory
        self._entry = table
        self._address = 0
        self._left = 0
        self._last = False
        self._entries = 0

    def _next(self) -> bool:
        """Have room in the present region, or go on to the next."""
        while not self._left:
            if self._last or self._entries >= Bm.MAX_ENTRIES:
                return False
            address, count = struct.unpack("<II", self._memory.read(self._entry, Bm.ENTRY))
            self._entry += Bm.ENTRY
            self._entries += 1
            self._address = address & ~1
            self._left = count & Bm.COUNT_MASK or Bm.ALL_64K
            self._last = bool(count & Bm.LAST_ENTRY)
        return True

    @property
    def exhausted(self) -> bool:
        """The list's end was reached."""
        return self._last and not self._left

    def _step(self, size: int) -> tuple[int, int]:
        part = min(size, self._left)
        at = self._address
        self._address += part
        self._left -= part
        return at, part

    def to_memory(self, data: bytes | bytearray | memoryview) -> int:
        """Write to the guest; how many bytes found room."""
        view = memoryview(data)
        done = 0
        while done < len(view) and self._next():
            at, part = self._step(len(view) - done)
            self._memory.write(at, view[done : done + part])
            done += part
        return done

    def from_memory(self, count: int) -> bytes:
        """Read from the guest."""
        out = bytearray()
        while len(out) < count and self._next():
            at, part = self._step(count - len(out))
            out += self._memory.read(at, part)
        return bytes(out)


class IdeController(Device[IdeState]):
    """The IDE function of the PIIX3 with both channels."""

    ports = PortMap(size=Bm.SIZE)

    def __init__(self, *, function: PciFunction, memory: Memory, channels: list[Channel]) -> None:
        self.function = function
        self._memory = memory
        self.channels = channels
        for index, channel in enumerate(channels):
            channel.on_interrupt = lambda index=index: self._interrupt(index)  # type: ignore[misc]
            channel.on_dma = lambda index=index: self._run(index)  # type: ignore[misc]
        function.allow(Pci.IDETIM, 0xFFFF, 2)
        function.allow(Pci.IDETIM + 2, 0xFFFF, 2)
        function.allow(Pci.SIDETIM, 0xFF)
        function.allow(Pci.UDMACTL, Pci.UDMACTL_MASK)
        function.allow(Pci.UDMATIM, Pci.UDMATIM_MASK, 2)
        self.state = IdeState()
        self.reset()

    # -- state --

    def reset(self) -> None:
        """Both channels decode after reset, as SeaBIOS and drivers expect of a running board."""
        for channel in self.channels:
            channel.reset()
        self.function.reset()
        for offset in (Pci.IDETIM, Pci.IDETIM + 2):
            self.function.put(offset, Pci.DECODE_ENABLE, 2)
        self.state = IdeState()
        self.save()

    def load(self, state: IdeState) -> None:
        """Become a saved state."""
        self.state = state
        if state.config:
            self.function.restore(state.config)
        for channel, saved in zip(self.channels, state.channels, strict=False):
            channel.load(saved)

    def save(self) -> IdeState:
        """Everything."""
        self.state.config = bytes(self.function.config)
        self.state.channels = [channel.save() for channel in self.channels]
        return self.state

    def close(self) -> None:
        """Close all images."""
        for channel in self.channels:
            for drive in channel.drives:
                if drive is not None:
                    drive.close()

    # -- registers (2.7) --

    @ports.read_any(range(Bm.SIZE))
    def _read(self, offset: int, width: int) -> int:
        value = 0
        for index in range(width):
            value |= self._read_byte(offset + index) << 8 * index
        return value

    def _read_byte(self, offset: int) -> int:
        master = self.state.masters[offset // Bm.CHANNEL]
        register = offset % Bm.CHANNEL
        if register == Bm.COMMAND:
            return master.command
        if register == Bm.STATUS:
            return master.status
        if register >= Bm.TABLE:
            return master.table >> 8 * (register - Bm.TABLE) & 0xFF
        return 0

    @ports.write_any(range(Bm.SIZE))
    def _write(self, offset: int, width: int, value: int) -> None:
        for index in range(width):
            self._write_byte(offset + index, value >> 8 * index & 0xFF)

    def _write_byte(self, offset: int, value: int) -> None:
        number, register = divmod(offset, Bm.CHANNEL)
        master = self.state.masters[number]
        if register == Bm.COMMAND:
            self._write_command(number, value)
        elif register == Bm.STATUS:
            kept = master.status & ~(value & Bm.CLEARED_BY_ONE)
            master.status = kept & ~Bm.CAPABLE | value & Bm.CAPABLE
        elif register >= Bm.TABLE:
            shift = 8 * (register - Bm.TABLE)
            master.table = (master.table & ~(0xFF << shift) | value << shift) & Bm.TABLE_MASK

    def _write_command(self, number: int, value: int) -> None:
        master = self.state.masters[number]
        started = value & ~master.command & Bm.START
        master.command = value & Bm.COMMAND_MASK
        if not value & Bm.START:
            master.status &= ~Bm.ACTIVE
        elif started:
            master.status |= Bm.ACTIVE
            self._run(number)

    # -- transfers --

    def _run(self, number: int) -> None:
        """Move data when both are ready: the drive waits for DMA and the start bit is set."""
        master = self.state.masters[number]
        drive = self.channels[number].selected
        if drive is None or not drive.state.dma or not master.status & Bm.ACTIVE or not self.function.bus_master:
            return
        walk = ScatterList(self._memory, master.table)
        drive.start_dma(walk)
        if walk.exhausted or drive.state.dma:
            master.status &= ~Bm.ACTIVE  # a list longer than the transfer leaves it set (SFF-8038i 3.1, status)

    def _interrupt(self, number: int) -> None:
        self.state.masters[number].status |= Bm.INTERRUPT
