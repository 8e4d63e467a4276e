"""MC146818A registers and bits, named as in Motorola's data sheet, and the PC's use of the CMOS RAM behind them.

The indices of the PC are those of IBM's AT technical reference and, where SeaBIOS is the reader, of its sources (hw/rtc.h).
"""

from __future__ import annotations

from typing import Final


class Port:
    """Where a PC decodes the clock."""

    RTC: Final = 0x70


class Reg:
    """Offsets from port 70h."""

    INDEX: Final = 0
    DATA: Final = 1
    EXTENDED_INDEX: Final = 2
    EXTENDED_DATA: Final = 3


BANK: Final = 128
INDEX_MASK: Final = 0x7F
NMI_DISABLE: Final = 0x80
HEADER: Final = 14
"""The first bytes of the RAM are the clock's registers."""


class Index:
    """Clock registers."""

    SECONDS: Final = 0x00
    SECONDS_ALARM: Final = 0x01
    MINUTES: Final = 0x02
    MINUTES_ALARM: Final = 0x03
    HOURS: Final = 0x04
    HOURS_ALARM: Final = 0x05
    DAY_OF_WEEK: Final = 0x06
    DATE: Final = 0x07
    MONTH: Final = 0x08
    YEAR: Final = 0x09
    A: Final = 0x0A
    B: Final = 0x0B
    C: Final = 0x0C
    D: Final = 0x0D
    CENTURY: Final = 0x32


TIME: Final = frozenset(
    {
        Index.SECONDS,
        Index.MINUTES,
        Index.HOURS,
        Index.DAY_OF_WEEK,
        Index.DATE,
        Index.MONTH,
        Index.YEAR,
        Index.CENTURY,
    }
)


class Cmos:
    """Notes that firmware finds in the RAM."""

    DISKETTES: Final = 0x10
    EQUIPMENT: Final = 0x14
    BASE_MEMORY: Final = 0x15  # KB, two bytes
    EXTENDED_MEMORY: Final = 0x17  # KB above 1 MB, two bytes
    EXTENDED_MEMORY_2: Final = 0x30  # the same
    CHECKSUM: Final = 0x2E  # of 10h to 2Dh, high byte first
    CHECKED: Final = range(0x10, 0x2E)
    MEMORY_ABOVE_16M: Final = 0x34  # 64 KB units, two bytes
    BOOT_FLAG_1: Final = 0x38  # high nibble: third boot device
    BOOT_FLAG_2: Final = 0x3D  # low nibble: first, high nibble: second
    BASE_KB: Final = 640
    EXTENDED_FROM_KB: Final = 1 << 10
    ABOVE_16M_FROM_KB: Final = 16 << 10
    ABOVE_16M_UNIT_KB: Final = 64
    WORD_LIMIT: Final = 0xFFFF
    BOOT_CODES: Final = {"a": 1, "c": 2, "d": 3, "n": 4}
    BOOT_PLACES: Final = 3


class Equipment:
    """The equipment byte."""

    DISKETTE: Final = 1 << 0
    FPU: Final = 1 << 1
    POINTING_DEVICE: Final = 1 << 2
    SECOND_DISKETTE: Final = 1 << 6
    DISKETTE_BITS: Final = DISKETTE | SECOND_DISKETTE | 1 << 7


class A:
    """Register A."""

    UIP: Final = 1 << 7
    WRITABLE: Final = 0x7F
    DV_RESET: Final = 0x60
    """Divider select 11x holds the divider chain in reset."""
    RS: Final = 0x0F
    DEFAULT: Final = 0x26  # 32.768 kHz crystal, 1024 Hz


class B:
    """Register B."""

    DM: Final = 1 << 2  # binary
    HOURS_24: Final = 1 << 1
    UIE: Final = 1 << 4
    AIE: Final = 1 << 5
    PIE: Final = 1 << 6
    SET: Final = 1 << 7
    SQWE: Final = 1 << 3
    CLEARED_BY_RESET: Final = UIE | AIE | PIE | SQWE
    DEFAULT: Final = HOURS_24


class C:
    """Register C; the flags stand where register B has their enables."""

    UF: Final = 1 << 4
    AF: Final = 1 << 5
    PF: Final = 1 << 6
    IRQF: Final = 1 << 7
    FLAGS: Final = UF | AF | PF


class D:
    """Register D."""

    VRT: Final = 1 << 7


PM: Final = 0x80
"""Bit 7 of the hours in 12-hour mode."""
ANY: Final = 0xC0
"""Alarm bytes C0h to FFh match every value."""


class Crystal:
    """Timing."""

    HZ: Final = 32_768
    SECOND_NS: Final = 1_000_000_000
    FIRST_UPDATE_NS: Final = 500_000_000
    """From the end of a divider reset to the first update."""
    UIP_NS: Final = 2_228_000
    """UIP rises 244 us before an update cycle, which lasts 1984 us (figures 16 and 17)."""
    FAST_RATES: Final = 2
    """Rates 1 and 2 repeat 8 and 9 (table 5)."""
    FAST_SHIFT: Final = 7
