"""What one timer tick costs in Python, without a guest: the 8254 fires, the 8259A interrupts, the guest acknowledges.

    python bench/tick.py [--rounds N]

The accesses are those of Linux 6.1 (686) at rest, counted by docs/performance.md: INTA, the 8259A masked and unmasked
around a specific EOI, channel 0 programmed anew in mode 4.  `warm` repeats them back to back; `cold` sweeps a buffer
larger than the second-level cache in between, as sleeping and the guest's own code do.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from vpcore.machine import Machine
from vpcore.wires import InterruptController

PC99: Final = Path(__file__).resolve().parents[1] / "machines" / "pc99.toml"
COLD: Final = bytes(8 << 20)
PERIOD: Final = 4773
"""Ticks of the 8254 in 4 ms."""
TICK_NS: Final = 4_000_000
SETUP: Final = (
    (0x20, 0x11), (0x21, 0x30), (0x21, 0x04), (0x21, 0x01),
    (0xA0, 0x11), (0xA1, 0x38), (0xA1, 0x02), (0xA1, 0x01),
    (0x21, 0xA8), (0xA1, 0x2C), (0x43, 0x38),
)  # fmt: skip


class Ticker:
    """A machine whose time stands still but for `tick`, which does all that a guest's tick asks of its devices."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        engine = machine.engine
        engine.pause(True)
        self._now = engine.now()
        self._reads, self._writes = machine.bus.ports.reads[1], machine.bus.ports.writes[1]
        self._inta = machine.board.service(InterruptController).acknowledge  # type: ignore[type-abstract]
        for port, value in SETUP:
            self._out(port, value)
        self._program()

    def _out(self, port: int, value: int) -> None:
        """A write as glue.c makes it: the handler, without the bus."""
        handler = self._writes[port]
        assert handler is not None
        handler(value)

    def _program(self) -> None:
        self._out(0x40, PERIOD & 0xFF)
        self._out(0x40, PERIOD >> 8)

    def tick(self) -> int:
        """One tick; the vector that the 8259A gave."""
        out, status = self._out, self._reads[0x21]
        assert status is not None
        self.machine.clock.run_due()
        vector = self._inta()
        mask = status()
        out(0x21, mask | 1)
        out(0x20, 0x60)
        self._program()
        out(0x21, mask)
        return vector

    def timed(self) -> int:
        """Nanoseconds of host time that one tick takes."""
        self._now += TICK_NS + TICK_NS // 1000
        self.machine.engine.set_now(self._now)
        start = time.perf_counter_ns()
        vector = self.tick()
        taken = time.perf_counter_ns() - start
        assert vector == 0x30
        return taken


def median_us(ticker: Ticker, rounds: int, between: Callable[[], object]) -> float:
    """Median microseconds of a tick with something done between two."""
    taken = []
    for _ in range(rounds):
        between()
        taken.append(ticker.timed())
    return statistics.median(taken) / 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000)
    rounds = parser.parse_args().rounds
    with Machine.load(PC99) as machine:
        ticker = Ticker(machine)
        ticker.timed()
        print(f"{'tick, warm':50} {median_us(ticker, 10 * rounds, bool):10.1f} us")
        print(f"{'tick, cold caches':50} {median_us(ticker, rounds, partial(COLD.count, 1)):10.1f} us", flush=True)


if __name__ == "__main__":
    main()
