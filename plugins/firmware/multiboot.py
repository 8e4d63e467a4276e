"""Direct boot by Multiboot (Multiboot Specification 0.6.96, chapter 3)."""

from __future__ import annotations

import struct
from typing import Final

import attrs
from vpcore_plugins.firmware.place import Layout, Placed, Registers, align_up, top_of_ram

from vpcore.errors import ConfigError

SEARCH: Final = 8192
HEADER_MAGIC: Final = 0x1BADB002
BOOT_MAGIC: Final = 0x2BADB002

INFO: Final = 0x10000
STRINGS: Final = 0x12000
LOADER_NAME: Final = b"vpcore\0"


class HeaderFlags:
    """Header flags (3.1.2)."""

    MUST_UNDERSTAND: Final = 0xFFFF
    PAGE_ALIGN: Final = 1 << 0
    MEMORY_INFO: Final = 1 << 1
    VIDEO: Final = 1 << 2
    KNOWN: Final = PAGE_ALIGN | MEMORY_INFO | VIDEO
    ADDRESSES: Final = 1 << 16


class InfoFlags:
    """Boot information flags (3.3)."""

    MEMORY: Final = 1 << 0
    COMMAND_LINE: Final = 1 << 2
    MODULES: Final = 1 << 3
    MEMORY_MAP: Final = 1 << 6
    LOADER_NAME: Final = 1 << 9


class Header:
    """Header fields (3.1.1): the three that must be there, and the addresses behind them."""

    MUST: Final = "<III"
    FLAGS: Final = 4
    ADDRESSES: Final = 12


class Info:
    """Boot information fields (3.3)."""

    FLAGS: Final = 0  # and mem_lower, mem_upper
    COMMAND_LINE: Final = 16  # and mods_count, mods_addr
    MEMORY_MAP: Final = 44  # mmap_length, mmap_addr
    LOADER_NAME: Final = 64
    SIZE: Final = 88


MAP_ENTRY_SIZE: Final = 20
"""What an entry of the memory map says of itself: its bytes without those of this number."""


class Elf:
    """Offsets in the header of a 32-bit ELF file (System V ABI, figure 4-3)."""

    MACHINE: Final = 18
    ENTRY: Final = 24  # and e_phoff
    TABLE: Final = 42  # e_phentsize, e_phnum


MAX_COMMAND_LINE: Final = 0x8000
ELF_MAGIC: Final = b"\x7fELF\x01\x01"
ELF_LOAD: Final = 1
EM_386: Final = 3
KILOBYTE: Final = 1024
LOW_END: Final = 0xA0000
HIGH_START: Final = 0x100000
MAX_IMAGE: Final = 1 << 30


@attrs.frozen
class MultibootKernel:
    """A kernel with a multiboot header, checked when it was read."""

    segments: list[Placed]
    entry: int
    append: str
    module: bytes

    @classmethod
    def parse(cls, data: bytes, initrd: bytes, append: str, where: str) -> MultibootKernel:
        """Check a kernel.  Raises `ConfigError` naming the file and what it asks for that there is not."""
        at = find_header(data)
        assert at is not None
        flags = struct.unpack_from("<I", data, at + Header.FLAGS)[0]
        unknown = flags & HeaderFlags.MUST_UNDERSTAND & ~HeaderFlags.KNOWN
        if unknown:
            raise ConfigError(f"{where}: asks for multiboot features {unknown:#x} that are not known")
        if len(append.encode()) > MAX_COMMAND_LINE:
            raise ConfigError(f"append is longer than the {MAX_COMMAND_LINE} bytes that there is room for")
        try:
            load = _load_addresses if flags & HeaderFlags.ADDRESSES else _load_elf
            segments, entry = load(data, at)
        except (struct.error, ValueError) as error:
            raise ConfigError(f"{where}: multiboot kernel is damaged: {error}") from error
        return cls(segments, entry, append, initrd)

    def place(self, memory_map: list[tuple[int, int, int]]) -> Layout:
        """Where everything goes, given the BIOS's memory map."""
        end = max(part.end for part in self.segments)
        module_at = align_up(end)
        if max(end, module_at + len(self.module)) > top_of_ram(memory_map):
            return Layout.refused("not enough memory for the multiboot kernel: give the machine more")
        strings = self.append.encode() + b"\0" + LOADER_NAME
        map_at = STRINGS + len(strings)
        entries = b"".join(struct.pack("<IQQI", MAP_ENTRY_SIZE, *entry) for entry in memory_map)
        module_table = map_at + len(entries)
        flags = InfoFlags.MEMORY | InfoFlags.COMMAND_LINE | InfoFlags.MEMORY_MAP | InfoFlags.LOADER_NAME
        modules = b""
        parts = list(self.segments)
        if self.module:
            flags |= InfoFlags.MODULES
            modules = struct.pack("<IIII", module_at, module_at + len(self.module), STRINGS, 0)
            parts.append(Placed(module_at, self.module))
        info = bytearray(Info.SIZE)
        low = next((length for address, length, kind in memory_map if address == 0 and kind == 1), LOW_END)
        struct.pack_into(
            "<III", info, Info.FLAGS, flags, low // KILOBYTE, (top_of_ram(memory_map) - HIGH_START) // KILOBYTE
        )
        struct.pack_into("<III", info, Info.COMMAND_LINE, STRINGS, bool(self.module), module_table)
        struct.pack_into("<II", info, Info.MEMORY_MAP, len(entries), map_at)
        struct.pack_into("<I", info, Info.LOADER_NAME, STRINGS + len(strings) - len(LOADER_NAME))
        parts += [Placed(INFO, bytes(info)), Placed(STRINGS, strings + entries + modules)]
        return Layout(parts, Registers(eax=BOOT_MAGIC, ebx=INFO, eip=self.entry))


def find_header(data: bytes) -> int | None:
    """Offset of the multiboot header, or None (3.1)."""
    for at in range(0, min(len(data), SEARCH) - struct.calcsize(Header.MUST) + 1, 4):
        magic, flags, checksum = struct.unpack_from(Header.MUST, data, at)
        if magic == HEADER_MAGIC and (magic + flags + checksum) & 0xFFFF_FFFF == 0:
            return at
    return None


def _load_addresses(data: bytes, at: int) -> tuple[list[Placed], int]:
    """The header says where the file goes (3.1.3)."""
    header, load, load_end, bss_end, entry = struct.unpack_from("<IIIII", data, at + Header.ADDRESSES)
    start = at - (header - load)
    size = load_end - load if load_end else len(data) - start
    if start < 0 or size < 0 or not HIGH_START <= load <= MAX_IMAGE:
        raise ValueError(f"load address {load:#x}")
    if start + size > len(data):
        raise ValueError(f"the file is cut short: {size:#x} bytes from {start:#x} on are to be loaded")
    return [Placed(load, data[start : start + size], max(0, bss_end - load - size))], entry


def _load_elf(data: bytes, _at: int) -> tuple[list[Placed], int]:
    """The file is a 32-bit ELF executable for the 386."""
    if not data.startswith(ELF_MAGIC) or struct.unpack_from("<H", data, Elf.MACHINE)[0] != EM_386:
        raise ValueError("is not a 32-bit x86 ELF file")
    entry, table = struct.unpack_from("<II", data, Elf.ENTRY)
    size, count = struct.unpack_from("<HH", data, Elf.TABLE)
    segments = []
    for index in range(count):
        kind, offset, _virtual, physical, in_file, in_memory = struct.unpack_from("<IIIIII", data, table + index * size)
        if kind == ELF_LOAD and in_memory:
            if in_memory > MAX_IMAGE or in_file > in_memory or physical < HIGH_START:
                raise ValueError(f"segment {index} lies at {physical:#x} with {in_memory:#x} bytes")
            if offset + in_file > len(data):
                raise ValueError(f"the file is cut short: segment {index} ends at {offset + in_file:#x}")
            segments.append(Placed(physical, data[offset : offset + in_file], in_memory - in_file))
    if not segments:
        raise ValueError("has nothing to load")
    return segments, entry
