"""The whole image; downloads Debian's packages the first time."""

import gzip
import re
import subprocess

import pytest

from vpcore.images import debian_mini, grub, mbr, tools

OFFSET = mbr.FIRST_SECTOR * mbr.SECTOR


def test_the_programs_of_busybox_are_read_from_its_file():
    assert ["[", "[[", "ash", "zcat"] == debian_mini.applets(b"\x7fELF..\0[\0[[\0ash\0zcat\0\0..")


def test_the_menu_starts_linux_with_both_consoles_and_what_is_appended():
    config = grub.config(debian_mini._entries("panic=5"), timeout=1)
    lines = [line for line in config.splitlines() if "linux /boot/vmlinuz" in line]
    assert 3 == len(lines)
    assert all("console=tty0 console=ttyS0,115200" in line and "panic=5" in line for line in lines)
    assert "gfxpayload=1024x768" in config
    assert re.search(r"serial --unit=0 --speed=115200", config)


@pytest.mark.slow
def test_the_image_is_a_bootable_disk_and_the_same_each_time(tmp_path):
    first, second = tmp_path / "first.img", tmp_path / "second.img"
    debian_mini.build(first)
    debian_mini.build(second)
    assert 0 == subprocess.run(["cmp", first, second], check=False).returncode
    assert first.stat().st_blocks * 512 < debian_mini.DEFAULT_SIZE // 2  # sparse

    with first.open("rb") as disk:
        head = disk.read(OFFSET)
    assert b"\x55\xaa" == head[510:512]
    assert mbr.Partition(2048, (128 << 11) - 2048, active=True).entry() == head[0x1BE:0x1CE]
    assert head[:0x1B8] == (grub.FOLDER / "boot.img").read_bytes()[:0x1B8]

    subprocess.run([tools.find("debugfs").replace("debugfs", "e2fsck"), "-fn", f"{first}?offset={OFFSET}"], check=True)
    dumped = tmp_path / "initrd.gz"
    tools.run("debugfs", "-R", f"dump /boot/initrd.img {dumped}", f"{first}?offset={OFFSET}")
    assert b"ata_piix.ko" in gzip.decompress(dumped.read_bytes())
    owners = tools.run("debugfs", "-R", "ls -p /bin", f"{first}?offset={OFFSET}").split("\n")
    assert {("0", "0")} == {tuple(line.split("/")[3:5]) for line in owners if line}
