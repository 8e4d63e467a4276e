"""Test doubles for device authors: a board without a processor, and the contract every device must meet.

>>> board = FakeBoard()
>>> device = board.build("my_device.py:MyDevice", base=0x300)      # or a DeviceType and its options
>>> board.out(0x300, 1); board.inp(0x300)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import attrs

from vpcore.board import Board, BuiltCallback, Parts
from vpcore.bus import Bus
from vpcore.clock import Clock
from vpcore.device import Device, DeviceType
from vpcore.errors import BackendError
from vpcore.host.ends import BlockDevice, BufferChar, CharDevice
from vpcore.irq import Line
from vpcore.memory import Memory
from vpcore.native import NativeMachine
from vpcore.wires import Power, Processor, Ps2Device

ServiceT = TypeVar("ServiceT")


class FakePhys:
    """A physical map without an engine: remembers mappings and invalidations."""

    def __init__(self) -> None:
        self.mapped: list[tuple[int, int]] = []
        self.invalidated: list[tuple[int, int]] = []

    def map(self, addr: int, size: int, read: memoryview | None, write: memoryview | None, flags: int) -> None:  # noqa: ARG002 - as the protocol says
        """Remember the range."""
        self.mapped.append((addr, size))

    def invalidate(self, addr: int, size: int) -> None:
        """Remember the range."""
        self.invalidated.append((addr, size))

    def dirty(self, addr: int, size: int, *, clear: bool) -> bytes:  # noqa: ARG002 - as the protocol says
        """Everything is always dirty."""
        return b"\x01" * (size // 4096)


class FakeProcessor:
    """Remembers what devices did to the processor's pins and the power."""

    def __init__(self) -> None:
        self.intr = False
        self.nmis = 0
        self.ignne = False
        self.a20 = True
        self.cpu_resets = 0
        self.resets = 0
        self.is_off = False

    def set_intr(self, level: bool) -> None:
        """Remember INTR."""
        self.intr = level

    def nmi(self) -> None:
        """Count NMIs."""
        self.nmis += 1

    def set_ignne(self, level: bool) -> None:
        """Remember IGNNE#."""
        self.ignne = level

    def set_a20(self, open_: bool) -> None:
        """Remember the gate."""
        self.a20 = open_

    def reset_cpu(self) -> None:
        """Count resets of the processor."""
        self.cpu_resets += 1

    def off(self) -> None:
        """Remember the power."""
        self.is_off = True

    def reset(self) -> None:
        """Count resets of the machine."""
        self.resets += 1


class MemoryDisk:
    """A disk in memory; *log* lists ("read" | "write" | "flush", offset, size)."""

    def __init__(self, data: bytes | bytearray, *, readonly: bool = False, name: str = "memory") -> None:
        self.data = bytearray(data)
        self.readonly = readonly
        self.name = name
        self.log: list[tuple[str, int, int]] = []
        self.fail = False
        """When set, every access raises `BackendError` (a bad sector)."""

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer."""
        self._note("read", offset, len(buffer))
        part = self.data[offset : offset + len(buffer)]
        buffer[:] = part + bytes(len(buffer) - len(part))

    def write(self, offset: int, data: memoryview | bytes) -> None:
        """Change the data."""
        self._note("write", offset, len(data))
        end = min(offset + len(data), len(self.data))
        if end > offset:
            self.data[offset:end] = bytes(data)[: end - offset]

    def flush(self) -> None:
        """Note the flush."""
        self._note("flush", 0, 0)

    def close(self) -> None:
        """Nothing to close."""

    def _note(self, what: str, offset: int, size: int) -> None:
        self.log.append((what, offset, size))
        if self.fail:
            msg = f"{self.name}: {what} error at {offset:#x}"
            raise BackendError(msg)


class FakeDmaChannel:
    """A DMA channel onto *data*, with terminal count at its end; `program` makes it ready."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.position = 0
        self.ready = False
        self.requested = False
        self._callbacks: list[Callable[[], None]] = []

    def program(self, data: bytes | bytearray) -> None:
        """Set what the channel moves from or over, and unmask it."""
        self.data, self.position, self.ready = bytearray(data), 0, True
        for callback in self._callbacks:
            callback()

    def request(self, level: bool) -> None:
        """Remember DREQ."""
        self.requested = level

    def to_device(self, count: int) -> tuple[bytes, bool]:
        """Give the next bytes."""
        part = bytes(self.data[self.position : self.position + count]) if self.ready else b""
        return part, self._moved(len(part))

    def from_device(self, data: bytes | memoryview) -> tuple[int, bool]:
        """Take as many bytes as there is room for."""
        size = min(len(data), len(self.data) - self.position) if self.ready else 0
        self.data[self.position : self.position + size] = data[:size]
        return size, self._moved(size)

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Call back when `program` was called."""
        self._callbacks.append(callback)

    def _moved(self, size: int) -> bool:
        self.position += size
        if not self.ready or self.position < len(self.data):
            return False
        self.ready = False
        return True


class FakeDma:
    """A DMA controller whose channels are `FakeDmaChannel`."""

    def __init__(self) -> None:
        self.channels: dict[int, FakeDmaChannel] = {}

    def channel(self, number: int) -> FakeDmaChannel:
        """The channel of that number."""
        return self.channels.setdefault(number, FakeDmaChannel())


class FakeCmos:
    """Remembers what devices leave in the CMOS."""

    def __init__(self) -> None:
        self.bytes: dict[int, int] = {}

    def set_byte(self, index: int, value: int) -> None:
        """Remember the byte."""
        self.bytes[index] = value


class FakePs2Port:
    """A PS/2 connector: `take` is the controller fetching what the device has."""

    def __init__(self) -> None:
        self.device: Ps2Device | None = None
        self.notified = 0

    def attach(self, device: Ps2Device) -> None:
        """Plug the device in."""
        self.device = device

    def notify(self) -> None:
        """Count."""
        self.notified += 1

    def take(self) -> bytes:
        """Everything that the device has to give."""
        assert self.device is not None
        out = bytearray()
        while (byte := self.device.next_byte()) is not None:
            out.append(byte)
        return bytes(out)


class FakeKeyboardController:
    """An 8042 that is only its connectors."""

    def __init__(self) -> None:
        self.keyboard_port = FakePs2Port()
        self.mouse_port = FakePs2Port()


@attrs.define(eq=False)
class FakeBackends:
    """Host ends in memory: put disks into *disks* by path; character devices appear in *chars* by device name."""

    disks: dict[str, BlockDevice] = attrs.field(factory=dict)
    chars: dict[str, BufferChar] = attrs.field(factory=dict)

    def disk(self, path: str, *, readonly: bool) -> BlockDevice:  # noqa: ARG002
        """The disk put there."""
        if path not in self.disks:
            msg = f"{path}: no such image"
            raise BackendError(msg)
        return self.disks[path]

    def char(self, spec: str, owner: str) -> CharDevice:  # noqa: ARG002
        """A buffer."""
        return self.chars.setdefault(owner, BufferChar())

    def find(self, path: str) -> Path:
        """The path as it is."""
        return Path(path)


class FakeBoard(Board):
    """A board without a processor: the test is the guest.

    `inp` and `out` access ports, `advance` lets virtual time pass, `irq` reads an interrupt line, `processor` and
    `backends` show what devices did to the outside.
    """

    def __init__(self, ram: int = 1 << 20) -> None:
        self.time = 0
        self.phys = FakePhys()
        self.bus = Bus()
        self.backends = FakeBackends()
        self.processor = FakeProcessor()
        parts = Parts(
            bus=self.bus,
            clock=Clock(lambda: self.time),
            memory=Memory(memoryview(bytearray(ram)), self.phys),
            backends=self.backends,
            native=lambda: self._ends,
        )
        super().__init__(parts, "test")
        self.provide(Processor, self.processor)  # type: ignore[type-abstract]
        self.provide(Power, self.processor)  # type: ignore[type-abstract]

    @cached_property
    def _ends(self) -> NativeMachine:
        """Python in place of a processor, for devices that are C."""
        from vpcore.engine.ends import BoardEnds  # noqa: PLC0415 - needs the compiled library, which most do not

        return BoardEnds(self.clock, self.processor)

    def build(self, kind: DeviceType[Any], name: str = "", **options: object) -> Device[Any]:
        """Build one device of the type with these options; call `built()` when all are there."""
        name = name or kind.name
        return kind.build(kind.config(name=name, **options), self.named(name))

    def built(self) -> None:
        """Tell the devices that the machine is complete."""
        for callback in self.services(BuiltCallback):
            callback.call()

    def inp(self, port: int, width: int = 1) -> int:
        """Read a port as the guest does."""
        return self.bus.port_in(port, width)

    def out(self, port: int, value: int, width: int = 1) -> None:
        """Write a port as the guest does."""
        self.bus.port_out(port, width, value)

    def irq(self, number: int) -> bool:
        """Level of an ISA interrupt line."""
        line: Line = self.lines[number]
        return line.level

    def advance(self, ns: int) -> None:
        """Let virtual time pass, stopping at each deadline on the way."""
        end = self.time + ns
        while (deadline := self.clock.next_deadline) is not None and deadline <= end:
            self.time = max(self.time, deadline)
            self.clock.run_due()
        self.time = end
