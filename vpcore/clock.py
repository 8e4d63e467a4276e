"""Clock: virtual time in nanoseconds and the queue of what is due.

The clock owns no thread and reads no host time: the engine (or a test) supplies `now`, and the machine's loop calls
`run_due()` when the earliest deadline has come.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Final

NS_PER_SECOND: Final = 1_000_000_000
FEW: Final = 256


class Timer:
    """One deadline of one device.  Setting a new one replaces the old."""

    __slots__ = ("_callback", "_clock", "_deadline")

    def __init__(self, clock: Clock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._callback = callback
        self._deadline: int | None = None

    @property
    def deadline(self) -> int | None:
        """Virtual ns at which the callback runs, or None."""
        return self._deadline

    @property
    def callback(self) -> Callable[[], None]:
        """What it runs."""
        return self._callback

    def at(self, deadline: int | None) -> None:
        """Run the callback once when virtual time reaches *deadline*; None cancels.  The past means at once."""
        if deadline != self._deadline:
            self._deadline = deadline
            if deadline is not None:
                self._clock.enqueue(deadline, self)

    def after(self, delay: int) -> None:
        """Run the callback *delay* ns from now."""
        self.at(self._clock.now + delay)

    def cancel(self) -> None:
        """Forget the deadline."""
        self._deadline = None

    def due(self, deadline: int) -> bool:
        """Run if *deadline* is still the one set; for Clock only."""
        if self._deadline != deadline:
            return False
        self._deadline = None
        self._callback()
        return True


class Clock:
    """Virtual time of one machine.

    *source* returns virtual ns.  *on_earliest*, when given, is told the earliest deadline (or None) whenever it becomes
    earlier, so that a running engine stops in time.
    """

    def __init__(self, source: Callable[[], int], on_earliest: Callable[[int | None], None] | None = None) -> None:
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
        if len(self._queue) >= self._most:
            self._forget_stale()
        heapq.heappush(self._queue, (deadline, next(self._order), timer))
        if self._on_earliest is not None and self._queue[0][2] is timer and self._queue[0][0] == deadline:
            self._on_earliest(deadline)

    def _forget_stale(self) -> None:
        """Drop deadlines that were replaced: a guest may set a far one again and again."""
        live = {id(entry[2]): entry for entry in sorted(self._queue, reverse=True) if entry[2].deadline == entry[0]}
        self._queue[:] = live.values()
        heapq.heapify(self._queue)
        self._most = max(FEW, 2 * len(self._queue))

    @property
    def next_deadline(self) -> int | None:
        """The earliest deadline still set, or None."""
        queue = self._queue
        while queue and queue[0][2].deadline != queue[0][0]:
            heapq.heappop(queue)
        return queue[0][0] if queue else None

    def deadlines(self) -> list[int]:
        """Every deadline that is set, ascending."""
        timers = {id(timer): deadline for deadline, _, timer in self._queue if timer.deadline == deadline}
        return sorted(timers.values())

    def run_due(self, limit: int = 1000, due: Callable[[Timer, int], bool] = Timer.due) -> int:
        """Run what is due, in order of deadline, at most *limit* callbacks, each by *due*; return how many ran."""
        ran = 0
        while ran < limit:
            deadline = self.next_deadline
            if deadline is None or deadline > self.now:
                break
            ran += due(heapq.heappop(self._queue)[2], deadline)
        return ran
