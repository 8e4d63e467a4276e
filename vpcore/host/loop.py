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
    """Readable and writable file descriptors and posted calls, all served on the machine's thread."""

    def __init__(self) -> None:
        self._selector = selectors.EpollSelector()
        self._watched: dict[int, dict[int, Callable[[], None]]] = {}
        """Descriptor to the callback of each event."""
        self._posted: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self.add_reader(self._wake_read, self._drain)

    @property
    def fd(self) -> int:
        """A descriptor that is readable while `poll` has something to do."""
        return self._selector.fileno()

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back whenever *fd* is readable, until `remove`.  Raises `KeyError` where somebody does already."""
        self._watch(fd, selectors.EVENT_READ, callback)

    def add_writer(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back whenever *fd* is writable, until `remove_writer` or `remove`."""
        self._watch(fd, selectors.EVENT_WRITE, callback)

    def remove_reader(self, fd: int) -> None:
        """Stop asking whether *fd* is readable."""
        self._unwatch(fd, selectors.EVENT_READ)

    def remove_writer(self, fd: int) -> None:
        """Stop asking whether *fd* is writable."""
        self._unwatch(fd, selectors.EVENT_WRITE)

    def remove(self, fd: int) -> None:
        """Stop watching *fd*; unknown ones are ignored."""
        for event in (selectors.EVENT_READ, selectors.EVENT_WRITE):
            self._unwatch(fd, event)

    def _watch(self, fd: int, event: int, callback: Callable[[], None]) -> None:
        callbacks = self._watched.get(fd, {})
        if event in callbacks:
            raise KeyError(f"descriptor {fd} is watched already")
        wanted = {**callbacks, event: callback}
        if callbacks:
            self._selector.modify(fd, sum(wanted))
        else:
            self._selector.register(fd, sum(wanted))
        self._watched[fd] = wanted

    def _unwatch(self, fd: int, event: int) -> None:
        callbacks = self._watched.get(fd, {})
        if callbacks.pop(event, None) is None:
            return
        if callbacks:
            self._selector.modify(fd, sum(callbacks))
        else:
            del self._watched[fd]
            self._selector.unregister(fd)

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
        for key, events in self._selector.select(timeout):
            for event in (selectors.EVENT_READ, selectors.EVENT_WRITE):
                callback = self._watched.get(key.fd, {}).get(event)
                if events & event and callback is not None:
                    callback()
        while self._posted:
            self._posted.popleft()()

    def close(self) -> None:
        """Close the wake-up pipe and forget all descriptors."""
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _drain(self) -> None:
        os.read(self._wake_read, _WAKE_BYTES)
