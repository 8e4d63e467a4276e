"""What every drive on a cable has: task file, data buffer, interrupts, reset; ATA disks and CD drives build on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import attrs
from vpcore_plugins.ide.regs import Error, Select, Status

from vpcore.log import DeviceLog

READY: Final = Status.DRDY | Status.DSC


@attrs.define
class DriveState:
    """One drive; the defaults are the values after power-on."""

    features: int = 0
    features_hob: int = 0
    count: int = 1
    count_hob: int = 0
    lba_low: int = 1
    lba_low_hob: int = 0
    lba_mid: int = 0
    lba_mid_hob: int = 0
    lba_high: int = 0
    lba_high_hob: int = 0
    device: int = 0
    status: int = READY
    error: int = Error.DIAG_PASSED
    interrupt: bool = False
    """INTRQ, before nIEN and drive selection."""
    buffer: bytearray = attrs.field(factory=bytearray)
    position: int = 0
    to_host: bool = False
    after: str = ""
    """Name of the method that goes on when the buffer has been read or filled; empty: the command is over."""
    dma: str = ""
    """Name of the method that moves data when the bus master starts; empty: no DMA is waiting."""
    lba: int = 0
    left: int = 0
    """Sectors (or blocks) of the command still to come."""
    block: int = 1
    """Sectors for each DRQ of the command."""
    multiple: int = 0
    heads: int = 16
    sectors: int = 63
    transfer_mode: int = 0
    sense: tuple[int, int, int] = (0, 0, 0)
    attention: bool = False
    """The medium changed and nobody was told yet."""
    byte_limit: int = 0
    locked: bool = False
    tray_open: bool = False


class Dma(Protocol):
    """The bus master as a drive sees it: moves bytes to or from the guest's scatter list."""

    def to_memory(self, data: bytes | bytearray | memoryview) -> int:
        """Write to the guest; how many bytes found room."""

    def from_memory(self, count: int) -> bytes:
        """Read from the guest; fewer bytes where the list is too short."""


class Drive:
    """A drive on a cable.  *changed* is called when INTRQ may have changed."""

    signature: tuple[int, int] = (0, 0)

    def __init__(self, log: DeviceLog) -> None:
        self.log = log
        self.state = DriveState()
        self.changed: Callable[[], None] = lambda: None

    # -- to be filled in --

    def command(self, code: int) -> None:
        """Execute a command."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the medium."""

    # -- reset --

    def reset(self) -> None:
        """Hardware or software reset: put the signature into the task file (ATA-6 9.1, 9.12)."""
        old = self.state
        fresh = DriveState(heads=old.heads, sectors=old.sectors, transfer_mode=old.transfer_mode)
        fresh.attention, fresh.locked, fresh.tray_open = old.attention, False, old.tray_open
        fresh.multiple = old.multiple
        self.state = fresh
        self.set_signature()

    def set_signature(self) -> None:
        """Say what kind of device this is."""
        state = self.state
        state.count = state.lba_low = 1
        state.lba_mid, state.lba_high = self.signature
        state.device = 0

    # -- ending commands --

    def done(self, status: int = READY) -> None:
        """The command is over, well."""
        self._finish(status, 0)

    def fail(self, error: int) -> None:
        """The command is over, with an error."""
        self._finish(READY | Status.ERR, error)

    def abort(self) -> None:
        """The command is not known or not possible."""
        self.fail(Error.ABRT)

    def _finish(self, status: int, error: int) -> None:
        state = self.state
        state.status, state.error = status, error
        state.buffer.clear()
        state.position, state.after, state.dma = 0, "", ""
        self.interrupt()

    def interrupt(self) -> None:
        """Raise INTRQ."""
        self.state.interrupt = True
        self.changed()

    # -- data --

    def offer(self, data: bytes | bytearray, after: str = "") -> None:
        """Let the host read *data*, then go on with the method *after*."""
        state = self.state
        state.buffer[:] = data
        state.position, state.to_host, state.after = 0, True, after
        state.status = READY | Status.DRQ
        self.interrupt()

    def ask(self, size: int, after: str, *, interrupt: bool) -> None:
        """Let the host write *size* bytes, then go on with the method *after*."""
        state = self.state
        state.buffer[:] = bytes(size)
        state.position, state.to_host, state.after = 0, False, after
        state.status = READY | Status.DRQ
        if interrupt:
            self.interrupt()

    def wait_for_dma(self, method: str) -> None:
        """Hold the command until the bus master starts, then call *method(dma)*."""
        self.state.dma = method
        self.state.status = READY | Status.DRQ

    def start_dma(self, dma: Dma) -> None:
        """The bus master was started."""
        method = self.state.dma
        self.state.dma = ""
        getattr(self, method)(dma)

    def take(self, size: int) -> memoryview:
        """Up to *size* bytes that the host reads now; empty where none are offered."""
        state = self.state
        if not (state.status & Status.DRQ and state.to_host):
            return memoryview(b"")
        start = state.position
        part = memoryview(bytes(state.buffer[start : start + size]))
        state.position = start + len(part)
        if state.position >= len(state.buffer):
            self._continue()
        return part

    def put(self, data: memoryview | bytes) -> int:
        """Bytes that the host writes now; how many were wanted."""
        state = self.state
        if not state.status & Status.DRQ or state.to_host or state.dma:
            return 0
        start = state.position
        size = min(len(data), len(state.buffer) - start)
        state.buffer[start : start + size] = data[:size]
        state.position = start + size
        if state.position >= len(state.buffer):
            self._continue()
        return size

    def _continue(self) -> None:
        state = self.state
        method, state.after = state.after, ""
        if method:
            getattr(self, method)()
        else:
            state.status = READY
            state.position = 0
            state.buffer.clear()

    # -- task file --

    @property
    def lba_mode(self) -> bool:
        """The device register asks for LBA addressing."""
        return bool(self.state.device & Select.LBA)


def swapped(text: str, size: int) -> bytes:
    """An ATA string: space-padded, bytes of each word exchanged (ATA-6 8.15.8)."""
    raw = bytearray(text.encode("ascii", "replace").ljust(size)[:size])
    raw[0::2], raw[1::2] = raw[1::2], raw[0::2]
    return bytes(raw)
