"""Kernel modules: modules.dep(5), and the `.modinfo` section of a module."""

import struct

import pytest

from vpcore.errors import ImageError
from vpcore.images.modules import COPIED, Tree, section


def elf(info: bytes) -> bytes:
    """A 32-bit object with the sections: none, .modinfo, .shstrtab (System V ABI, chapter 4)."""
    names = b"\0.modinfo\0.shstrtab\0"
    table = 52 + len(info) + len(names)
    header = struct.pack("<16s2H5I6H", b"\x7fELF\1\1\1", 1, 3, 1, 0, 0, table, 0, 52, 0, 0, 40, 3, 2)
    rows = [(0,) * 10, (1, 1, 2, 0, 52, len(info), 0, 0, 1, 0), (10, 3, 0, 0, 52 + len(info), len(names), 0, 0, 1, 0)]
    return header + info + names + b"".join(struct.pack("<10I", *row) for row in rows)


def module(*lines: str) -> bytes:
    return elf(b"".join(line.encode() + b"\0" for line in lines))


@pytest.fixture
def kernel(tmp_path):
    root = tmp_path / "6.1"
    (root / "kernel").mkdir(parents=True)
    for name, text in {
        "disk-core": module("depends=", "name=disk_core"),
        "disk": module("depends=disk-core,sums", "alias=pci:v00008086d*", "name=disk"),
        "sums": module("depends="),
        "fs": module("softdep=pre: crypto-sum post: disk", "depends=sums"),
        "sum-generic": module("alias=crypto-sum", "depends="),
        "other": module("depends="),
    }.items():
        (root / "kernel" / f"{name}.ko").write_bytes(text)
    for name in COPIED:
        (root / name).write_text("")
    return root


def test_a_section_is_found_by_its_name():
    assert b"depends=x\0" == section(module("depends=x"), b".modinfo")
    assert b"" == section(module("depends=x"), b".text")


def test_the_closure_lists_each_module_once_after_all_it_needs(kernel):
    names = [found.name for found in Tree(kernel).closure(["disk", "sums"])]
    assert ["disk_core", "sums", "disk"] == names


def test_a_soft_dependency_is_followed_by_its_alias(kernel):
    assert ["sum_generic", "sums", "fs"] == [found.name for found in Tree(kernel).closure(["fs"])]


def test_a_module_the_kernel_does_not_have_is_named(kernel):
    with pytest.raises(ImageError, match="has no module floppy"):
        Tree(kernel).closure(["floppy"])


def test_the_installed_index_files_speak_of_the_chosen_modules_only(kernel, tmp_path):
    tree = Tree(kernel)
    target = tmp_path / "installed"
    tree.install(tree.closure(["disk"]), target)
    assert {"disk-core.ko", "disk.ko", "sums.ko"} == {path.name for path in target.rglob("*.ko")}
    assert "alias pci:v00008086d* disk\n" == (target / "modules.alias").read_text()
    lines = (target / "modules.dep").read_text().splitlines()
    assert "kernel/disk.ko: kernel/sums.ko kernel/disk-core.ko" in lines
    assert "kernel/sums.ko:" in lines


def test_a_file_that_is_no_module_is_named(kernel):
    (kernel / "kernel" / "broken.ko").write_bytes(b"\x7fELF")
    with pytest.raises(ImageError, match=r"broken.ko is no 32-bit kernel module"):
        Tree(kernel)
