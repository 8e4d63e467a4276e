"""The image `debian-mini`: a PC hard disk with Debian's i386 kernel, busybox and GRUB, that boots to a shell.

Everything in it comes from Debian's signed packages and the files beside this one.  The same packages give the same bytes.
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from vpcore.errors import ImageError
from vpcore.images import apt, cpio, ext4, grub, mbr, modules, tools
from vpcore.images.steps import Steps

NAME: Final = "debian-mini"
HELP: Final = "hard disk: Debian 12's i386 kernel, busybox and GRUB; boots to a shell on screen and serial port"
MIB: Final = 1 << 20
DEFAULT_SIZE: Final = 128 * MIB
SMALLEST: Final = 64 * MIB
HERE: Final = Path(__file__).parent
MENU_SECONDS: Final = 1

INITRD_MODULES: Final = ("ata_piix", "sd_mod", "ext4", "crc32c_generic", "crct10dif_generic")
DISK_MODULES: Final = (
    *INITRD_MODULES,
    *("ata_generic", "sr_mod", "sg", "floppy", "loop"),
    *("isofs", "udf", "vfat", "nls_cp437", "nls_iso8859_1", "nls_ascii", "nls_utf8"),
    *("psmouse", "evdev", "pcspkr", "button", "i2c_piix4", "vga16fb"),
    *("parport_pc", "ppdev", "lp"),
    *("pcnet32", "ne2k_pci", "8139too", "8139cp", "e100", "e1000"),
    *("snd_sb16", "snd_opl3_synth", "snd_seq", "snd_pcsp"),
)
APPLETS_START: Final = b"\0[\0[[\0"
"""How busybox's list of names begins: they are sorted, and end in zero bytes."""

INITRD_APPLETS: Final = ("findfs", "modprobe", "mount", "sh", "switch_root", "usleep")
DISK_FOLDERS: Final = ("dev", "media", "mnt", "proc", "root", "run", "sys", "tmp", "var/log")

KERNEL_OPTIONS: Final = (
    *("console=tty0", "console=ttyS0,115200"),
    "mitigations=off",  # the detours against speculation cost a translated processor dearly, and the guest trusts itself
    "cryptomgr.notests",  # self-tests of ciphers that nothing here uses: a third of the kernel's time to start
    "noisapnp",  # listens a third of a second for cards that pc99 has not
    "nokaslr",  # nothing to hide, and no relocation
)

NODES: Final = {"console": (5, 1), "null": (1, 3)}
"""Device nodes that the kernel wants before devtmpfs is there: major and minor numbers (Linux, devices.txt)."""


@attrs.frozen
class Parts:
    """What the packages gave: the folder they were unpacked in, the kernel's version, and the time of the newest file."""

    root: Path
    version: str
    mtime: int

    @property
    def kernel(self) -> Path:
        """The compressed kernel."""
        return self.root / "boot" / f"vmlinuz-{self.version}"

    @property
    def busybox(self) -> Path:
        """The one program of the user land, statically linked."""
        return self.root / "bin" / "busybox"


def build(out: Path, *, size: int = DEFAULT_SIZE, append: str = "", steps: Steps | None = None) -> None:
    """Make the disk image *out*.

    Args:
        out: the file to make or replace; it appears when it is complete.
        size: bytes of the disk.
        append: more options for the kernel's command line.
        steps: where progress is shown.

    Raises:
        ImageError: a program is missing, the archive cannot be reached, or *size* is too small.

    """
    if size < SMALLEST or size % MIB:
        raise ImageError(f"{NAME} needs a size in whole MiB, at least {SMALLEST // MIB}M (got {size} bytes)")
    steps = steps or Steps(quiet=True)
    for tool in ("apt-get", "apt-cache", "dpkg-deb", "mke2fs", "debugfs", "grub-mkimage"):
        tools.find(tool)
    grub.folder()
    work_root = tools.folder(tools.cache() / "work")
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-", dir=work_root) as work, tools.replacing(out) as image:
        parts = _unpack(Path(work) / "packages", steps)
        with steps.step(f"root file system with Linux {parts.version}"):
            tree = Path(work) / "tree"
            _make_tree(tree, parts, append)
        with steps.step(f"disk of {size // MIB} MiB"):
            _make_disk(image, tree, parts, size, Path(work))


def _unpack(target: Path, steps: Steps) -> Parts:
    archive = apt.Apt("i386")
    with steps.step("lists of Debian's packages"):
        kernel = archive.dependency("linux-image-686", r"linux-image-\d")
    with steps.step(f"packages {kernel} and busybox-static") as progress:
        packages = archive.get((kernel, "busybox-static"), progress)
    with steps.step("unpacking"):
        for package in packages:
            apt.extract(package, target)
    kept = max(int(path.lstat().st_mtime) for path in target.rglob("*") if path.is_file())
    return Parts(target, kernel.removeprefix("linux-image-"), int(os.environ.get("SOURCE_DATE_EPOCH", kept)))


def _make_tree(tree: Path, parts: Parts, append: str) -> None:
    """Fill the folder *tree* with what the root file system has."""
    for folder in DISK_FOLDERS:
        (tree / folder).mkdir(parents=True)
    _copy_files(HERE / "rootfs", tree)
    _install_busybox(tree, parts, applets(parts.busybox.read_bytes()))
    chosen = modules.Tree(parts.root / "lib" / "modules" / parts.version)
    chosen.install(chosen.closure(DISK_MODULES), tree / "lib" / "modules" / parts.version)
    boot = tree / "boot"
    boot.mkdir()
    shutil.copy2(parts.kernel, boot / "vmlinuz")
    (boot / "initrd.img").write_bytes(_initrd(parts, chosen, tree.parent / "initrd"))
    grub.install_modules(boot / "grub" / "i386-pc")
    (boot / "grub" / "grub.cfg").write_text(grub.config(_entries(append), timeout=MENU_SECONDS))
    for copyright_file in sorted(parts.root.glob("usr/share/doc/*/copyright")):
        kept = tree / copyright_file.relative_to(parts.root)
        kept.parent.mkdir(parents=True)
        shutil.copy2(copyright_file, kept)


def applets(busybox: bytes) -> list[str]:
    """The names of the programs that *busybox* (the file) is; it is not run, as not every host runs 32-bit programs.

    Raises:
        ImageError: the file has no such list.

    """
    start = busybox.find(APPLETS_START)
    if start < 0:
        raise ImageError("busybox has no list of its programs where it is expected")
    return busybox[start + 1 : busybox.index(b"\0\0", start)].decode().split("\0")


def _copy_files(source: Path, tree: Path) -> None:
    """Copy our own files, scripts being made executable whatever the installer of vpcore made of them."""
    shutil.copytree(source, tree, dirs_exist_ok=True)
    for path in tree.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o755 if path.read_bytes().startswith(b"#!") else 0o644)


def _install_busybox(tree: Path, parts: Parts, names: Sequence[str]) -> None:
    """Put busybox in `bin` under all its *names*; the other folders of programs are the same folder."""
    programs = tree / "bin"
    programs.mkdir(exist_ok=True)
    shutil.copy2(parts.busybox, programs / "busybox")
    for name in names:
        if not (programs / name).exists():
            (programs / name).symlink_to("busybox")
    (tree / "sbin").symlink_to("bin")
    (tree / "usr").mkdir()
    for folder in ("bin", "sbin"):
        (tree / "usr" / folder).symlink_to("../bin")


def _initrd(parts: Parts, chosen: modules.Tree, tree: Path) -> bytes:
    for folder in ("dev", "proc", "sys", "root"):
        (tree / folder).mkdir(parents=True)
    _copy_files(HERE / "initrd", tree)
    _install_busybox(tree, parts, INITRD_APPLETS)
    chosen.install(chosen.closure(INITRD_MODULES), tree / "lib" / "modules" / parts.version)
    archive = cpio.Archive(parts.mtime)
    archive.tree(tree)
    for name, (major, minor) in NODES.items():
        archive.device(f"dev/{name}", mode=0o600, major=major, minor=minor)
    return archive.compressed()


def _entries(append: str) -> list[grub.Entry]:
    options = " ".join((f"root=LABEL={NAME}", *KERNEL_OPTIONS, *append.split()))

    def commands(*first: str, also: str = "") -> list[str]:
        return [*first, f"linux /boot/vmlinuz {options}{also}", "initrd /boot/initrd.img"]

    return [
        grub.Entry("Debian mini", commands(also=" quiet")),
        grub.Entry("Debian mini, all messages", commands()),
        grub.Entry("Debian mini, graphics 1024x768", commands("insmod vbe", "set gfxpayload=1024x768x16,1024x768")),
    ]


def _make_disk(image: Path, tree: Path, parts: Parts, size: int, work: Path) -> None:
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"vpcore:{NAME}:{parts.version}")
    signature = struct.unpack_from("<I", identity.bytes)[0]
    root = mbr.Partition(mbr.FIRST_SECTOR, size // mbr.SECTOR - mbr.FIRST_SECTOR, active=True)
    core = grub.core("i386-pc", "(hd0,msdos1)/boot/grub", grub.DISK_MODULES, work)
    head = mbr.boot_area((grub.folder() / "boot.img").read_bytes(), core, [root], signature)
    os.truncate(image, size)
    ext4.make(
        image,
        tree,
        offset=root.start * mbr.SECTOR,
        size=root.sectors * mbr.SECTOR,
        label=NAME,
        identity=identity,
        mtime=parts.mtime,
    )
    with image.open("r+b") as disk:
        disk.write(head)
