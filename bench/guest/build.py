"""Makes the kit of the benchmark guest: a CD that boots Debian's i386 kernel and runs programs, and their folder tree.

    python bench/guest/build.py FOLDER      FOLDER/bench.iso, and FOLDER/root for native runs in a chroot

The programs are Debian's i386 packages and programs.c, compiled by the host's gcc (package gcc-multilib).
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from vpcore.errors import ImageError
from vpcore.images import apt, cpio, iso, tools
from vpcore.images.steps import Steps

HERE: Final = Path(__file__).resolve().parent
PACKAGES: Final = (
    *("busybox-static", "libc6", "lua5.4", "liblua5.4-0", "bzip2", "libbz2-1.0", "xz-utils", "liblzma5", "openssl", "libssl3"),
    *("sqlite3", "libsqlite3-0", "zlib1g", "libgcc-s1", "libreadline8", "libtinfo6", "gzip", "perl-base", "libcrypt1"),
    *("dash", "coreutils", "libacl1", "libattr1", "libgmp10", "libselinux1", "libpcre2-8-0"),
)  # fmt: skip
LOADER: Final = ("isolinux", "syslinux-common")
UNUSED: Final = ("usr/share/doc", "usr/share/locale", "usr/share/man", "usr/share/info", "usr/lib/i386-linux-gnu/gconv")
FOLDERS: Final = ("bench", "dev", "proc", "sys", "tmp")
CONFIG: Final = """\
default linux
prompt 0
label linux
 kernel /vmlinuz
 append initrd=/initrd.gz console=ttyS0 quiet panic=-1
"""
SEED: Final = 1999
TEXT_BYTES: Final = 4_000_000
RANDOM_BYTES: Final = 3_000_000
WORDS: Final = 5000


def text() -> bytes:
    """Words as often as in a language: the k-th has 1/k of the first one's share."""
    rng = random.Random(SEED)
    words = ["".join(rng.choices("etaoinshrdlucmfw", k=rng.randint(2, 9))) for _ in range(WORDS)]
    parts, size = [], 0
    while size < TEXT_BYTES:
        word = words[min(int(rng.paretovariate(1.0)), WORDS) - 1]
        parts.append(word)
        size += len(word) + 1
    return " ".join(parts).encode()[:TEXT_BYTES]


def make_root(root: Path, packages: list[Path], compiler: str) -> None:
    """The guest's root folder."""
    for package in packages:
        apt.extract(package, root)
    for name in UNUSED:
        shutil.rmtree(root / name, ignore_errors=True)
    for name in FOLDERS:
        (root / name).mkdir(exist_ok=True)
    shutil.copytree(HERE / "files", root, dirs_exist_ok=True)
    (root / "bench" / "text.bin").write_bytes(text())
    (root / "bench" / "rand.bin").write_bytes(random.Random(SEED).randbytes(RANDOM_BYTES))
    programs = root / "bench" / "programs"
    subprocess.run([compiler, "-m32", "-O2", "-static", "-o", programs, HERE / "programs.c"], check=True)


def build(folder: Path, steps: Steps) -> None:
    """Make the kit; what is there already is replaced."""
    compiler = shutil.which("gcc")
    if compiler is None:
        raise ImageError("program gcc is not installed: apt-get install gcc gcc-multilib")
    archive = apt.Apt("i386")
    root = tools.folder(folder) / "root"
    shutil.rmtree(root, ignore_errors=True)
    with steps.step("lists of Debian's packages"):
        kernel = archive.dependency("linux-image-686", r"linux-image-\d")
    with steps.step("packages") as progress:
        packages = archive.get((kernel, *LOADER, *PACKAGES), progress)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        boot, disc = Path(work) / "boot", Path(work) / "disc"
        disc.mkdir()
        with steps.step("root folder and programs"):
            for package in packages[: 1 + len(LOADER)]:
                apt.extract(package, boot)
            make_root(root, packages[1 + len(LOADER) :], compiler)
        with steps.step("initial RAM disk"):
            disk = cpio.Archive(int(os.environ.get("SOURCE_DATE_EPOCH", "0")))
            disk.tree(root)
            disk.device("dev/console", mode=0o600, major=5, minor=1)
            (disc / "initrd.gz").write_bytes(disk.compressed())
        with steps.step("CD"):
            shutil.copy2(next(boot.glob("boot/vmlinuz-*")), disc / "vmlinuz")
            iso.add_isolinux(disc, boot, CONFIG)
            with tools.replacing(folder / "bench.iso") as out:
                iso.write(disc, iso.ISOLINUX, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    try:
        build(parser.parse_args().folder, Steps())
    except (ImageError, subprocess.CalledProcessError) as error:
        sys.exit(f"the kit cannot be built: {error}")


if __name__ == "__main__":
    main()
