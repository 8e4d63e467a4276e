"""What the host side of a device looks like to the device: protocols, and the null ones.

Each kind has a real implementation beside this file (block.py, chardev.py, ...).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs


class BlockDevice(Protocol):
    """A disk, floppy or CD image, addressed in bytes.  All of it may raise `BackendError`."""

    @property
    def name(self) -> str:
        """Where it is, for messages."""

    @property
    def size(self) -> int:
        """Bytes; need not be a multiple of anything."""

    @property
    def readonly(self) -> bool:
        """Writes are refused."""

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer from *offset*; what lies beyond the end reads as zeros."""

    def write(self, offset: int, data: memoryview | bytes) -> None:
        """Write *data*; what lies beyond the end is lost.  Returns when a later `flush` will make it durable."""

    def flush(self) -> None:
        """Return when all that was written is on stable storage."""

    def close(self) -> None:
        """Flush, unlock and close."""


class CharDevice(Protocol):
    """The far end of a serial port or debug console: a stream of bytes each way."""

    @property
    def has_modem(self) -> bool:
        """The modem inputs may change without a call back: look at `signals` from time to time."""

    def write(self, data: bytes) -> None:
        """Send to the host; never blocks: what the host cannot take in time is dropped and counted."""

    def read(self, limit: int) -> bytes:
        """Take up to *limit* bytes that the host has sent."""

    def on_input(self, callback: Callable[[], None]) -> None:
        """Call back (on the machine's thread) when `read` has something, or `signals` changed."""

    def configure(self, baud: int, data_bits: int, parity: str, stop_bits: float) -> None:
        """The guest set the line: a real port follows, others ignore it.  Parity is N, O, E, M or S."""

    def set_signals(self, *, dtr: bool, rts: bool, break_: bool) -> None:
        """The guest drives the modem control outputs."""

    def signals(self) -> ModemSignals:
        """Modem status inputs at present."""

    def close(self) -> None:
        """Let go of the host's end."""


@attrs.frozen
class ModemSignals:
    """Modem status inputs; the default is a terminal that is there."""

    cts: bool = True
    dsr: bool = True
    dcd: bool = True
    ri: bool = False


class NullChar:
    """A character device that swallows everything."""

    has_modem = False

    def write(self, data: bytes) -> None:
        """Forget the bytes."""

    def read(self, limit: int) -> bytes:  # noqa: ARG002 - as the protocol says
        """Never anything."""
        return b""

    def on_input(self, callback: Callable[[], None]) -> None:
        """Never called back."""

    def configure(self, baud: int, data_bits: int, parity: str, stop_bits: float) -> None:
        """Ignored."""

    def set_signals(self, *, dtr: bool, rts: bool, break_: bool) -> None:
        """Ignored."""

    def signals(self) -> ModemSignals:
        """A terminal that is there."""
        return ModemSignals()

    def close(self) -> None:
        """Nothing to let go."""


class BufferChar(NullChar):
    """A character device in memory: tests and the Python API talk to the guest through it.

    What the guest sends is kept in *sent* (its last *keep* bytes) and handed to the callbacks of `on_output`.
    """

    def __init__(self, keep: int = 1 << 20) -> None:
        self.sent = bytearray()
        self.total = 0
        self.line: tuple[int, int, str, float] | None = None
        self.modem = ModemSignals()
        self.outputs: dict[str, bool] = {}
        self._keep = keep
        self._waiting = bytearray()
        self._input_callbacks: list[Callable[[], None]] = []
        self._output_callbacks: list[Callable[[bytes], None]] = []

    def write(self, data: bytes) -> None:
        """Keep what the guest sent."""
        self.sent += data
        self.total += len(data)
        if len(self.sent) > self._keep:
            del self.sent[: len(self.sent) - self._keep]
        for callback in self._output_callbacks:
            callback(data)

    def read(self, limit: int) -> bytes:
        """Hand the guest what `feed` was given."""
        data = bytes(self._waiting[:limit])
        del self._waiting[:limit]
        return data

    def feed(self, data: bytes) -> None:
        """Send bytes to the guest."""
        self._waiting += data
        self._call_back()

    def set_modem(self, signals: ModemSignals) -> None:
        """Drive the guest's modem inputs."""
        self.modem = signals
        self._call_back()

    def _call_back(self) -> None:
        for callback in self._input_callbacks:
            callback()

    def become(self, other: BufferChar) -> None:
        """Have what *other* has: what was sent, and what waits for the guest."""
        self.sent[:], self.total, self._waiting[:] = other.sent, other.total, other._waiting

    def on_input(self, callback: Callable[[], None]) -> None:
        """Call back when `feed` was called."""
        self._input_callbacks.append(callback)

    def on_output(self, callback: Callable[[bytes], None]) -> None:
        """Call back with each piece the guest sends."""
        self._output_callbacks.append(callback)

    def configure(self, baud: int, data_bits: int, parity: str, stop_bits: float) -> None:
        """Keep the line settings for inspection."""
        self.line = (baud, data_bits, parity, stop_bits)

    def set_signals(self, *, dtr: bool, rts: bool, break_: bool) -> None:
        """Keep the outputs for inspection."""
        self.outputs = {"dtr": dtr, "rts": rts, "break": break_}

    def signals(self) -> ModemSignals:
        """Whatever *modem* was set to."""
        return self.modem
