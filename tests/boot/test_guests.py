"""Real software from media, through SeaBIOS: each boots with no special case for it."""

import shutil

import pytest

pytestmark = pytest.mark.boot

PROMPT = "debian-mini:.*# "


def test_seabios_reaches_its_boot_message_within_a_second_of_guest_time(pc):
    machine = pc()

    machine.screen.wait_for_text("SeaBIOS \\(version", timeout=30)

    assert "SeaBIOS" in machine.screen.text


def test_grub_rescue_floppy_reaches_its_prompt_and_lists_the_drives(pc, medium):
    machine = pc(fda=medium("grub-rescue-floppy"), boot="a")

    machine.screen.wait_for_text("GNU GRUB", timeout=90)
    machine.keyboard.type("c")
    machine.screen.wait_for_text("grub>", timeout=30)
    machine.keyboard.type("ls\n")
    machine.screen.wait_for_text(r"\(fd0\)", timeout=30)


def test_grub_rescue_cdrom_reaches_its_prompt_and_lists_the_drives(pc, medium):
    machine = pc(cdrom=medium("grub-rescue-cdrom"), boot="d")

    machine.screen.wait_for_text("GNU GRUB", timeout=90)
    machine.keyboard.type("c")
    machine.screen.wait_for_text("grub>", timeout=30)
    machine.keyboard.type("ls\n")
    machine.screen.wait_for_text(r"\(cd\)|\(hd", timeout=30)


@pytest.mark.parametrize("megabytes", [64, 128])
def test_memtest_starts_and_finds_the_memory_size(pc, medium, megabytes):
    machine = pc(cdrom=medium("memtest86+"), boot="d", memory=f"{megabytes}M")

    machine.screen.wait_for_text(rf"Memory *: +{megabytes}(\.0)?M|{megabytes}MB", timeout=120)
    machine.screen.wait_for_text(r"Test #\d", timeout=60)


def test_ipxe_shows_its_banner(pc, medium):
    machine = pc(cdrom=medium("ipxe"), boot="d")

    machine.screen.wait_for_text(r"iPXE \d", timeout=90)


def test_grub_invaders_starts_by_multiboot(pc, medium):
    machine = pc(kernel=medium("invaders-kernel"))

    machine.screen.wait_for_text(r"-\*-.*-\*-", timeout=60)


@pytest.mark.slow
def test_debian_installer_reaches_its_first_dialog_by_direct_boot(pc, medium):
    machine = pc(
        kernel=medium("debian-installer-kernel"),
        initrd=medium("debian-installer-initrd"),
        append="console=ttyS0,115200n8 vga=normal fb=false",
        memory="256M",
    )

    machine.serial[0].wait_for("Select a language", timeout=240)


@pytest.mark.slow
def test_debian_installer_reaches_its_first_dialog_on_the_screen_from_cd(pc, medium):
    machine = pc(cdrom=medium("debian-installer-serial"), boot="d", memory="256M")

    machine.serial[0].wait_for("Select a language", timeout=300)


def test_debian_boots_from_disk_writes_a_file_powers_off_and_finds_it_again(pc, debian_image, tmp_path):
    disk = tmp_path / "disk.img"
    shutil.copy(debian_image, disk)
    machine = pc(hda=disk)
    serial = machine.serial[0]
    serial.wait_for(PROMPT, timeout=200)
    serial.write("echo written by the guest > /root/file; sync; poweroff\n")

    assert machine.run(timeout=60)

    machine.close()
    again = pc(hda=disk)
    serial = again.serial[0]
    at = serial.wait_for(PROMPT, timeout=200)
    serial.write("cat /root/file\n")
    serial.wait_for("written by the guest\r\n", timeout=20, after=at)
