"""8254 registers and bits, named as in Intel's 8254 data sheet (order 231164), and port 61h (PIIX3 2.5.5)."""

from __future__ import annotations

from typing import Final


class Port:
    """Where a PC decodes the timer and the NMI status and control register."""

    PIT: Final = 0x40
    NMI_STATUS: Final = 0x61


class Clk:
    """The 14.31818 MHz crystal divided by 12: 105/88 MHz, exactly."""

    TICKS: Final = 105
    PER_NS: Final = 88_000
    HZ: Final = 14_318_180 / 12


CHANNELS: Final = 3
BINARY_RANGE: Final = 0x10000
BCD_RANGE: Final = 10_000


class Reg:
    """Offsets."""

    COUNTER0: Final = 0
    CONTROL: Final = 3


class Control:
    """Control word."""

    BCD: Final = 1 << 0
    MODE_SHIFT: Final = 1
    MODE: Final = 0x07
    RW_SHIFT: Final = 4
    RW: Final = 0x03
    SELECT_SHIFT: Final = 6
    READ_BACK: Final = 3
    STATUS_MASK: Final = 0x3F


class RW:
    """Which bytes of the count are read and written."""

    LATCH: Final = 0
    LSB: Final = 1
    MSB: Final = 2
    BOTH: Final = 3


class ReadBack:
    """Read-back command; both latch bits are active low."""

    NO_COUNT: Final = 1 << 5
    NO_STATUS: Final = 1 << 4
    FIRST_COUNTER: Final = 1


class Status:
    """Status byte."""

    OUT: Final = 1 << 7
    NULL_COUNT: Final = 1 << 6


class Mode:
    """Counter modes."""

    TERMINAL_COUNT: Final = 0
    ONE_SHOT: Final = 1
    RATE: Final = 2
    SQUARE: Final = 3
    SOFT_STROBE: Final = 4
    HARD_STROBE: Final = 5
    ALIASES: Final = (0, 1, 2, 3, 4, 5, 2, 3)
    """Bit 2 of the field does not matter for modes 2 and 3."""


class NmiStatus:
    """Port 61h."""

    GATE2: Final = 1 << 0
    SPEAKER: Final = 1 << 1
    WRITABLE: Final = 0x0F
    REFRESH: Final = 1 << 4
    OUT2: Final = 1 << 5
    REFRESH_TICKS: Final = 18
    """A DRAM row is refreshed every 15 us; the bit toggles each time."""
