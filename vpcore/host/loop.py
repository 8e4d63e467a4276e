"""HostLoop: where the outside world reaches the machine's thread.

Backends register file descriptors; other threads and signal handlers post callables.  The machine polls between slices
of guest time and sleeps here while the guest halts.
"""

from __future__ import annotations

import os
import selectors
from collections import deque
from collections.abc import Callable

_WAKE_BYTES = 4096


class HostLoop:
    """Readable file descriptors and posted calls, all served on the machine's thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._posted: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._drain)

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back whenever *fd* is readable, until `remove`."""
        self._selector.register(fd, selectors.EVENT_READ, callback)

    def remove(self, fd: int) -> None:
        """Stop watching *fd*; unknown ones are ignored."""
        try:
            self._selector.unregister(fd)
        except (KeyError, ValueError):
            return

    def post(self, callback: Callable[[], None]) -> None:
        """Run *callback* on the machine's thread soon; callable from any thread or signal handler."""
        self._posted.append(callback)
        self.wake()

    def wake(self) -> None:
        """End a `wait` early."""
        try:
            os.write(self._wake_write, b"\0")
        except BlockingIOError:
            return  # enough wake-ups are waiting already

    def poll(self) -> None:
        """Serve what is ready, without waiting."""
        self.wait(0)

    def wait(self, timeout: float | None) -> None:
        """Serve what becomes ready within *timeout* seconds (None: however long it takes)."""
        for key, _ in self._selector.select(timeout):
            key.data()
        while self._posted:
            self._posted.popleft()()

    def close(self) -> None:
        """Close the wake-up pipe and forget all descriptors."""
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _drain(self) -> None:
        os.read(self._wake_read, _WAKE_BYTES)
