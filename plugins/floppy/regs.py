"""82077AA registers, commands and status bits (Intel 82077AA data sheet, order 290166, chapters 2 and 5)."""

from typing import Final

SECTOR: Final = 512


class Reg:
    """Offsets from 3F0h (2.1); 3F6h is the IDE channel's."""

    BASE: Final = 0x3F0
    SIZE: Final = 8
    SRA: Final = 0
    SRB: Final = 1
    DOR: Final = 2
    TDR: Final = 3
    MSR: Final = 4
    """Data rate select when written."""
    FIFO: Final = 5
    DIR: Final = 7
    """Configuration control when written."""


class Sra:
    """Status register A (2.1.1)."""

    INT_PENDING: Final = 1 << 7


SRB_IDLE: Final = 0xC0
"""Status register B with nothing going on (2.1.2)."""


class Dor:
    """Digital output register (2.1.3)."""

    DRIVE: Final = 0x03
    NOT_RESET: Final = 1 << 2
    DMA: Final = 1 << 3
    MOTOR_SHIFT: Final = 4


class Msr:
    """Main status register (2.1.5)."""

    BUSY: Final = 1 << 4
    NON_DMA: Final = 1 << 5
    TO_HOST: Final = 1 << 6
    RQM: Final = 1 << 7


class Dsr:
    """Data rate select (2.1.4)."""

    RATE: Final = 0x03
    SOFTWARE_RESET: Final = 1 << 7


class Dir:
    """Digital input register (2.1.7)."""

    CHANGED: Final = 1 << 7


class St0:
    """Status register 0 (5.1.1, table 5-3)."""

    HEAD: Final = 1 << 2
    EQUIPMENT_CHECK: Final = 1 << 4
    SEEK_END: Final = 1 << 5
    ABNORMAL: Final = 1 << 6
    INVALID: Final = 1 << 7
    POLLED: Final = 0xC0
    """Ready line changed state: what the four drives report after a reset."""


class St1:
    """Status register 1."""

    MISSING_ADDRESS: Final = 1 << 0
    NOT_WRITABLE: Final = 1 << 1
    NO_DATA: Final = 1 << 2
    OVERRUN: Final = 1 << 4
    DATA_ERROR: Final = 1 << 5
    END_OF_CYLINDER: Final = 1 << 7


class St2:
    """Status register 2."""

    WRONG_CYLINDER: Final = 1 << 4


class St3:
    """Status register 3."""

    HEAD: Final = 1 << 2
    TWO_SIDED: Final = 1 << 3
    TRACK_0: Final = 1 << 4
    READY: Final = 1 << 5
    WRITE_PROTECTED: Final = 1 << 6


class Cmd:
    """Commands without their MT, MFM and SK bits (5.2), and how many parameter bytes follow."""

    READ_TRACK: Final = 0x02
    SPECIFY: Final = 0x03
    SENSE_DRIVE: Final = 0x04
    WRITE: Final = 0x05
    READ: Final = 0x06
    RECALIBRATE: Final = 0x07
    SENSE_INTERRUPT: Final = 0x08
    WRITE_DELETED: Final = 0x09
    READ_ID: Final = 0x0A
    READ_DELETED: Final = 0x0C
    FORMAT: Final = 0x0D
    DUMP: Final = 0x0E
    SEEK: Final = 0x0F
    VERSION: Final = 0x10
    PERPENDICULAR: Final = 0x12
    CONFIGURE: Final = 0x13
    LOCK: Final = 0x14
    VERIFY: Final = 0x16
    RELATIVE: Final = 1 << 7
    """SEEK with this bit is RELATIVE SEEK, and steps in with the next one (5.2.8)."""
    STEP_IN: Final = 1 << 6
    CODE: Final = 0x1F
    MULTITRACK: Final = 1 << 7
    LOCK_BIT: Final = 1 << 7
    SIZE_AT: Final = 5
    """Where a data command has its sector size and its last sector, and FORMAT its filler."""
    LAST_AT: Final = 6
    FILLER_AT: Final = 5
    PARAMETERS: Final = {
        READ_TRACK: 8,
        SPECIFY: 2,
        SENSE_DRIVE: 1,
        WRITE: 8,
        READ: 8,
        RECALIBRATE: 1,
        SENSE_INTERRUPT: 0,
        WRITE_DELETED: 8,
        READ_ID: 1,
        READ_DELETED: 8,
        FORMAT: 5,
        DUMP: 0,
        SEEK: 2,
        VERSION: 0,
        PERPENDICULAR: 1,
        CONFIGURE: 3,
        LOCK: 0,
        VERIFY: 8,
    }


VERSION_82077AA: Final = 0x90
DRIVES: Final = 2
IRQ: Final = 6
DMA_CHANNEL: Final = 2
HEAD_SELECT: Final = 1 << 2
DRIVE_SELECT: Final = 0x03
NON_DMA_BIT: Final = 1 << 0
"""In the second byte of SPECIFY."""
IMPLIED_SEEK: Final = 1 << 6
LAST_TRACK: Final = 85

PERPENDICULAR_SHOWN: Final = 0x7F
"""What DUMPREG tells of PERPENDICULAR MODE; LOCK is the bit above."""
SECTOR_CODE: Final = 2
"""N of 512-byte sectors: 128 shifted by it."""
RECALIBRATE_STEPS: Final = 79


class Rate:
    """Data rates as in DSR and CCR (table 2-5)."""

    KBPS_500: Final = 0
    KBPS_300: Final = 1
    KBPS_250: Final = 2
    MBPS_1: Final = 3


class DriveType:
    """Drive types in CMOS 10h (IBM AT technical reference; 5 is PS/2's)."""

    NONE: Final = 0
    K360: Final = 1
    M1_2: Final = 2
    K720: Final = 3
    M1_44: Final = 4
    M2_88: Final = 5


CMOS_FLOPPY: Final = 0x10
_DOUBLE: Final = frozenset({Rate.KBPS_250, Rate.KBPS_300})
"""A 1.2 MB drive turns faster: it reads 360 KB disks at 300 kbps."""
_HIGH: Final = frozenset({Rate.KBPS_500})
_EXTRA: Final = frozenset({Rate.MBPS_1})

FORMATS: Final = {
    160 << 10: (40, 1, 8, _DOUBLE, DriveType.K360),
    180 << 10: (40, 1, 9, _DOUBLE, DriveType.K360),
    320 << 10: (40, 2, 8, _DOUBLE, DriveType.K360),
    360 << 10: (40, 2, 9, _DOUBLE, DriveType.K360),
    720 << 10: (80, 2, 9, _DOUBLE, DriveType.K720),
    1200 << 10: (80, 2, 15, _HIGH, DriveType.M1_2),
    1440 << 10: (80, 2, 18, _HIGH, DriveType.M1_44),
    1680 << 10: (80, 2, 21, _HIGH, DriveType.M1_44),
    1722 << 10: (82, 2, 21, _HIGH, DriveType.M1_44),
    2880 << 10: (80, 2, 36, _EXTRA, DriveType.M2_88),
}
"""Image size to cylinders, heads, sectors a track, data rates, drive type: every PC format."""
