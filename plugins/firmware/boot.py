"""Loads the kernel when the boot ROM rings: memory map in, images and registers out (see bootrom.asm)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final, Protocol

import attrs
from vpcore_plugins.firmware import bootrom
from vpcore_plugins.firmware.linux import LinuxKernel, is_linux
from vpcore_plugins.firmware.multiboot import MultibootKernel, find_header
from vpcore_plugins.firmware.place import Layout

from vpcore.errors import ConfigError
from vpcore.log import DeviceLog
from vpcore.memory import Memory

PARAMS: Final = 0x11000
MAP_ENTRIES: Final = PARAMS + 0x10
MAP_ENTRY_SIZE: Final = 24
MOST_ENTRIES: Final = 120
GDT: Final = PARAMS + 0xC00
FLAT_CODE: Final = PARAMS + 0xD00
REGISTERS: Final = PARAMS + 0xE00
GDT_BYTES: Final = struct.pack("<QQQQ", 0, 0, 0x00CF9A000000FFFF, 0x00CF92000000FFFF)
"""Null, unused, flat code at 10h, flat data at 18h (boot.rst 1.13)."""
HANG: Final = b"\xfa\xf4\xeb\xfd"
"""cli; hlt; jmp: what runs when the kernel cannot be loaded."""


CHUNK: Final = 1 << 16


class Kernel(Protocol):
    """A kernel of some boot protocol."""

    def place(self, memory_map: list[tuple[int, int, int]]) -> Layout:
        """Where everything goes."""


def read_kernel(kernel: Path, initrd: Path | None, append: str) -> Kernel:
    """Read and check a kernel file.  Raises `ConfigError` naming the file."""
    data = read_file(kernel)
    extra = b"" if initrd is None else read_file(initrd)
    if is_linux(data):
        return LinuxKernel.parse(data, extra, append, str(kernel))
    if find_header(data) is not None:
        return MultibootKernel.parse(data, extra, append, str(kernel))
    raise ConfigError(f"{kernel}: is neither a Linux bzImage nor a multiboot kernel")


def read_file(path: Path) -> bytes:
    """Read a file that the machine file names.  Raises `ConfigError` naming it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


@attrs.frozen
class BootLoader:
    """The host's half of the boot ROM."""

    kernel: Kernel
    memory: Memory
    log: DeviceLog

    def load(self) -> None:
        """Answer the doorbell."""
        layout = self.kernel.place(self._memory_map())
        self.memory.write(GDT, GDT_BYTES)
        self.memory.write(REGISTERS, struct.pack("<8I", *attrs.astuple(layout.registers)))
        self.memory.write(FLAT_CODE, bootrom.flat_code())
        if layout.problem:
            self.log.warning("kernel not loaded", reason=layout.problem)
            self.memory.write(FLAT_CODE, HANG)
        for part in layout.parts:
            self.memory.write(part.address, part.data)
            self._clear(part.address + len(part.data), part.zeros)

    def _clear(self, address: int, size: int) -> None:
        zeros = bytes(min(size, CHUNK))
        for at in range(address, min(address + size, self.memory.size), CHUNK):
            self.memory.write(at, zeros[: address + size - at])

    def _memory_map(self) -> list[tuple[int, int, int]]:
        """What INT 15h E820h said, as the ROM left it."""
        count = min(int.from_bytes(self.memory.read(PARAMS, 4), "little"), MOST_ENTRIES)
        raw = self.memory.read(MAP_ENTRIES, count * MAP_ENTRY_SIZE)
        return [struct.unpack_from("<QQI", raw, index * MAP_ENTRY_SIZE) for index in range(count)]
