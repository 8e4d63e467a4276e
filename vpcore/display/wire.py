"""What a machine and its display process say to each other over two pipes.

To the display: frames, each a header and a payload.  To the machine: lines of JSON, each a list of strings:
`["text", TEXT]`, `["chord", KEY, ...]`, `["size", ROWS, COLUMNS]`, `["quit"]`, `["error", WHAT]`.
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
STATUS: Final = 2
NO_CURSOR: Final = -1
CHANNELS: Final = {TEXT: 2, PICTURE: 3, STATUS: 1}
MOST_STATUS: Final = 1000


@attrs.frozen
class Frame:
    """A text screen (rows, columns, character and attribute), a picture (height, width, RGB) or a line of status."""

    kind: int
    pixels: npt.NDArray[np.uint8]
    cursor: tuple[int, int] | None = None

    @classmethod
    def status(cls, text: str) -> Frame:
        """A line about the machine."""
        return cls(STATUS, np.frombuffer(text[:MOST_STATUS].encode(), np.uint8).reshape(1, -1, 1))

    def pack(self) -> bytes:
        """Header and payload."""
        row, column = self.cursor or (NO_CURSOR, NO_CURSOR)
        height, width = self.pixels.shape[:2]
        return HEADER.pack(self.kind, height, width, row, column) + self.pixels.tobytes()


def unpack(data: bytes) -> tuple[Frame | None, bytes]:
    """The frame at the start of *data*, if it is all there, and what follows."""
    if len(data) < HEADER.size:
        return None, data
    kind, height, width, row, column = HEADER.unpack_from(data)
    shape = height, width, CHANNELS[kind]
    end = HEADER.size + height * width * CHANNELS[kind]
    if len(data) < end:
        return None, data
    pixels = np.frombuffer(data[HEADER.size : end], np.uint8).reshape(shape)
    return Frame(kind, pixels, None if row == NO_CURSOR else (row, column)), data[end:]


def shrink(picture: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """The picture in at most that many pixels, in proportion; an even number of lines."""
    rows, columns = picture.shape[:2]
    scale = max(rows / max(height, 2), columns / max(width, 1), 1)
    lines = (np.arange(max(int(rows / scale) & ~1, 2)) * scale).astype(int)
    dots = (np.arange(max(int(columns / scale), 1)) * scale).astype(int)
    small: npt.NDArray[np.uint8] = picture[np.minimum(lines, rows - 1)][:, np.minimum(dots, columns - 1)]
    return small
