"""The two 8237A DMA controllers of a PC: channels 0-3 move bytes, 5-7 words, 4 is the cascade.

A device asks its channel to move a block; the controller counts, wraps and reaches terminal count as if it had gone
byte by byte, but memory is copied in runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from vpcore.board import Board
from vpcore.device import Device, DeviceType
from vpcore.memory import Memory
from vpcore.ports import PortMap
from vpcore.wires import DmaController

from .regs_dma import ALL, CASCADE, CHANNELS, WORD, Command, Mode, Page, Port, Reg, Request

SECOND: Final = 4
"""First channel of the second controller."""
BYTE: Final = 0xFF


@attrs.define
class ChannelState:
    """One channel.  Addresses and counts are in bytes or words, as the channel moves them."""

    base_address: int = 0
    base_count: int = 0
    address: int = 0
    count: int = 0
    mode: int = 0


@attrs.define
class ChipState:
    """One 8237A after reset or master clear: all channels masked."""

    command: int = 0
    mask: int = ALL
    requests: int = 0
    """DREQ inputs and software requests, as the status register shows them."""
    terminal: int = 0
    """Channels that reached terminal count since status was last read."""
    high_byte: bool = False
    """The flip-flop: the next byte is the high one."""


@attrs.define
class DmaState:
    """Both controllers and the page registers."""

    chips: list[ChipState] = attrs.field(factory=lambda: [ChipState(), ChipState()])
    channels: list[ChannelState] = attrs.field(factory=lambda: [ChannelState() for _ in range(2 * CHANNELS)])
    pages: bytearray = attrs.field(factory=lambda: bytearray(Page.COUNT))


class Channel:
    """One channel, as the device wired to it sees it (`wires.DmaChannel`)."""

    def __init__(self, dma: Dma, number: int) -> None:
        self._dma = dma
        self._number = number
        self._index = number // CHANNELS
        self._bit = 1 << number % CHANNELS
        self._size = 1 if number < SECOND else 2
        self._callbacks: list[Callable[[], None]] = []

    @property
    def _state(self) -> ChannelState:
        return self._dma.state.channels[self._number]

    @property
    def _chip(self) -> ChipState:
        return self._dma.state.chips[self._index]

    @property
    def ready(self) -> bool:
        """True when the channel is unmasked and its controller enabled, through the cascade where there is one."""
        chip = self._chip
        if chip.mask & self._bit or chip.command & Command.DISABLE:
            return False
        return self._size == 2 or self._dma.cascade_open()  # noqa: PLR2004 - words: on the second controller itself

    def request(self, level: bool) -> None:
        """Drive DREQ."""
        chip = self._chip
        chip.requests = chip.requests | self._bit if level else chip.requests & ~self._bit

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Call back when the guest unmasks or programs the channel."""
        self._callbacks.append(callback)

    def tell_ready(self) -> None:
        """Run the callbacks if the channel is ready."""
        if self._callbacks and self.ready:
            for callback in self._callbacks:
                callback()

    def to_device(self, count: int) -> tuple[bytes, bool]:
        """Move up to *count* bytes from memory; the bytes, and whether terminal count was reached."""
        if not self.ready:
            return b"", False
        parts = []
        reads = self._state.mode & Mode.TRANSFER == Mode.READ
        units = min(count // self._size, self._state.count + 1)
        for start, length in self._runs(units):
            data = self._dma.memory.read(start, length) if reads else bytes([BYTE]) * length
            parts.append(self._reversed(data) if self._down else data)
        return b"".join(parts), self._advance(units)

    def from_device(self, data: bytes | memoryview) -> tuple[int, bool]:
        """Move bytes to memory; how many went, and whether terminal count was reached."""
        if not self.ready:
            return 0, False
        writes = self._state.mode & Mode.TRANSFER == Mode.WRITE
        units = min(len(data) // self._size, self._state.count + 1)
        at = 0
        for start, length in self._runs(units) if writes else ():
            part = data[at : at + length]
            self._dma.memory.write(start, self._reversed(bytes(part)) if self._down else part)
            at += length
        return units * self._size, self._advance(units)

    def run_software_request(self) -> None:
        """Run to terminal count with nobody answering DACK: the bus floats."""
        size = (self._state.count + 1) * self._size
        if self._state.mode & Mode.TRANSFER == Mode.WRITE:
            self.from_device(bytes([BYTE]) * size)
        else:
            self._advance(self._state.count + 1)

    @property
    def _down(self) -> bool:
        return bool(self._state.mode & Mode.DECREMENT)

    def _reversed(self, data: bytes) -> bytes:
        """The units of a run in the other order."""
        if self._size == 1:
            return data[::-1]
        units = memoryview(data).cast("H")
        return bytes(units[::-1].tobytes())

    def _runs(self, units: int) -> list[tuple[int, int]]:
        """Physical address and size of the one or two pieces of memory that *units* from here on are.

        The address register wraps without a carry into the page register.
        """
        page = self._dma.state.pages[Page.OF_CHANNEL[self._number]]
        base = (page if self._size == 1 else page & Page.WORD_MASK) << Page.SHIFT
        address = self._state.address
        runs = []
        while units:
            if self._down:
                length = min(units, address + 1)
                runs.append((base + (address - length + 1) * self._size, length * self._size))
                address = (address - length) % WORD
            else:
                length = min(units, WORD - address)
                runs.append((base + address * self._size, length * self._size))
                address = (address + length) % WORD
            units -= length
        return runs

    def _advance(self, units: int) -> bool:
        """Count *units* transfers; at terminal count reload (autoinitialize) or mask the channel."""
        s = self._state
        s.address = (s.address + (-units if self._down else units)) % WORD
        s.count -= units
        if s.count >= 0:
            return False
        chip = self._chip
        chip.terminal |= self._bit
        if s.mode & Mode.AUTOINIT:
            s.address, s.count = s.base_address, s.base_count
        else:
            s.count = WORD - 1
            chip.mask |= self._bit
        return True


class Dma(Device[DmaState]):
    """The controllers at `ports` and `second_ports`, and the page registers but 80h, which is the POST code's."""

    ports = PortMap(size=Reg.COUNT)
    second_ports = PortMap(size=2 * Reg.COUNT)
    page_ports = PortMap(size=Page.COUNT)

    def __init__(self, *, memory: Memory) -> None:
        self.memory = memory
        self._channels = [Channel(self, number) for number in range(2 * CHANNELS)]
        self.load(DmaState())

    def channel(self, number: int) -> Channel:
        """Channel 0-3 (8 bit) or 5-7 (16 bit)."""
        return self._channels[number]

    def cascade_open(self) -> bool:
        """Channel 4 lets the first controller through (mode cascade, unmasked, second controller enabled)."""
        chip = self.state.chips[1]
        mode = self.state.channels[CASCADE].mode
        return not chip.mask & 1 and not chip.command & Command.DISABLE and mode & Mode.SELECT == Mode.CASCADE

    # -- registers; each is written once for both controllers --

    @ports.read(range(Reg.COUNT))
    def _read1(self, reg: int) -> int:
        return self._read(0, reg)

    @ports.write(range(Reg.COUNT))
    def _write1(self, reg: int, value: int) -> None:
        self._write(0, reg, value)

    @second_ports.read(range(2 * Reg.COUNT))
    def _read2(self, offset: int) -> int:
        return self._read(1, offset >> 1)

    @second_ports.write(range(2 * Reg.COUNT))
    def _write2(self, offset: int, value: int) -> None:
        self._write(1, offset >> 1, value)

    @page_ports.read(range(Page.COUNT))
    def _read_page(self, offset: int) -> int:
        return self.state.pages[offset]

    @page_ports.write(range(Page.COUNT))
    def _write_page(self, offset: int, value: int) -> None:
        self.state.pages[offset] = value

    def _read(self, index: int, reg: int) -> int:
        chip = self.state.chips[index]
        if reg < Reg.CHANNELS:
            channel = self.state.channels[index * CHANNELS + reg // 2]
            word = channel.count if reg & 1 else channel.address
            high, chip.high_byte = chip.high_byte, not chip.high_byte
            return word >> 8 if high else word & BYTE
        if reg == Reg.COMMAND:
            status = chip.requests << CHANNELS | chip.terminal
            chip.terminal = 0
            return status
        if reg == Reg.ALL_MASK:
            return ~ALL & BYTE | chip.mask
        return 0

    def _write(self, index: int, reg: int, value: int) -> None:
        if reg < Reg.CHANNELS:
            self._write_channel(index, reg, value)
        else:
            _WRITES[reg](self, index, value)

    def _write_channel(self, index: int, reg: int, value: int) -> None:
        """A byte of the base and current address or count."""
        chip = self.state.chips[index]
        channel = self.state.channels[index * CHANNELS + reg // 2]
        old = channel.base_count if reg & 1 else channel.base_address
        word = value << 8 | old & BYTE if chip.high_byte else old & BYTE << 8 | value
        chip.high_byte = not chip.high_byte
        if reg & 1:
            channel.base_count = channel.count = word
        else:
            channel.base_address = channel.address = word

    def _write_command(self, index: int, value: int) -> None:
        self.state.chips[index].command = value
        self._tell()

    def _write_request(self, index: int, value: int) -> None:
        """A software request: not maskable, but the channel must be in block mode; TC ends it (Software DMA requests)."""
        if value & Request.SET and not self.state.chips[index].command & Command.DISABLE:
            self._channels[index * CHANNELS + (value & Request.CHANNEL)].run_software_request()

    def _write_single_mask(self, index: int, value: int) -> None:
        chip = self.state.chips[index]
        bit = 1 << (value & Request.CHANNEL)
        if value & Request.SET:
            chip.mask |= bit
        else:
            chip.mask &= ~bit
            self._tell()

    def _write_mode(self, index: int, value: int) -> None:
        self.state.channels[index * CHANNELS + (value & Mode.CHANNEL)].mode = value & ~Mode.CHANNEL
        self._tell()

    def _clear_flip_flop(self, index: int, _value: int) -> None:
        self.state.chips[index].high_byte = False

    def _master_clear(self, index: int, _value: int) -> None:
        requests = self.state.chips[index].requests
        self.state.chips[index] = ChipState(requests=requests)

    def _clear_mask(self, index: int, _value: int) -> None:
        self.state.chips[index].mask = 0
        self._tell()

    def _write_all_mask(self, index: int, value: int) -> None:
        self.state.chips[index].mask = value & ALL
        self._tell()

    def _tell(self) -> None:
        for channel in self._channels:
            channel.tell_ready()


_WRITES: Final[dict[int, Callable[[Dma, int, int], None]]] = {
    Reg.COMMAND: Dma._write_command,  # noqa: SLF001 - the table is part of the class
    Reg.REQUEST: Dma._write_request,  # noqa: SLF001
    Reg.SINGLE_MASK: Dma._write_single_mask,  # noqa: SLF001
    Reg.MODE: Dma._write_mode,  # noqa: SLF001
    Reg.CLEAR_FLIP_FLOP: Dma._clear_flip_flop,  # noqa: SLF001
    Reg.MASTER_CLEAR: Dma._master_clear,  # noqa: SLF001
    Reg.CLEAR_MASK: Dma._clear_mask,  # noqa: SLF001
    Reg.ALL_MASK: Dma._write_all_mask,  # noqa: SLF001
}


@attrs.frozen
class DmaConfig:
    """The two 8237A DMA controllers (00h, C0h) and their page registers (81h to 8Fh)."""

    name: str


def build(config: DmaConfig, board: Board) -> Dma:  # noqa: ARG001 - nothing to configure
    """Wire the controllers to memory."""
    dma = Dma(memory=board.memory)
    board.map_ports(Port.DMA1, dma)
    board.map_ports(Port.DMA2, dma, dma.second_ports)
    board.map_ports(Port.PAGES, dma, dma.page_ports)
    board.provide(DmaController, dma)  # type: ignore[type-abstract]
    return dma


TYPE: Final[DeviceType[Any]] = DeviceType("dma", DmaConfig, build)
