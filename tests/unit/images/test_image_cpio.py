"""The initial RAM disk: Linux, Documentation/driver-api/early-userspace/buffer-format.rst."""

import gzip
import shutil
import subprocess

import pytest

from vpcore.images.cpio import Archive


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "tool").write_bytes(b"#!/bin/sh\n")
    (root / "bin" / "tool").chmod(0o700)
    (root / "link").symlink_to("bin/tool")
    (root / "odd").write_bytes(b"12345")
    return root


def packed(tree, mtime=1000):
    archive = Archive(mtime)
    archive.tree(tree)
    archive.device("console", mode=0o600, major=5, minor=1)
    return archive.compressed()


def test_an_entry_starts_with_the_magic_and_thirteen_hexadecimal_fields(tree):
    plain = gzip.decompress(packed(tree))
    assert b"070701" == plain[:6]
    fields = [int(plain[6 + 8 * n : 14 + 8 * n], 16) for n in range(13)]
    #      ino mode       uid gid nlink mtime size dev  rdev  name check
    assert [1, 0o040755, 0, 0, 2, 1000, 0, 0, 0, 0, 0, 4, 0] == fields
    assert b"bin\0" == plain[110:114]


def test_names_and_contents_are_padded_to_four_bytes(tree):
    plain = gzip.decompress(packed(tree))
    assert all(at % 4 == 0 for at in range(len(plain)) if plain.startswith(b"070701", at))
    assert 0 == len(plain) % 4


def test_the_same_tree_gives_the_same_bytes_whatever_its_times(tree):
    first = packed(tree)
    (tree / "odd").touch()
    assert first == packed(tree)


def test_cpio_reads_what_we_write(tree, tmp_path):
    if shutil.which("cpio") is None:
        pytest.skip("cpio is not installed: apt-get install cpio")
    listing = subprocess.run(
        ["cpio", "-itv", "--quiet", "--numeric-uid-gid"],
        input=gzip.decompress(packed(tree)), capture_output=True, check=True,
    ).stdout.decode().splitlines()  # fmt: skip
    assert ["bin", "bin/tool", "link -> bin/tool", "odd", "console"] == [
        line.split(None, 9 if line[0] == "c" else 8)[-1] for line in listing
    ]
    assert ["drwxr-xr-x", "-rwxr-xr-x", "lrwxrwxrwx", "-rw-r--r--", "crw-------"] == [line[:10] for line in listing]
    assert {("0", "0")} == {tuple(line.split()[2:4]) for line in listing}
