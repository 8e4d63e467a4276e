"""GRUB 2 for BIOS machines: its core images and its configuration."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from vpcore.errors import ImageError
from vpcore.images import tools

FOLDER: Final = Path("/usr/lib/grub/i386-pc")
DISK_MODULES: Final = (
    "biosdisk",
    "part_msdos",
    "ext2",
    "normal",
    "serial",
    "terminal",
    "linux",
    "test",
    "echo",
    "search_label",
)
CD_MODULES: Final = ("biosdisk", "iso9660", "normal", "serial", "terminal", "multiboot", "linux", "test", "echo")
BAUD: Final = 115200

TERMINALS: Final = f"""\
if serial --unit=0 --speed={BAUD}; then
  terminal_input console serial
  terminal_output console serial
fi
"""
"""Uses the first serial port beside keyboard and screen, if there is one."""


@attrs.frozen
class Entry:
    """One line of the menu: its *title*, and the *commands* that boot it."""

    title: str
    commands: Sequence[str]


def config(entries: Sequence[Entry], *, timeout: int) -> str:
    """A grub.cfg that starts the first of *entries* after *timeout* seconds."""
    menu = "".join(
        f"menuentry '{entry.title}' {{\n" + "".join(f"  {command}\n" for command in entry.commands) + "}\n"
        for entry in entries
    )
    return f"{TERMINALS}set timeout={timeout}\nset default=0\n{menu}"


def folder() -> Path:
    """The folder with GRUB's BIOS modules; ImageError if it is not installed."""
    if not (FOLDER / "boot.img").exists():
        raise ImageError(f"{FOLDER}/boot.img is not there: apt-get install grub-pc-bin")
    return FOLDER


def core(kind: str, prefix: str, modules: Sequence[str], work: Path) -> bytes:
    """A core image for *kind* (`i386-pc` or `i386-pc-eltorito`) that finds its configuration in the folder *prefix*."""
    out = work / f"{kind}.img"
    tools.run("grub-mkimage", "-d", folder(), "-O", kind, "-p", prefix, "-o", out, *modules)
    return out.read_bytes()


def install_modules(target: Path) -> None:
    """Copy GRUB's modules and their index files to *target*, so that its shell has all its commands."""
    target.mkdir(parents=True)
    for path in sorted(folder().iterdir()):
        if path.suffix in {".mod", ".lst"}:
            shutil.copy2(path, target)
