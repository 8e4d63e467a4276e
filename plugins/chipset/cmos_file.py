"""The file that keeps CMOS RAM while a machine is off.

A byte is in the file as soon as the guest has written it: what ends the process loses nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from vpcore.errors import BackendError, ConfigError
from vpcore.log import DeviceLog

MODE: Final = 0o644


class CmosFile:
    """*size* bytes at *path*; nothing is opened for writing before there is something to write."""

    def __init__(self, path: Path, size: int, log: DeviceLog) -> None:
        self._path = path
        self._size = size
        self._log = log
        self._fd: int | None = None
        self._failed = False

    def load(self) -> bytes | None:
        """What a machine left, or None where none did.  Raises where the file cannot be read or is not of that size."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BackendError(f"{self._path}: cannot read CMOS contents: {error.strerror}") from error
        if len(data) != self._size:
            raise ConfigError(
                f"{self._path}: CMOS file must be {self._size} bytes (got {len(data)}): remove it to start afresh"
            )
        return data

    def keep(self, ram: bytearray, index: int) -> None:
        """The guest has changed the byte at *index*; with the first one all are written."""
        if self._fd is not None:
            self._write(ram[index : index + 1], index)
        elif not self._failed:
            self.keep_all(ram)

    def keep_all(self, ram: bytearray) -> None:
        """Write all bytes."""
        try:
            if self._fd is None:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        except OSError as error:
            self._fail(error)
        else:
            self._write(ram, 0)

    def close(self, ram: bytearray) -> None:
        """Write all bytes, durably, where the guest has written any."""
        if self._fd is None and not self._failed:
            return
        self.keep_all(ram)
        if self._fd is None:
            return
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self._fail(error)
        os.close(self._fd)
        self._fd = None

    def _write(self, data: bytearray, offset: int) -> None:
        assert self._fd is not None
        try:
            os.pwrite(self._fd, data, offset)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        """Say so, once."""
        if not self._failed:
            self._log.warning("CMOS contents not saved", file=self._path, reason=error.strerror)
        self._failed = True
