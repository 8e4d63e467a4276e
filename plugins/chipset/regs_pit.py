"""Where a PC has its 8254, and port 61h (PIIX3 2.5.5); the timer's own registers are in csrc/i8254.c."""

from __future__ import annotations

from typing import Final

CHANNELS: Final = 3
REGISTERS: Final = 4
"""Three counters and the control word."""


class Port:
    """Where a PC decodes the timer and the NMI status and control register."""

    PIT: Final = 0x40
    NMI_STATUS: Final = 0x61


class Clk:
    """The 14.31818 MHz crystal divided by 12."""

    HZ: Final = 14_318_180 / 12


class NmiStatus:
    """Port 61h."""

    GATE2: Final = 1 << 0
    SPEAKER: Final = 1 << 1
    WRITABLE: Final = 0x0F
    REFRESH: Final = 1 << 4
    OUT2: Final = 1 << 5
    REFRESH_TICKS: Final = 18
    """A DRAM row is refreshed every 15 us; the bit toggles each time."""
