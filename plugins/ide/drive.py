"""What every drive on a cable has: task file, data buffer, interrupts, reset; ATA disks and CD drives build on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import attrs
from vpcore_plugins.ide.regs import GEOMETRY, SECTOR, Error, Feature, Mode, Select, Status

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
    heads: int = GEOMETRY[1]
    sectors: int = GEOMETRY[2]
    transfer_mode: int = 0
    sense: tuple[int, int, int] = (0, 0, 0)
    attention: bool = False
    """The medium changed and nobody was told yet."""
    byte_limit: int = 0
    locked: bool = False
    tray_open: bool = False
    event: int = 0
    """What GET EVENT STATUS NOTIFICATION has to tell of the medium."""
    rest: bytes = b""
    """What follows the piece of a reply that the host reads now."""
    after_rest: str = ""
    """Name of the method that goes on when all of a reply has been read."""
    raw: bool = False
    """READ CD asked for whole sectors."""
    write_cache: bool = True
    sector_buffer: bytes = bytes(SECTOR)
    """What WRITE BUFFER left for READ BUFFER."""


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

    def power_on(self) -> DriveState:
        """The state after power-on and hardware reset; what is no electronics (a tray) stays as it is."""
        return DriveState()

    def reset(self, *, hardware: bool = False) -> None:
        """Hardware or software reset: put the signature into the task file (ATA-6 9.1, 9.12).

        What SET FEATURES, SET MULTIPLE and INITIALIZE DEVICE PARAMETERS chose survives a software reset.
        """
        old, fresh = self.state, self.power_on()
        if not hardware:
            fresh.heads, fresh.sectors, fresh.multiple = old.heads, old.sectors, old.multiple
            fresh.transfer_mode, fresh.write_cache = old.transfer_mode, old.write_cache
            fresh.attention, fresh.event = old.attention, old.event
        self.state = fresh
        self.set_signature()

    def set_signature(self) -> None:
        """Say what kind of device this is."""
        state = self.state
        state.count = state.lba_low = 1
        state.lba_mid, state.lba_high = self.signature
        state.device &= Select.DEV

    def diagnose(self) -> None:
        """EXECUTE DEVICE DIAGNOSTIC (ATA-6 8.11): well, and the signature."""
        self.clear()
        self.state.device = 0
        self.set_signature()
        self.state.status, self.state.error = self.power_on().status, Error.DIAG_PASSED

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
        self.clear()
        self.state.status, self.state.error = status, error
        self.interrupt()

    def clear(self) -> None:
        """Forget what was being transferred."""
        state = self.state
        state.buffer.clear()
        state.position, state.after, state.dma, state.rest, state.after_rest = 0, "", "", b"", ""

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

    def begin_dma(self, method: str, buffer: bytes | bytearray = b"") -> None:
        """Hold the command with this *buffer* until the bus master starts, then call *method(dma)*."""
        self.state.buffer[:] = buffer
        self.state.position = 0
        self.wait_for_dma(method)

    def wait_for_dma(self, method: str) -> None:
        """Hold the command as it is until the bus master starts (again)."""
        self.state.dma, self.state.after = method, ""
        self.state.status = READY | Status.DRQ

    def start_dma(self, dma: Dma) -> None:
        """The bus master was started: go on until the command is over or its list is used up."""
        method = self.state.dma
        self.state.dma = ""
        getattr(self, method)(dma)

    def pour(self, dma: Dma) -> bool:
        """Move the buffer to the guest; False where the list is too short and the rest has to wait."""
        state = self.state
        with memoryview(state.buffer) as view:
            state.position += dma.to_memory(view[state.position :])
        return state.position >= len(state.buffer)

    def fill(self, dma: Dma) -> bool:
        """Fill the buffer from the guest; False where the list is too short."""
        state = self.state
        part = dma.from_memory(len(state.buffer) - state.position)
        state.buffer[state.position : state.position + len(part)] = part
        state.position += len(part)
        return state.position >= len(state.buffer)

    @property
    def offered(self) -> int:
        """Bytes that the host may read now."""
        state = self.state
        reading = state.status & Status.DRQ and state.to_host and not state.dma
        return len(state.buffer) - state.position if reading else 0

    @property
    def wanted(self) -> int:
        """Bytes that the host may write now."""
        state = self.state
        writing = state.status & Status.DRQ and not state.to_host and not state.dma
        return len(state.buffer) - state.position if writing else 0

    def take(self, size: int) -> bytes:
        """Up to *size* bytes that the host reads now."""
        state = self.state
        size = min(size, self.offered)
        if not size:
            return b""
        part = bytes(memoryview(state.buffer)[state.position : state.position + size])
        state.position += size
        if state.position >= len(state.buffer):
            self._continue()
        return part

    def put(self, data: memoryview | bytes) -> int:
        """Bytes that the host writes now; how many were wanted."""
        state = self.state
        size = min(len(data), self.wanted)
        if not size:
            return 0
        state.buffer[state.position : state.position + size] = data[:size]
        state.position += size
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

    # -- what all kinds of drive have --

    def set_feature(self) -> bool:
        """SET FEATURES (ATA-6 8.46); False where the drive has no such feature."""
        state = self.state
        if state.features in Feature.WRITE_CACHE:
            state.write_cache = Feature.WRITE_CACHE[state.features]
        elif state.features == Feature.TRANSFER_MODE and mode_known(state.count):
            if state.count & Mode.TYPE not in (Mode.PIO_DEFAULT, Mode.PIO):
                state.transfer_mode = state.count
        elif state.features not in Feature.ACCEPTED:
            return False
        return True

    # -- task file --

    @property
    def lba_mode(self) -> bool:
        """The device register asks for LBA addressing."""
        return bool(self.state.device & Select.LBA)


def mode_known(value: int) -> bool:
    """A transfer mode that drives announce."""
    return value & Mode.NUMBER <= Mode.BEST.get(value & Mode.TYPE, -1)


def swapped(text: str, size: int) -> bytes:
    """An ATA string: space-padded, bytes of each word exchanged (ATA-6 8.15.8)."""
    raw = bytearray(text.encode("ascii", "replace").ljust(size)[:size])
    raw[0::2], raw[1::2] = raw[1::2], raw[0::2]
    return bytes(raw)
