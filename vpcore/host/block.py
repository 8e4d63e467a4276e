"""Disk images: raw files and host block devices, locked against a second writer.

Durability: `write` goes to the host's page cache at once, so the death of this process loses nothing; `flush` is
fdatasync, so what the guest flushed survives the death of the host.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

from vpcore.errors import BackendError, DiskFullError

FULL = (errno.ENOSPC, errno.EDQUOT)
SECTOR = 512


class RawDisk:
    """A raw image or host block device.

    *stall* is called when the host is full, with the error; it returns when the write should be tried again (the
    machine pauses meanwhile), or raises to give up.
    """

    def __init__(self, path: Path, *, readonly: bool, stall: Callable[[DiskFullError], None] | None = None) -> None:
        self.name = str(path)
        self.readonly = readonly
        self._stall = stall
        self._fd = _open(path, readonly=readonly)
        try:
            self.size, self._end = _size(self._fd, path)
            _lock(self._fd, path, readonly=readonly)
        except BaseException:
            os.close(self._fd)
            raise

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer from *offset*; zeros beyond the end."""
        done = 0
        while done < len(buffer):
            try:
                got = os.preadv(self._fd, [buffer[done:]], offset + done)
            except OSError as error:
                raise BackendError(f"{self.name}: cannot read at {offset + done:#x}: {error.strerror}") from error
            if got == 0:
                buffer[done:] = bytes(len(buffer) - done)
                return
            done += got

    def write(self, offset: int, data: memoryview | bytes) -> None:
        """Write what lies within the image, whose last sector a write may complete."""
        if self.readonly:
            raise BackendError(f"{self.name}: is opened read-only")
        view = memoryview(data)[: max(0, self._end - offset)]
        while len(view):
            try:
                done = os.pwrite(self._fd, view, offset)
            except OSError as error:
                write_failed(self.name, f"write at {offset:#x}", error, self._stall)
                continue
            view, offset = view[done:], offset + done

    def flush(self) -> None:
        """Return when all writes are on stable storage."""
        while not self.readonly:
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                write_failed(self.name, "make what was written durable", error, self._stall)
            else:
                return

    def close(self) -> None:
        """Flush and close; the lock goes with the descriptor."""
        if self._fd < 0:
            return
        try:
            self.flush()
        finally:
            os.close(self._fd)
            self._fd = -1


def write_failed(name: str, what: str, error: OSError, stall: Callable[[DiskFullError], None] | None) -> None:
    """Wait by *stall* while the host is full, so that the caller tries again; raise on other errors."""
    if error.errno in FULL and stall is not None:
        stall(DiskFullError(f"{name}: no space left on the host: free some, the guest then goes on"))
        return
    kind = DiskFullError if error.errno in FULL else BackendError
    raise kind(f"{name}: cannot {what}: {error.strerror}") from error


def _open(path: Path, *, readonly: bool) -> int:
    try:
        return os.open(path, (os.O_RDONLY if readonly else os.O_RDWR) | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise BackendError(f"{path}: no such image: check the path, or make one") from None
    except IsADirectoryError:
        raise BackendError(f"{path}: is a directory, not an image") from None
    except PermissionError:
        what = "read" if readonly else "write"
        raise BackendError(f"{path}: no permission to {what} it: change its mode or owner") from None
    except OSError as error:
        raise BackendError(f"{path}: cannot open: {error.strerror}") from error


def _lock(fd: int, path: Path, *, readonly: bool) -> None:
    """Many readers or one writer (flock: the lock dies with its process)."""
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if readonly else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BackendError(f"{path}: is in use by another machine: stop that one, or use a copy") from None
    except OSError:
        return  # a file system without locks


def _size(fd: int, path: Path) -> tuple[int, int]:
    """Bytes in the image, and where writes end: a file may grow to a whole sector, a device cannot."""
    mode = os.fstat(fd).st_mode
    if stat.S_ISDIR(mode):
        raise BackendError(f"{path}: is a directory, not an image")
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        raise BackendError(f"{path}: is neither a file nor a block device")
    size = os.lseek(fd, 0, os.SEEK_END)
    if size == 0:
        raise BackendError(f"{path}: is empty: an image must hold at least one sector")
    return size, -(-size // SECTOR) * SECTOR if stat.S_ISREG(mode) else size
