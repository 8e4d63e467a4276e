"""IDE registers, commands and bits: ATA/ATAPI-6 (T13 1410D rev 3b), SFF-8020i / MMC-3, PIIX3 data sheet (290550)."""

from typing import Final

SECTOR: Final = 512
CD_BLOCK: Final = 2048


class Reg:
    """Command block (ATA-6 7.1), offsets from 1F0h/170h."""

    SIZE: Final = 8
    DATA: Final = 0
    ERROR: Final = 1
    """Features when written."""
    COUNT: Final = 2
    LBA_LOW: Final = 3
    LBA_MID: Final = 4
    LBA_HIGH: Final = 5
    DEVICE: Final = 6
    STATUS: Final = 7
    """Command when written."""


class Status:
    """Status register (ATA-6 7.15)."""

    ERR: Final = 1 << 0
    DRQ: Final = 1 << 3
    DSC: Final = 1 << 4
    DF: Final = 1 << 5
    DRDY: Final = 1 << 6
    BSY: Final = 1 << 7


class Error:
    """Error register (ATA-6 7.9)."""

    DIAG_PASSED: Final = 0x01
    ABRT: Final = 1 << 2
    IDNF: Final = 1 << 4
    UNC: Final = 1 << 6
    SENSE_SHIFT: Final = 4
    """ATAPI keeps the sense key in the upper half (SFF-8020i 5.8)."""


class Control:
    """Device control register (ATA-6 7.8)."""

    NIEN: Final = 1 << 1
    SRST: Final = 1 << 2
    HOB: Final = 1 << 7


class Select:
    """Device register (ATA-6 7.7)."""

    HEAD: Final = 0x0F
    DEV: Final = 1 << 4
    LBA: Final = 1 << 6
    ALWAYS: Final = 0xA0


class Interrupt:
    """ATAPI interrupt reason, in the count register (SFF-8020i 5.7)."""

    COMMAND: Final = 1 << 0
    TO_HOST: Final = 1 << 1


class Signature:
    """What mid and high hold after reset (ATA-6 9.12)."""

    ATA: Final = (0x00, 0x00)
    ATAPI: Final = (0x14, 0xEB)


class Cmd:
    """Command codes (ATA-6 8, table 20 on)."""

    NOP: Final = 0x00
    DEVICE_RESET: Final = 0x08
    RECALIBRATE: Final = range(0x10, 0x20)
    READ: Final = 0x20
    READ_NO_RETRY: Final = 0x21
    READ_EXT: Final = 0x24
    READ_DMA_EXT: Final = 0x25
    NATIVE_MAX_EXT: Final = 0x27
    READ_MULTIPLE_EXT: Final = 0x29
    WRITE: Final = 0x30
    WRITE_NO_RETRY: Final = 0x31
    WRITE_EXT: Final = 0x34
    WRITE_DMA_EXT: Final = 0x35
    WRITE_MULTIPLE_EXT: Final = 0x39
    VERIFY: Final = 0x40
    VERIFY_NO_RETRY: Final = 0x41
    VERIFY_EXT: Final = 0x42
    SEEK: Final = range(0x70, 0x80)
    DIAGNOSTIC: Final = 0x90
    INIT_PARAMETERS: Final = 0x91
    POWER_OLD: Final = range(0x94, 0x9A)
    PACKET: Final = 0xA0
    IDENTIFY_PACKET: Final = 0xA1
    READ_MULTIPLE: Final = 0xC4
    WRITE_MULTIPLE: Final = 0xC5
    SET_MULTIPLE: Final = 0xC6
    READ_DMA: Final = 0xC8
    READ_DMA_NO_RETRY: Final = 0xC9
    WRITE_DMA: Final = 0xCA
    WRITE_DMA_NO_RETRY: Final = 0xCB
    STANDBY_NOW: Final = 0xE0
    IDLE_NOW: Final = 0xE1
    STANDBY: Final = 0xE2
    IDLE: Final = 0xE3
    READ_BUFFER: Final = 0xE4
    CHECK_POWER: Final = 0xE5
    SLEEP: Final = 0xE6
    FLUSH: Final = 0xE7
    WRITE_BUFFER: Final = 0xE8
    FLUSH_EXT: Final = 0xEA
    IDENTIFY: Final = 0xEC
    SET_FEATURES: Final = 0xEF
    NATIVE_MAX: Final = 0xF8
    POWER: Final = frozenset({STANDBY_NOW, IDLE_NOW, STANDBY, IDLE, CHECK_POWER, SLEEP})
    NOTHING_TO_DO: Final = frozenset((*RECALIBRATE, *SEEK, *POWER_OLD, *POWER)) - {CHECK_POWER}
    """A disk of no moving parts answers these at once."""


class Feature:
    """Subcommands of SET FEATURES (ATA-6 8.46)."""

    TRANSFER_MODE: Final = 0x03
    WRITE_CACHE: Final = {0x02: True, 0x82: False}
    READ_AHEAD_OFF: Final = 0x55
    KEEP_ON_RESET: Final = 0x66
    READ_AHEAD_ON: Final = 0xAA
    REVERT_ON_RESET: Final = 0xCC
    ACCEPTED: Final = frozenset({READ_AHEAD_OFF, KEEP_ON_RESET, READ_AHEAD_ON, REVERT_ON_RESET})
    """Taken without effect."""


class Mode:
    """Transfer mode values (ATA-6 8.46.11): type in the upper five bits, number in the lower three."""

    NUMBER: Final = 0x07
    TYPE: Final = 0xF8
    PIO_DEFAULT: Final = 0x00
    PIO: Final = 0x08
    MULTIWORD: Final = 0x20
    UDMA: Final = 0x40
    BEST_MULTIWORD: Final = 2
    BEST_UDMA: Final = 2
    """PIIX3/PIIX4 class: UDMA/33."""
    BEST: Final = {PIO_DEFAULT: 1, PIO: 4, MULTIWORD: BEST_MULTIWORD, UDMA: BEST_UDMA}
    """Highest number of each type; "PIO default" 1 is without IORDY."""


POWER_ACTIVE: Final = 0xFF
MAX_MULTIPLE: Final = 16
COUNT_ALL: Final = 256
COUNT_ALL_48: Final = 65536
LBA28_LIMIT: Final = 1 << 28
MAX_LBA28_SECTORS: Final = 0x0FFFFFFF
GEOMETRY: Final = (16383, 16, 63)
"""Largest cylinders, heads, sectors a track (ATA-6 annex)."""
BYTE: Final = 0xFF
WORD: Final = 0xFFFF


class Packet:
    """Packet command codes (MMC-3, SPC-2)."""

    SIZE: Final = 12
    TEST_UNIT_READY: Final = 0x00
    REQUEST_SENSE: Final = 0x03
    INQUIRY: Final = 0x12
    START_STOP: Final = 0x1B
    PREVENT_REMOVAL: Final = 0x1E
    READ_CAPACITY: Final = 0x25
    READ_10: Final = 0x28
    SEEK: Final = 0x2B
    READ_SUBCHANNEL: Final = 0x42
    READ_TOC: Final = 0x43
    GET_CONFIGURATION: Final = 0x46
    GET_EVENT: Final = 0x4A
    READ_DISC_INFO: Final = 0x51
    READ_TRACK_INFO: Final = 0x52
    MODE_SELECT_10: Final = 0x55
    MODE_SENSE_10: Final = 0x5A
    READ_12: Final = 0xA8
    SET_SPEED: Final = 0xBB
    MECHANISM_STATUS: Final = 0xBD
    READ_CD: Final = 0xBE
    MODE_PAGE: Final = 2
    """Offset of a field, as those below."""
    SHORT_ALLOCATION: Final = 4
    EVENT_CLASSES: Final = 4
    ACTION: Final = 4
    TOC_START: Final = 6
    CD_FIELDS: Final = 9


class Sense:
    """Sense keys with additional code and qualifier (SPC-2 7.20, MMC-3 annex)."""

    NONE: Final = (0x0, 0x00, 0x00)
    NO_MEDIUM: Final = (0x2, 0x3A, 0x00)
    READ_ERROR: Final = (0x3, 0x11, 0x00)
    BAD_COMMAND: Final = (0x5, 0x20, 0x00)
    OUT_OF_RANGE: Final = (0x5, 0x21, 0x00)
    BAD_FIELD: Final = (0x5, 0x24, 0x00)
    LOCKED: Final = (0x5, 0x53, 0x02)
    MEDIUM_CHANGED: Final = (0x6, 0x28, 0x00)


class BusMaster:
    """Bus master registers (PIIX3 2.7), offsets from BAR4 plus 8 for the second channel."""

    SIZE: Final = 16
    CHANNEL: Final = 8
    COMMAND: Final = 0
    STATUS: Final = 2
    TABLE: Final = 4
    TABLE_MASK: Final = 0xFFFF_FFFC
    START: Final = 1 << 0
    TO_MEMORY: Final = 1 << 3
    COMMAND_MASK: Final = START | TO_MEMORY
    ACTIVE: Final = 1 << 0
    ERROR: Final = 1 << 1
    INTERRUPT: Final = 1 << 2
    CAPABLE: Final = 0x60
    CLEARED_BY_ONE: Final = ERROR | INTERRUPT
    ENTRY: Final = 8
    LAST_ENTRY: Final = 1 << 31
    MAX_ENTRIES: Final = 8192
    ALL_64K: Final = 0x10000
    COUNT_MASK: Final = 0xFFFE


class Pci:
    """Configuration space of the IDE function (PIIX3 2.3)."""

    VENDOR: Final = 0x8086
    DEVICE: Final = 0x7010
    CLASS: Final = 0x010180
    SLOT: Final = 1
    FUNCTION: Final = 1
    BAR: Final = 4
    IDETIM: Final = 0x40
    SIDETIM: Final = 0x44
    UDMACTL: Final = 0x48
    UDMATIM: Final = 0x4A
    UDMACTL_MASK: Final = 0x0F
    UDMATIM_MASK: Final = 0x3333
    DECODE_ENABLE: Final = 1 << 15


class Channels:
    """Fixed addresses and interrupts of the two channels (PIIX3 2.6, compatibility mode)."""

    COMMAND: Final = (0x1F0, 0x170)
    CONTROL: Final = (0x3F6, 0x376)
    IRQ: Final = (14, 15)
