"""A 16550A UART: FIFOs, interrupts in their priority, baud-rate timing, modem signals, loopback."""

from __future__ import annotations

from typing import Final

import attrs
from vpcore_plugins.serial.regs import (
    BYTE,
    CLOCK_HZ,
    CLOCKS_PER_BIT,
    EIGHT_BITS,
    FCR,
    FIFO_SIZE,
    IER,
    IIR,
    LCR,
    LSR,
    MCR,
    MSR,
    TIMEOUT_CHARACTERS,
    Reg,
)

from vpcore.clock import NS_PER_SECOND, Clock
from vpcore.device import Device
from vpcore.host.ends import CharDevice, ModemSignals
from vpcore.irq import LineInput
from vpcore.ports import PortMap

MODEM_LEVELS: Final = {"cts": MSR.CTS, "dsr": MSR.DSR, "ri": MSR.RI, "dcd": MSR.DCD}
LOOPED: Final = {MCR.RTS: MSR.CTS, MCR.DTR: MSR.DSR, MCR.OUT1: MSR.RI, MCR.OUT2: MSR.DCD}
"""Which output shows as which input in loopback (8.8)."""
START_AND_STOP_BITS: Final = 2
MODEM_POLL_NS: Final = 10_000_000


@attrs.define
class UartState:
    """Registers and FIFOs; the defaults are the values after master reset (table I)."""

    ier: int = 0
    fcr: int = 0
    lcr: int = 0
    mcr: int = 0
    lsr_errors: int = 0
    msr: int = 0
    scr: int = 0
    divisor: int = 12
    """9600 baud; undefined after reset, so what a PC's BIOS leaves."""
    received: bytearray = attrs.field(factory=bytearray)
    sending: int = 0
    """Characters in the transmitter FIFO and shift register that the line has not carried yet."""
    thre_pending: bool = False
    timeout_pending: bool = False
    sent_at: int | None = None
    """Virtual ns at which everything in `sending` is out."""
    timeout_at: int | None = None
    poll_at: int | None = None
    """Virtual ns at which the modem inputs are looked at next."""


class Uart(Device[UartState]):
    """One serial port.

    What the guest writes reaches the host at once.  With *line_speed* the transmitter then stays busy as long as the
    line would, so that drivers see the timing; without it the transmitter is always ready.
    """

    ports = PortMap(size=Reg.SIZE)
    ports.storage(Reg.SCR, "scr")

    def __init__(self, *, irq: LineInput, clock: Clock, end: CharDevice, line_speed: bool = False) -> None:
        self._irq, self._clock, self._end, self._line_speed = irq, clock, end, line_speed
        self._sent = clock.timer(self._on_sent)
        self._timeout = clock.timer(self._on_timeout)
        self._poll = clock.timer(self._on_poll)
        self._followed: tuple[int, ...] = ()
        self.reset()
        end.on_input(self._on_host)

    def reset(self) -> None:
        """Master reset; the modem inputs show what they are, without deltas (table I)."""
        self.load(UartState(msr=_levels(self._end.signals())))

    def load(self, state: UartState) -> None:
        """Become *state*; a real port follows."""
        super().load(state)
        self._followed = ()
        self._configure()
        self._signal()

    # -- timing --

    @property
    def character_ns(self) -> int:
        """How long one character takes on the line."""
        state = self.state
        bits = LCR.SHORTEST + (state.lcr & LCR.WORD_LENGTH) + START_AND_STOP_BITS + bool(state.lcr & LCR.PARITY)
        return bits * NS_PER_SECOND * CLOCKS_PER_BIT * max(state.divisor, 1) // CLOCK_HZ

    def drive(self) -> None:
        """Interrupt line from the enabled causes (OUT2 gates it on a PC), timers from their times."""
        state = self.state
        gate = state.mcr & MCR.OUT2 and not state.mcr & MCR.LOOP
        self._irq.set(bool(gate) and self._cause() != IIR.NONE)
        self._sent.at(state.sent_at)
        self._timeout.at(state.timeout_at)
        self._poll.at(state.poll_at)

    def _cause(self) -> int:
        """The highest pending interrupt (8.6, table IV)."""
        state = self.state
        if state.ier & IER.ELSI and state.lsr_errors:
            return IIR.LINE
        if state.ier & IER.ERBFI and len(state.received) >= self._trigger:
            return IIR.DATA
        if state.ier & IER.ERBFI and state.timeout_pending and state.received:
            return IIR.TIMEOUT
        if state.ier & IER.ETBEI and state.thre_pending:
            return IIR.THRE
        if state.ier & IER.EDSSI and state.msr & MSR.DELTAS:
            return IIR.MODEM
        return IIR.NONE

    @property
    def _trigger(self) -> int:
        fcr = self.state.fcr
        return FCR.TRIGGERS[fcr >> FCR.TRIGGER_SHIFT] if fcr & FCR.ENABLE else 1

    @property
    def _depth(self) -> int:
        return FIFO_SIZE if self.state.fcr & FCR.ENABLE else 1

    # -- data --

    @ports.read(Reg.DATA)
    def _read_data(self) -> int:
        state = self.state
        if state.lcr & LCR.DLAB:
            return state.divisor & BYTE
        if not state.received:
            return 0
        byte = state.received.pop(0)
        state.timeout_pending = False
        self._arm_timeout()
        self._fetch()
        self.drive()
        return byte

    @ports.write(Reg.DATA)
    def _write_data(self, value: int) -> None:
        state = self.state
        if state.lcr & LCR.DLAB:
            state.divisor = state.divisor & ~BYTE | value
            self._configure()
            return
        if state.thre_pending:
            state.thre_pending = False
            self.drive()  # INTR falls, so that an empty transmitter gives a new edge
        if state.mcr & MCR.LOOP:
            self._receive(bytes((value & (1 << LCR.SHORTEST + (state.lcr & LCR.WORD_LENGTH)) - 1,)))
        else:
            self._end.write(bytes((value,)))  # a real port cuts words to their length, other ends take bytes
        if self._line_speed:
            if state.sending < FIFO_SIZE + 1:
                state.sending += 1
            state.sent_at = max(state.sent_at or 0, self._clock.now) + self.character_ns
        else:
            state.thre_pending = True
        self.drive()

    def _on_sent(self) -> None:
        state = self.state
        state.sending = 0
        state.sent_at = None
        state.thre_pending = True
        self.drive()

    def _on_host(self) -> None:
        """The host has bytes, or its modem outputs changed."""
        self._update_modem()
        self._fetch()
        self.drive()

    def _fetch(self) -> None:
        """Take from the host what there is room for."""
        state = self.state
        room = self._depth - len(state.received)
        if room > 0 and not state.mcr & MCR.LOOP:
            data = self._end.read(room)
            if data:
                self._receive(data)
                self.drive()

    def _receive(self, data: bytes) -> None:
        state = self.state
        room = self._depth - len(state.received)
        if len(data) > room:
            state.lsr_errors |= LSR.OE
        state.received += data[:room]
        self._arm_timeout()

    def _arm_timeout(self) -> None:
        state = self.state
        waiting = bool(state.received) and len(state.received) < self._trigger
        state.timeout_at = self._clock.now + TIMEOUT_CHARACTERS * self.character_ns if waiting else None

    def _on_timeout(self) -> None:
        self.state.timeout_at = None
        self.state.timeout_pending = True
        self.drive()

    # -- control --

    @ports.read(Reg.IER)
    def _read_ier(self) -> int:
        state = self.state
        return state.divisor >> EIGHT_BITS if state.lcr & LCR.DLAB else state.ier

    @ports.write(Reg.IER)
    def _write_ier(self, value: int) -> None:
        state = self.state
        if state.lcr & LCR.DLAB:
            state.divisor = state.divisor & BYTE | value << EIGHT_BITS
            self._configure()
            return
        if value & ~state.ier & IER.ETBEI and not state.sending:
            state.thre_pending = True
        state.ier = value & IER.MASK
        self._arm_poll()
        self.drive()

    @ports.read(Reg.IIR)
    def _read_iir(self) -> int:
        """Reading IIR acknowledges THRE, and THRE only (8.6)."""
        state = self.state
        cause = self._cause()
        if cause == IIR.THRE:
            state.thre_pending = False
            self.drive()
        return cause | (IIR.FIFOS if state.fcr & FCR.ENABLE else 0)

    @ports.write(Reg.IIR)
    def _write_fcr(self, value: int) -> None:
        state = self.state
        changed = (state.fcr ^ value) & FCR.ENABLE
        if not value & FCR.ENABLE:
            value = 0
        if changed or value & FCR.CLEAR_RX:
            state.received.clear()
            state.timeout_pending, state.timeout_at = False, None
        if changed or value & FCR.CLEAR_TX:
            state.sending = 0
            if state.sent_at is not None:
                state.sent_at, state.thre_pending = None, True
        state.fcr = value & ~(FCR.CLEAR_RX | FCR.CLEAR_TX)
        self._fetch()
        self.drive()

    @ports.read(Reg.LCR)
    def _read_lcr(self) -> int:
        return self.state.lcr

    @ports.write(Reg.LCR)
    def _write_lcr(self, value: int) -> None:
        self.state.lcr = value
        self._configure()
        self._signal()

    @ports.read(Reg.MCR)
    def _read_mcr(self) -> int:
        return self.state.mcr

    @ports.write(Reg.MCR)
    def _write_mcr(self, value: int) -> None:
        self.state.mcr = value & MCR.MASK
        self._signal()
        self._update_modem()
        self._fetch()
        self.drive()

    @ports.read(Reg.LSR)
    def _read_lsr(self) -> int:
        """Reading LSR clears the error bits (8.4)."""
        state = self.state
        value = state.lsr_errors | (LSR.DR if state.received else 0)
        if state.sent_at is None:
            value |= LSR.THRE | LSR.TEMT
        if state.lsr_errors:
            state.lsr_errors = 0
            self.drive()
        return value

    @ports.read(Reg.MSR)
    def _read_msr(self) -> int:
        """Reading MSR clears the delta bits (8.9)."""
        self._update_modem()
        state = self.state
        value = state.msr
        state.msr &= ~MSR.DELTAS
        self.drive()
        return value

    @ports.write(Reg.LSR)
    def _write_lsr(self, value: int) -> None:
        """Meant for factory testing (8.4): ignored."""

    @ports.write(Reg.MSR)
    def _write_msr(self, value: int) -> None:
        """The deltas can be set by writing (8.9, note); no driver does: ignored."""

    # -- modem --

    def _arm_poll(self) -> None:
        """While the guest wants to hear of modem inputs that change by themselves, look at them."""
        wanted = self._end.has_modem and self.state.ier & IER.EDSSI
        self.state.poll_at = self._clock.now + MODEM_POLL_NS if wanted else None

    def _on_poll(self) -> None:
        self._update_modem()
        self._arm_poll()
        self.drive()

    def _update_modem(self) -> None:
        """Levels from the host or, in loopback, from MCR; deltas from what changed."""
        state = self.state
        if state.mcr & MCR.LOOP:
            levels = sum(level for output, level in LOOPED.items() if state.mcr & output)
        else:
            levels = _levels(self._end.signals())
        changed = (state.msr ^ levels) & MSR.LEVELS
        deltas = changed >> 4
        if changed & MSR.RI and levels & MSR.RI:
            deltas &= ~MSR.TERI  # RI tells of its trailing edge only
        state.msr = levels | state.msr & MSR.DELTAS | deltas

    def _configure(self) -> None:
        """Let a real port follow the line settings, when they changed."""
        state = self.state
        if state.lcr & LCR.DLAB or state.divisor == 0:
            return
        settings = (state.divisor, state.lcr & ~(LCR.BREAK | LCR.DLAB))
        if settings == self._followed:
            return
        self._followed = settings
        parity = "N"
        if state.lcr & LCR.PARITY:
            even = bool(state.lcr & LCR.EVEN)
            parity = ("S" if even else "M") if state.lcr & LCR.STICK else ("E" if even else "O")
        length = LCR.SHORTEST + (state.lcr & LCR.WORD_LENGTH)
        stop = 1.0
        if state.lcr & LCR.STOP:
            stop = 1.5 if length == LCR.SHORTEST else 2.0
        self._end.configure(CLOCK_HZ // (CLOCKS_PER_BIT * state.divisor), length, parity, stop)

    def _signal(self) -> None:
        mcr = 0 if self.state.mcr & MCR.LOOP else self.state.mcr
        self._end.set_signals(dtr=bool(mcr & MCR.DTR), rts=bool(mcr & MCR.RTS), break_=bool(self.state.lcr & LCR.BREAK))


def _levels(signals: ModemSignals) -> int:
    return sum(level for name, level in MODEM_LEVELS.items() if getattr(signals, name))
