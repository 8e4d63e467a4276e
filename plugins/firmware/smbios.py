"""SMBIOS tables (DMTF DSP0134 2.8) that SeaBIOS publishes: what `dmidecode` and Windows show about the machine."""

from __future__ import annotations

import struct
from typing import Final

MEGABYTE: Final = 1 << 20
KILOBYTE: Final = 1 << 10
MAKER: Final = "vpcore"
VERSION: Final = (2, 8)
LARGEST_DEVICE: Final = 0x7FFF
"""Megabytes that the size field of a memory device can say (7.18)."""


def _table(kind: int, handle: int, body: bytes, *strings: str) -> bytes:
    """One structure: header, formatted area, strings, two zeros (6.1)."""
    text = b"".join(string.encode("ascii", "replace") + b"\0" for string in strings) or b"\0"
    return struct.pack("<BBH", kind, 4 + len(body), handle) + body + text + b"\0"


def tables(machine: str, ram: int) -> bytes:
    """The structure table of a machine with *ram* bytes."""
    end = ram - 1
    size = min(ram // MEGABYTE, LARGEST_DEVICE)
    bios = struct.pack("<BBHBBQBBBBBB", 1, 2, 0xE800, 3, 0, 1 << 3, 0, 4, 0, 0, 0xFF, 0xFF)
    system = struct.pack("<BBBB16sBBB", 1, 2, 3, 0, bytes(16), 6, 0, 0)
    chassis = struct.pack("<BBBBBBBBBIBBBB", 1, 3, 2, 0, 0, 3, 3, 3, 2, 0, 0, 0, 0, 0)
    processor = struct.pack(
        "<BBBBQBBHHHBBHHHBBBBBBH", 1, 3, 0x11, 2, 0, 3, 0, 0, 0, 0, 0x41, 1, 0xFFFF, 0xFFFF, 0xFFFF, 0, 0, 0, 1, 1, 1, 0
    )
    array = struct.pack("<BBBIHH", 1, 3, 3, ram // KILOBYTE, 0xFFFE, 1)
    device = struct.pack("<HHHHHBBBBBHHBBBB", 0x1000, 0xFFFE, 64, 64, size, 9, 0, 1, 0, 3, 0x4, 0, 0, 0, 0, 0)
    mapped = struct.pack("<IIHB", 0, end // KILOBYTE, 0x1000, 1)
    boot = bytes(7)
    return b"".join(
        (
            _table(0, 0x0000, bios, "SeaBIOS", "vpcore"),
            _table(1, 0x0100, system, MAKER, machine, "1"),
            _table(3, 0x0300, chassis, MAKER, "1"),
            _table(4, 0x0400, processor, "CPU 0", "Intel"),
            _table(16, 0x1000, array),
            _table(17, 0x1100, device, "DIMM 0"),
            _table(19, 0x1300, mapped),
            _table(32, 0x2000, boot),
            _table(127, 0x7F00, b""),
        )
    )


def anchor(table: bytes) -> bytes:
    """The 32-bit entry point (5.2.1); SeaBIOS fills in the address and the checksums."""
    count = 9
    largest = 0x40
    inner = struct.pack("<5sBHIHB", b"_DMI_", 0, len(table), 0, count, VERSION[0] << 4 | VERSION[1])
    return struct.pack("<4sBBBBHB5s", b"_SM_", 0, 0x1F, *VERSION, largest, 0, bytes(5)) + inner
