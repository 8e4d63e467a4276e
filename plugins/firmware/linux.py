"""Direct boot of a Linux kernel by the 32-bit boot protocol (Linux Documentation/arch/x86/boot.rst, sections 1.1-1.12)."""

from __future__ import annotations

import struct
from typing import Final

import attrs
from vpcore_plugins.firmware.place import Layout, Placed, Registers, align_down, top_of_ram
from vpcore_plugins.firmware.regs import E820

from vpcore.errors import ConfigError

ZERO_PAGE: Final = 0x10000
COMMAND_LINE: Final = 0x12000
MAX_COMMAND_LINE: Final = 0x8000


class Header:
    """Offsets in the setup header and zero page (boot.rst 1.3, zero-page.rst)."""

    ZERO_PAGE_SIZE: Final = 4096
    START: Final = 0x1F1
    SETUP_SECTS: Final = 0x1F1
    MAGIC: Final = 0x202
    VERSION: Final = 0x206
    LOADER_TYPE: Final = 0x210
    LOADFLAGS: Final = 0x211
    CODE32_START: Final = 0x214
    RAMDISK_IMAGE: Final = 0x218
    RAMDISK_SIZE: Final = 0x21C
    CMD_LINE_PTR: Final = 0x228
    INITRD_ADDR_MAX: Final = 0x22C
    CMDLINE_SIZE: Final = 0x238
    SYSSIZE: Final = 0x1F4
    PREF_ADDRESS: Final = 0x258
    INIT_SIZE: Final = 0x260
    VERSION_2_10: Final = 0x020A
    END_POINTER: Final = 0x201
    """The header ends at 202h plus this byte."""
    E820_ENTRIES: Final = 0x1E8
    E820_TABLE: Final = 0x2D0
    MOST_E820: Final = 128
    LOADED_HIGH: Final = 1
    UNDEFINED_LOADER: Final = 0xFF
    VERSION_2_03: Final = 0x0203
    VERSION_2_06: Final = 0x0206


class Screen:
    """Fields of struct screen_info at the start of the zero page, for the text mode that the BIOS left."""

    MODE: Final = 0x06
    COLUMNS: Final = 0x07
    LINES: Final = 0x0E
    IS_VGA: Final = 0x0F
    POINTS: Final = 0x10
    TEXT_80X25: Final = bytes((3, 80))
    ROWS: Final = 25
    CHARACTER_LINES: Final = 16


SECTOR: Final = 512
PARAGRAPH: Final = 16
DEFAULT_SETUP_SECTS: Final = 4
KERNEL: Final = 0x100000
OLD_INITRD_MAX: Final = 0x37FFFFFF
OLD_CMDLINE_SIZE: Final = 255


@attrs.frozen
class LinuxKernel:
    """A bzImage, checked when it was read."""

    setup: bytes
    code: bytes
    initrd: bytes
    append: str

    @classmethod
    def parse(cls, data: bytes, initrd: bytes, append: str, where: str) -> LinuxKernel:
        """Check a bzImage.  Raises `ConfigError` naming the file where it is none, or the command line is too long."""
        version = int.from_bytes(data[Header.VERSION : Header.VERSION + 2], "little")
        if version < Header.VERSION_2_03 or not data[Header.LOADFLAGS] & Header.LOADED_HIGH:
            raise ConfigError(
                f"{where}: is a kernel of an old boot protocol: it must be a bzImage of protocol 2.03 or later"
            )
        most = OLD_CMDLINE_SIZE
        if version >= Header.VERSION_2_06:
            most = int.from_bytes(data[Header.CMDLINE_SIZE : Header.CMDLINE_SIZE + 4], "little")
        if len(append.encode()) > min(most, MAX_COMMAND_LINE):
            raise ConfigError(f"append is longer than the {min(most, MAX_COMMAND_LINE)} bytes that {where} takes")
        split = ((data[Header.SETUP_SECTS] or DEFAULT_SETUP_SECTS) + 1) * SECTOR
        size = int.from_bytes(data[Header.SYSSIZE : Header.SYSSIZE + 4], "little") * PARAGRAPH
        if len(data) - split <= size - PARAGRAPH or split < Header.INIT_SIZE + 4:
            raise ConfigError(f"{where}: is cut short: {split + size} bytes are wanted (got {len(data)})")
        return cls(data[:split], data[split:], initrd, append)

    def _field(self, offset: int, size: int = 4) -> int:
        return int.from_bytes(self.setup[offset : offset + size], "little")

    @property
    def end(self) -> int:
        """The first address that neither the kernel nor what it unpacks itself to needs (boot.rst, init_size)."""
        loaded = KERNEL + len(self.code)
        if self._field(Header.VERSION, 2) < Header.VERSION_2_10:
            return loaded
        return max(loaded, self._field(Header.PREF_ADDRESS, 8) + self._field(Header.INIT_SIZE))

    def place(self, memory_map: list[tuple[int, int, int]]) -> Layout:
        """Where everything goes, given the BIOS's memory map."""
        ram = top_of_ram(memory_map)
        top = min(ram, (self._field(Header.INITRD_ADDR_MAX) or OLD_INITRD_MAX) + 1)
        initrd_at = align_down(top - len(self.initrd)) if self.initrd else 0
        if self.end > (initrd_at or ram):
            return Layout.refused("not enough memory for kernel and initrd: give the machine more")
        parts = [
            Placed(ZERO_PAGE, self._zero_page(memory_map, initrd_at)),
            Placed(COMMAND_LINE, self.append.encode() + b"\0"),
            Placed(KERNEL, self.code),
        ]
        if self.initrd:
            parts.append(Placed(initrd_at, self.initrd))
        return Layout(parts, Registers(esi=ZERO_PAGE, eip=KERNEL))

    def _zero_page(self, memory_map: list[tuple[int, int, int]], initrd_at: int) -> bytes:
        page = bytearray(Header.ZERO_PAGE_SIZE)
        end = Header.MAGIC + self.setup[Header.END_POINTER]
        page[Header.START : end] = self.setup[Header.START : end]
        page[Screen.MODE : Screen.MODE + 2] = Screen.TEXT_80X25
        page[Screen.LINES], page[Screen.IS_VGA] = Screen.ROWS, 1
        page[Screen.POINTS] = Screen.CHARACTER_LINES
        page[Header.LOADER_TYPE] = Header.UNDEFINED_LOADER
        struct.pack_into("<I", page, Header.CODE32_START, KERNEL)
        struct.pack_into("<II", page, Header.RAMDISK_IMAGE, initrd_at, len(self.initrd))
        struct.pack_into("<I", page, Header.CMD_LINE_PTR, COMMAND_LINE)
        entries = memory_map[: Header.MOST_E820]
        page[Header.E820_ENTRIES] = len(entries)
        for index, entry in enumerate(entries):
            struct.pack_into(E820.FORMAT, page, Header.E820_TABLE + index * struct.calcsize(E820.FORMAT), *entry)
        return bytes(page)


def is_linux(data: bytes) -> bool:
    """The file carries a Linux setup header."""
    return data[Header.MAGIC : Header.MAGIC + 4] == b"HdrS"
