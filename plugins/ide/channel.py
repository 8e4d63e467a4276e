"""One IDE channel: the task file registers, drive selection, device control, and the interrupt line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from vpcore_plugins.ide.drive import Drive, DriveState
from vpcore_plugins.ide.regs import Cmd, Control, Reg, Select, Status

from vpcore.device import Device
from vpcore.irq import LineInput
from vpcore.ports import PortMap

FLOATING: Final = 0xFF
"""What a cable without drives reads as; real ones pull DD7 low, which drivers take for no drive as well."""
EMPTY_STATUS: Final = 0x00


@attrs.define
class ChannelState:
    """Device control, the selected drive, and both drives."""

    control: int = 0
    selected: int = 0
    drives: list[DriveState | None] = attrs.field(factory=lambda: [None, None])


class Channel(Device[ChannelState]):
    """A cable with up to two drives.

    *on_interrupt* tells the bus master of a rising INTRQ, *on_dma* that the selected drive waits for it.
    """

    command = PortMap(size=Reg.SIZE)
    control = PortMap(size=1)

    def __init__(self, drives: list[Drive | None], irq: LineInput) -> None:
        self.drives = drives
        self._irq = irq
        self.on_interrupt: Callable[[], None] = lambda: None
        self.on_dma: Callable[[], None] = lambda: None
        for drive in drives:
            if drive is not None:
                drive.changed = self._update
        self.load(ChannelState(drives=[None if drive is None else drive.state for drive in drives]))
        self.reset()

    # -- state --

    def reset(self) -> None:
        """Hardware reset (ATA-6 9.1)."""
        self.state.control = self.state.selected = 0
        for drive in self.drives:
            if drive is not None:
                drive.reset(hardware=True)
        self.drive()

    def load(self, state: ChannelState) -> None:
        """Become a saved state; drives that are not there any more are left out."""
        for drive, saved in zip(self.drives, state.drives, strict=True):
            if drive is not None and saved is not None:
                drive.state = saved
        super().load(state)

    def save(self) -> ChannelState:
        """The channel with its drives."""
        self.state.drives = [None if drive is None else drive.state for drive in self.drives]
        return self.state

    def drive(self) -> None:
        """INTRQ of the selected drive, unless nIEN holds it off."""
        self._irq.set(self._wanted())

    def _wanted(self) -> bool:
        drive = self.selected
        return drive is not None and drive.state.interrupt and not self.state.control & Control.NIEN

    def _update(self) -> None:
        """INTRQ may have changed: the bus master remembers its rising edge (PIIX3 2.7.3)."""
        if self._wanted() and not self._irq.level:
            self.on_interrupt()
        self.drive()

    @property
    def selected(self) -> Drive | None:
        """The drive that answers."""
        return self.drives[self.state.selected]

    # -- data --

    @command.read(Reg.DATA, width=2)
    def _read_data(self) -> int:
        return self._take(2)

    @command.read(Reg.DATA, width=4)
    def _read_data_32(self) -> int:
        return self._take(4)

    @command.write(Reg.DATA, width=2)
    def _write_data(self, value: int) -> None:
        self._put(value.to_bytes(2, "little"))

    @command.write(Reg.DATA, width=4)
    def _write_data_32(self, value: int) -> None:
        self._put(value.to_bytes(4, "little"))

    @command.read_block(Reg.DATA, width=2)
    def _read_block(self, buffer: memoryview) -> int:
        return self._take_block(buffer, 2)

    @command.read_block(Reg.DATA, width=4)
    def _read_block_32(self, buffer: memoryview) -> int:
        return self._take_block(buffer, 4)

    @command.write_block(Reg.DATA, width=2)
    def _write_block(self, buffer: memoryview) -> int:
        return self._put_block(buffer, 2)

    @command.write_block(Reg.DATA, width=4)
    def _write_block_32(self, buffer: memoryview) -> int:
        return self._put_block(buffer, 4)

    def _take_block(self, buffer: memoryview, width: int) -> int:
        """Whole elements only: the last words of an uneven block go one by one."""
        drive = self.selected
        size = 0 if drive is None else min(len(buffer), drive.offered) // width * width
        if size and drive is not None:
            buffer[:size] = drive.take(size)
        return size

    def _put_block(self, buffer: memoryview, width: int) -> int:
        drive = self.selected
        size = 0 if drive is None else min(len(buffer), drive.wanted) // width * width
        return drive.put(buffer[:size]) if size and drive is not None else 0

    def _take(self, size: int) -> int:
        drive = self.selected
        part = b"" if drive is None else drive.take(size)
        return int.from_bytes(part.ljust(size, b"\xff"), "little")

    def _put(self, data: bytes) -> None:
        drive = self.selected
        if drive is not None:
            drive.put(data)

    # -- task file --

    @property
    def _answering(self) -> Drive | None:
        """Device 0 answers for a device 1 that is not there, but for the status (ATA-6 9.16.1)."""
        return self.selected or self.drives[0]

    def _read_field(self, name: str) -> int:
        drive = self._answering
        if drive is None:
            return FLOATING if self.drives == [None, None] else EMPTY_STATUS
        hob = "_hob" if self.state.control & Control.HOB else ""
        value: int = getattr(drive.state, name + hob)
        return value

    def _write_field(self, name: str, value: int) -> None:
        """Both drives take what the host writes (ATA-6 7.2), and keep what was there before for 48-bit commands."""
        self.state.control &= ~Control.HOB
        for drive in self.drives:
            if drive is not None:
                state = drive.state
                setattr(state, name + "_hob", getattr(state, name))
                setattr(state, name, value)

    @command.read(Reg.ERROR)
    def _read_error(self) -> int:
        drive = self._answering
        return EMPTY_STATUS if drive is None else drive.state.error

    @command.write(Reg.ERROR)
    def _write_features(self, value: int) -> None:
        self._write_field("features", value)

    @command.read(Reg.COUNT)
    def _read_count(self) -> int:
        return self._read_field("count")

    @command.write(Reg.COUNT)
    def _write_count(self, value: int) -> None:
        self._write_field("count", value)

    @command.read(Reg.LBA_LOW)
    def _read_low(self) -> int:
        return self._read_field("lba_low")

    @command.write(Reg.LBA_LOW)
    def _write_low(self, value: int) -> None:
        self._write_field("lba_low", value)

    @command.read(Reg.LBA_MID)
    def _read_mid(self) -> int:
        return self._read_field("lba_mid")

    @command.write(Reg.LBA_MID)
    def _write_mid(self, value: int) -> None:
        self._write_field("lba_mid", value)

    @command.read(Reg.LBA_HIGH)
    def _read_high(self) -> int:
        return self._read_field("lba_high")

    @command.write(Reg.LBA_HIGH)
    def _write_high(self, value: int) -> None:
        self._write_field("lba_high", value)

    @command.read(Reg.DEVICE)
    def _read_device(self) -> int:
        drive = self._answering
        return EMPTY_STATUS if drive is None else drive.state.device | Select.ALWAYS

    @command.write(Reg.DEVICE)
    def _write_device(self, value: int) -> None:
        self.state.control &= ~Control.HOB
        for drive in self.drives:
            if drive is not None:
                drive.state.device = value
        self.state.selected = int(bool(value & Select.DEV))
        self._update()

    @command.read(Reg.STATUS)
    def _read_status(self) -> int:
        """Reading the status acknowledges the interrupt (ATA-6 7.15)."""
        drive = self.selected
        if drive is None:
            return self._status()
        drive.state.interrupt = False
        self.drive()
        return drive.state.status

    @control.read(0)
    def _read_alternate(self) -> int:
        return self._status()

    def _status(self) -> int:
        drive = self.selected
        return EMPTY_STATUS if drive is None else drive.state.status

    @command.write(Reg.STATUS)
    def _write_command(self, value: int) -> None:
        self.state.control &= ~Control.HOB
        if value == Cmd.DIAGNOSTIC:
            self._diagnose()
            return
        drive = self.selected
        if drive is None or drive.state.status & Status.BSY:
            return
        drive.state.interrupt = False
        self.drive()
        drive.command(value)
        if drive.state.dma:
            self.on_dma()

    def _diagnose(self) -> None:
        """EXECUTE DEVICE DIAGNOSTIC: both drives test themselves, device 0 tells of it (ATA-6 9.10)."""
        self.state.selected = 0
        first = True
        for drive in self.drives:
            if drive is not None and not drive.state.status & Status.BSY:
                drive.diagnose()
                drive.state.interrupt = first
                first = False
        self._update()

    @control.write(0)
    def _write_control(self, value: int) -> None:
        """Device control: software reset acts when SRST rises, and holds BSY until it falls (ATA-6 9.2)."""
        state = self.state
        before, state.control = state.control, value
        for drive in self.drives:
            if drive is None:
                continue
            if value & Control.SRST:
                drive.reset()
                drive.state.status = Status.BSY
            elif before & Control.SRST:
                drive.reset()
        if value & Control.SRST:
            state.selected = 0
        self._update()
