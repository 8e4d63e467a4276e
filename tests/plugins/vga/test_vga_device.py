"""The adapter as a PCI device, its firmware, its options, and its state."""

import attrs
import pytest
import vga_modes as modes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vpcore_plugins import vga as plugin
from vpcore_plugins.vga.aperture import VRAM_SIZE
from vpcore_plugins.vga.state import VgaState

from vpcore.errors import ConfigError
from vpcore.testing import FakeBoard
from vpcore.wires import Screen

TYPE = plugin.vpcore_device_types()[0]
LFB = 0xE000_0000
MMIO = 0xF000_0000
ROM = 0xF100_0000


def _config(board, offset, value=None, width=4):
    if value is None:
        return board.pci_bus.read_config(0, 2, 0, offset, width)
    return board.pci_bus.write_config(0, 2, 0, offset, width, value)


@pytest.fixture
def mapped(board, vga):
    """With BARs as firmware sets them."""
    for offset, value in ((0x10, LFB), (0x18, MMIO), (0x30, ROM | 1), (0x04, 3)):
        _config(board, offset, value)
    return board


def test_says_it_is_a_display_controller(board, vga):
    """What SeaBIOS's ROM and Linux's bochs-drm match: 1234:1111, class 030000."""
    assert (_config(board, 0), _config(board, 8) >> 8) == (0x11111234, 0x030000)


@pytest.mark.parametrize(
    ("offset", "expected"), [(0x10, (-VRAM_SIZE & 0xFFFFFFFF) | 8), (0x18, 0xFFFFF000), (0x30, 0xFFFF0001)]
)
def test_bars_tell_their_size(board, vga, offset, expected):
    """PCI 2.1, 6.2.5.1: 16 MB prefetchable, 4 KB, 64 KB ROM."""
    _config(board, offset, 0xFFFFFFFF)
    assert _config(board, offset) == expected


def test_the_frame_buffer_is_at_bar0(mapped, vga):
    vga.aperture.bytes[0x1234] = 0x5A
    assert mapped.memory.peek(LFB + 0x1234, 1) == b"\x5a"


def test_the_rom_is_at_its_bar(mapped, rom):
    assert mapped.memory.peek(ROM, 512) == rom.read_bytes()


def test_registers_are_in_bar2_too(mapped, vga):
    """bochs-drm: VGA ports from 400h, VBE registers from 500h."""
    bus = mapped.bus
    bus.mmio_write(MMIO + 0x402, 1, 0x67)
    bus.mmio_write(MMIO + 0x502, 2, 800)
    found = bus.mmio_read(MMIO + 0x40C, 1), bus.mmio_read(MMIO + 0x500, 2), bus.mmio_read(MMIO + 0x502, 2)
    assert found == (0x67, 0xB0C5, 800)


def test_bar2_has_no_edid_and_nothing_between(mapped):
    """Offsets without registers are open bus, so bochs-drm takes its default mode."""
    assert [mapped.bus.mmio_read(MMIO + offset, 1) for offset in (0, 0x401 + 0x10, 0x600)] == [0xFF] * 3


def test_legacy_addresses_answer_without_the_command_register(board, vga):
    """A VGA decodes 3B0-3DF and A0000-BFFFF from reset on, for firmware that has not looked at PCI yet."""
    modes.set_mode(board, modes.TEXT_80)
    modes.poke(board, 0xB8000, 0x41)
    assert modes.peek(board, 0xB8000) == 0x41


def test_a_missing_rom_names_the_package(board, monkeypatch):
    monkeypatch.setattr(plugin, "PLACES", ("/nowhere/vgabios.bin",))
    with pytest.raises(ConfigError, match=r"install the package `seabios`, or set card\.rom"):
        board.build(TYPE, "card")


def test_a_rom_that_is_named_must_be_there(board, tmp_path):
    with pytest.raises(ConfigError, match=r"none\.bin: no such VGA BIOS image"):
        board.build(TYPE, rom=str(tmp_path / "none.bin"))


@pytest.mark.parametrize("data", [b"", b"MZ" + bytes(100), b"\x55\xaa" + bytes(65535)])
def test_a_file_that_is_no_option_rom_is_refused(board, tmp_path, data):
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(ConfigError, match="not a VGA BIOS"):
        board.build(TYPE, rom=str(tmp_path / "bad"))


def _copy(state):
    return attrs.evolve(
        state, **{f.name: type(v)(v) for f in attrs.fields(VgaState) if (v := getattr(state, f.name)) is not None}
    )


def test_reset_is_the_state_of_a_new_device(mapped, vga):
    modes.set_mode(mapped, modes.TEXT_80)
    modes.poke(mapped, 0xB8000, 1, 2, 3)
    vga.reset()
    assert (vga.save(), vga.aperture.lfb.base) == (VgaState(), None)


@pytest.mark.parametrize(("mode", "address"), [(modes.TEXT_80, 0xB8000), (modes.LINEAR_320, 0xA0000)])
def test_reset_takes_memory_away(board, vga, mode, address):
    modes.set_mode(board, mode)
    modes.poke(board, address, 1)
    vga.reset()
    assert modes.peek(board, address) == 0xFF


def test_a_saved_state_shows_the_same_picture_elsewhere(mapped, vga, rom):
    modes.set_mode(mapped, modes.TEXT_80)
    modes.poke(mapped, 0xB8000, *b"h\x1ei\x2e")
    vga.aperture.planes[32 * 0x68 : 32 * 0x68 + 16, 2] = 0x55
    saved = _copy(vga.save())
    board = FakeBoard()
    other = board.build(TYPE, rom=str(rom))
    other.load(_copy(saved))
    pictures = [b.service(Screen).frame().tobytes() for b in (mapped, board)]
    assert (pictures[0] == pictures[1], other.aperture.lfb.base, other.save()) == (True, LFB, saved)


def test_state_is_saved_in_the_middle_of_a_sequence(board, vga):
    """The flip-flop, the DAC's component and the latches are part of it."""
    modes.set_mode(board, modes.PLANAR_640)
    modes.poke(board, 0xA0000, 0xC3)
    modes.peek(board, 0xA0000)
    board.out(0x3C8, 9)
    board.out(0x3C9, 1)
    board.inp(0x3DA)
    board.out(0x3C0, 0x33)
    saved = _copy(vga.save())
    vga.reset()
    vga.load(_copy(saved))
    board.out(0x3C0, 7)
    board.out(0x3C9, 2)
    board.out(0x3C9, 3)
    assert (vga.state.attr[0x13], bytes(vga.state.dac[27:30]), vga.state.latch) == (7, b"\1\2\3", 0xC3C3C3C3)


def test_a_damaged_state_does_not_reach_outside_memory(board, vga, screen):
    """Registers of a VBE mode are settled again: rendering relies on them."""
    modes.vbe_mode(board, 640, 480, 32)
    saved = _copy(vga.save())
    saved.dispi[1:10] = [0xFFFF, 0xFFFF, 32, 1, 0xFFFF, 0xFFFF, 0, 0xFFFF, 0xFFFF]
    vga.load(saved)
    assert screen.frame().shape == (1200, 1600, 3)


PORTS = st.sampled_from([*range(0x3B0, 0x3E0), *range(0x1CE, 0x1D2)])
WIDTHS = st.sampled_from([1, 2, 4])
ACCESS = st.one_of(
    st.tuples(st.just("out"), PORTS, WIDTHS, st.integers(0, 0xFFFFFFFF)),
    st.tuples(st.just("in"), PORTS, WIDTHS, st.just(0)),
    st.tuples(st.just("write"), st.integers(0xA0000, 0xBFFFC), WIDTHS, st.integers(0, 0xFFFFFFFF)),
    st.tuples(st.just("read"), st.integers(0xA0000, 0xBFFFC), WIDTHS, st.just(0)),
    st.tuples(st.just("vbe"), st.integers(0, 12), st.just(2), st.integers(0, 0xFFFF)),
    st.tuples(st.just("mmio"), st.integers(MMIO, MMIO + 0xFFC), WIDTHS, st.integers(0, 0xFFFFFFFF)),
)


def _access(board, kind, where, width, value):
    value &= (1 << 8 * width) - 1
    if kind == "out":
        board.out(where, value, width)
    elif kind == "in":
        assert 0 <= board.inp(where, width) < 1 << 8 * width
    elif kind == "vbe":
        modes.vbe(board, where, value)
    elif kind == "read":
        assert 0 <= board.bus.mmio_read(where, width) < 1 << 8 * width
    else:
        board.bus.mmio_write(where, width, value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["TEXT_80", "CGA_320", "PLANAR_640", "LINEAR_320"]),
    st.lists(ACCESS, max_size=60),
)
def test_a_guest_can_do_anything_and_there_is_a_picture(rom, mode, accesses):
    """Nothing raises, memory stays bounded, and what was saved loads."""
    board = FakeBoard()
    vga = board.build(TYPE, rom=str(rom))
    screen = board.service(Screen)
    for offset, value in ((0x10, LFB), (0x18, MMIO), (0x04, 3)):
        _config(board, offset, value)
    modes.set_mode(board, getattr(modes, mode))
    for access in accesses:
        _access(board, *access)
    frame = screen.frame()
    screen.text()
    screen.cells()
    saved = _copy(vga.save())
    vga.load(_copy(saved))
    assert (frame.ndim, frame.shape[0] <= 2048, frame.shape[1] <= 2304, vga.save()) == (3, True, True, saved)
