"""A floppy drive: the disk in it and its format."""

from __future__ import annotations

from typing import Final

import attrs
from vpcore_plugins.floppy.regs import FORMATS, SECTOR, DriveType

from vpcore.errors import ConfigError
from vpcore.host.ends import BlockDevice


@attrs.frozen
class Format:
    """How a disk is laid out."""

    cylinders: int
    heads: int
    sectors: int
    rates: frozenset[int]
    drive_type: int


NO_FORMAT: Final = Format(0, 0, 0, frozenset(), DriveType.M1_44)


def format_of(disk: BlockDevice) -> Format:
    """The format of an image; the next larger one for an image that was cut short.

    Raises `ConfigError` for an image larger than any floppy.
    """
    for size, layout in FORMATS.items():
        if disk.size <= size:
            return Format(*layout)
    raise ConfigError(f"{disk.name}: is no floppy image: {disk.size} bytes is more than 2.88 MB")


class FloppyDrive:
    """A drive, with or without a disk.  Media are not part of a checkpoint's device state."""

    def __init__(self) -> None:
        self.disk: BlockDevice | None = None
        self.format = NO_FORMAT

    def insert(self, disk: BlockDevice | None) -> None:
        """Put a disk in, or take it out."""
        layout = NO_FORMAT if disk is None else format_of(disk)
        if self.disk is not None:
            self.disk.close()
        self.disk, self.format = disk, layout

    def offset(self, cylinder: int, head: int, sector: int) -> int | None:
        """Byte offset of a sector in the image, or None where the disk has none such."""
        layout = self.format
        if cylinder < layout.cylinders and head < layout.heads and 1 <= sector <= layout.sectors:
            return ((cylinder * layout.heads + head) * layout.sectors + sector - 1) * SECTOR
        return None
