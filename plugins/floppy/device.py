"""The 82077AA floppy controller: command, execution and result phases, by DMA or programmed I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from vpcore_plugins.floppy.drive import FloppyDrive
from vpcore_plugins.floppy.regs import (
    DRIVE_SELECT,
    DRIVES,
    HEAD_SELECT,
    IMPLIED_SEEK,
    LAST_TRACK,
    NON_DMA_BIT,
    PERPENDICULAR_SHOWN,
    RECALIBRATE_STEPS,
    SECTOR,
    SECTOR_CODE,
    SRB_IDLE,
    VERSION_82077AA,
    Cmd,
    Dir,
    Dor,
    Dsr,
    Msr,
    Rate,
    Reg,
    Sra,
    St0,
    St1,
    St2,
    St3,
)

from vpcore.clock import Clock
from vpcore.device import Device
from vpcore.errors import BackendError
from vpcore.host.ends import BlockDevice
from vpcore.irq import LineInput
from vpcore.log import DeviceLog
from vpcore.ports import PortMap
from vpcore.wires import DmaChannel

SEEK_NS: Final = 1_000_000
TRANSFER_NS: Final = 200_000
"""Virtual time a seek and a sector take: short, but never inside the guest's own port write."""
RESET_NS: Final = 50_000
REVOLUTION_NS: Final = 200_000_000
"""How long a DMA channel may stay masked before the data have passed under the head."""
MOST_WAITS: Final = REVOLUTION_NS // SEEK_NS


@attrs.define
class FloppyState:
    """Registers, phase and positions; the defaults are those after a hardware reset."""

    dor: int = 0
    tdr: int = 0
    dsr: int = Rate.KBPS_250
    specify: tuple[int, int] = (0, 0)
    configure: tuple[int, int] = (0, 0)
    perpendicular: int = 0
    locked: bool = False
    command: bytearray = attrs.field(factory=bytearray)
    result: bytearray = attrs.field(factory=bytearray)
    data: bytearray = attrs.field(factory=bytearray)
    """Sector buffer of a programmed transfer."""
    position: int = 0
    to_host: bool = False
    """Direction of the execution phase, while one lasts."""
    executing: bool = False
    waits: int = 0
    """How often the DMA channel was found masked for this sector."""
    tracks: list[int] = attrs.field(factory=lambda: [0] * 4)
    """Where the heads are."""
    targets: list[int] = attrs.field(factory=lambda: [0] * 4)
    seek_at: list[int | None] = attrs.field(factory=lambda: [None] * 4)
    """Virtual ns at which a moving head arrives at its target."""
    seek_error: list[int] = attrs.field(factory=lambda: [0] * 4)
    """What SENSE INTERRUPT will tell of that seek, besides its end."""
    changed: list[bool] = attrs.field(factory=lambda: [True] * DRIVES)
    """The disk change lines: set by a change, cleared by a step with a disk in (2.1.7)."""
    interrupt: bool = False
    sense: list[int] = attrs.field(factory=list)
    """ST0 values that SENSE INTERRUPT has still to report, oldest first."""
    place: tuple[int, int, int] = (0, 0, 1)
    """Cylinder, head, sector of the transfer."""
    due_at: int | None = None
    due: str = ""
    """Name of the method that goes on then."""


class FloppyController(Device[FloppyState]):
    """The controller with two drives."""

    ports = PortMap(size=Reg.SIZE)

    def __init__(
        self, *, drives: list[FloppyDrive], irq: LineInput, dma: Callable[[], DmaChannel], clock: Clock, log: DeviceLog
    ) -> None:
        self.drives = drives
        self._irq, self._dma, self._clock, self._log = irq, dma, clock, log
        self._timer = clock.timer(self._on_due)
        self.load(FloppyState())

    def insert(self, number: int, disk: BlockDevice | None) -> None:
        """Put a disk into drive *number*, or take it out; the guest sees the disk change line."""
        self.drives[number].insert(disk)
        self.state.changed[number] = True

    def drive(self) -> None:
        """INT is gated by DOR's DMA bit on a PC (2.1.3)."""
        state = self.state
        self._irq.set(state.interrupt and bool(state.dor & Dor.DMA))
        self._timer.at(min((at for at in (state.due_at, *state.seek_at) if at is not None), default=None))

    def close(self) -> None:
        """Close the images."""
        for drive in self.drives:
            drive.insert(None)

    def _later(self, method: str, delay: int) -> None:
        self.state.due, self.state.due_at = method, self._clock.now + delay
        self.drive()

    def _on_due(self) -> None:
        now = self._clock.now
        for number, at in enumerate(self.state.seek_at):
            if at is not None and at <= now:
                self._end_seek(number)
        if self.state.due_at is not None and self.state.due_at <= now:
            method, self.state.due, self.state.due_at = self.state.due, "", None
            getattr(self, method)()
        self.drive()

    # -- registers --

    @ports.read(Reg.SRA)
    def _read_sra(self) -> int:
        return Sra.INT_PENDING if self.state.interrupt else 0

    @ports.read(Reg.SRB)
    def _read_srb(self) -> int:
        return SRB_IDLE

    @ports.read(Reg.DOR)
    def _read_dor(self) -> int:
        return self.state.dor

    @ports.write(Reg.DOR)
    def _write_dor(self, value: int) -> None:
        before, self.state.dor = self.state.dor, value
        if not value & Dor.NOT_RESET:
            self._soft_reset()
        elif not before & Dor.NOT_RESET:
            self._later("_reset_done", RESET_NS)
        self.drive()

    @ports.read(Reg.TDR)
    def _read_tdr(self) -> int:
        return self.state.tdr

    @ports.write(Reg.TDR)
    def _write_tdr(self, value: int) -> None:
        self.state.tdr = value & DRIVE_SELECT

    @ports.read(Reg.MSR)
    def _read_msr(self) -> int:
        state = self.state
        if not state.dor & Dor.NOT_RESET:
            return 0
        seeking = sum(1 << number for number, at in enumerate(state.seek_at) if at is not None)
        if state.executing:
            if not state.data:
                return Msr.BUSY | seeking
            return Msr.RQM | Msr.BUSY | Msr.NON_DMA | (Msr.TO_HOST if state.to_host else 0) | seeking
        if state.result:
            return Msr.RQM | Msr.TO_HOST | Msr.BUSY | seeking
        return Msr.RQM | (Msr.BUSY if state.command else 0) | seeking

    @ports.write(Reg.MSR)
    def _write_dsr(self, value: int) -> None:
        self.state.dsr = value & ~Dsr.SOFTWARE_RESET
        if value & Dsr.SOFTWARE_RESET:
            self._soft_reset()
            self._later("_reset_done", RESET_NS)

    @ports.read(Reg.DIR)
    def _read_dir(self) -> int:
        number = self.state.dor & Dor.DRIVE
        drive = self._drive(number)
        motor = self.state.dor >> Dor.MOTOR_SHIFT & 1 << number
        return Dir.CHANGED if motor and drive is not None and (drive.disk is None or self.state.changed[number]) else 0

    @ports.write(Reg.DIR)
    def _write_ccr(self, value: int) -> None:
        self.state.dsr = self.state.dsr & ~Dsr.RATE | value & Dsr.RATE

    @ports.read(Reg.FIFO)
    def _read_fifo(self) -> int:
        state = self.state
        if state.executing and state.data and state.to_host:
            value = state.data[state.position]
            self._served()
            state.position += 1
            if state.position >= len(state.data):
                self._sector_read()
            return value
        if not state.result:
            return 0
        self._served()
        return state.result.pop(0)

    def _served(self) -> None:
        """The host takes or gives a byte: INT falls."""
        if self.state.interrupt:
            self.state.interrupt = False
            self.drive()

    @ports.write(Reg.FIFO)
    def _write_fifo(self, value: int) -> None:
        state = self.state
        if not state.dor & Dor.NOT_RESET or state.result:
            return
        if state.executing:
            self._take_byte(value)
            return
        state.command.append(value)
        code = state.command[0]
        parameters = Cmd.PARAMETERS.get(code & Cmd.CODE)
        if parameters is None:
            self._log.debug("unknown floppy command", code=code)
            state.command.clear()
            state.result[:] = (St0.INVALID,)
        elif len(state.command) > parameters:
            self._execute()

    # -- reset --

    def _soft_reset(self) -> None:
        """Reset by DOR or DSR: LOCK keeps the FIFO configuration (5.2.7)."""
        old = self.state
        self.state = FloppyState(
            dor=old.dor,
            dsr=old.dsr,
            tdr=old.tdr,
            tracks=old.tracks,
            changed=old.changed,
            specify=old.specify,
            locked=old.locked,
            configure=old.configure if old.locked else (0, 0),
        )
        self.drive()

    def _reset_done(self) -> None:
        """Drive polling reports all four drives (5.2.4)."""
        if self.state.dor & Dor.NOT_RESET:
            self.state.sense = [St0.POLLED | number for number in range(4)]
            self.state.interrupt = True

    # -- commands --

    def _drive(self, select: int) -> FloppyDrive | None:
        number = select & DRIVE_SELECT
        return self.drives[number] if number < DRIVES else None

    def _execute(self) -> None:
        state = self.state
        state.interrupt = False
        handlers: dict[int, Callable[[], None]] = {
            Cmd.SPECIFY: self._specify,
            Cmd.SENSE_DRIVE: self._sense_drive,
            Cmd.SENSE_INTERRUPT: self._sense_interrupt,
            Cmd.RECALIBRATE: self._begin_seek,
            Cmd.SEEK: self._begin_seek,
            Cmd.VERSION: lambda: self._answer(VERSION_82077AA),
            Cmd.CONFIGURE: self._configure,
            Cmd.PERPENDICULAR: self._perpendicular,
            Cmd.LOCK: self._lock,
            Cmd.DUMP: self._dump,
            Cmd.READ_ID: self._read_id,
        }
        handlers.get(state.command[0] & Cmd.CODE, self._begin_transfer)()
        self.drive()

    def _answer(self, *values: int) -> None:
        self.state.command.clear()
        self.state.result[:] = bytes(values)

    def _specify(self) -> None:
        self.state.specify = (self.state.command[1], self.state.command[2])
        self._answer()

    def _configure(self) -> None:
        self.state.configure = (self.state.command[2], self.state.command[3])
        self._answer()

    def _perpendicular(self) -> None:
        self.state.perpendicular = self.state.command[1]
        self._answer()

    def _lock(self) -> None:
        self.state.locked = bool(self.state.command[0] & Cmd.LOCK_BIT)
        self._answer(self.state.locked << 4)

    def _dump(self) -> None:
        """DUMPREG (5.2.6)."""
        state = self.state
        lock = Cmd.LOCK_BIT if state.locked else 0
        shown = lock | state.perpendicular & PERPENDICULAR_SHOWN
        self._answer(*state.tracks, *state.specify, 0, shown, *state.configure)

    def _sense_drive(self) -> None:
        state = self.state
        select = state.command[1]
        drive = self._drive(select)
        value = select & (DRIVE_SELECT | HEAD_SELECT) | St3.TWO_SIDED | St3.READY
        value |= St3.TRACK_0 if drive is not None and state.tracks[select & DRIVE_SELECT] == 0 else 0
        if drive is not None and drive.disk is not None and drive.disk.readonly:
            value |= St3.WRITE_PROTECTED
        self._answer(value)

    def _sense_interrupt(self) -> None:
        """SENSE INTERRUPT STATUS (5.2.2); without an interrupt it is an invalid command."""
        state = self.state
        if not state.sense:
            self._answer(St0.INVALID)
            return
        st0 = state.sense.pop(0)
        self._answer(st0, state.tracks[st0 & DRIVE_SELECT])

    def _begin_seek(self) -> None:
        """SEEK, RECALIBRATE, RELATIVE SEEK (5.2.1, 5.2.3, 5.2.8): heads move while other commands are taken."""
        state = self.state
        command = bytes(state.command)
        number = command[1] & DRIVE_SELECT
        target, error = self._target(command, state.tracks[number], there=self._drive(number) is not None)
        state.targets[number], state.seek_error[number] = target, error
        state.seek_at[number] = self._clock.now + SEEK_NS
        self._answer()

    def _target(self, command: bytes, track: int, *, there: bool) -> tuple[int, int]:
        """The cylinder that a seek goes to, and its error: a drive that is not there never finds track 0."""
        if command[0] & Cmd.CODE == Cmd.RECALIBRATE:
            target = max(0, track - RECALIBRATE_STEPS)
            return target, 0 if there and not target else St0.ABNORMAL | St0.EQUIPMENT_CHECK
        target = command[2]
        if command[0] & Cmd.RELATIVE:
            target = track + target if command[0] & Cmd.STEP_IN else track - target
        return max(0, min(target, LAST_TRACK)), 0

    def _end_seek(self, number: int) -> None:
        state = self.state
        state.seek_at[number] = None
        self._step_to(number, state.targets[number])
        st0 = St0.SEEK_END | state.seek_error[number] | number
        state.sense = [other for other in state.sense if other & DRIVE_SELECT != number] + [st0]
        state.interrupt = True

    def _step_to(self, number: int, track: int) -> None:
        """A step with a disk in clears the disk change line (2.1.7)."""
        state = self.state
        drive = self._drive(number)
        if drive is not None and drive.disk is not None and state.tracks[number] != track:
            state.changed[number] = False
        state.tracks[number] = track

    def _read_id(self) -> None:
        """READ ID: the first sector that comes under the head."""
        state = self.state
        select = state.command[1]
        track = state.tracks[select & DRIVE_SELECT]
        drive = self._drive(select)
        head = int(bool(select & HEAD_SELECT))
        state.place = (track, head, 1)
        found = drive is not None and self._rate_fits(drive) and drive.offset(track, head, 1) is not None
        state.executing = True
        self._later("_id_read" if found else "_id_missing", TRANSFER_NS)

    def _id_read(self) -> None:
        self._finish(0, 0)

    def _id_missing(self) -> None:
        self._finish(St0.ABNORMAL, St1.MISSING_ADDRESS)

    # -- transfers --

    def _begin_transfer(self) -> None:
        state = self.state
        command = state.command
        code = command[0] & Cmd.CODE
        state.executing = True
        if code == Cmd.FORMAT:
            select = command[1]
            state.place = (state.tracks[select & DRIVE_SELECT], int(bool(select & HEAD_SELECT)), 1)
        else:
            state.place = (command[2], command[3], 1 if code == Cmd.READ_TRACK else command[4])
            if state.configure[0] & IMPLIED_SEEK:
                self._step_to(command[1] & DRIVE_SELECT, min(command[2], LAST_TRACK))
        state.to_host = code not in (Cmd.WRITE, Cmd.WRITE_DELETED, Cmd.FORMAT)
        state.waits = 0
        self._later("_run_sector", TRANSFER_NS)

    @property
    def _by_dma(self) -> bool:
        return not self.state.specify[1] & NON_DMA_BIT

    def _rate_fits(self, drive: FloppyDrive) -> bool:
        """At another data rate nothing on the disk makes sense: how drivers find the density."""
        return self.state.dsr & Dsr.RATE in drive.format.rates

    def _sector_offset(self) -> int | None:
        """Where the present sector lies in the image; None (and the command over) where it does not exist."""
        state = self.state
        drive = self._drive(state.command[1])
        cylinder, head, sector = state.place
        if drive is None or drive.disk is None or not self._rate_fits(drive):
            self._finish(St0.ABNORMAL, St1.MISSING_ADDRESS)
            return None
        if state.tracks[state.command[1] & DRIVE_SELECT] != cylinder:
            self._finish(St0.ABNORMAL, St1.NO_DATA, St2.WRONG_CYLINDER)
            return None
        offset = drive.offset(cylinder, head, sector)
        if offset is None or state.command[Cmd.SIZE_AT] != SECTOR_CODE:
            self._finish(St0.ABNORMAL, St1.NO_DATA)
            return None
        return offset

    def _run_sector(self) -> None:
        """Transfer one sector, then go on to the next or end."""
        state = self.state
        code = state.command[0] & Cmd.CODE
        if code == Cmd.FORMAT:
            self._want(4 * state.command[3])
            return
        offset = self._sector_offset()
        if offset is None:
            return
        drive = self._drive(state.command[1])
        assert drive is not None
        assert drive.disk is not None
        if not state.to_host:
            if drive.disk.readonly:
                self._finish(St0.ABNORMAL, St1.NOT_WRITABLE)
            else:
                self._want(SECTOR)
            return
        buffer = bytearray(SECTOR)
        try:
            drive.disk.read(offset, memoryview(buffer))
        except BackendError as error:
            self._log.warning("read error", reason=str(error))
            self._finish(St0.ABNORMAL, St1.DATA_ERROR)
            return
        if code == Cmd.VERIFY:
            self._next_sector(ended=False)
        elif self._by_dma:
            moved, ended = self._dma().from_device(bytes(buffer))
            self._moved(moved, ended=ended)
        else:
            state.data[:], state.position = buffer, 0
            state.interrupt = True

    def _moved(self, moved: int, *, ended: bool) -> None:
        """After a DMA transfer of a sector."""
        if moved == 0:
            self._wait_for_dma()
        else:
            self._next_sector(ended=ended)

    def _wait_for_dma(self) -> None:
        """The channel is masked: once the disk has turned round, the data are lost (5.1.2, overrun)."""
        self.state.waits += 1
        if self.state.waits < MOST_WAITS:
            self._later("_run_sector", SEEK_NS)
        else:
            self._finish(St0.ABNORMAL, St1.OVERRUN)

    def _want(self, size: int) -> None:
        """Get bytes from the guest for a write or format."""
        state = self.state
        if size == 0:
            self._finish(St0.ABNORMAL, St1.NO_DATA)
        elif self._by_dma:
            data, ended = self._dma().to_device(size)
            if not data:
                self._wait_for_dma()
            else:
                self._store(data.ljust(size, b"\0"), ended=ended)
        else:
            state.data[:], state.position = bytes(size), 0
            state.interrupt = True

    def _take_byte(self, value: int) -> None:
        state = self.state
        if not state.data or state.to_host:
            return
        self._served()
        state.data[state.position] = value
        state.position += 1
        if state.position >= len(state.data):
            data = bytes(state.data)
            state.data.clear()
            self._store(data, ended=False)
            self.drive()

    def _sector_read(self) -> None:
        """The guest has read a whole sector by programmed I/O."""
        self.state.data.clear()
        self._next_sector(ended=False)
        self.drive()

    def _store(self, data: bytes, *, ended: bool) -> None:
        state = self.state
        drive = self._drive(state.command[1])
        if state.command[0] & Cmd.CODE == Cmd.FORMAT:
            self._format(drive, data)
            return
        offset = self._sector_offset()
        if offset is None or drive is None or drive.disk is None:
            return
        try:
            drive.disk.write(offset, data)
        except BackendError as error:
            self._log.warning("write error", reason=str(error))
            self._finish(St0.ABNORMAL, St1.DATA_ERROR)
            return
        self._next_sector(ended=ended)

    def _format(self, drive: FloppyDrive | None, ids: bytes) -> None:
        """FORMAT TRACK (5.2.1.7): fill the sectors that the IDs name."""
        state = self.state
        if drive is None or drive.disk is None:
            self._finish(St0.ABNORMAL, St1.MISSING_ADDRESS)
            return
        if drive.disk.readonly:
            self._finish(St0.ABNORMAL, St1.NOT_WRITABLE)
            return
        filler = bytes((state.command[Cmd.FILLER_AT],)) * SECTOR
        under_head = state.place[:2]
        try:
            for at in range(0, len(ids) - 3, 4):
                offset = drive.offset(ids[at], ids[at + 1], ids[at + 2])
                if offset is not None and (ids[at], ids[at + 1]) == under_head:
                    drive.disk.write(offset, filler)
        except BackendError as error:
            self._log.warning("write error", reason=str(error))
            self._finish(St0.ABNORMAL, St1.DATA_ERROR)
        else:
            self._finish(0, 0)

    def _next_sector(self, *, ended: bool) -> None:
        """Advance the address; end at terminal count, or at the last sector (EOT, 5.1.2)."""
        state = self.state
        cylinder, head, sector = state.place
        state.waits = 0
        last = state.command[Cmd.LAST_AT]
        both_sides = state.command[0] & Cmd.MULTITRACK
        if sector < last:
            state.place = (cylinder, head, sector + 1)
        elif both_sides and head == 0:
            state.place = (cylinder, 1, 1)
        else:
            state.place = (cylinder + 1, 0 if both_sides else head, 1)
            if not ended and state.command[0] & Cmd.CODE != Cmd.VERIFY:
                self._finish(St0.ABNORMAL, St1.END_OF_CYLINDER)
                return
            ended = True
        if ended:
            self._finish(0, 0)
        else:
            self._later("_run_sector", TRANSFER_NS)

    def _finish(self, st0: int, st1: int, st2: int = 0) -> None:
        """Enter the result phase (5.1.3)."""
        state = self.state
        cylinder, head, sector = state.place
        select = state.command[1] & (DRIVE_SELECT | HEAD_SELECT)
        state.executing = False
        state.data.clear()
        self._answer(st0 | select, st1, st2, cylinder & 0xFF, head & 0xFF, sector & 0xFF, SECTOR_CODE)
        state.interrupt = True
