"""The boot ROM and the loader behind its doorbell."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from vpcore_plugins.firmware import bootrom
from vpcore_plugins.firmware.boot import FLAT_CODE, GDT, HANG, MAP_ENTRIES, PARAMS, REGISTERS
from vpcore_plugins.firmware.regs import Reg

from vpcore.errors import ConfigError

SOURCE = Path(bootrom.__file__).with_name("bootrom.asm")
MAP = [(0, 0x9FC00, 1), (0x100000, 7 << 20, 1)]


@pytest.mark.skipif(shutil.which("nasm") is None, reason="needs nasm")
def test_the_assembled_bytes_are_those_of_the_source(tmp_path):
    """bootrom.asm is the source, bootrom.py what runs where no assembler is."""
    binary = tmp_path / "bootrom.bin"
    subprocess.run(["nasm", "-f", "bin", "-o", str(binary), str(SOURCE)], check=True)
    assembled = binary.read_bytes()

    assert len(assembled) == bootrom.SIZE
    assert assembled[: bootrom.CHECKSUM].rstrip(b"\0") == bootrom.CODE
    assert int.from_bytes(assembled[bootrom.FLAT_POINTER :], "little") == bootrom.FLAT


def test_the_rom_is_one_that_a_bios_takes():
    """BIOS Boot Specification 1.01: 55 AA, length in 512 bytes, sum 0, $PnP header with a bootstrap entry vector."""
    image = bootrom.image()
    pnp = int.from_bytes(image[0x1A:0x1C], "little")

    assert (image[:3], len(image), sum(image) % 256) == (b"\x55\xaa\x01", 512, 0)
    assert image[pnp : pnp + 4] == b"$PnP"
    assert int.from_bytes(image[pnp + 0x1A : pnp + 0x1C], "little") > 0


def multiboot_kernel():
    """A kernel of four bytes with ten more to clear."""
    magic, flags = 0x1BADB002, 1 << 16
    start = struct.pack(
        "<IIIIIIII", magic, flags, -(magic + flags) & 0xFFFF_FFFF, 0x100000, 0x100000, 0, 0x100034, 0x100020
    )
    return start + b"\xf4\xeb\xfd\x90" + b"tail"


@pytest.fixture
def kernel(tmp_path):
    """Its file."""
    path = tmp_path / "kernel"
    path.write_bytes(multiboot_kernel())
    return path


def leave_map(pc, entries):
    """What the boot ROM does before it rings."""
    pc.memory.write(PARAMS, struct.pack("<I", len(entries)))
    for index, entry in enumerate(entries):
        pc.memory.write(MAP_ENTRIES + 24 * index, struct.pack("<QQII", *entry, 1))


def ring(pc):
    pc.out(Reg.BASE + Reg.BOOT_DOORBELL, 0)


def test_a_kernel_is_offered_as_an_option_rom_and_boots_first(make_pc, kernel):
    """SeaBIOS: genroms/ files are option ROMs, bootorder names them."""
    pc = make_pc(kernel=str(kernel))

    assert pc.file("genroms/vpcore-kernel.bin") == bootrom.image()
    assert pc.file("bootorder") == b"/rom@genroms/vpcore-kernel.bin\n\0"


def test_without_a_kernel_there_is_no_rom_and_the_bell_does_nothing(pc):
    """A disk boots."""
    before = bytes(pc.memory.ram)
    ring(pc)

    assert "bootorder" not in pc.directory()
    assert before == pc.memory.ram


def test_the_bell_puts_kernel_descriptors_registers_and_code_into_memory(make_pc, kernel):
    """What bootrom.asm expects at segment PARAMS."""
    pc = make_pc(kernel=str(kernel))
    pc.memory.write(0x100000, b"\xff" * 64)
    leave_map(pc, MAP)
    ring(pc)

    registers = struct.unpack("<8I", pc.memory.read(REGISTERS, 32))
    assert (registers[0], registers[7]) == (0x2BADB002, 0x100020)
    assert pc.memory.read(0x100020, 8) == b"\xf4\xeb\xfd\x90tail"
    assert pc.memory.read(0x100028, 13) == bytes(12) + b"\xff"
    assert pc.memory.read(FLAT_CODE, len(bootrom.flat_code())) == bootrom.flat_code()
    assert struct.unpack("<4Q", pc.memory.read(GDT, 32))[2:] == (0x00CF9A000000FFFF, 0x00CF92000000FFFF)


def test_a_second_boot_loads_it_again(make_pc, kernel):
    """After a reset the guest's memory is as it left it."""
    pc = make_pc(kernel=str(kernel))
    for _ in range(2):
        leave_map(pc, MAP)
        ring(pc)
        loaded = pc.memory.read(0x100020, 4)
        pc.memory.write(0x100020, b"\0\0\0\0")
        pc.fw_cfg.reset()

        assert loaded == b"\xf4\xeb\xfd\x90"


def test_a_kernel_that_does_not_fit_hangs_the_guest_with_a_warning(make_pc, kernel, caplog):
    """Nothing runs off into empty memory."""
    pc = make_pc(kernel=str(kernel))
    leave_map(pc, [(0, 0x9FC00, 1)])
    ring(pc)

    assert pc.memory.read(FLAT_CODE, 4) == HANG
    assert "kernel not loaded reason=not enough memory for the multiboot kernel" in caplog.text


@pytest.mark.parametrize("count", [0, 121, 0xFFFF_FFFF])
def test_a_lie_about_the_memory_map_is_bounded(make_pc, kernel, count):
    """A guest may ring whenever it likes."""
    pc = make_pc(kernel=str(kernel))
    pc.memory.write(PARAMS, struct.pack("<I", count))
    pc.memory.write(MAP_ENTRIES, b"\xff" * 4000)
    ring(pc)

    assert pc.memory.read(FLAT_CODE, 4) == HANG


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("absent", None, "absent: cannot be read: No such file or directory"),
        ("text", b"hello", "text: is neither a Linux bzImage nor a multiboot kernel"),
        ("empty", b"", "empty: is neither a Linux bzImage nor a multiboot kernel"),
    ],
)
def test_what_is_no_kernel_is_refused_by_name(make_pc, tmp_path, name, contents, message):
    """Before the machine starts."""
    path = tmp_path / name
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(ConfigError) as error:
        make_pc(kernel=str(path))

    assert str(error.value) == f"{tmp_path}/{message}"


def test_a_missing_initrd_is_named(make_pc, kernel, tmp_path):
    """Before the machine starts."""
    with pytest.raises(ConfigError, match=r"initrd\.gz: cannot be read: No such file or directory"):
        make_pc(kernel=str(kernel), initrd=str(tmp_path / "initrd.gz"))
