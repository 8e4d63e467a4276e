"""One counter of an 8254, as a function of time: nothing runs, every answer is computed from when counting began.

Ticks are periods of CLK since virtual time 0.
"""

from __future__ import annotations

import attrs

from .regs_pit import BCD_RANGE, BINARY_RANGE, RW, Control, Mode, Status

PERIODIC = (Mode.RATE, Mode.SQUARE)
TRIGGERED = (Mode.ONE_SHOT, Mode.HARD_STROBE)
GATED = (Mode.TERMINAL_COUNT, Mode.SOFT_STROBE)
"""Modes in which a low GATE only suspends counting."""
POWERS = (1, 10, 100, 1000)
MODES = bytes(Mode.ALIASES[control >> Control.MODE_SHIFT & Control.MODE] for control in range(Control.STATUS_MASK + 1))
"""Mode by control word."""


@attrs.define
class Counter:
    """State of one counter; the values of a new one stand for the undefined ones after power-on."""

    control: int = RW.BOTH << Control.RW_SHIFT
    """The low six bits of its control word."""
    gate: bool = True
    count: int = 0
    """The count in effect; 0 before one was written."""
    start: int | None = None
    """Tick at which the count was loaded into the counting element."""
    held: int | None = None
    """Ticks counted when GATE went low."""
    next_count: int | None = None
    """A count written while a period runs (modes 2, 3), or waiting for a trigger (modes 1, 5)."""
    next_start: int = 0
    """For modes 2 and 3: the start of the next count, as if it always had been in effect."""
    next_at: int = 0
    """Tick at which it takes effect."""
    low_byte: int | None = None
    """LSB written, MSB still to come."""
    msb_next: bool = False
    """The next read of a two-byte count gives the MSB."""
    latch: int | None = None
    status_latch: int | None = None

    @property
    def mode(self) -> int:
        """Counter mode 0 to 5."""
        return MODES[self.control]

    @property
    def range(self) -> int:
        """What the counting element counts modulo."""
        return BCD_RANGE if self.control & Control.BCD else BINARY_RANGE

    # -- programming --

    def reprogrammed(self, control: int) -> Counter:
        """The counter after a control word: stopped, waiting for a count (Programming the 8254)."""
        return Counter(control=control, gate=self.gate)

    def write(self, value: int, now: int) -> bool:
        """A byte of the count; True when that changed what OUT will do."""
        control, low = self.control, self.low_byte
        access = control >> Control.RW_SHIFT & Control.RW
        if access == RW.BOTH and low is None:
            self.low_byte = value
            if MODES[control] != Mode.TERMINAL_COUNT:
                return False
            self.start = self.held = None  # the first byte stops counting and OUT stays low (mode 0)
            self.count = 0
            return True
        if access == RW.BOTH:
            raw = value << 8 | (low or 0)
            self.low_byte = None
        else:
            raw = value << 8 if access == RW.MSB else value
        if control & Control.BCD:
            raw = sum((raw >> 4 * digit & 0xF) * power for digit, power in enumerate(POWERS)) % BCD_RANGE
        self._set_count(raw or self.range, now)
        return True

    def _set_count(self, count: int, now: int) -> None:
        if self.next_count is not None:
            self.settle(now)
        mode = MODES[self.control]
        if mode in TRIGGERED:
            self.next_count = count
        elif mode in PERIODIC and self.start is not None and self.held is None:
            self._queue(count, now)
        else:
            self.count = count
            self.start = now + 1  # loaded on the next CLK
            self.held = None if self.gate else 0

    def _queue(self, count: int, now: int) -> None:
        """A new count in modes 2 and 3 waits for the end of the period, in mode 3 of the half period."""
        assert self.start is not None
        periods, elapsed = divmod(max(now - self.start, 0), self.count)
        begin = self.start + periods * self.count
        half = (self.count + 1) // 2
        self.next_count = count
        if self.mode == Mode.SQUARE and elapsed < half:
            self.next_at = begin + half
            self.next_start = self.next_at - (count + 1) // 2
        else:
            self.next_at = self.next_start = begin + self.count

    def settle(self, now: int) -> None:
        """Let a waiting count of modes 2 and 3 take effect if its time has come."""
        if self.next_count is not None and self.mode in PERIODIC and now >= self.next_at:
            self.count, self.start = self.next_count, self.next_start
            self.next_count = None

    def set_gate(self, gate: bool, now: int) -> None:
        """GATE changed (figure 22, gate pin operations)."""
        if gate == self.gate:
            return
        self.settle(now)
        self.gate = gate
        mode = self.mode
        if mode in TRIGGERED:
            if gate and (self.next_count or self.count):
                self.count, self.next_count = self.next_count or self.count, None
                self.start = now + 1
        elif self.start is None:
            return
        elif not gate:
            self.held = max(now - self.start, 0) if mode in GATED else 0
            if mode in PERIODIC and self.next_count is not None:
                self.count, self.next_count = self.next_count, None
        elif mode in GATED:
            self.start, self.held = now - (self.held or 0), None
        else:
            self.start, self.held = now + 1, None

    # -- what it does at a time --

    def elapsed(self, now: int) -> int | None:
        """Ticks counted, None before a count was loaded."""
        self.settle(now)
        if self.start is None:
            return None
        return self.held if self.held is not None else max(now - self.start, 0)

    def out(self, now: int) -> bool:
        """Level of OUT."""
        elapsed = self.elapsed(now)
        mode, count = self.mode, self.count
        if elapsed is None or (mode in PERIODIC and self.held is not None):
            return mode != Mode.TERMINAL_COUNT
        if mode == Mode.TERMINAL_COUNT:
            return elapsed >= count
        if mode == Mode.ONE_SHOT:
            return elapsed >= count or (self.start or 0) > now
        if mode == Mode.RATE:
            return elapsed % count != count - 1
        if mode == Mode.SQUARE:
            return elapsed % count < (count + 1) // 2
        return elapsed != count

    def value(self, now: int) -> int:
        """The counting element as it is read."""
        elapsed = self.elapsed(now)
        count = self.count
        if elapsed is None:
            number = count
        elif self.mode == Mode.RATE:
            number = count - elapsed % count
        elif self.mode == Mode.SQUARE:  # counts down by two, twice a period; odd counts lose one first
            half = (count + 1) // 2
            phase = elapsed % count
            number = (count & ~1) - 2 * (phase if phase < half else phase - half)
        else:
            number = count - elapsed
        number %= self.range
        if not self.control & Control.BCD:
            return number
        return sum(number // power % 10 << 4 * digit for digit, power in enumerate(POWERS))

    def next_rise(self, now: int) -> int | None:
        """The first tick after *now* at which OUT rises, None if it stays as it is."""
        if self.next_count is not None:
            self.settle(now)
        start, count, mode = self.start, self.count, MODES[self.control]
        if start is None or self.held is not None:
            return None
        if mode in PERIODIC:
            rise = start + (max(now - start, 0) // count + 1) * count
            if self.next_count is not None and rise >= self.next_at:  # the next count gives the rises from there on
                rise = self.next_start + (0 if self.next_start >= self.next_at else self.next_count)
            return rise
        once = start + count + (0 if mode in (Mode.TERMINAL_COUNT, Mode.ONE_SHOT) else 1)
        return once if once > now else None

    # -- reading --

    def latch_count(self, now: int) -> None:
        """Counter latch command: ignored while a latched count waits to be read."""
        if self.latch is None:
            self.latch = self.value(now)

    def latch_status(self, now: int) -> None:
        """Read-back command for the status byte."""
        if self.status_latch is None:
            waiting = self.start is None or self.start > now or self.next_count is not None
            self.status_latch = (
                self.control | (Status.OUT if self.out(now) else 0) | (Status.NULL_COUNT if waiting else 0)
            )

    def read(self, now: int) -> int:
        """The next byte: latched status first, then the latched count, else the count as it runs."""
        if self.status_latch is not None:
            status, self.status_latch = self.status_latch, None
            return status
        access = self.control >> Control.RW_SHIFT & Control.RW
        value = self.value(now) if self.latch is None else self.latch
        msb = access == RW.MSB or (access == RW.BOTH and self.msb_next)
        if access == RW.BOTH:
            self.msb_next = not self.msb_next
        if access != RW.BOTH or msb:
            self.latch = None
        return value >> 8 if msb else value & 0xFF
