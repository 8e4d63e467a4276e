"""IDENTIFY data: 256 words that tell a driver what the drive is (ATA-6 8.15 and 8.16)."""

from __future__ import annotations

import struct
from typing import Final

from vpcore_plugins.ide.drive import DriveState, swapped
from vpcore_plugins.ide.regs import (
    COUNT_ALL,
    GEOMETRY,
    MAX_LBA28_SECTORS,
    MAX_MULTIPLE,
    WORD,
    Mode,
)

WORDS: Final = 256
FIRMWARE: Final = "0.1"


class Word:
    """Word numbers."""

    GENERAL: Final = 0
    CYLINDERS: Final = 1
    HEADS: Final = 3
    SECTORS: Final = 6
    SERIAL: Final = range(10, 20)
    FIRMWARE: Final = range(23, 27)
    MODEL: Final = range(27, 47)
    MULTIPLE: Final = 47
    CAPABILITIES: Final = 49
    MORE_CAPABILITIES: Final = 50
    PIO_TIMING: Final = 51
    VALID: Final = 53
    CURRENT: Final = 54
    CURRENT_MULTIPLE: Final = 59
    LBA28: Final = 60
    MULTIWORD: Final = 63
    PIO_MODES: Final = 64
    CYCLES: Final = 65
    MAJOR: Final = 80
    SUPPORTED: Final = 82
    ENABLED: Final = 85
    UDMA: Final = 88
    RESET_RESULT: Final = 93
    LBA48: Final = 100


GENERAL_DISK: Final = 0x0040
MULTIPLE_MARK: Final = 0x8000
GENERAL_CDROM: Final = 0x85C0
"""ATAPI, CD-ROM, removable, accelerated DRQ, 12-byte packets (ATA-6 8.16.8)."""
LBA_AND_DMA: Final = 0x0300
IORDY: Final = 0x0C00
VALID_ALL: Final = 0x0007
PIO_3_AND_4: Final = 0x0003
CYCLE_NS: Final = 120
PIO_TIMING_2: Final = 0x0200
VERSIONS: Final = 0x007E
"""ATA/ATAPI-1 to 6."""
WRITE_CACHE: Final = 1 << 5
SUPPORTED: Final = 1 << 13 | 1 << 12 | WRITE_CACHE | 1 << 3
"""READ BUFFER, WRITE BUFFER, write cache, power management."""
FLUSH_AND_48: Final = 1 << 14 | 1 << 13 | 1 << 12 | 1 << 10
VALID_SET: Final = 1 << 14
PACKET_SET: Final = 1 << 4 | 1 << 9
MULTIPLE_VALID: Final = 0x0100
RESET_PASSED: Final = 0x604B


def _common(words: list[int], state: DriveState, model: str, serial: str) -> bytes:
    words[Word.CAPABILITIES] = LBA_AND_DMA | IORDY
    words[Word.MORE_CAPABILITIES] = VALID_SET
    words[Word.PIO_TIMING] = PIO_TIMING_2
    words[Word.VALID] = VALID_ALL
    multiword = (1 << Mode.BEST_MULTIWORD + 1) - 1
    udma = (1 << Mode.BEST_UDMA + 1) - 1
    number = state.transfer_mode & Mode.NUMBER
    if state.transfer_mode & Mode.TYPE == Mode.MULTIWORD:
        multiword |= 1 << number + 8
    elif state.transfer_mode & Mode.TYPE == Mode.UDMA:
        udma |= 1 << number + 8
    words[Word.MULTIWORD], words[Word.UDMA] = multiword, udma
    words[Word.PIO_MODES] = PIO_3_AND_4
    words[Word.CYCLES : Word.CYCLES + 4] = [CYCLE_NS] * 4
    words[Word.MAJOR] = VERSIONS
    data = bytearray(struct.pack(f"<{WORDS}H", *words))
    for words_of, text in ((Word.SERIAL, serial), (Word.FIRMWARE, FIRMWARE), (Word.MODEL, model)):
        field = slice(2 * words_of.start, 2 * words_of.stop)
        data[field] = swapped(text, field.stop - field.start)
    return bytes(data)


def disk(state: DriveState, sectors: int, model: str, serial: str) -> bytes:
    """IDENTIFY DEVICE of a disk with that many sectors."""
    words = [0] * WORDS
    cylinders, heads, track = geometry(sectors)
    words[Word.GENERAL] = GENERAL_DISK
    words[Word.CYLINDERS], words[Word.HEADS], words[Word.SECTORS] = cylinders, heads, track
    words[Word.MULTIPLE] = MULTIPLE_MARK | MAX_MULTIPLE
    now = min(max(1, sectors // (state.heads * state.sectors)), WORD)
    capacity = now * state.heads * state.sectors
    words[Word.CURRENT : Word.CURRENT + 5] = [now, state.heads, state.sectors, capacity & WORD, capacity >> 16]
    words[Word.CURRENT_MULTIPLE] = MULTIPLE_VALID | state.multiple if state.multiple else 0
    small = min(sectors, MAX_LBA28_SECTORS)
    words[Word.LBA28 : Word.LBA28 + 2] = [small & WORD, small >> 16]
    words[Word.SUPPORTED : Word.SUPPORTED + 3] = [SUPPORTED, FLUSH_AND_48, VALID_SET]
    enabled = SUPPORTED if state.write_cache else SUPPORTED & ~WRITE_CACHE
    words[Word.ENABLED : Word.ENABLED + 3] = [enabled, FLUSH_AND_48 & ~VALID_SET, VALID_SET]
    words[Word.RESET_RESULT] = RESET_PASSED
    words[Word.LBA48 : Word.LBA48 + 4] = struct.unpack("<4H", struct.pack("<Q", sectors))
    return _common(words, state, model, serial)


def cdrom(state: DriveState, model: str, serial: str) -> bytes:
    """IDENTIFY PACKET DEVICE of a CD-ROM drive."""
    words = [0] * WORDS
    words[Word.GENERAL] = GENERAL_CDROM
    words[Word.SUPPORTED : Word.SUPPORTED + 3] = [PACKET_SET, VALID_SET, VALID_SET]
    words[Word.ENABLED : Word.ENABLED + 3] = [PACKET_SET, 0, VALID_SET]
    words[Word.RESET_RESULT] = RESET_PASSED
    return _common(words, state, model, serial)


def geometry(sectors: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors a track that a disk of this size shows."""
    cylinders, heads, track = GEOMETRY
    return min(cylinders, max(1, sectors // (heads * track))), heads, track


assert COUNT_ALL > MAX_MULTIPLE
