"""Conversions between the clock registers of an MC146818 and a date and time."""

from __future__ import annotations

from datetime import MAXYEAR, datetime, timedelta
from typing import Final

from .regs_rtc import ANY, PM, B, Index

TEN: Final = 10
NOON: Final = 12
HOURS: Final = 24
MONTHS: Final = 12
LONGEST_MONTH: Final = 31
SIXTY: Final = 60
CENTURY: Final = 100
DEFAULT_CENTURY: Final = 19


def to_bcd(value: int) -> int:
    """Two decimal digits as two nibbles."""
    return value // TEN << 4 | value % TEN


def from_bcd(value: int) -> int:
    """Two nibbles as a number; digits above 9 count as they are."""
    return (value >> 4) * TEN + (value & 0xF)


def encode(value: int, mode: int) -> int:
    """A number as register B says: binary or BCD."""
    return value if mode & B.DM else to_bcd(value)


def decode(value: int, mode: int) -> int:
    """What `encode` made a byte of."""
    return value if mode & B.DM else from_bcd(value)


def encode_hour(hour: int, mode: int) -> int:
    """Hours 0 to 23 in the 12 or 24 hour format of register B."""
    if mode & B.HOURS_24:
        return encode(hour, mode)
    return encode((hour + NOON - 1) % NOON + 1, mode) | (PM if hour >= NOON else 0)


def decode_hour(value: int, mode: int) -> int:
    """Hours 0 to 23 from either format."""
    if mode & B.HOURS_24:
        return decode(value, mode)
    return decode(value & ~PM, mode) % NOON + (NOON if value & PM else 0)


def store(ram: bytearray, when: datetime, mode: int) -> None:
    """Write a date and time to the clock registers."""
    ram[Index.SECONDS] = encode(when.second, mode)
    ram[Index.MINUTES] = encode(when.minute, mode)
    ram[Index.HOURS] = encode_hour(when.hour, mode)
    ram[Index.DAY_OF_WEEK] = encode(when.isoweekday() % 7 + 1, mode)  # Sunday is 1
    ram[Index.DATE] = encode(when.day, mode)
    ram[Index.MONTH] = encode(when.month, mode)
    ram[Index.YEAR] = encode(when.year % CENTURY, mode)
    ram[Index.CENTURY] = to_bcd(when.year // CENTURY)


def _within(low: int, value: int, high: int) -> int:
    return min(max(value, low), high)


def fetch(ram: bytearray, mode: int) -> datetime:
    """The date and time in the clock registers; nonsense is bent to what is possible."""
    year = from_bcd(ram[Index.CENTURY]) * CENTURY + decode(ram[Index.YEAR], mode) % CENTURY
    first = datetime(_within(1, year, MAXYEAR - 1), _within(1, decode(ram[Index.MONTH], mode), MONTHS), 1)  # noqa: DTZ001 - the chip knows no zone
    day = timedelta(days=_within(1, decode(ram[Index.DATE], mode), LONGEST_MONTH) - 1)
    time = timedelta(
        hours=_within(0, decode_hour(ram[Index.HOURS], mode), HOURS - 1),
        minutes=_within(0, decode(ram[Index.MINUTES], mode), SIXTY - 1),
        seconds=_within(0, decode(ram[Index.SECONDS], mode), SIXTY - 1),
    )
    return first + day + time


def second_of_day(when: datetime) -> int:
    """Seconds since midnight."""
    return (when.hour * SIXTY + when.minute) * SIXTY + when.second


def next_alarm(ram: bytearray, mode: int, after: int) -> int | None:
    """Seconds from *after* (a second of the day) to the next time that the alarm bytes match; None for never."""
    raw_hour, raw_minute, raw_second = ram[Index.HOURS_ALARM], ram[Index.MINUTES_ALARM], ram[Index.SECONDS_ALARM]
    hour = None if raw_hour >= ANY else decode_hour(raw_hour, mode)
    minute = None if raw_minute >= ANY else decode(raw_minute, mode)
    second = None if raw_second >= ANY else decode(raw_second, mode)
    day = HOURS * SIXTY * SIXTY
    time = after + 1
    while time <= after + day:
        now_minute, now_second = divmod(time % day, SIXTY)
        now_hour, now_minute = divmod(now_minute, SIXTY)
        if hour is not None and hour != now_hour:
            time += SIXTY * SIXTY - now_minute * SIXTY - now_second
        elif minute is not None and minute != now_minute:
            time += SIXTY - now_second
        elif second is not None and second != now_second:
            time += 1
        else:
            return time - after
    return None
