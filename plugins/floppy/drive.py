"""A floppy drive: head position, motor, and the disk in it."""

from __future__ import annotations

from typing import Final

from vpcore_plugins.floppy.regs import GEOMETRIES, SECTOR

from vpcore.errors import ConfigError
from vpcore.host.ends import BlockDevice

Geometry = tuple[int, int, int]


def geometry_of(disk: BlockDevice) -> Geometry:
    """Cylinders, heads and sectors of an image; the next larger format for one that was cut short.

    Raises `ConfigError` for an image larger than any floppy.
    """
    for size, geometry in GEOMETRIES.items():
        if disk.size <= size:
            return geometry
    raise ConfigError(f"{disk.name}: is no floppy image: {disk.size} bytes is more than 2.88 MB")


NO_GEOMETRY: Final = (0, 0, 0)


class FloppyDrive:
    """A drive, with or without a disk.  Heads and media are not part of a checkpoint's device state."""

    def __init__(self) -> None:
        self.disk: BlockDevice | None = None
        self.geometry: Geometry = NO_GEOMETRY
        self.changed = False
        """The disk change line: set by a change, cleared by a step with a disk in (82077AA 2.1.7)."""

    def insert(self, disk: BlockDevice | None) -> None:
        """Put a disk in, or take it out."""
        geometry = NO_GEOMETRY if disk is None else geometry_of(disk)
        if self.disk is not None:
            self.disk.close()
        self.disk, self.geometry, self.changed = disk, geometry, True

    def stepped(self) -> None:
        """The head moved."""
        if self.disk is not None:
            self.changed = False

    def offset(self, cylinder: int, head: int, sector: int) -> int | None:
        """Byte offset of a sector in the image, or None where the disk has none such."""
        cylinders, heads, sectors = self.geometry
        if cylinder < cylinders and head < heads and 1 <= sector <= sectors:
            return ((cylinder * heads + head) * sectors + sector - 1) * SECTOR
        return None
