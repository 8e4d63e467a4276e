"""The 8254 interval timer and port 61h: IRQ 0, the speaker and the refresh bit that old code measures time with.

A guest without a better clock programs channel 0 anew at each tick, so the timer itself is C (csrc/i8254.c).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from vpcore.board import Board
from vpcore.clock import Clock
from vpcore.device import DeviceType
from vpcore.irq import LineInput
from vpcore.native import NativeDevice, NativeMachine, Registers, address, plug
from vpcore.ports import PortMap
from vpcore.wires import Speaker

from .chips import ffi, function, lib
from .regs_pit import CHANNELS, REGISTERS, Clk, NmiStatus, Port

TIMER_IRQ: Final = 0
SPEAKER_CHANNEL: Final = 2
HIGHEST_TONE: Final = 20_000
NONE: Final[int] = lib.i8254_none()
"""No tick (struct i8254)."""
NO_COUNT: Final = -1
TWO_BYTES: Final = 0x30
"""A control word after power-on, when the data sheet leaves it undefined: both bytes, mode 0."""


@attrs.define
class CounterState:
    """One counter (struct i8254_counter, which says what each is); the values of a new one stand for undefined ones."""

    control: int = TWO_BYTES
    gate: bool = True
    msb_next: bool = False
    count: int = 0
    next_count: int = NO_COUNT
    low_byte: int = NO_COUNT
    latch: int = NO_COUNT
    status_latch: int = NO_COUNT
    start: int = NONE
    held: int = NONE
    next_start: int = 0
    next_at: int = 0


def _power_on() -> list[CounterState]:
    return [CounterState(gate=channel != SPEAKER_CHANNEL) for channel in range(CHANNELS)]


@attrs.define
class PitState:
    """Three counters, the wire to the interrupt controller (struct i8254) and port 61h."""

    counters: list[CounterState] = attrs.field(factory=_power_on)
    irq: bool = False
    edge: int = NONE
    not_before: int = 0
    port61: int = 0


class Pit(NativeDevice[PitState]):
    """Channel 0 is IRQ 0, channel 1 was DRAM refresh, channel 2 the speaker."""

    ports = PortMap(size=REGISTERS)
    nmi_ports = PortMap(size=1)

    def __init__(
        self,
        *,
        irq: LineInput,
        clock: Clock,
        speakers: Callable[[], list[Speaker]],
        native: NativeMachine,
    ) -> None:
        self.model = ffi.new("struct i8254 *")
        self._irq = irq
        self._clock = clock
        self._speakers = speakers
        self._native = native
        self._tone = 0.0
        plug(ffi, self.model.irq0, native.wire(irq.set))
        plug(ffi, self.model.clock, native.clock())
        plug(ffi, self.model.alarm, native.alarm(function("i8254_rang"), address(ffi, self.model)))
        self.load(PitState())

    @property
    def registers(self) -> Registers:
        """What C answers by itself: counter 0.  The others are the speaker's affair too."""
        return Registers(function("i8254_in"), function("i8254_out"), address(ffi, self.model), range(1))

    def connect(self) -> None:
        """All is built: IRQ 0 leads from C to C, where the interrupt controller is C too."""
        end = self._irq.hand_over(lambda: bool(self.model.irq))
        if end is not None:
            plug(ffi, self.model.irq0, end)
            self.drive()

    def drive(self) -> None:
        """IRQ 0 is high but for the moment before an edge; the alarm waits for the next one."""
        lib.i8254_restart(self.model)
        self._native.call(lib.i8254_drive, self.model)
        self._sound()

    # -- registers --

    @ports.read(range(REGISTERS))
    def _read(self, offset: int) -> int:
        return int(self._native.call(lib.i8254_in, self.model, offset))

    @ports.write(range(REGISTERS))
    def _write(self, offset: int, value: int) -> None:
        self._native.call(lib.i8254_out, self.model, offset, value)
        self._sound()

    @nmi_ports.read(0)
    def _read_nmi_status(self) -> int:
        value = self.state.port61
        if lib.i8254_ticks(self._clock.now) // NmiStatus.REFRESH_TICKS & 1:
            value |= NmiStatus.REFRESH
        if lib.i8254_level(self.model, SPEAKER_CHANNEL):
            value |= NmiStatus.OUT2
        return value

    @nmi_ports.write(0)
    def _write_nmi_status(self, value: int) -> None:
        self.state.port61 = value & NmiStatus.WRITABLE
        lib.i8254_set_gate(self.model, SPEAKER_CHANNEL, bool(value & NmiStatus.GATE2))
        self._sound()

    # -- speaker --

    def _sound(self) -> None:
        """Channel 2 sounds while its gate and the speaker bit are set."""
        on = NmiStatus.GATE2 | NmiStatus.SPEAKER
        period = lib.i8254_period(self.model, SPEAKER_CHANNEL) if self.state.port61 & on == on else 0
        tone = Clk.HZ / period if period else 0.0
        if tone > HIGHEST_TONE:
            tone = 0.0
        if tone != self._tone:
            self._tone = tone
            for speaker in self._speakers():
                speaker.tone(tone)


@attrs.frozen
class PitConfig:
    """The 8254 interval timer (40h, IRQ 0) and the NMI status and control register with the speaker bits (61h)."""

    name: str


def build(config: PitConfig, board: Board) -> Pit:  # noqa: ARG001 - nothing to configure
    """Wire the timer to IRQ 0 and to every speaker of the machine."""
    pit = Pit(
        irq=board.line(TIMER_IRQ),
        clock=board.clock,
        speakers=lambda: board.services(Speaker),  # type: ignore[type-abstract]
        native=board.native,
    )
    board.map_ports(Port.PIT, pit, native=pit.registers)
    board.map_ports(Port.NMI_STATUS, pit, pit.nmi_ports)
    board.when_built(pit.connect)
    return pit


TYPE: Final[DeviceType[Any]] = DeviceType("pit", PitConfig, build)
