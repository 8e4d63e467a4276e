"""Clock: virtual time in nanoseconds and the queue of what is due.

The clock owns no thread and reads no host time: the engine (or a test) supplies `now`, and the machine's loop calls
`run_due()` when the earliest deadline has come.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

NS_PER_SECOND: Final = 1_000_000_000
FEW: Final = 256


class Timer:
    """One deadline of one device.  Setting a new one replaces the old."""

    __slots__ = ("_clock", "callback", "deadline")

    def __init__(self, clock: Clock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self.callback = callback
        self.deadline: int | None = None
        """Virtual ns at which the callback runs, or None; set by `at`."""

    def at(self, deadline: int | None) -> None:
        """Run the callback once when virtual time reaches *deadline*; None cancels.  The past means at once."""
        if deadline != self.deadline:
            self.deadline = deadline
            if deadline is not None:
                self._clock.enqueue(deadline, self)

    def after(self, delay: int) -> None:
        """Run the callback *delay* ns from now."""
        self.at(self._clock.now + delay)

    def cancel(self) -> None:
        """Forget the deadline."""
        self.deadline = None


class Clock:
    """Virtual time of one machine.

    *source* returns virtual ns.  *on_earliest*, when given, is told the earliest deadline whenever it becomes
    earlier, so that a running engine stops in time.
    """

    def __init__(self, source: Callable[[], int], on_earliest: Callable[[int], None] | None = None) -> None:
        self._source = source
        self._on_earliest = on_earliest
        self._queue: list[tuple[int, int, Timer]] = []
        self._order = count()
        self._most = FEW
        """Length of the queue at which stale entries are looked for."""

    @property
    def now(self) -> int:
        """Virtual time in ns since the machine was made."""
        return self._source()

    def timer(self, callback: Callable[[], None]) -> Timer:
        """Make a timer, not running yet."""
        return Timer(self, callback)

    def at(self, deadline: int, callback: Callable[[], None]) -> Timer:
        """Run *callback* once at *deadline*."""
        timer = Timer(self, callback)
        timer.at(deadline)
        return timer

    def every(self, period: int, callback: Callable[[], None]) -> Timer:
        """Run *callback* every *period* ns, without drift, until the timer is cancelled."""
        if period <= 0:
            msg = f"period must be positive (got {period})"
            raise ValueError(msg)
        next_at = self.now + period

        def tick() -> None:
            nonlocal next_at
            next_at = max(next_at + period, self.now)
            timer.at(next_at)
            callback()

        timer = Timer(self, tick)
        timer.at(next_at)
        return timer

    def enqueue(self, deadline: int, timer: Timer) -> None:
        """Put a timer in the queue; for Timer only."""
        queue = self._queue
        if len(queue) >= self._most:
            self._forget_stale()
        entry = (deadline, next(self._order), timer)
        heappush(queue, entry)
        if queue[0] is entry and self._on_earliest is not None:
            self._on_earliest(deadline)

    def _forget_stale(self) -> None:
        """Drop deadlines that were replaced: a guest may set a far one again and again."""
        live = {id(entry[2]): entry for entry in sorted(self._queue, reverse=True) if entry[2].deadline == entry[0]}
        self._queue[:] = live.values()
        heapify(self._queue)
        self._most = max(FEW, 2 * len(self._queue))

    @property
    def next_deadline(self) -> int | None:
        """The earliest deadline still set, or None."""
        queue = self._queue
        while queue and queue[0][2].deadline != queue[0][0]:
            heappop(queue)
        return queue[0][0] if queue else None

    def deadlines(self) -> list[int]:
        """Every deadline that is set, ascending."""
        timers = {id(timer): deadline for deadline, _, timer in self._queue if timer.deadline == deadline}
        return sorted(timers.values())

    def run_due(self, limit: int = 1000, due: Callable[[Timer], None] | None = None) -> int:
        """Run what is due, in order of deadline, at most *limit* callbacks, by *due* if given; return how many ran."""
        queue = self._queue
        ran = 0
        while queue and ran < limit:
            deadline, _, timer = queue[0]
            if timer.deadline == deadline:
                if deadline > self._source():
                    break
                timer.deadline = None
                heappop(queue)
                if due is None:
                    timer.callback()
                else:
                    due(timer)
                ran += 1
            else:
                heappop(queue)
        return ran
