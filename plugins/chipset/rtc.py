"""The MC146818 real-time clock and CMOS RAM (ports 70h to 73h, IRQ 8).

Nothing ticks: the registers are brought up to date when they are looked at, and a timer runs only while an interrupt is
enabled that could happen.
"""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from typing import Any, Final

import attrs

from vpcore.board import Board
from vpcore.clock import Clock
from vpcore.device import Device, DeviceType, option
from vpcore.errors import ConfigError
from vpcore.irq import LineInput
from vpcore.ports import PortMap
from vpcore.wires import Cmos as CmosWire

from .cmos_file import CmosFile
from .regs_rtc import (
    BANK,
    HEADER,
    INDEX_MASK,
    NMI_DISABLE,
    TIME,
    A,
    B,
    C,
    Cmos,
    Crystal,
    D,
    Equipment,
    Index,
    Port,
    Reg,
)
from .rtc_time import DEFAULT_CENTURY, fetch, next_alarm, second_of_day, store, to_bcd

RTC_IRQ: Final = 8
UNIX_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the chip knows no zone
NIBBLE: Final = 4
KILOBYTE: Final = 1024
NS_PER_US: Final = 1000


def _first_ram() -> bytearray:
    ram = bytearray(2 * BANK)
    ram[Index.A], ram[Index.B], ram[Index.D] = A.DEFAULT, B.DEFAULT, D.VRT
    ram[Index.DATE] = ram[Index.MONTH] = ram[Index.DAY_OF_WEEK] = 1
    ram[Index.CENTURY] = to_bcd(DEFAULT_CENTURY)
    return ram


@attrs.define
class RtcState:
    """All 256 bytes, the clock's registers first, and how far the clock has got."""

    ram: bytearray = attrs.field(factory=_first_ram)
    index: int = 0
    extended_index: int = 0
    nmi_masked: bool = False
    origin: int = 0
    """Virtual ns at which the divider chain was last started; updates come at whole seconds from there."""
    updates: int = 0
    """Updates since then that the registers show."""
    periods: int = 0
    """Periodic events since then that have set PF (or would have)."""


class Rtc(Device[RtcState]):
    """The clock.  `set_byte` is the `Cmos` wire; *file* keeps the RAM while the machine is off."""

    ports = PortMap(size=4)

    def __init__(self, *, irq: LineInput, clock: Clock, file: CmosFile | None = None) -> None:
        self._irq = irq
        self._clock = clock
        self._file = file
        self._timer = clock.timer(self._wake)
        self.load(RtcState())

    # -- what firmware must find --

    def set_byte(self, index: int, value: int) -> None:
        """Set what CMOS holds at power-on; the equipment byte and the checksum follow."""
        ram = self.state.ram
        ram[index] = value
        if index == Cmos.DISKETTES:
            drives = sum(bool(nibble) for nibble in (value >> NIBBLE, value & 0xF))
            bits = (Equipment.DISKETTE if drives else 0) | (Equipment.SECOND_DISKETTE if drives > 1 else 0)
            ram[Cmos.EQUIPMENT] = ram[Cmos.EQUIPMENT] & ~Equipment.DISKETTE_BITS | bits
        checksum = sum(ram[Cmos.CHECKED.start : Cmos.CHECKED.stop])
        ram[Cmos.CHECKSUM : Cmos.CHECKSUM + 2] = checksum.to_bytes(2, "big")

    def set_word(self, index: int, value: int) -> None:
        """Set two bytes, the low one first; what does not fit is cut to the highest number."""
        value = min(value, Cmos.WORD_LIMIT)
        self.set_byte(index, value & 0xFF)
        self.set_byte(index + 1, value >> 8)

    def set_time(self, when: datetime) -> None:
        """Set the clock."""
        store(self.state.ram, when, self.state.ram[Index.B])

    # -- life --

    def reset(self) -> None:
        """RESET# clears the interrupt enables and flags; time and RAM go on (Reset pin)."""
        s = self.state
        self._settle()
        s.ram[Index.B] &= ~B.CLEARED_BY_RESET & 0xFF
        s.ram[Index.C] = 0
        s.index = s.extended_index = 0
        s.nmi_masked = False
        self.drive()

    def close(self) -> None:
        """Keep the RAM."""
        if self._file is not None:
            self._file.close(self.state.ram)

    def drive(self) -> None:
        """IRQ 8 follows IRQF; the timer waits for the first event whose interrupt is enabled."""
        s = self.state
        ram = s.ram
        asking = ram[Index.C] & ram[Index.B] & C.FLAGS
        ram[Index.C] = ram[Index.C] & C.FLAGS | (C.IRQF if asking else 0)
        self._irq.set(bool(asking))
        self._timer.at(None if asking else self._next_event())

    def _next_event(self) -> int | None:
        s = self.state
        ram = s.ram
        times = []
        enables = ram[Index.B]
        if self._stopped():
            return None
        if enables & B.PIE and (shift := self._period_shift()) is not None:
            times.append(s.origin + -(-((s.periods + 1) << shift) * Crystal.SECOND_NS // Crystal.HZ))
        if not enables & B.SET:
            if enables & B.UIE:
                times.append(s.origin + (s.updates + 1) * Crystal.SECOND_NS)
            if enables & B.AIE and (wait := self._alarm_in()) is not None:
                times.append(s.origin + (s.updates + wait) * Crystal.SECOND_NS)
        return min(times, default=None)

    def _wake(self) -> None:
        self._settle()
        self.drive()

    # -- bringing the registers up to date --

    def _stopped(self) -> bool:
        """The divider chain is held in reset."""
        return self.state.ram[Index.A] & A.DV_RESET == A.DV_RESET

    def _period_shift(self) -> int | None:
        """The periodic event comes every 2**shift crystal periods; None for never (table 5)."""
        rate = self.state.ram[Index.A] & A.RS
        if not rate:
            return None
        return rate - 1 + (Crystal.FAST_SHIFT if rate <= Crystal.FAST_RATES else 0)

    def _alarm_in(self) -> int | None:
        ram = self.state.ram
        return next_alarm(ram, ram[Index.B], second_of_day(fetch(ram, ram[Index.B])))

    def _settle(self) -> None:
        """Do the updates and set the flags of all that has happened since the last look."""
        s = self.state
        if self._stopped():
            return
        ram = s.ram
        passed = self._clock.now - s.origin
        shift = self._period_shift()
        if shift is not None:
            periods = passed * Crystal.HZ // Crystal.SECOND_NS >> shift
            if periods > s.periods:
                ram[Index.C] |= C.PF
            s.periods = periods
        updates = passed // Crystal.SECOND_NS
        new = updates - s.updates
        s.updates = updates
        if new > 0 and not ram[Index.B] & B.SET:
            alarm = self._alarm_in()
            ram[Index.C] |= C.UF | (C.AF if alarm is not None and alarm <= new else 0)
            with contextlib.suppress(OverflowError):  # the year 9999 ends
                store(ram, fetch(ram, ram[Index.B]) + timedelta(seconds=new), ram[Index.B])

    # -- registers --

    @ports.write(Reg.INDEX)
    def _write_index(self, value: int) -> None:
        self.state.index = value & INDEX_MASK
        self.state.nmi_masked = bool(value & NMI_DISABLE)

    @ports.read(Reg.DATA)
    def _read_data(self) -> int:
        s = self.state
        index = s.index
        if index >= HEADER and index != Index.CENTURY:
            return s.ram[index]
        self._settle()
        if index == Index.A:
            return s.ram[Index.A] | (A.UIP if self._updating() else 0)
        if index != Index.C:
            return s.ram[index]
        self.drive()
        flags = s.ram[Index.C]
        s.ram[Index.C] = 0
        self.drive()
        return flags

    @ports.write(Reg.DATA)
    def _write_data(self, value: int) -> None:
        s = self.state
        index = s.index
        if index == Index.A:
            self._write_a(value)
        elif index == Index.B:
            self._write_b(value)
        elif index in (Index.C, Index.D):
            return
        else:
            if index in TIME:
                self._settle()
            self._store(index, value)
            if index < HEADER:
                self.drive()

    @ports.write(Reg.EXTENDED_INDEX)
    def _write_extended_index(self, value: int) -> None:
        self.state.extended_index = value & INDEX_MASK

    @ports.read(Reg.EXTENDED_DATA)
    def _read_extended_data(self) -> int:
        return self.state.ram[BANK + self.state.extended_index]

    @ports.write(Reg.EXTENDED_DATA)
    def _write_extended_data(self, value: int) -> None:
        self._store(BANK + self.state.extended_index, value)

    def _store(self, index: int, value: int) -> None:
        """A byte of RAM, or of the time, which the file does not keep."""
        ram = self.state.ram
        changed = ram[index] != value
        ram[index] = value
        if changed and self._file is not None and index >= HEADER:
            self._file.keep(ram, index)

    def _updating(self) -> bool:
        s = self.state
        if s.ram[Index.B] & B.SET or self._stopped():
            return False
        return (self._clock.now - s.origin) % Crystal.SECOND_NS >= Crystal.SECOND_NS - Crystal.UIP_NS

    def _write_a(self, value: int) -> None:
        """Releasing the divider chain makes the first update come half a second later (Register A, DV)."""
        s = self.state
        self._settle()
        stopped = self._stopped()
        s.ram[Index.A] = value & A.WRITABLE
        if stopped and not self._stopped():
            s.origin = self._clock.now - Crystal.FIRST_UPDATE_NS
            s.updates = 0
        self._recount_periods()
        self.drive()

    def _recount_periods(self) -> None:
        """A new rate counts from here on."""
        s = self.state
        shift = self._period_shift()
        passed = self._clock.now - s.origin
        s.periods = 0 if shift is None else passed * Crystal.HZ // Crystal.SECOND_NS >> shift

    def _write_b(self, value: int) -> None:
        """SET stops updates and clears UIE (Register B)."""
        self._settle()
        self.state.ram[Index.B] = value & ~B.UIE if value & B.SET else value
        self.drive()

    # -- the file --

    def load_file(self) -> None:
        """Take over the RAM that a machine left; the clock's registers are set apart."""
        data = None if self._file is None else self._file.load()
        if data is not None:
            self.state.ram[HEADER:] = data[HEADER:]


@attrs.frozen
class RtcConfig:
    """The MC146818 real-time clock with 256 bytes of CMOS RAM (70h to 73h, IRQ 8)."""

    name: str
    file: str = option("", "file that keeps the CMOS RAM while the machine is off; none by default")
    start: str = option("host", "time at power-on: host, or a date and time such as 1999-12-31T23:59:00")
    utc_offset: int = option(0, "minutes to add to UTC where start is host, for guests that keep local time")


def _start_time(config: RtcConfig, board: Board) -> datetime:
    if config.start == "host":
        return UNIX_EPOCH + timedelta(microseconds=board.info.epoch_ns // NS_PER_US, minutes=config.utc_offset)
    try:
        return datetime.fromisoformat(config.start).replace(tzinfo=None)
    except ValueError as error:
        raise ConfigError(
            f"start of device {config.name!r} must be host or a date and time such as 1999-12-31T23:59:00"
            f" (got {config.start!r})"
        ) from error


def _note_machine(rtc: Rtc, board: Board) -> None:
    """Leave what SeaBIOS looks for: memory, equipment, boot order."""
    kilobytes = board.memory.size // KILOBYTE
    rtc.set_byte(Cmos.EQUIPMENT, Equipment.FPU | Equipment.POINTING_DEVICE)
    rtc.set_byte(Cmos.DISKETTES, 0)
    rtc.set_word(Cmos.BASE_MEMORY, min(kilobytes, Cmos.BASE_KB))
    extended = max(kilobytes - Cmos.EXTENDED_FROM_KB, 0)
    rtc.set_word(Cmos.EXTENDED_MEMORY, extended)
    rtc.set_word(Cmos.EXTENDED_MEMORY_2, extended)
    rtc.set_word(Cmos.MEMORY_ABOVE_16M, max(kilobytes - Cmos.ABOVE_16M_FROM_KB, 0) // Cmos.ABOVE_16M_UNIT_KB)
    codes = [Cmos.BOOT_CODES[letter] for letter in board.info.boot if letter in Cmos.BOOT_CODES]
    first, second, third = (codes + [0] * Cmos.BOOT_PLACES)[: Cmos.BOOT_PLACES]
    rtc.set_byte(Cmos.BOOT_FLAG_2, second << NIBBLE | first)
    rtc.set_byte(Cmos.BOOT_FLAG_1, third << NIBBLE)


def build(config: RtcConfig, board: Board) -> Rtc:
    """Wire the clock to IRQ 8 and note in its RAM what machine this is."""
    file = CmosFile(board.find(config.file), 2 * BANK, board.log) if config.file else None
    rtc = Rtc(irq=board.line(RTC_IRQ), clock=board.clock, file=file)
    rtc.load_file()
    _note_machine(rtc, board)
    rtc.set_time(_start_time(config, board))
    board.map_ports(Port.RTC, rtc)
    board.provide(CmosWire, rtc)  # type: ignore[type-abstract]
    return rtc


TYPE: Final[DeviceType[Any]] = DeviceType("rtc", RtcConfig, build)
