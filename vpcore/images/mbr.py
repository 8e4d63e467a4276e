"""The master boot record: partition table, and GRUB's first stages in the gap before the first partition.

Sources: the classic PC partition table (UEFI specification 2.10, section 5.2.1 "Legacy MBR"); GRUB 2 manual, section
"BIOS installation" (core image in the MBR gap).  GRUB's boot.img loads sector 1, and the first sector of a core image
made by grub-mkimage loads the sectors from 2 on, so a core image that follows the MBR needs no patching.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import attrs

from vpcore.errors import ImageError

SECTOR: Final = 512
FIRST_SECTOR: Final = 2048
"""Where the first partition begins: 1 MiB, which leaves the gap for GRUB."""

HEADS: Final = 255
SECTORS_PER_TRACK: Final = 63
LAST_CHS: Final = (1023, HEADS - 1, SECTORS_PER_TRACK)
"""The address written for what lies past the reach of cylinder, head, sector numbers."""


class Layout:
    """Offsets in the master boot record."""

    SIGNATURE: Final = 0x1B8  # four bytes that identify the disk
    TABLE: Final = 0x1BE  # four entries of 16 bytes
    BOOT_MARK: Final = 0x1FE  # 55 AA
    ENTRIES: Final = 4


class Kind:
    """Partition types."""

    LINUX: Final = 0x83
    FAT16_LBA: Final = 0x0E


@attrs.frozen
class Partition:
    """One entry of the table; *start* and *sectors* count sectors of 512 bytes."""

    start: int
    sectors: int
    kind: int = Kind.LINUX
    active: bool = False

    def entry(self) -> bytes:
        """The 16 bytes of the entry."""
        last = self.start + self.sectors - 1
        return struct.pack(
            "<B3sB3sII", 0x80 if self.active else 0, _chs(self.start), self.kind, _chs(last), self.start, self.sectors
        )


def _chs(sector: int) -> bytes:
    """The three bytes that name *sector* by head, sector and cylinder."""
    cylinder, rest = divmod(sector, HEADS * SECTORS_PER_TRACK)
    head, number = divmod(rest, SECTORS_PER_TRACK)
    number += 1
    if cylinder > LAST_CHS[0]:
        cylinder, head, number = LAST_CHS
    return bytes((head, number | cylinder >> 8 << 6, cylinder & 0xFF))


def boot_area(boot: bytes, core: bytes, partitions: Sequence[Partition], signature: int) -> bytes:
    """The sectors before the first partition: GRUB's *boot* image around the table, then its *core* image.

    Raises:
        ImageError: the images are no GRUB images or do not fit, or partitions overlap.

    """
    if len(boot) != SECTOR or boot[Layout.BOOT_MARK :] != b"\x55\xaa":
        raise ImageError("GRUB's boot.img is no boot sector: reinstall grub-pc-bin")
    if len(partitions) > Layout.ENTRIES:
        raise ImageError(f"a master boot record has {Layout.ENTRIES} partitions (got {len(partitions)})")
    taken = 1 + -(-len(core) // SECTOR)
    for partition in sorted(partitions, key=lambda each: each.start):
        if partition.start < taken:
            raise ImageError(
                f"the partition at sector {partition.start} overlaps what lies before it, up to sector {taken}"
            )
        taken = partition.start + partition.sectors
    table = b"".join(partition.entry() for partition in partitions).ljust(Layout.ENTRIES * 16, b"\0")
    record = boot[: Layout.SIGNATURE] + struct.pack("<IH", signature, 0) + table + b"\x55\xaa"
    return record + core
