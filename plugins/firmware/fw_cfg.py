"""fw_cfg: the numbered items and named files that SeaBIOS reads from the machine.

Items are read byte by byte at port 511h after their key was written to 510h, or moved by the device itself when the
address of a request structure is written to 514h/518h.  All items are read-only to the guest.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

import attrs
from vpcore_plugins.firmware.regs import FILE_FORMAT, MAX_NAME, SIGNATURE, Dma, Id, Key, Reg

from vpcore.device import Device
from vpcore.errors import ConfigError
from vpcore.memory import Memory
from vpcore.ports import PortMap

Content = bytes | Callable[[], bytes]

MAX_DMA: Final = 64 << 20
"""Longest transfer the guest can ask for in one request; more is an error, as for a bad key."""
CHUNK: Final = 1 << 16


@attrs.define
class FwCfgState:
    """Selector, position in the item, and the upper half of a DMA address."""

    key: int = 0
    offset: int = 0
    dma_high: int = 0


class FwCfgDevice(Device[FwCfgState]):
    """The configuration device; *ring* is called when the boot ROM wants its kernel."""

    ports = PortMap(size=Reg.SIZE)

    def __init__(self, *, memory: Memory, ring: Callable[[], None]) -> None:
        self._memory = memory
        self._ring = ring
        self._items: dict[int, Content] = {
            Key.SIGNATURE: SIGNATURE,
            Key.ID: struct.pack("<I", Id.TRADITIONAL | Id.DMA),
            Key.FILE_DIR: self._directory,
        }
        self._files: dict[str, int] = {}
        self.load(FwCfgState())

    # -- what the host offers --

    def add_item(self, key: int, data: Content) -> None:
        """Offer a numbered item."""
        self._items[key] = data

    def add_file(self, name: str, data: Content) -> None:
        """Offer a named file; a second one of that name replaces the first."""
        if len(name) > MAX_NAME or not name.isascii():
            raise ConfigError(f"fw_cfg file name {name!r} must be of at most {MAX_NAME} ASCII characters")
        key = self._files.setdefault(name, Key.FILE_FIRST + len(self._files))
        self._items[key] = data

    def _directory(self) -> bytes:
        entries = [
            struct.pack(FILE_FORMAT, len(self._content(key)), key, 0, name.encode("ascii"))
            for name, key in sorted(self._files.items())
        ]
        return struct.pack(">I", len(entries)) + b"".join(entries)

    def _content(self, key: int) -> bytes:
        data = self._items.get(key, b"")
        return data() if callable(data) else data

    # -- registers --

    @ports.write(Reg.SELECTOR, width=2)
    def _select(self, value: int) -> None:
        self.state.key = value & ~Key.WRITE_CHANNEL & Key.MASK
        self.state.offset = 0

    @ports.read(Reg.SELECTOR, width=2)
    def _read_selector(self) -> int:
        return self.state.key

    @ports.read(Reg.DATA)
    def _read_data(self) -> int:
        data = self._content(self.state.key)
        offset = self.state.offset
        if offset >= len(data):
            return 0
        self.state.offset = offset + 1
        return data[offset]

    @ports.write(Reg.DATA)
    def _write_data(self, value: int) -> None:
        """Items cannot be written."""

    @ports.read_block(Reg.DATA)
    def _read_data_block(self, buffer: memoryview) -> int:
        part = self._take(len(buffer))
        buffer[: len(part)] = part
        buffer[len(part) :] = bytes(len(buffer) - len(part))
        return len(buffer)

    @ports.read(Reg.DMA_HIGH, width=4)
    def _read_signature_high(self) -> int:
        return int.from_bytes(Dma.SIGNATURE_HIGH.to_bytes(4, "big"), "little")

    @ports.read(Reg.DMA_LOW, width=4)
    def _read_signature_low(self) -> int:
        return int.from_bytes(Dma.SIGNATURE_LOW.to_bytes(4, "big"), "little")

    @ports.write(Reg.DMA_HIGH, width=4)
    def _write_dma_high(self, value: int) -> None:
        self.state.dma_high = int.from_bytes(value.to_bytes(4, "little"), "big")

    @ports.write(Reg.DMA_LOW, width=4)
    def _write_dma_low(self, value: int) -> None:
        address = self.state.dma_high << 32 | int.from_bytes(value.to_bytes(4, "little"), "big")
        self.state.dma_high = 0
        self._run_dma(address)

    @ports.write(Reg.BOOT_DOORBELL)
    def _write_doorbell(self, _value: int) -> None:
        self._ring()

    # -- transfers --

    def _take(self, count: int) -> bytes:
        data = self._content(self.state.key)
        part = data[self.state.offset : self.state.offset + count]
        self.state.offset += len(part)
        return part

    def _run_dma(self, address: int) -> None:
        control, length, target = struct.unpack(Dma.FORMAT, self._memory.read(address, struct.calcsize(Dma.FORMAT)))
        if control & Dma.SELECT:
            self._select(control >> Dma.KEY_SHIFT)
        bad = bool(control & Dma.WRITE) or length > MAX_DMA
        if control & Dma.READ and not bad:
            self._copy(target, length)
        elif control & Dma.SKIP and not bad:
            self._take(length)
        self._memory.write(address, struct.pack(">I", Dma.ERROR if bad else 0))

    def _copy(self, target: int, length: int) -> None:
        """What lies beyond the item's end is zeros."""
        part = self._take(length)
        self._memory.write(target, part)
        target, length = target + len(part), min(length - len(part), max(0, self._memory.size - target - len(part)))
        while length > 0:
            zeros = bytes(min(length, CHUNK))
            self._memory.write(target, zeros)
            target, length = target + len(zeros), length - len(zeros)
