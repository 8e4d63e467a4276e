"""8237A registers and bits, named as in Intel's 8237A data sheet (order 231466), and the PC's page registers."""

from __future__ import annotations

from typing import Final


class Port:
    """Where a PC decodes the two controllers and the page registers."""

    DMA1: Final = 0x00
    PAGES: Final = 0x81
    DMA2: Final = 0xC0


CHANNELS: Final = 4
"""Channels of one chip."""
CASCADE: Final = 4
"""Channel of the second controller that the first one is wired to."""
WORD: Final = 0x10000


class Reg:
    """Offsets; on the second controller twice as far apart."""

    CHANNELS: Final = 8  # offsets below: address and count of each channel
    COMMAND: Final = 8  # status when read
    REQUEST: Final = 9
    SINGLE_MASK: Final = 10
    MODE: Final = 11
    CLEAR_FLIP_FLOP: Final = 12
    MASTER_CLEAR: Final = 13  # temporary register when read
    CLEAR_MASK: Final = 14
    ALL_MASK: Final = 15
    COUNT: Final = 16


class Command:
    """Command register."""

    MEMORY_TO_MEMORY: Final = 1 << 0
    DISABLE: Final = 1 << 2


class Mode:
    """Mode register."""

    CHANNEL: Final = 0x03
    TRANSFER: Final = 0x0C
    VERIFY: Final = 0x00
    WRITE: Final = 0x04  # device to memory
    READ: Final = 0x08  # memory to device
    AUTOINIT: Final = 1 << 4
    DECREMENT: Final = 1 << 5
    SELECT: Final = 0xC0
    CASCADE: Final = 0xC0


class Request:
    """Request and single mask registers."""

    CHANNEL: Final = 0x03
    SET: Final = 1 << 2


ALL: Final = 0x0F


class Page:
    """Page registers, as offsets from 81h; the others are storage (PIIX3 2.5.1)."""

    COUNT: Final = 15
    OF_CHANNEL: Final = (0x06, 0x02, 0x00, 0x01, 0x0E, 0x0A, 0x08, 0x09)
    """Page register of channels 0-7: 87h, 83h, 81h, 82h, 8Fh (refresh), 8Bh, 89h, 8Ah."""
    SHIFT: Final = 16
    WORD_MASK: Final = 0xFE
    """16-bit channels take address bit 16 from the address register."""
