"""Whether the image of a disc is all there (ECMA-119 8.4: the primary volume descriptor says how long the volume is)."""

from __future__ import annotations

import struct
from typing import Final

from vpcore_plugins.ide.regs import CD_BLOCK

from vpcore.errors import ConfigError
from vpcore.host.ends import BlockDevice

DESCRIPTOR_BLOCK: Final = 16
MARK: Final = b"\x01CD001"
VOLUME_BLOCKS: Final = 80
BLOCK_SIZE: Final = 128
RUN_OUT: Final = 150 * CD_BLOCK
"""What some programs count in that is not part of the data: two seconds at the end of the track."""


def check_disc(disc: BlockDevice) -> None:
    """Raise `ConfigError` where an ISO image is shorter than its volume; other images may be of any length."""
    descriptor = bytearray(CD_BLOCK)
    disc.read(DESCRIPTOR_BLOCK * CD_BLOCK, memoryview(descriptor))
    if not descriptor.startswith(MARK):
        return
    blocks = struct.unpack_from("<I", descriptor, VOLUME_BLOCKS)[0]
    wanted = blocks * struct.unpack_from("<H", descriptor, BLOCK_SIZE)[0]
    if disc.size + RUN_OUT < wanted:
        raise ConfigError(f"{disc.name}: is cut short: {disc.size} of its {wanted} bytes are there: get it again")
