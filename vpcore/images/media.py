"""Test media: floppies, CDs, kernels and ROMs that Debian packages, fetched into the cache when they are asked for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs

from vpcore.errors import ImageError
from vpcore.images import apt, grub, iso, tools
from vpcore.images.steps import Steps

ARCHITECTURE: Final = "i386"
INSTALLER_FOLDER: Final = "usr/lib/debian-installer/images/12/i386/text"
INSTALLER: Final = f"{INSTALLER_FOLDER}/debian-installer/i386"
INSTALLER_PACKAGE: Final = "debian-installer-12-netboot-i386"

SERIAL_CONFIG: Final = """\
serial 0 115200
default install
prompt 1
timeout 20
label install
  kernel debian-installer/i386/linux
  append initrd=debian-installer/i386/initrd.gz console=ttyS0,115200 vga=normal fb=false
"""

Maker = Callable[[Path, Path], None]
"""Makes a file (second) from the folder with the unpacked packages (first)."""


def _member(path: str) -> Maker:
    def take(packages: Path, out: Path) -> None:
        if not (packages / path).exists():
            raise ImageError(f"Debian's package no longer has {path}")
        shutil.copyfile(packages / path, out)

    return take


def _installer_cd(config: str | None) -> Maker:
    """A CD of the installer: with *config*, or with the menu that the package has for network boot."""

    def make(packages: Path, out: Path) -> None:
        tree = packages / INSTALLER_FOLDER
        menu = packages / INSTALLER / "boot-screens" / "syslinux.cfg"
        iso.add_isolinux(_without_links(tree), packages, config or menu.read_text())
        iso.write(tree, iso.ISOLINUX, out)

    return make


def _without_links(tree: Path) -> Path:
    """Remove what only a network boot needs: links, and files of other firmware."""
    for path in tree.rglob("*"):
        if path.is_symlink() or path.suffix == ".efi":
            path.unlink()
    return tree


def _grub_cd(kernel: str, command: str) -> Maker:
    """A CD whose GRUB starts *kernel* by *command*."""

    def make(packages: Path, out: Path) -> None:
        tree = packages / "cd"
        tree.mkdir()
        name = Path(kernel).name
        shutil.copyfile(packages / kernel, tree / name)
        iso.add_grub(tree, [grub.Entry(name, [f"{command} /{name}"])])
        iso.write(tree, iso.GRUB_IMAGE, out)

    return make


@attrs.frozen
class Medium:
    """One medium: the *packages* it comes from and how it is made of them.

    *shows* is a text on the screen, or serial port, of a PC on which it booted; empty if there is none (graphics, parts).
    """

    name: str
    suffix: str
    packages: tuple[str, ...]
    make: Maker
    help: str
    shows: str = ""


_LOADER_PACKAGES: Final = (INSTALLER_PACKAGE, "isolinux", "syslinux-common")

MEDIA: Final = {
    medium.name: medium
    for medium in (
        Medium("grub-rescue-floppy", ".img", ("grub-rescue-pc",), _member("usr/lib/grub-rescue/grub-rescue-floppy.img"),
               "floppy: GRUB 2 with its shell", "GNU GRUB  version"),
        Medium("grub-rescue-cdrom", ".iso", ("grub-rescue-pc",), _member("usr/lib/grub-rescue/grub-rescue-cdrom.iso"),
               "CD and hard disk in one: GRUB 2 with its shell", "GNU GRUB  version"),
        Medium("memtest86+", ".iso", ("memtest86+",), _member("usr/lib/memtest86+/memtest86+ia32.iso"),
               "CD: memory tester", "Memtest86+ v"),
        Medium("memtest86+-kernel", ".bin", ("memtest86+",), _member("boot/memtest86+ia32.bin"),
               "kernel in Linux' format: memory tester", "Memtest86+ v"),
        Medium("ipxe", ".iso", ("ipxe",), _member("usr/lib/ipxe/ipxe.iso"), "CD: network boot", "Open Source Network Boot Firmware"),
        Medium("ipxe-kernel", ".lkrn", ("ipxe",), _member("boot/ipxe.lkrn"), "kernel in Linux' format: network boot",
               "Open Source Network Boot Firmware"),
        Medium("invaders", ".iso", ("grub-invaders",), _grub_cd("boot/invaders.exec", "multiboot"), "CD: a game in text mode", "-*-"),
        Medium("invaders-kernel", ".exec", ("grub-invaders",), _member("boot/invaders.exec"),
               "multiboot kernel: a game in text mode", "-*-"),
        Medium("debian-installer", ".iso", _LOADER_PACKAGES, _installer_cd(None),
               "CD: Debian 12 installer, graphical boot menu (640x480)"),
        Medium("debian-installer-serial", ".iso", _LOADER_PACKAGES, _installer_cd(SERIAL_CONFIG),
               "CD: Debian 12 installer on the serial port; wants 280 MB", "Select a language"),
        Medium("debian-installer-kernel", ".bin", (INSTALLER_PACKAGE,), _member(f"{INSTALLER}/linux"),
               "Linux kernel of the Debian 12 installer"),
        Medium("debian-installer-initrd", ".gz", (INSTALLER_PACKAGE,), _member(f"{INSTALLER}/initrd.gz"),
               "initial RAM disk of the Debian 12 installer"),
        Medium("seabios", ".bin", ("seabios",), _member("usr/share/seabios/bios-256k.bin"), "ROM: SeaBIOS"),
        Medium("seabios-vga", ".bin", ("seabios",), _member("usr/share/seabios/vgabios-stdvga.bin"), "ROM: VGA BIOS of SeaBIOS"),
    )
}  # fmt: skip
"""All media, by name."""


def cached(medium: Medium) -> Path:
    """Where *medium* is, once it was fetched."""
    return tools.cache() / "media" / f"{medium.name}{medium.suffix}"


def path(name: str, *, steps: Steps | None = None) -> Path:
    """The file of the medium *name*, fetched if it is not here.  All share it: give a machine that writes a copy.

    Raises:
        ImageError: there is no such medium, or it cannot be fetched.

    """
    if name not in MEDIA:
        raise ImageError(f"no medium {name!r}; there are {', '.join(MEDIA)}")
    medium = MEDIA[name]
    out = cached(medium)
    if not out.exists():
        _fetch(medium, out, steps or Steps(quiet=True))
    return out


def _fetch(medium: Medium, out: Path, steps: Steps) -> None:
    with steps.step(medium.name) as progress, tools.replacing(out) as part:
        packages = apt.Apt(ARCHITECTURE).get(medium.packages, progress)
        with tempfile.TemporaryDirectory(prefix="unpack-", dir=out.parent) as work:
            for package in packages:
                apt.extract(package, Path(work))
            medium.make(Path(work), part)


def copy(source: Path, folder: Path) -> Path:
    """Copy the file *source* into *folder* and tell its new path."""
    target = folder / source.name
    with tools.replacing(target) as part:
        shutil.copyfile(source, part)
    return target
