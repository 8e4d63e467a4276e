"""Initial RAM disks: the "newc" cpio archive that Linux unpacks at boot.

Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.  Written here, not by the cpio program, so that
the archive is the same every time and device nodes need no root.
"""

from __future__ import annotations

import gzip
import io
import stat
from pathlib import Path
from typing import Final

MAGIC: Final = b"070701"
TRAILER: Final = "TRAILER!!!"
ALIGNMENT: Final = 4


class Archive:
    """Collects entries, owned by root, all with the time *mtime* (seconds since 1970)."""

    def __init__(self, mtime: int) -> None:
        self._mtime = mtime
        self._inode = 0
        self._out = io.BytesIO()

    def device(self, name: str, *, mode: int, major: int, minor: int) -> None:
        """Add the character device *name* with permissions *mode*."""
        self._entry(name, stat.S_IFCHR | mode, rdev=(major, minor))

    def tree(self, root: Path) -> None:
        """Add what is in the folder *root*, in the order of the names."""
        for path in sorted(root.rglob("*")):
            self.path(path, path.relative_to(root).as_posix())

    def path(self, path: Path, name: str) -> None:
        """Add the file, link or folder *path* as *name*."""
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            self._entry(name, stat.S_IFLNK | 0o777, str(path.readlink()).encode())
        elif stat.S_ISDIR(mode):
            self._entry(name, stat.S_IFDIR | 0o755)
        else:
            executable = mode & stat.S_IXUSR
            self._entry(name, stat.S_IFREG | (0o755 if executable else 0o644), path.read_bytes())

    def compressed(self) -> bytes:
        """The whole archive, closed, in gzip format."""
        self._inode = -1
        self._entry(TRAILER, 0)
        return gzip.compress(self._out.getvalue(), mtime=0)

    def _entry(self, name: str, mode: int, data: bytes = b"", rdev: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        # ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
        fields = (self._inode, mode, 0, 0, links, self._mtime, len(data), 0, 0, *rdev, len(encoded), 0)
        self._out.write(MAGIC + b"".join(b"%08x" % field for field in fields) + encoded)
        self._pad()
        self._out.write(data)
        self._pad()

    def _pad(self) -> None:
        self._out.write(bytes(-self._out.tell() % ALIGNMENT))
