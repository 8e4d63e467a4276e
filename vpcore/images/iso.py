"""Bootable CD images (El Torito, no emulation) with isolinux or GRUB."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vpcore.images import grub, tools

ISOLINUX: Final = "isolinux.bin"
ISOLINUX_MEMBER: Final = "usr/lib/ISOLINUX/isolinux.bin"
LDLINUX_MEMBER: Final = "usr/lib/syslinux/modules/bios/ldlinux.c32"
GRUB_IMAGE: Final = "boot/grub/eltorito.img"
LOADED_SECTORS: Final = 4
"""Sectors of 512 bytes that the firmware loads of the boot image, which then loads the rest by its boot information table."""


def write(tree: Path, boot_image: str, out: Path) -> None:
    """Make the CD image *out* of the folder *tree*, booted by the file *boot_image* in it."""
    tools.run(
        "xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-o", out,
        "-b", boot_image, "-c", "boot.cat", "-no-emul-boot", "-boot-load-size", str(LOADED_SECTORS), "-boot-info-table",
        tree,
    )  # fmt: skip


def add_isolinux(tree: Path, packages: Path, config: str) -> None:
    """Put the loader from the unpacked *packages* isolinux and syslinux-common in *tree*, with its *config*."""
    shutil.copy2(packages / ISOLINUX_MEMBER, tree / ISOLINUX)
    shutil.copy2(packages / LDLINUX_MEMBER, tree)
    (tree / "isolinux.cfg").write_text(config)


def add_grub(tree: Path, entries: Sequence[grub.Entry]) -> None:
    """Put a GRUB that offers *entries* in *tree*."""
    folder = tree / "boot" / "grub"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "grub.cfg").write_text(grub.config(entries, timeout=1))
    with tempfile.TemporaryDirectory() as work:
        core = grub.core("i386-pc-eltorito", "/boot/grub", grub.CD_MODULES, Path(work))
    (tree / GRUB_IMAGE).write_bytes(core)
