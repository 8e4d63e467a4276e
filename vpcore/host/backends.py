"""HostBackends: opens the host ends that a machine's devices name, and closes them all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from vpcore.config import FileText
from vpcore.errors import DiskFullError
from vpcore.host.block import RawDisk
from vpcore.host.chardev import FileChar, open_char
from vpcore.host.ends import BlockDevice, BufferChar, CharDevice
from vpcore.host.loop import HostLoop


class HostBackends:
    """Host ends of one machine.

    A relative path starts in the folder of the file that it stands in, or else in *base*, the machine file's folder.
    """

    def __init__(
        self,
        loop: HostLoop,
        base: Path,
        *,
        leave: Callable[[], None],
        stall: Callable[[DiskFullError], None],
    ) -> None:
        self._loop, self._base, self._leave, self._stall = loop, base, leave, stall
        self._open: list[BlockDevice | CharDevice] = []
        self.buffers: dict[str, BufferChar] = {}
        """Character devices in memory, by device name."""

    def disk(self, path: str, *, readonly: bool) -> BlockDevice:
        """Open and lock an image."""
        disk = RawDisk(self.find(path), readonly=readonly, stall=self._stall)
        self._open.append(disk)
        return disk

    def char(self, spec: str, owner: str) -> CharDevice:
        """Open a character device."""
        base = self._folder(spec)
        device = open_char(spec, owner, loop=self._loop, base=base, leave=self._leave, stall=self._stall)
        if isinstance(device, BufferChar):
            self.buffers[owner] = device
        self._open.append(device)
        return device

    def find(self, path: str) -> Path:
        """A file that the machine file names."""
        return self._folder(path) / Path(path).expanduser()

    def _folder(self, text: str) -> Path:
        return text.folder if isinstance(text, FileText) else self._base

    def begin(self) -> None:
        """The machine runs: before that nothing on the host may be changed."""
        for end in self._open:
            if isinstance(end, FileChar):
                end.begin()

    def close(self) -> None:
        """Close all, last opened first, whatever one of them raises."""
        with contextlib.ExitStack() as stack:
            for end in self._open:
                stack.callback(end.close)
            self._open.clear()
