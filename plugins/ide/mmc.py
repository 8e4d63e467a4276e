"""What a CD-ROM drive answers: the replies of MMC-3 and SPC-2 laid out byte by byte, and fields of packets."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from vpcore_plugins.ide.regs import CD_BLOCK

DATA_TRACK: Final = 0x14
"""ADR 1, data track, digital copy prohibited (MMC-3 5.23)."""
FIRST_TRACK: Final = 1
LEAD_OUT: Final = 0xAA
FULL_TOC: Final = 2
PREGAP: Final = 150
FRAMES: Final = 75
SECONDS: Final = 60
RAW: Final = 2352
SYNC: Final = b"\x00" + b"\xff" * 10 + b"\x00"
PROFILE_CD_ROM: Final = 0x0008
PAGE_ERROR: Final = 0x01
PAGE_CAPABILITIES: Final = 0x2A
PAGE_ALL: Final = 0x3F
PAGES: Final = {
    PAGE_ERROR: bytes((PAGE_ERROR, 6, 0, 5, 0, 0, 0, 0)),
    PAGE_CAPABILITIES: bytes((PAGE_CAPABILITIES, 18, 0x3B, 0, 0x70, 0x60, 0x29, 0))
    + struct.pack(">HHHHHH", 706, 2, 512, 706, 0, 0),
}
"""Mode pages: error recovery, and capabilities of a 4x reader (MMC-3 5.12 tables)."""
DATA_DISC: Final = 0x01
NO_DISC: Final = 0x70
"""Medium types in a mode header."""
MEDIA_CLASS: Final = 4
MEDIA_CLASS_BIT: Final = 1 << MEDIA_CLASS
NO_EVENT_AVAILABLE: Final = 0x80

Place = Callable[[int], bytes]
"""How a block number is written: `msf` or `lba`."""


# -- fields of packets --


def allocation(packet: bytes) -> int:
    """The allocation or parameter list length of most 10-byte commands."""
    return int.from_bytes(packet[7:9], "big")


def mechanism_allocation(packet: bytes) -> int:
    """The same of MECHANISM STATUS."""
    return int.from_bytes(packet[8:10], "big")


def extent_10(packet: bytes) -> tuple[int, int]:
    """First block and number of blocks of READ(10)."""
    return int.from_bytes(packet[2:6], "big"), allocation(packet)


def extent_12(packet: bytes) -> tuple[int, int]:
    """The same of READ(12)."""
    return int.from_bytes(packet[2:6], "big"), int.from_bytes(packet[6:10], "big")


def extent_cd(packet: bytes) -> tuple[int, int]:
    """The same of READ CD."""
    return int.from_bytes(packet[2:6], "big"), int.from_bytes(packet[6:9], "big")


def toc_format(packet: bytes) -> int:
    """The format of READ TOC, where MMC or where SFF-8020i has it."""
    return packet[2] & 0xF or packet[9] >> 6


# -- addresses --


def msf(block: int) -> bytes:
    """A block number as reserved, minute, second, frame."""
    block += PREGAP
    return bytes((0, block // (FRAMES * SECONDS) & 0xFF, block // FRAMES % SECONDS, block % FRAMES))


def lba(block: int) -> bytes:
    """A block number as it is."""
    return struct.pack(">I", block)


# -- replies --


def sense(key: int, code: int, qualifier: int) -> bytes:
    """REQUEST SENSE in fixed format (SPC-2 7.20)."""
    return struct.pack(">BBBIBIBB4x", 0x70, 0, key, 0, 10, 0, code, qualifier)


def inquiry(model: str) -> bytes:
    """INQUIRY (SPC-2 7.3): a removable CD-ROM, ATAPI response format."""
    return bytes((0x05, 0x80, 0x00, 0x21, 31, 0, 0, 0)) + b"vpcore  " + model.encode()[:16].ljust(16) + b"0.1 "


def capacity(blocks: int) -> bytes:
    """READ CAPACITY (MMC-3 5.15)."""
    return struct.pack(">II", blocks - 1, CD_BLOCK)


def toc(form: int, start: int, blocks: int, place: Place) -> bytes | None:
    """READ TOC (MMC-3 5.23): one data track and the lead-out; None for a track or format that is not there."""
    if form == 0:
        if FIRST_TRACK < start != LEAD_OUT:
            return None
        body = b"" if start == LEAD_OUT else _track(FIRST_TRACK, place(0))
        body += _track(LEAD_OUT, place(blocks))
    elif form == 1:
        body = _track(FIRST_TRACK, place(0))
    elif form == FULL_TOC:
        points = ((0xA0, bytes((0, 1, 0, 0))), (0xA1, bytes((0, 1, 0, 0))), (0xA2, msf(blocks)), (1, msf(0)))
        body = b"".join(bytes((1, DATA_TRACK, 0, point, 0, 0, 0)) + value for point, value in points)
    else:
        return None
    return struct.pack(">HBB", len(body) + 2, 1, 1) + body


def _track(number: int, place: bytes) -> bytes:
    return bytes((0, DATA_TRACK, number, 0)) + place


def subchannel() -> bytes:
    """READ SUB-CHANNEL (MMC-3 5.22): no audio status."""
    return bytes((0, 0x15, 0, 0))


def configuration(*, ready: bool) -> bytes:
    """GET CONFIGURATION (MMC-3 5.6): the CD-ROM profile, core and removable medium features."""
    features = (
        struct.pack(">HBB", 0, 3, 4)
        + struct.pack(">HBB", PROFILE_CD_ROM, int(ready), 0)
        + struct.pack(">HBBI", 1, 7, 4, 2)
        + struct.pack(">HBBBxxx", 3, 3, 4, 0x29)
    )
    return struct.pack(">IHH", len(features) + 4, 0, PROFILE_CD_ROM if ready else 0) + features


def media_event(happened: int, *, tray_open: bool, present: bool) -> bytes:
    """GET EVENT STATUS NOTIFICATION of the media class (MMC-3 5.7)."""
    return bytes((0, 6, MEDIA_CLASS, MEDIA_CLASS_BIT, happened, tray_open | present << 1, 0, 0))


def no_event() -> bytes:
    """The same for classes that are not known."""
    return bytes((0, 2, NO_EVENT_AVAILABLE, MEDIA_CLASS_BIT))


def disc_info() -> bytes:
    """READ DISC INFORMATION (MMC-3 5.16): one complete session."""
    return bytes((0, 32, 0x0E, 1, 1, 1, 1, 0x20, 0)).ljust(34, b"\0")


def track_info(blocks: int) -> bytes:
    """READ TRACK INFORMATION (MMC-3 5.27): the data track."""
    return struct.pack(">HBBBBBBIIIII", 26, 1, 1, 0, 4, 1, 0, 0, 0, 0, 0, blocks)


def mode_sense(page: int, *, ready: bool) -> bytes | None:
    """MODE SENSE(10) (SPC-2 7.9); None for a page that is not there."""
    wanted = list(PAGES.values()) if page == PAGE_ALL else [PAGES[page]] if page in PAGES else []
    if not wanted:
        return None
    body = b"".join(wanted)
    return struct.pack(">HBBBBH", len(body) + 6, DATA_DISC if ready else NO_DISC, 0, 0, 0, 0) + body


def mechanism() -> bytes:
    """MECHANISM STATUS (MMC-3 5.10): no changer."""
    return bytes((0, 0, 0, 0, 0, 1, 0, 0))


def raw_sectors(data: bytearray, block: int) -> bytearray:
    """2352-byte mode 1 sectors around user data: sync, header, data, no error correction (ECMA-130 14)."""
    out = bytearray()
    for index in range(len(data) // CD_BLOCK):
        place = msf(block + index)[1:]
        header = bytes((value // 10 << 4 | value % 10) for value in place) + b"\x01"
        out += SYNC + header + data[index * CD_BLOCK : (index + 1) * CD_BLOCK]
        out += bytes(RAW - len(SYNC) - len(header) - CD_BLOCK)
    return out
