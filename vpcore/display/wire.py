"""What a machine and its display process say to each other over two pipes.

To the display: frames, each a header and a payload.  To the machine: lines of text, `key NAME`, `text HEX`, `quit`.
"""

from __future__ import annotations

import struct
from typing import Final

import attrs
import numpy as np
import numpy.typing as npt

HEADER: Final = struct.Struct("<BHHhh")
TEXT: Final = 0
PICTURE: Final = 1
NO_CURSOR: Final = -1
CHANNELS: Final = {TEXT: 2, PICTURE: 3}


@attrs.frozen
class Frame:
    """A text screen (rows, columns, character and attribute) or a picture (height, width, RGB)."""

    kind: int
    pixels: npt.NDArray[np.uint8]
    cursor: tuple[int, int] | None = None

    def pack(self) -> bytes:
        """Header and payload."""
        row, column = self.cursor or (NO_CURSOR, NO_CURSOR)
        height, width = self.pixels.shape[:2]
        return HEADER.pack(self.kind, height, width, row, column) + self.pixels.tobytes()


def payload_size(header: bytes) -> int:
    """Bytes that follow a header."""
    kind, height, width, _, _ = HEADER.unpack(header)
    return int(height * width * CHANNELS[kind])


def unpack(header: bytes, payload: bytes) -> Frame:
    """The frame of a header and its payload."""
    kind, height, width, row, column = HEADER.unpack(header)
    pixels = np.frombuffer(payload, np.uint8).reshape(height, width, CHANNELS[kind])
    return Frame(kind, pixels, None if row == NO_CURSOR else (row, column))
