"""SMBIOS tables (DMTF DSP0134) that SeaBIOS publishes: what `dmidecode` and Windows show about the machine."""

from __future__ import annotations

import struct
from typing import Final

MEGABYTE: Final = 1 << 20
KILOBYTE: Final = 1 << 10
MAKER: Final = "vpcore"
BIOS_DATE: Final = "04/01/2014"
"""The one that SeaBIOS gives itself; Linux chooses workarounds by its year."""
VERSION: Final = (2, 5)
"""The structures have the lengths of this version (annex A)."""
LARGEST_DEVICE: Final = 0x7FFF
"""Megabytes that the size field of a memory device can say (7.18)."""
HANDLE_SHIFT: Final = 8
"""The handle of a structure is its type, shifted."""
NO_HANDLE: Final = 0xFFFF
NO_ERRORS_TOLD: Final = 0xFFFE


class Kind:
    """Structure types (7)."""

    BIOS: Final = 0
    SYSTEM: Final = 1
    CHASSIS: Final = 3
    PROCESSOR: Final = 4
    MEMORY_ARRAY: Final = 16
    MEMORY_DEVICE: Final = 17
    MAPPED_ADDRESS: Final = 19
    BOOT: Final = 32
    END: Final = 127


ARRAY_HANDLE: Final = Kind.MEMORY_ARRAY << HANDLE_SHIFT
ANCHOR_SIZE: Final = 0x1F


def _structure(kind: int, body: bytes, *strings: str) -> bytes:
    """One structure: header, formatted area, strings, two zeros (6.1)."""
    text = b"".join(string.encode("ascii", "replace") + b"\0" for string in strings) or b"\0"
    return struct.pack("<BBH", kind, 4 + len(body), kind << HANDLE_SHIFT) + body + text + b"\0"


def structures(machine: str, ram: int) -> list[bytes]:
    """The structures of a machine with *ram* bytes."""
    size = min(ram // MEGABYTE, LARGEST_DEVICE)
    bios = struct.pack("<BBHBBQBBBBBB", 1, 2, 0xE800, 3, 0, 1 << 3, 0, 4, 0, 0, 0xFF, 0xFF)
    system = struct.pack("<BBBB16sBBB", 1, 2, 3, 0, bytes(16), 6, 0, 0)
    chassis = struct.pack("<BBBBBBBBBIBBBB", 1, 3, 2, 0, 0, 3, 3, 3, 2, 0, 0, 0, 0, 0)
    caches = (NO_HANDLE,) * 3
    processor = struct.pack(
        "<BBBBQBBHHHBBHHHBBBBBBH", 1, 3, 0x11, 2, 0, 3, 0, 0, 0, 0, 0x41, 1, *caches, 0, 0, 0, 1, 1, 1, 0
    )
    array = struct.pack("<BBBIHH", 1, 3, 3, ram // KILOBYTE, NO_ERRORS_TOLD, 1)
    device = struct.pack(
        "<HHHHHBBBBBHHBBBB", ARRAY_HANDLE, NO_ERRORS_TOLD, 64, 64, size, 9, 0, 1, 0, 0x0F, 0x80, 0, 0, 0, 0, 0
    )
    mapped = struct.pack("<IIHB", 0, (ram - 1) // KILOBYTE, ARRAY_HANDLE, 1)
    return [
        _structure(Kind.BIOS, bios, "SeaBIOS", MAKER, BIOS_DATE),
        _structure(Kind.SYSTEM, system, MAKER, machine, "1"),
        _structure(Kind.CHASSIS, chassis, MAKER, "1"),
        _structure(Kind.PROCESSOR, processor, "CPU 0", "Intel", "i686"),
        _structure(Kind.MEMORY_ARRAY, array),
        _structure(Kind.MEMORY_DEVICE, device, "DIMM 0"),
        _structure(Kind.MAPPED_ADDRESS, mapped),
        _structure(Kind.BOOT, bytes(7)),
        _structure(Kind.END, b""),
    ]


def anchor(parts: list[bytes]) -> bytes:
    """The 32-bit entry point (5.2.1); SeaBIOS fills in the address and the checksums."""
    size, largest = sum(map(len, parts)), max(map(len, parts))
    inner = struct.pack("<5sBHIHB", b"_DMI_", 0, size, 0, len(parts), VERSION[0] << 4 | VERSION[1])
    return struct.pack("<4sBBBBHB5s", b"_SM_", 0, ANCHOR_SIZE, *VERSION, largest, 0, bytes(5)) + inner
