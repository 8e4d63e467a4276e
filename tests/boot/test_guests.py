"""Real software from media, through SeaBIOS: each boots with no special case for it."""

import re
import shutil
import time

import pytest
from conftest import ROOT

pytestmark = pytest.mark.boot

PROMPT = "debian-mini:.*# "
each_engine = pytest.mark.parametrize("pc", ["interp", "bt"], indirect=True)
"""Everything boots by the engine that `auto` takes; these, which are short, by the reference too."""


@each_engine
def test_seabios_reaches_its_boot_message_within_a_second_of_guest_time(pc):
    machine = pc()

    machine.screen.wait_for_text("SeaBIOS \\(version", timeout=30)

    assert "SeaBIOS" in machine.screen.text


@each_engine
def test_grub_rescue_floppy_reaches_its_prompt_and_lists_the_drives(pc, medium):
    machine = pc(fda=medium("grub-rescue-floppy"), boot="a")

    machine.screen.wait_for_text("GNU GRUB", timeout=90)
    machine.keyboard.type("c")
    machine.screen.wait_for_text("grub>", timeout=30)
    machine.keyboard.type("ls\n")
    machine.screen.wait_for_text(r"\(fd0\)", timeout=30)


@each_engine
def test_grub_rescue_cdrom_reaches_its_prompt_and_lists_the_drives(pc, medium):
    machine = pc(cdrom=medium("grub-rescue-cdrom"), boot="d")

    machine.screen.wait_for_text("GNU GRUB", timeout=90)
    machine.keyboard.type("c")
    machine.screen.wait_for_text("grub>", timeout=30)
    machine.keyboard.type("ls\n")
    machine.screen.wait_for_text(r"\(cd\)|\(hd", timeout=30)


@each_engine
@pytest.mark.parametrize("megabytes", [64, 128])
def test_memtest_starts_and_finds_the_memory_size(pc, medium, megabytes):
    machine = pc(cdrom=medium("memtest86+"), boot="d", memory=f"{megabytes}M")

    machine.screen.wait_for_text(rf"Memory *: +{megabytes}(\.0)?M|{megabytes}MB", timeout=120)
    machine.screen.wait_for_text(r"Test #\d", timeout=60)


@each_engine
def test_ipxe_shows_its_banner(pc, medium):
    machine = pc(cdrom=medium("ipxe"), boot="d")

    machine.screen.wait_for_text(r"iPXE \d", timeout=90)


@each_engine
def test_grub_invaders_starts_by_multiboot(pc, medium):
    machine = pc(kernel=medium("invaders-kernel"))

    machine.screen.wait_for_text(r"-\*-.*-\*-", timeout=60)


LOOK_EVERY = 1.0
"""Host seconds between two looks at the picture, which cost more than the guest's run between them."""


def wait_for_dialog(machine, timeout=240):
    """Run to the installer's first dialog: grey on blue in the VGA's colours (its kernel has a DRM driver)."""
    looked = [time.monotonic()]

    def shows_a_dialog():
        if time.monotonic() < looked[0] + LOOK_EVERY or machine.screen.text:
            return False
        looked[0] = time.monotonic()
        frame = machine.screen.frame
        blue = (frame == (0, 0, 170)).all(axis=2).mean()
        grey = (frame == (170, 170, 170)).all(axis=2).mean()
        return blue > 0.2 and grey > 0.05

    assert machine.run(until=shows_a_dialog, timeout=timeout)


def installer(pc, medium, append):
    return pc(
        kernel=medium("debian-installer-kernel"),
        initrd=medium("debian-installer-initrd"),
        append=append,
        memory="512M",
    )


def test_debian_installer_reaches_its_first_dialog_on_serial_by_direct_boot(pc, medium):
    machine = installer(pc, medium, "console=ttyS0,115200n8 vga=normal fb=false")

    machine.serial[0].wait_for("Select a language", timeout=240)


def test_debian_installer_reaches_its_first_dialog_on_the_screen_by_direct_boot(pc, medium):
    machine = installer(pc, medium, "vga=normal fb=false")

    wait_for_dialog(machine)


def test_debian_installer_reaches_its_first_dialog_on_serial_from_cd(pc, medium):
    machine = pc(cdrom=medium("debian-installer-serial"), boot="d", memory="512M")

    machine.serial[0].wait_for("Select a language", timeout=240)


def test_debian_installer_reaches_its_first_dialog_on_the_screen_from_cd(pc, medium):
    machine = pc(cdrom=medium("debian-installer"), boot="d", memory="512M")
    machine.run(until=lambda: not machine.screen.text and machine.clock.now > 8 * 10**9, timeout=60)
    machine.keyboard.press("esc")  # from the graphical menu to the prompt
    machine.screen.wait_for_text("boot:", timeout=30)
    machine.keyboard.type("install vga=normal fb=false\n")

    wait_for_dialog(machine)


DRIVERS = (
    r"ata1\.00: ATA-\d: VPCORE HARDDISK.*max [MU]W?DMA",
    r"ata2\.00: ATAPI: VPCORE CD-ROM",
    r"ttyS0 at I/O 0x3f8 \(irq = 4, base_baud = 115200\) is a 16550A",
    r"AT Translated Set 2 keyboard",
    r"ImExPS/2 Generic Explorer Mouse|PS/2.*Mouse",
    r"rtc_cmos .*registered as rtc0",
    r"Floppy drive\(s\): fd0 is 1.44M",
    r"FDC 0 is a post-1991 82077",
    r"vesafb: mode is 1024x768x16",
    r"fb0: VESA VGA frame buffer device",
    r"ACPI: PM: \(supports S0 S5\)",
)
TROUBLE = r"(?i)^.*(ata\d|sd[ab]|ttyS|8250|i8042|psmouse|atkbd|rtc|floppy|FDC|vesafb).*(error|fail|timeout|lost).*$"


def test_debians_own_drivers_find_the_devices_and_complain_of_nothing(pc, debian_image, tmp_path):
    disk = tmp_path / "disk.img"
    shutil.copy(debian_image, disk)
    machine = pc(hda=disk)
    machine.screen.wait_for_text("Debian mini, graphics", timeout=60)
    for key in ("down", "down", "enter"):
        machine.keyboard.press(key)
        settle(machine)
    serial = machine.serial[0]
    at = serial.wait_for(PROMPT, timeout=200)
    serial.write("sleep 3; dmesg; echo DO''NE\n")
    serial.wait_for("DONE", timeout=60, after=at)

    messages = serial.text[at:]
    missing = [driver for driver in DRIVERS if not re.search(driver, messages)]
    assert missing == []
    assert re.findall(TROUBLE, messages, re.MULTILINE) == []


def settle(machine, seconds=0.3):
    """Let the guest run a moment of its own time."""
    end = machine.clock.now + int(seconds * 1e9)
    machine.run(until=lambda: machine.clock.now >= end)


@each_engine
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


def test_the_example_of_the_readme_runs_as_it_is_written(debian_image, tmp_path, monkeypatch):
    shutil.copy(debian_image, tmp_path / "disk.img")
    (tmp_path / "machines").symlink_to(ROOT / "machines")
    monkeypatch.chdir(tmp_path)
    example = (ROOT / "README.md").read_text().split("```python\n")[1].split("```")[0]

    exec(compile(example, "README.md", "exec"), {})

    assert (tmp_path / "screen.png").read_bytes().startswith(b"\x89PNG")
