"""ROM, memory map, boot order and SMBIOS: what SeaBIOS finds."""

import struct

import pytest
from vpcore_plugins.firmware import smbios
from vpcore_plugins.firmware.regs import Key

from vpcore.errors import ConfigError

# -- ROM --


def test_the_rom_lies_below_4_gb_and_its_end_below_1_mb(pc):
    """440FX data sheet 4.1: the last 128 KB appear twice."""
    assert pc.memory.peek(0xFFFC_0000, 1) == b"\x00"
    assert pc.memory.peek(0xFFFF_FFFF, 1) == b"\x3f"
    assert (b"\x20", b"\x3f") == (pc.memory.peek(0xE0000, 1), pc.memory.peek(0xFFFFF, 1))
    assert pc.memory.peek(0xDFFFF, 1) == b"\xff"


@pytest.mark.parametrize("kilobytes", [64, 128])
def test_smaller_roms_end_at_the_same_place(make_pc, tmp_path, kilobytes):
    """The reset vector is 16 bytes below the end."""
    path = tmp_path / "small.bin"
    path.write_bytes(bytes(range(256)) * 4 * kilobytes)
    pc = make_pc(rom=path)

    assert pc.memory.peek(0xFFFF_FFF0, 16) == pc.memory.peek(0xFFFF0, 16) == bytes(range(240, 256))


@pytest.mark.parametrize("size", [0, 1, 65535, 512 << 10])
def test_a_rom_of_another_size_is_refused(make_pc, tmp_path, size):
    """The message names file and sizes."""
    path = tmp_path / "odd.bin"
    path.write_bytes(bytes(size))
    with pytest.raises(ConfigError, match=rf"odd.bin: a BIOS image must be 64, 128 or 256 KB \(got {size} bytes\)"):
        make_pc(rom=path)


def test_a_missing_rom_is_named(make_pc, tmp_path):
    """By its path."""
    with pytest.raises(ConfigError, match=r"nowhere.bin: no such BIOS image"):
        make_pc(rom=tmp_path / "nowhere.bin")


def test_without_seabios_the_error_says_what_to_install(make_pc, monkeypatch):
    """And how to name another file."""
    monkeypatch.setattr("vpcore_plugins.firmware.PLACES", ("/nowhere/bios.bin",))
    with pytest.raises(
        ConfigError, match=r"no BIOS found in /nowhere/bios.bin: install the package `seabios`, or set firmware.rom"
    ):
        make_pc(rom="")


# -- what SeaBIOS reads --


def test_the_memory_map_has_all_ram(make_pc):
    """etc/e820: 20-byte entries of address, length, type."""
    assert struct.unpack("<QQI", make_pc(ram=16 << 20).file("etc/e820")) == (0, 16 << 20, 1)


def test_the_machine_works_or_is_off_but_does_not_sleep(pc):
    """etc/system-states: bit 7 of a byte offers S0 to S5; SeaBIOS takes _S3 and _S4 away where bytes 3 and 4 lack it."""
    assert pc.file("etc/system-states") == bytes((128, 0, 0, 0, 0, 128))


def test_there_is_one_processor(pc):
    """Keys 5 and 15."""
    assert (b"\1\0", b"\1\0") == (pc.item(Key.NB_CPUS, 2), pc.item(Key.MAX_CPUS, 2))


@pytest.mark.parametrize("menu", [True, False])
def test_the_boot_menu_is_off_unless_wanted(make_pc, menu):
    """etc/show-boot-menu: SeaBIOS waits for a key unless it is 0."""
    assert int.from_bytes(make_pc(boot_menu=menu).file("etc/show-boot-menu"), "little") == menu


@pytest.mark.parametrize(
    ("order", "flag2", "flag1"),
    [("acd", 0x21, 0x31), ("c", 0x02, 0x01), ("dca", 0x23, 0x11), ("n", 0x04, 0x01), ("cdan", 0x32, 0x11)],
)
def test_the_boot_order_is_left_in_cmos(make_pc, order, flag2, flag1):
    """SeaBIOS boot.c: three nibbles, 3Dh low, 3Dh high, 38h high; 38h bit 0 skips the floppy signature check."""
    assert {0x3D: flag2, 0x38: flag1} == make_pc(boot=order).cmos.bytes


def test_an_unknown_boot_letter_is_an_error(make_pc):
    """The letters are named."""
    with pytest.raises(ConfigError, match=r"machine.boot must be made of the letters a, c, d, n \(got 'ax'\)"):
        make_pc(boot="ax")


@pytest.mark.parametrize("option", ["initrd", "append"])
def test_initrd_and_append_need_a_kernel(make_pc, option):
    """The remedy is named."""
    with pytest.raises(ConfigError, match="initrd and append need a kernel: give --kernel too"):
        make_pc(**{option: "x"})


# -- SMBIOS (DMTF DSP0134) --


def parse(table):
    """Structures as (type, handle, formatted area, strings) (6.1)."""
    at, out = 0, []
    while at < len(table):
        kind, length, handle = struct.unpack_from("<BBH", table, at)
        end = table.index(b"\0\0", at + length)
        text = table[at + length : end]
        out.append((kind, handle, table[at : at + length], text.split(b"\0") if text else []))
        at = end + 2
    return out


@pytest.fixture
def structures():
    """Those of a machine with 128 MB."""
    return parse(b"".join(smbios.structures("pc99", 128 << 20)))


def test_every_required_structure_is_there_once(structures):
    """6.2: types 0, 1, 3, 4, 16, 17, 19, 32; 127 is the end."""
    assert [0, 1, 3, 4, 16, 17, 19, 32, 127] == [kind for kind, *_ in structures]
    assert len({handle for _, handle, _, _ in structures}) == len(structures)


def test_structures_have_the_lengths_of_version_2_5(structures):
    """Annex A."""
    wanted = {0: 0x18, 1: 0x1B, 3: 0x15, 4: 0x28, 16: 0x0F, 17: 0x1B, 19: 0x0F, 32: 0x0B, 127: 4}

    assert wanted == {kind: len(body) for kind, _, body, _ in structures}


STRING_FIELDS = {
    0: (4, 5, 8),
    1: (4, 5, 6, 7, 0x19, 0x1A),
    3: (4, 6, 7, 8),
    4: (4, 7, 0x10, 0x20),
    17: (0x10, 0x11, 0x17),
}


def test_string_numbers_name_strings_that_are_there(structures):
    """6.1.3."""
    for kind, _, body, strings in structures:
        used = {body[at] for at in STRING_FIELDS.get(kind, ())} - {0}
        assert used == set(range(1, len(strings) + 1)), f"type {kind}"


def test_the_machines_name_is_the_product_name(structures):
    """7.2."""
    _, _, body, strings = structures[1]

    assert strings[body[5] - 1] == b"pc99"


def test_memory_structures_agree_on_its_size(structures):
    """7.17 kilobytes, 7.18 megabytes, 7.20 last kilobyte."""
    bodies = {kind: body for kind, _, body, _ in structures}

    assert struct.unpack_from("<I", bodies[16], 7) == (128 << 10,)
    assert struct.unpack_from("<H", bodies[17], 0x0C) == (128,)
    assert struct.unpack_from("<II", bodies[19], 4) == (0, (128 << 10) - 1)


def test_the_entry_point_describes_the_table(pc):
    """5.2.1: length 1Fh, sizes and count; SeaBIOS fills address and checksums in."""
    anchor, table = pc.file("etc/smbios/smbios-anchor"), pc.file("etc/smbios/smbios-tables")
    structures = parse(table)

    assert len(anchor) == anchor[5] == 0x1F
    assert (anchor[:4], anchor[16:21]) == (b"_SM_", b"_DMI_")
    assert (len(table), 0, len(structures)) == struct.unpack_from("<HIH", anchor, 22)
    assert (2, 5, 0x25) == (anchor[6], anchor[7], anchor[30])
    assert struct.unpack_from("<H", anchor, 8)[0] == max(map(len, smbios.structures("machine", 8 << 20)))
