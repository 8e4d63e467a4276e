"""The 8254 interval timer and port 61h: IRQ 0, the speaker and the refresh bit that old code measures time with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from vpcore.board import Board
from vpcore.clock import Clock
from vpcore.device import Device, DeviceType
from vpcore.irq import LineInput
from vpcore.ports import PortMap
from vpcore.wires import Speaker

from .counter import MODES, PERIODIC, Counter
from .regs_pit import CHANNELS, RW, Clk, Control, Mode, NmiStatus, Port, ReadBack, Reg

TIMER_IRQ: Final = 0
SPEAKER_CHANNEL: Final = 2
MOST_OWED: Final = 32
"""When the host was late, that many ticks are made up for; the rest is lost, as if the guest had masked interrupts."""
CATCH_UP: Final = 4
"""Made-up ticks come this many times as fast as the guest asked for, so that its handler can run in between."""
SHORTEST_NS: Final = 30_000
"""No two ticks come closer: a guest that asks for a million a second must not stop the host."""
HIGHEST_TONE: Final = 20_000


@attrs.define
class PitState:
    """Three counters, the wire to the interrupt controller and port 61h."""

    counters: list[Counter] = attrs.field(
        factory=lambda: [Counter(), Counter(), Counter(gate=False)],
    )
    irq: bool = False
    """Level of IRQ 0."""
    edge: int | None = None
    """Tick of the next rising edge that IRQ 0 has to show."""
    not_before: int = 0
    """Virtual ns before which it is held back, because the one before it was late."""
    port61: int = 0


def ticks(now_ns: int) -> int:
    """Periods of CLK in virtual ns."""
    return now_ns * Clk.TICKS // Clk.PER_NS


def nanoseconds(tick: int) -> int:
    """Virtual ns at which a tick has come, rounded up."""
    return -(-tick * Clk.PER_NS // Clk.TICKS)


class Pit(Device[PitState]):
    """Channel 0 is IRQ 0, channel 1 was DRAM refresh, channel 2 the speaker."""

    ports = PortMap(size=4)
    nmi_ports = PortMap(size=1)

    def __init__(self, *, irq: LineInput, clock: Clock, speakers: Callable[[], list[Speaker]]) -> None:
        self._irq = irq
        self._clock = clock
        self._speakers = speakers
        self._timer = clock.timer(self._edge)
        self._tone = 0.0
        self.load(PitState())

    def drive(self) -> None:
        """IRQ 0 is high but for the moment before an edge; the timer waits for the next one."""
        self._show_edge()
        self._sound()

    def _show_edge(self) -> None:
        s = self.state
        edge = s.edge
        self._irq.set(s.irq)
        self._timer.at(None if edge is None else max(nanoseconds(edge), s.not_before))

    def _now(self) -> int:
        return ticks(self._clock.now)

    # -- channel 0 --

    def _edge(self) -> None:
        """OUT0 rises.  In modes 2 to 5 it was low for the shortest time before, which the controller must see."""
        s = self.state
        edge = s.edge
        assert edge is not None
        self._irq.set(False)
        s.irq = True
        s.edge = following = s.counters[0].next_rise(edge)
        if following is not None:
            self._catch_up(following)
        self._show_edge()

    def _catch_up(self, following: int) -> None:
        """Ticks that are over by now still come, but not all and not at once."""
        s = self.state
        now_ns = self._clock.now
        late = ticks(now_ns) - following
        s.not_before = now_ns + SHORTEST_NS
        if late >= 0:
            period = s.counters[0].count
            if late > MOST_OWED * period:
                s.edge = following + (late - MOST_OWED * period) // period * period
            s.not_before = now_ns + max(SHORTEST_NS, nanoseconds(period) // CATCH_UP)

    def _channel0_programmed(self, now: int) -> None:
        """From the very tick of the write on: an edge that is over by the time the host gets here is still to come."""
        s = self.state
        counter = s.counters[0]
        s.irq = MODES[counter.control] != Mode.TERMINAL_COUNT or counter.out(now)
        s.edge = counter.next_rise(now)
        s.not_before = 0
        self._show_edge()

    # -- registers --

    @ports.read(range(CHANNELS))
    def _read_counter(self, channel: int) -> int:
        return self.state.counters[channel].read(self._now())

    @ports.write(range(CHANNELS))
    def _write_counter(self, channel: int, value: int) -> None:
        now = self._now()
        if self.state.counters[channel].write(value, now):
            self._programmed(channel, now)

    @ports.write(Reg.CONTROL)
    def _write_control(self, value: int) -> None:
        channel = value >> Control.SELECT_SHIFT
        if channel == Control.READ_BACK:
            self._read_back(value)
        elif value >> Control.RW_SHIFT & Control.RW == RW.LATCH:
            self.state.counters[channel].latch_count(self._now())
        else:
            counters = self.state.counters
            counters[channel] = counters[channel].reprogrammed(value & Control.STATUS_MASK)
            self._programmed(channel, self._now())

    def _read_back(self, value: int) -> None:
        now = self._now()
        for channel, counter in enumerate(self.state.counters):
            if value >> (ReadBack.FIRST_COUNTER + channel) & 1:
                if not value & ReadBack.NO_COUNT:
                    counter.latch_count(now)
                if not value & ReadBack.NO_STATUS:
                    counter.latch_status(now)

    def _programmed(self, channel: int, now: int) -> None:
        if channel == 0:
            self._channel0_programmed(now)
        elif channel == SPEAKER_CHANNEL:
            self._sound()

    @nmi_ports.read(0)
    def _read_nmi_status(self) -> int:
        s = self.state
        now = self._now()
        value = s.port61
        if now // NmiStatus.REFRESH_TICKS & 1:
            value |= NmiStatus.REFRESH
        if s.counters[SPEAKER_CHANNEL].out(now):
            value |= NmiStatus.OUT2
        return value

    @nmi_ports.write(0)
    def _write_nmi_status(self, value: int) -> None:
        s = self.state
        s.port61 = value & NmiStatus.WRITABLE
        s.counters[SPEAKER_CHANNEL].set_gate(bool(value & NmiStatus.GATE2), self._now())
        self._sound()

    # -- speaker --

    def _sound(self) -> None:
        """Channel 2 sounds while its gate and the speaker bit are set."""
        s = self.state
        counter = s.counters[SPEAKER_CHANNEL]
        on = NmiStatus.GATE2 | NmiStatus.SPEAKER
        tone = 0.0
        if s.port61 & on == on and counter.mode in PERIODIC and counter.start is not None:
            tone = Clk.HZ / (counter.next_count or counter.count)
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
    )
    board.map_ports(Port.PIT, pit)
    board.map_ports(Port.NMI_STATUS, pit, pit.nmi_ports)
    return pit


TYPE: Final[DeviceType[Any]] = DeviceType("pit", PitConfig, build)
