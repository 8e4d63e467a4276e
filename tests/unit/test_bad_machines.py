"""Machines that cannot be built: one line naming file, place and remedy, before the guest starts (DESIGN, section 8)."""

import gc
import os
from pathlib import Path

import pytest

from vpcore.engine import probe
from vpcore.errors import BackendError, ConfigError, EngineError, PluginError
from vpcore.machine import Machine

CHIPSET = "".join(f'[[device]]\ntype = "{kind}"\n' for kind in ("pic", "pit", "rtc", "dma", "kbc"))


def contents(folder):
    """Every file with what is in it and when it was written."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.fixture
def refused(tmp_path):
    """Try to build a machine of some tables, which must change nothing; the message, without the folder."""

    def refused(text, error=ConfigError, **flags):
        path = tmp_path / "m.toml"
        path.write_text(f'[machine]\nmemory = "2M"\n{text}', encoding="utf-8")
        before = contents(tmp_path)
        with pytest.raises(error) as caught:
            Machine.load(path, **flags).close()
        assert contents(tmp_path) == before
        assert type(caught.value) is error
        message = str(caught.value)
        assert "\n" not in message
        return message.replace(f"{tmp_path}/", "")

    return refused


def device(kind, **keys):
    lines = (f"{key} = {value!r}" for key, value in keys.items())
    return "\n".join((f"[[device]]\ntype = '{kind}'", *lines, ""))


# -- images --


def test_a_missing_image_is_named(refused):
    assert refused(device("ide", hda="gone.img"), BackendError) == (
        "m.toml: device 'ide': gone.img: no such image: check the path, or make one"
    )


def test_an_empty_image_is_named(refused, tmp_path):
    (tmp_path / "empty.img").touch()

    assert refused(device("ide", hda="empty.img"), BackendError) == (
        "m.toml: device 'ide': empty.img: is empty: an image must hold at least one sector"
    )


def test_one_image_cannot_be_two_disks(refused, tmp_path):
    (tmp_path / "disk.img").write_bytes(bytes(512))

    assert refused(device("ide", hda="disk.img", hdb="disk.img"), BackendError) == (
        "m.toml: device 'ide': disk.img: is in use by another machine: stop that one, or use a copy"
    )


def test_an_image_is_free_again_after_a_machine_was_refused(refused, tmp_path):
    (tmp_path / "disk.img").write_bytes(bytes(512))
    for _ in range(2):
        assert "gone.img: no such image" in refused(device("ide", hda="disk.img", hdb="gone.img"), BackendError)


def test_a_refused_machine_changes_nothing(refused, tmp_path):
    """Neither its disk nor what an earlier run left: the log of a serial port, CMOS."""
    for name, size in (("disk.img", 512), ("log", 99), ("cmos.bin", 256)):
        (tmp_path / name).write_bytes(b"p" * size)
    serial, rtc = device("serial", backend="file:log"), device("rtc", file="cmos.bin")

    refused(serial + rtc + device("ide", hda="disk.img", hdb="gone.img"), BackendError)
    refused(serial + device("rtc", file="new.bin") + device("serial", name="com2", backend="file:new"))


def test_the_log_of_a_serial_port_is_begun_when_the_machine_runs(tmp_path):
    (tmp_path / "log").write_bytes(b"of an earlier run")
    (tmp_path / "m.toml").write_text(device("serial", backend="file:log"))
    with Machine.load(tmp_path / "m.toml") as vm:
        assert (tmp_path / "log").read_bytes() == b"of an earlier run"
        vm.run(until=lambda: True)
    assert (tmp_path / "log").read_bytes() == b""


@pytest.mark.parametrize(("engine", "error"), [("auto", BackendError), ("warp", EngineError)])
def test_a_refused_machine_leaves_no_descriptor_open(refused, tmp_path, engine, error):
    """RAM goes with the last view of it."""
    (tmp_path / "disk.img").write_bytes(bytes(512))
    text = device("ide", hda="disk.img", hdb="gone.img")
    refused(text, error, engine=engine)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    refused(text, error, engine=engine)
    gc.collect()

    assert before == len(os.listdir("/proc/self/fd"))


def test_an_image_too_large_for_a_floppy_is_named(refused, tmp_path):
    (tmp_path / "big.img").write_bytes(bytes(3 << 20))

    assert refused(CHIPSET + device("floppy", a="big.img")) == (
        "m.toml: device 'floppy': big.img: is no floppy image: 3145728 bytes is more than 2.88 MB"
    )


def write_disc(path, blocks):
    """A disc whose primary volume descriptor says that it has 1000 blocks (ECMA-119 8.4)."""
    descriptor = bytearray(2048)
    descriptor[:6], descriptor[80:84], descriptor[128:130] = b"\x01CD001", (1000).to_bytes(4, "little"), b"\0\x08"
    path.write_bytes(bytes(16 * 2048) + descriptor + bytes((blocks - 17) * 2048))


@pytest.mark.parametrize("blocks", [17, 300, 849])
def test_a_disc_that_is_cut_short_is_named(refused, tmp_path, blocks):
    write_disc(tmp_path / "x.iso", blocks)

    assert refused(device("ide", cdrom="x.iso")) == (
        f"m.toml: device 'ide': x.iso: is cut short: {blocks * 2048} of its 2048000 bytes are there: get it again"
    )


@pytest.mark.parametrize("blocks", [850, 1000, 2000])
def test_a_disc_may_lack_its_run_out_or_have_more(tmp_path, blocks):
    """Of 150 blocks: two seconds."""
    write_disc(tmp_path / "x.iso", blocks)
    (tmp_path / "m.toml").write_text(device("ide", cdrom="x.iso"))

    Machine.load(tmp_path / "m.toml").close()


def test_a_disc_needs_a_drive(refused, tmp_path):
    (tmp_path / "x.iso").write_bytes(bytes(2048))

    assert refused(device("ide", hdc="", cdrom="x.iso")) == (
        "m.toml: device 'ide': cdrom needs a CD-ROM drive: set one of hda, hdb, hdc, hdd to `cdrom`"
    )


# -- firmware --


def test_a_rom_of_a_wrong_size_is_named(refused, tmp_path):
    (tmp_path / "bios.bin").write_bytes(bytes(1000))

    assert refused(device("firmware", rom="bios.bin")) == (
        "m.toml: device 'firmware': bios.bin: a BIOS image must be 64, 128 or 256 KB (got 1000 bytes)"
    )


def test_a_bad_boot_order_is_named(refused, tmp_path):
    (tmp_path / "bios.bin").write_bytes(bytes(65536))

    assert refused(device("rtc") + device("firmware", rom="bios.bin"), boot="cx") == (
        "m.toml: machine.boot must be made of the letters a, c, d, n (got 'cx')"
    )


def test_a_device_that_another_one_needs_is_named(refused, tmp_path):
    (tmp_path / "bios.bin").write_bytes(bytes(65536))

    assert refused(device("firmware", rom="bios.bin")) == (
        "m.toml: device 'firmware' needs a Cmos: add a device that offers one to the machine file"
    )


# -- conflicts --


def test_overlapping_ports_name_both_devices(refused):
    assert refused(device("serial", name="com1", irq=4) + device("serial", name="com2", irq=3)) == (
        "m.toml: device 'com2': ports 0x3f8-0x3ff of device 'com2' overlap those of 'com1' at 0x3f8:"
        " give one of them another base address"
    )


def test_ports_that_do_not_exist_name_the_device(refused):
    assert refused(device("serial", base=0xFFFC)) == (
        "m.toml: device 'serial': ports 0xfffc+0x4 of device 'serial' lie outside 0 to 0xffff: change its base"
    )


def test_an_interrupt_that_is_taken_names_both_devices(refused):
    assert refused(device("serial", name="com1") + device("serial", name="com3", base=0x3E8)) == (
        "m.toml: device 'com3': irq 4 of device 'com3' is already that of 'com1': give one of them another irq"
    )


@pytest.mark.parametrize("irq", [-1, 16])
def test_an_interrupt_that_there_is_not_names_the_device(refused, irq):
    assert refused(device("serial", irq=irq)) == (
        f"m.toml: device 'serial': irq of device 'serial' must be 0 to 15 (got {irq})"
    )


# -- types and backends --


def test_an_unknown_type_lists_the_known_ones(refused):
    message = refused(device("serail", name="com1"))

    assert message.startswith("m.toml: device 'com1': no plugin offers type 'serail'; there are ")
    assert message.endswith(", vga, or path/to/file.py:Class")


def test_an_unknown_key_lists_the_known_ones(refused):
    assert refused(device("serial", irk=4)) == (
        "m.toml: device 'serial': unknown key 'irk'; allowed: base, irq, backend, line_speed"
    )


def test_an_unknown_backend_lists_the_known_ones(refused):
    assert refused(device("serial", backend="printer")).startswith(
        "m.toml: device 'serial': backend of device 'serial' must be one of none, buffer, stdio, pty, file:PATH, "
    )


def test_an_unknown_engine_lists_those_that_there_are(refused):
    engines = ", ".join(probe())

    assert refused("", EngineError, engine="warp") == (
        f"m.toml: [machine]: engine must be auto or one of {engines} (got 'warp')"
    )


def test_a_device_file_that_is_broken_is_named(refused, tmp_path):
    (tmp_path / "mine.py").write_text("1 / 0")

    assert refused(device("mine.py:Mine"), PluginError) == (
        "mine.py: cannot be loaded: ZeroDivisionError: division by zero"
    )


def test_a_device_that_fails_while_it_is_built_is_named(refused, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from vpcore import SimpleDevice\nclass Mine(SimpleDevice):\n    def setup(self): 1 / 0\n"
    )

    assert refused(device("mine.py:Mine"), PluginError) == (
        "m.toml: device 'mine': ZeroDivisionError: division by zero (at mine.py:3)"
    )


def test_the_reference_platform_builds():
    """The file that users start from."""
    with Machine.load(Path(__file__).parents[2] / "machines" / "pc99.toml", serial="none") as vm:
        assert {"host-bridge", "pic", "vga", "ide", "com1"} <= set(vm.devices)
