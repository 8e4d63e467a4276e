"""A file system made from a folder, inside a disk image, without root and the same every time."""

from __future__ import annotations

import os
import stat
import uuid
from pathlib import Path
from typing import Final

from vpcore.images import tools

FEATURES: Final = ("^metadata_csum", "^metadata_csum_seed", "^orphan_file", "^64bit", "^huge_file")
"""Left out: what GRUB 2.06 cannot read, and checksums, which cost an emulated processor time for nothing."""

JOURNAL_MIB: Final = 4
BLOCK: Final = 4096
INODE_FIELDS: Final = ("atime", "ctime", "mtime", "crtime")


def make(image: Path, tree: Path, *, offset: int, size: int, label: str, identity: uuid.UUID, mtime: int) -> None:
    """Write an ext4 file system with the contents of the folder *tree*, all owned by root.

    Args:
        image: the disk image, which exists.
        tree: the folder to copy.
        offset: where the file system begins, in bytes.
        size: its size in bytes.
        label: its volume label.
        identity: its UUID, which also seeds its directory hashes.
        mtime: the time of all that is in it, in seconds since 1970.

    """
    tools.run(
        "mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-b", str(BLOCK), "-L", label, "-U", str(identity),
        "-O", ",".join(FEATURES), "-J", f"size={JOURNAL_MIB}",
        "-E", f"offset={offset},hash_seed={identity},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0,no_copy_xattrs",
        "-d", tree, image, str(size // BLOCK),
        env=_frozen(mtime),
    )  # fmt: skip
    # mke2fs copies owner and times from the host, and the time of an inode's change cannot be set on the host
    commands = [command for path in _paths(tree) for command in _settled(path, tree, mtime)]
    tools.run(
        "debugfs", "-w", "-f", "-", f"{image}?offset={offset}", env=_frozen(mtime), stdin="\n".join(commands) + "\n"
    )


def _frozen(mtime: int) -> dict[str, str]:
    """The environment in which e2fsprogs takes *mtime* for the current time."""
    return {"E2FSPROGS_FAKE_TIME": str(mtime), "SOURCE_DATE_EPOCH": str(mtime)}


def _paths(tree: Path) -> list[str]:
    inside = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*"))
    return ["/", *(f"/{path}" for path in inside), "/lost+found"]


def _settled(path: str, tree: Path, mtime: int) -> list[str]:
    """The debugfs commands that give the inode of *path* to root, with one time and tidy permissions."""
    quoted = f'"{path}"'
    commands = [f"set_inode_field {quoted} {field} @{mtime}" for field in INODE_FIELDS]
    commands += [f"set_inode_field {quoted} {field}_extra 0" for field in INODE_FIELDS]
    commands += [f"set_inode_field {quoted} uid 0", f"set_inode_field {quoted} gid 0"]
    source = tree / path[1:]
    if source.is_symlink() or not source.exists():
        return commands
    mode = source.stat().st_mode
    executable = stat.S_ISDIR(mode) or os.access(source, os.X_OK)
    commands.append(f"set_inode_field {quoted} mode 0{stat.S_IFMT(mode) | (0o755 if executable else 0o644):o}")
    return commands
