"""Character devices: where a serial port's other end is on the host.

Spec strings, as in machine files and on the command line:
    none             nobody listens
    buffer           kept in memory, for the Python API
    stdio            this program's standard input and output
    pty              a new pseudo-terminal, its name is logged
    file:PATH        output appended to a file
    tcp:HOST:PORT    a TCP connection made on first use; `tcp-listen:HOST:PORT` waits for one
    /dev/ttyS0 ...   a host serial port (pyserial)
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import termios
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vpcore.errors import BackendError, ConfigError, DiskFullError
from vpcore.host.block import write_failed
from vpcore.host.ends import BufferChar, CharDevice, ModemSignals, NullChar
from vpcore.host.loop import HostLoop

log = logging.getLogger("vpcore.chardev")

STDIN, STDOUT = 0, 1
READ_SIZE = 4096
KEEP = 1 << 16
LINGER_S = 0.2
MOST_PORT = 0xFFFF
ESCAPE = 0x1D
"""Ctrl-] on stdio: leave the machine, as telnet does."""


class FdChar(NullChar):
    """Reads and writes file descriptors that never block the guest."""

    def __init__(self, loop: HostLoop, read_fd: int | None, write_fd: int | None, name: str) -> None:
        self.name = name
        self.dropped = 0
        self.there = True
        """The other side has not closed."""
        self._loop = loop
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._waiting = bytearray()
        self._unsent = bytearray()
        self._callback: Callable[[], None] = lambda: None
        self._paused = False
        if read_fd is not None:
            self.resume()

    def write(self, data: bytes) -> None:
        """Send; what does not fit now goes when there is room, up to 64 KB of it, the rest is dropped and counted."""
        if self._write_fd is None:
            return
        waiting = bool(self._unsent)
        self._unsent += data
        if not waiting and not self._send():
            self._loop.add_writer(self._write_fd, self._writable)
        if len(self._unsent) > KEEP:
            if not self.dropped:
                log.warning("%s: nobody takes the output: its beginning is dropped", self.name)
            self.dropped += len(self._unsent) - KEEP
            del self._unsent[:-KEEP]

    def _writable(self) -> None:
        if self._send() and self._write_fd is not None:
            self._loop.remove_writer(self._write_fd)

    def _send(self) -> bool:
        """Send what there is room for; whether that was all."""
        assert self._write_fd is not None
        try:
            while self._unsent:
                del self._unsent[: os.write(self._write_fd, self._unsent)]
        except BlockingIOError:
            return False
        except OSError:  # nobody is there any more
            self._unsent.clear()
        return True

    def read(self, limit: int) -> bytes:
        """Take what has come."""
        data = bytes(self._waiting[:limit])
        del self._waiting[:limit]
        if self._paused and not self._waiting:
            self._paused = False
            self.resume()
        return data

    def resume(self) -> None:
        """Watch the input; called again when the guest has taken what made `pause` stop it."""
        if self._read_fd is not None:
            self._loop.add_reader(self._read_fd, self._readable)

    def pause(self) -> None:
        """The guest takes nothing at present: let the sender wait."""
        assert self._read_fd is not None
        self._paused = True
        self._loop.remove_reader(self._read_fd)

    def on_input(self, callback: Callable[[], None]) -> None:
        """Call back when bytes have come."""
        self._callback = callback

    def received(self, data: bytes) -> bytes:
        """What of the bytes read goes to the guest; for subclasses."""
        return data

    def ended(self) -> None:
        """The other side closed: its modem signals go, and the guest is told."""
        self.there = False
        if self._read_fd is not None:
            self._loop.remove_reader(self._read_fd)
        self._callback()

    def _readable(self) -> None:
        assert self._read_fd is not None
        try:
            data = os.read(self._read_fd, READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.ended()
            return
        self._waiting += self.received(data)
        if len(self._waiting) >= KEEP:
            self.pause()
        self._callback()

    def close(self) -> None:
        """Stop watching; what was not sent yet gets a last chance."""
        if self._unsent and self._write_fd is not None:
            select.select((), (self._write_fd,), (), LINGER_S)
            self._send()
        for fd in (self._read_fd, self._write_fd):
            if fd is not None:
                self._loop.remove(fd)


class StdioChar(FdChar):
    """Standard input and output; a terminal is put into raw mode until `close`.  Ctrl-] leaves the machine.

    Nothing is lost: output waits for a slow reader, input for the guest.  Where nobody reads any more, the machine stops
    as at Ctrl-]; the end of the input stops nothing.
    """

    def __init__(self, loop: HostLoop, leave: Callable[[], None], stdin: int = STDIN, stdout: int = STDOUT) -> None:
        self._saved: list[Any] | None = None
        self._leave, self._stdin = leave, stdin
        if os.isatty(stdin):
            self._saved = termios.tcgetattr(stdin)
            _set_raw(stdin)
        super().__init__(loop, stdin, stdout, "stdio")

    def resume(self) -> None:
        """Watch the input, or read on where it is a file, which cannot be watched."""
        try:
            super().resume()
        except PermissionError:
            self._loop.post(self._read_file)
        except KeyError:  # another device has the input
            self._read_fd = None

    def _read_file(self) -> None:
        """Read a piece; the rest follows when the guest has taken it."""
        assert self._read_fd is not None
        data = b""
        with contextlib.suppress(OSError):  # a directory
            data = os.read(self._read_fd, READ_SIZE)
        self._waiting += data
        self._paused = bool(data)
        self._callback()

    def write(self, data: bytes) -> None:
        """Send; returns when standard output has taken it all."""
        rest = memoryview(data)
        while rest and self._write_fd is not None:
            try:
                rest = rest[os.write(self._write_fd, rest) :]
            except BlockingIOError:  # somebody else made it non-blocking
                select.select((), (self._write_fd,), ())
            except OSError as error:
                self._write_fd = None
                if error.errno not in (errno.EPIPE, errno.EIO):
                    raise BackendError(f"standard output: {error.strerror}") from error
                self._leave()

    def received(self, data: bytes) -> bytes:
        """Everything but the escape key."""
        if self._saved is not None and ESCAPE in data:
            self._leave()
            return data[: data.index(ESCAPE)]
        return data

    def close(self) -> None:
        """Give the terminal back as it was."""
        super().close()
        if self._saved is not None:
            with contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._stdin, termios.TCSADRAIN, self._saved)
            self._saved = None


def _set_raw(terminal: int) -> None:
    """Every key as it is; output is still processed, so that messages of the host start at the left."""
    tty.setraw(terminal)
    mode = termios.tcgetattr(terminal)
    mode[tty.OFLAG] |= termios.OPOST
    termios.tcsetattr(terminal, termios.TCSANOW, mode)


class PtyChar(FdChar):
    """A pseudo-terminal; *slave_name* is what a terminal program opens."""

    def __init__(self, loop: HostLoop, owner: str) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.slave_name = os.ttyname(self._slave)
        super().__init__(loop, self._master, self._master, self.slave_name)
        log.warning("%s is on %s", owner, self.slave_name)

    def close(self) -> None:
        """Hang up."""
        super().close()
        os.close(self._master)
        os.close(self._slave)


class FileChar(NullChar):
    """Output goes to a file, from its beginning; input never comes.  On a full host *stall* is called, as for disks.

    What is in the file stays there until the machine begins to run.
    """

    def __init__(self, path: Path, stall: Callable[[DiskFullError], None] | None = None) -> None:
        self._path, self._stall = path, stall
        self._fd = -1
        code = self._obstacle()
        if code:
            raise BackendError(f"{path}: cannot write serial output there: {os.strerror(code)}")

    def _obstacle(self) -> int:
        """The errno that opening the file would give, or 0."""
        target = self._path if self._path.exists() else self._path.parent
        if self._path.is_dir():
            return errno.EISDIR
        if not target.exists():
            return errno.ENOENT
        return 0 if os.access(target, os.W_OK) else errno.EACCES

    def begin(self) -> None:
        """The machine runs: empty the file."""
        if self._fd >= 0:
            return
        try:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise BackendError(f"{self._path}: cannot write serial output there: {error.strerror}") from error

    def write(self, data: bytes) -> None:
        """Append to the file."""
        self.begin()
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except OSError as error:
                write_failed(str(self._path), "write serial output", error, self._stall)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)


class TcpChar(FdChar):
    """One TCP connection, made at once."""

    def __init__(self, loop: HostLoop, host: str, port: int) -> None:
        try:
            self._socket = socket.create_connection((host, port), timeout=10)
        except OSError as error:
            raise BackendError(f"tcp:{host}:{port}: cannot connect: {error.strerror or error}") from error
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(loop, self._socket.fileno(), self._socket.fileno(), f"tcp:{host}:{port}")

    def signals(self) -> ModemSignals:
        """Carrier is there until the other side closes."""
        return _carrier(there=self.there)

    def close(self) -> None:
        """Close the connection."""
        super().close()
        self._socket.close()


def _carrier(*, there: bool) -> ModemSignals:
    return ModemSignals(cts=there, dsr=there, dcd=there)


class TcpListenChar(NullChar):
    """Waits for one TCP connection at a time; carrier detect shows whether there is one.

    A new connection takes the place of the old one.
    """

    def __init__(self, loop: HostLoop, host: str, port: int) -> None:
        self._loop = loop
        self._callback: Callable[[], None] = lambda: None
        self._connection: FdChar | None = None
        self._peer: socket.socket | None = None
        self._left = bytearray()
        """What old connections sent and the guest has not taken yet."""
        try:
            self._server = socket.create_server((host, port))
        except OSError as error:
            raise BackendError(f"tcp-listen:{host}:{port}: cannot listen: {error.strerror or error}") from error
        self._server.setblocking(False)
        self.port: int = self._server.getsockname()[1]
        loop.add_reader(self._server.fileno(), self._accept)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the peer has gone again
            peer, _ = self._server.accept()
            self._hang_up()
            peer.setblocking(False)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peer = peer
            self._connection = FdChar(self._loop, peer.fileno(), peer.fileno(), "tcp")
            self._connection.on_input(self._callback)
            self._callback()

    def _hang_up(self) -> None:
        if self._connection is not None and self._peer is not None:
            self._left += self._connection.read(KEEP)
            self._connection.close()
            self._peer.close()
            self._connection = self._peer = None

    def write(self, data: bytes) -> None:
        """Send to whoever is connected."""
        if self._connection is not None:
            self._connection.write(data)

    def read(self, limit: int) -> bytes:
        """Take what has come."""
        data = bytes(self._left[:limit])
        del self._left[:limit]
        if len(data) < limit and self._connection is not None:
            data += self._connection.read(limit - len(data))
        return data

    def on_input(self, callback: Callable[[], None]) -> None:
        """Call back when bytes have come, or somebody connects or leaves."""
        self._callback = callback
        if self._connection is not None:
            self._connection.on_input(callback)

    def signals(self) -> ModemSignals:
        """Carrier is there while someone is connected."""
        return _carrier(there=self._connection is not None and self._connection.there)

    def close(self) -> None:
        """Hang up and stop listening."""
        self._hang_up()
        self._loop.remove(self._server.fileno())
        self._server.close()


class SerialPortChar(FdChar):
    """A real serial port of the host, by pyserial: line settings and modem signals follow the guest's."""

    has_modem = True

    def __init__(self, loop: HostLoop, device: str) -> None:
        try:
            import serial  # noqa: PLC0415 - an extra
        except ImportError:
            raise BackendError(f"{device}: host serial ports need pyserial: pip install 'vpcore[serial]'") from None
        try:
            self._port = serial.Serial(device, timeout=0, write_timeout=0, exclusive=True)
        except (serial.SerialException, ValueError) as error:
            raise BackendError(f"{device}: cannot open the serial port: {error}") from error
        super().__init__(loop, self._port.fileno(), self._port.fileno(), device)

    def configure(self, baud: int, data_bits: int, parity: str, stop_bits: float) -> None:
        """Set the port as the guest set its UART, as far as the port can."""
        settings = {"baudrate": baud, "bytesize": data_bits, "parity": parity, "stopbits": stop_bits}
        for name, value in settings.items():
            with contextlib.suppress(ValueError, OSError, termios.error):
                setattr(self._port, name, value)

    def set_signals(self, *, dtr: bool, rts: bool, break_: bool) -> None:
        """Drive the port's outputs."""
        with contextlib.suppress(OSError):
            self._port.dtr, self._port.rts, self._port.break_condition = dtr, rts, break_

    def signals(self) -> ModemSignals:
        """The port's inputs; a pseudo-terminal has none and counts as there."""
        try:
            return ModemSignals(self._port.cts, self._port.dsr, self._port.cd, self._port.ri)
        except OSError:
            return ModemSignals()

    def close(self) -> None:
        """Close the port."""
        super().close()
        self._port.close()


def _address(rest: str, spec: str) -> tuple[str, int]:
    host, colon, port = rest.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > MOST_PORT:
        raise ConfigError(f"serial backend {spec!r} must be {spec.partition(':')[0]}:HOST:PORT")
    return host.strip("[]") or "localhost", int(port)


def open_char(
    spec: str,
    owner: str,
    *,
    loop: HostLoop,
    base: Path,
    leave: Callable[[], None],
    stall: Callable[[DiskFullError], None] | None = None,
) -> CharDevice:
    """Open what *spec* says for the device *owner*.

    Paths are relative to *base*; *leave* is the escape key's action; *stall* waits while the host is full (`RawDisk`).
    Raises `ConfigError` on an unknown spec and `BackendError` where the host refuses.
    """
    kind, colon, rest = spec.partition(":")
    plain: dict[str, Callable[[], CharDevice]] = {
        "none": NullChar,
        "buffer": BufferChar,
        "stdio": lambda: StdioChar(loop, leave),
        "pty": lambda: PtyChar(loop, owner),
    }
    placed: dict[str, Callable[[], CharDevice]] = {
        "file": lambda: FileChar(base / rest, stall),
        "tcp": lambda: TcpChar(loop, *_address(rest, spec)),
        "tcp-listen": lambda: TcpListenChar(loop, *_address(rest, spec)),
    }
    makers = placed if colon else plain
    if kind in makers:
        return makers[kind]()
    if spec.startswith("/dev/"):
        return SerialPortChar(loop, spec)
    raise ConfigError(
        f"backend of device {owner!r} must be one of {', '.join(plain)}, file:PATH, tcp:HOST:PORT, tcp-listen:HOST:PORT"
        f" or a device such as /dev/ttyS0 (got {spec!r})"
    )
