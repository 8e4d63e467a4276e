"""440FX: Intel's data sheet (order 290549), sections in the docstrings."""

import pytest

from vpcore.pci import PciId


@pytest.fixture
def bridge(pc):
    return pc.add("i440fx")


@pytest.fixture
def bios(pc):
    """A ROM of FFh over the last 256 KB below 1 MB, over RAM of 11h."""
    rom = pc.window(0x40000, readonly=True)
    rom.data[:] = b"\xff" * 0x40000
    rom.map(0xC0000)
    pc.memory.ram[0xC0000:0x100000] = b"\x11" * 0x40000
    return rom


def test_seabios_recognizes_the_machine(pc, bridge):
    """fw/paravirt.c: 8086:1237 with subsystem 1af4:1100 has fw_cfg."""
    assert pc.read_config(0, 0, 0x00) == 0x1237_8086
    assert pc.read_config(0, 0, 0x2C) == 0x1100_1AF4
    assert pc.read_config(0, 0, 0x08) == 0x0600_0002


def test_configuration_address_takes_32_bit_accesses_only(pc, bridge):
    """3.1.1 CONFADD."""
    pc.out(0xCF8, 0x8000_0010, 4)
    pc.out(0xCFB, 0x01)

    assert pc.inp(0xCF8, 4) == 0x8000_0010


def test_reserved_bits_of_the_address_read_as_zero(pc, bridge):
    """3.1.1: bits 30 to 24 and 1 to 0."""
    pc.out(0xCF8, 0xFFFF_FFFF, 4)

    assert pc.inp(0xCF8, 4) == 0x80FF_FFFC


def test_configuration_data_answers_at_every_width(pc, bridge):
    """3.1.2 CONFDATA."""
    pc.config(0, 0, 0)

    assert [pc.inp(0xCFC + at) for at in range(4)] == [0x86, 0x80, 0x37, 0x12]
    assert [pc.inp(0xCFC, 2), pc.inp(0xCFE, 2)] == [0x8086, 0x1237]


def test_nothing_answers_while_the_enable_bit_is_clear(pc, bridge):
    """3.1.1 bit 31."""
    pc.out(0xCF8, 0, 4)

    assert (pc.inp(0xCFC, 4), pc.inp(0xCFC)) == (0xFFFF_FFFF, 0xFF)


@pytest.mark.parametrize("address", [0x8000_0800, 0x8001_0000, 0x8000_0100])
def test_empty_slots_and_buses_read_as_ones(pc, bridge, address):
    """PCI 2.1, 3.7.4.1: master abort."""
    pc.out(0xCF8, address, 4)

    assert pc.inp(0xCFC, 4) == 0xFFFF_FFFF


def test_other_functions_are_reached(pc, bridge):
    """Mechanism 1 by device, function, register and byte."""
    fn = pc.pci(5, 2, PciId(0x1234, 0x5678, 0x020000))
    pc.write_config(5, 2, 0x3C, 0x0B, 1)

    assert pc.read_config(5, 2, 0) == 0x5678_1234
    assert fn.get(0x3C) == 0x0B


def test_after_reset_reads_come_from_rom(pc, bridge, bios):
    """3.2.13 PAM: default 00h."""
    assert pc.memory.peek(0xF0000, 1) + pc.memory.peek(0xC8000, 1) == b"\xff\xff"


@pytest.mark.parametrize(
    ("register", "value", "start", "end"),
    [
        (0x59, 0x10, 0xF0000, 0xFFFFF),
        (0x5A, 0x01, 0xC0000, 0xC3FFF),
        (0x5A, 0x10, 0xC4000, 0xC7FFF),
        (0x5C, 0x10, 0xD4000, 0xD7FFF),
        (0x5F, 0x01, 0xE8000, 0xEBFFF),
        (0x5F, 0x10, 0xEC000, 0xEFFFF),
    ],
)
def test_pam_read_enable_shows_ram_in_its_range_only(pc, bridge, bios, register, value, start, end):
    """3.2.13, table 4: attribute segments."""
    pc.write_config(0, 0, register, value, 1)
    seen = {at for at in range(0xC0000, 0x100000, 0x1000) if pc.memory.peek(at, 1) == b"\x11"}

    assert seen == set(range(start, end + 1, 0x1000))


def test_seabios_writes_all_switches_at_once(pc, bridge, bios):
    """fw/shadow.c: two 32-bit writes at 58h and 5Ch."""
    pc.write_config(0, 0, 0x58, 0x3333_3000)
    pc.write_config(0, 0, 0x5C, 0x3333_3333)

    assert pc.read_config(0, 0, 0x58) == 0x3333_3000
    assert {pc.memory.peek(at, 1) for at in range(0xC0000, 0x100000, 0x4000)} == {b"\x11"}


def test_reserved_bits_of_pam_stay_zero(pc, bridge):
    """3.2.13: bits 7, 6, 3, 2, and the low nibble of PAM0."""
    pc.write_config(0, 0, 0x58, 0xFFFF_FF00)

    assert pc.read_config(0, 0, 0x58) == 0x3333_3000


def test_reset_brings_the_rom_back(pc, bridge, bios):
    """RST#."""
    pc.write_config(0, 0, 0x59, 0x30, 1)
    bridge.reset()

    assert pc.memory.peek(0xF0000, 1) == b"\xff"


def test_a_checkpoint_restores_the_switches(pc, bridge, bios):
    """State of the memory map follows the configuration space."""
    pc.write_config(0, 0, 0x59, 0x10, 1)
    config = bridge.save().config
    bridge.reset()
    bridge.load(type(bridge.state)(config=config))

    assert pc.memory.peek(0xF0000, 1) == b"\x11"


def test_row_boundaries_tell_the_memory(make_pc):
    """3.2.14 DRB: cumulative, in units of 8 MB."""
    pc = make_pc(64 << 20)
    pc.add("i440fx")

    assert pc.read_config(0, 0, 0x64) == 0x0808_0808


def test_open_smram_shows_ram_behind_the_frame_buffer(pc, bridge):
    """3.2.19 SMRAM: D_OPEN and G_SMRAME."""
    pc.memory.ram[0xA0000] = 0x22
    pc.write_config(0, 0, 0x72, 0x4A, 1)
    opened = pc.memory.peek(0xA0000, 1)
    pc.write_config(0, 0, 0x72, 0x0A, 1)

    assert (opened, pc.memory.peek(0xA0000, 1)) == (b"\x22", b"\xff")


def test_locked_smram_cannot_be_opened(pc, bridge):
    """3.2.19: D_LCK clears D_OPEN and makes both read-only until reset."""
    pc.write_config(0, 0, 0x72, 0x5A, 1)
    pc.write_config(0, 0, 0x72, 0x4A, 1)
    locked = pc.read_config(0, 0, 0x72, 1)
    bridge.reset()

    assert (locked, pc.read_config(0, 0, 0x72, 1)) == (0x1A, 0x02)
