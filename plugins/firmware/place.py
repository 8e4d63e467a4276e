"""What a boot protocol asks for: pieces of memory and the registers to start with."""

from __future__ import annotations

from typing import Final

import attrs
from vpcore_plugins.firmware.regs import E820

PAGE: Final = 4096
LOW_LIMIT: Final = 1 << 20
FOUR_GB: Final = 1 << 32


@attrs.frozen
class Placed:
    """Bytes at a guest-physical address, and how many zero bytes follow."""

    address: int
    data: bytes
    zeros: int = 0

    @property
    def end(self) -> int:
        """The first address behind."""
        return self.address + len(self.data) + self.zeros


@attrs.frozen
class Registers:
    """What the kernel starts with."""

    eax: int = 0
    ebx: int = 0
    ecx: int = 0
    edx: int = 0
    esi: int = 0
    edi: int = 0
    ebp: int = 0
    eip: int = 0


@attrs.frozen
class Layout:
    """Everything that is put into memory, or why it cannot be."""

    parts: list[Placed]
    registers: Registers
    problem: str = ""

    @classmethod
    def refused(cls, problem: str) -> Layout:
        """Nothing is loaded."""
        return cls([], Registers(), problem)


def align_down(address: int) -> int:
    """The page that *address* lies in."""
    return address & -PAGE


def align_up(address: int) -> int:
    """The next page boundary."""
    return -(-address // PAGE) * PAGE


def top_of_ram(memory_map: list[tuple[int, int, int]]) -> int:
    """End of the RAM that starts at 1 MB."""
    for address, length, kind in memory_map:
        if kind == E820.RAM and address <= LOW_LIMIT < address + length:
            return min(address + length, FOUR_GB)
    return LOW_LIMIT
