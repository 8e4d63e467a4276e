"""The Bochs VBE registers, as SeaBIOS's VGA BIOS and Linux's bochs-drm use them (Bochs VBE display API)."""

import pytest
import vga_modes as modes
from vpcore_plugins.vga.aperture import VRAM_SIZE

ID, XRES, YRES, BPP, ENABLE, BANK, VIRT_WIDTH, VIRT_HEIGHT, X_OFFSET, Y_OFFSET, MEMORY = range(11)


@pytest.mark.parametrize("ident", [0xB0C0, 0xB0C5])
def test_identifies_itself(board, vga, ident):
    """A driver writes the version it wants and reads it back."""
    modes.vbe(board, ID, ident)
    assert modes.vbe(board, ID) == ident


def test_an_unknown_version_is_refused(board, vga):
    modes.vbe(board, ID, 0xB0C9)
    assert modes.vbe(board, ID) == 0xB0C5


def test_says_how_much_memory_it_has(board, vga):
    """Index 0Ah: in units of 64 KB."""
    assert modes.vbe(board, MEMORY) << 16 == VRAM_SIZE


def test_capabilities_are_the_largest_mode(board, vga):
    """VBE_DISPI_GETCAPS."""
    modes.vbe(board, ENABLE, 2)
    assert [modes.vbe(board, index) for index in (XRES, YRES, BPP)] == [1600, 1200, 32]


def test_data_is_also_at_1d0(board, vga):
    """The port for machines that cannot access 1CF as a word."""
    board.out(0x1CE, XRES, 2)
    board.out(0x1D0, 800, 2)
    assert board.inp(0x1CF, 2) == 800


def test_enabling_sets_the_virtual_size_and_offsets(board, vga):
    modes.vbe(board, X_OFFSET, 5)
    modes.vbe_mode(board, 1024, 768, 32)
    found = [modes.vbe(board, index) for index in (VIRT_WIDTH, VIRT_HEIGHT, X_OFFSET, Y_OFFSET)]
    assert found == [1024, VRAM_SIZE // 4096, 0, 0]


@pytest.mark.parametrize(
    ("asked", "got"),
    [((0, 0, 0), (8, 1, 8)), ((65535, 65535, 32), (1600, 1200, 32)), ((1366, 768, 7), (1360, 768, 8))],
)
def test_an_impossible_mode_becomes_a_near_one(board, vga, asked, got):
    modes.vbe_mode(board, *asked)
    assert tuple(modes.vbe(board, index) for index in (XRES, YRES, BPP)) == got


@pytest.mark.parametrize(("flags", "left"), [(0x41, 0), (0xC1, 7)])
def test_enabling_clears_memory_unless_told_not_to(board, vga, flags, left):
    """VBE_DISPI_NOCLEARMEM."""
    vga.aperture.bytes[1000] = 7
    modes.vbe_mode(board, 640, 480, 8, flags)
    assert vga.aperture.bytes[1000] == left


def test_text_written_before_does_not_come_back_through_clearing(board, vga):
    """Text lives in a window of its own until the route changes."""
    modes.set_mode(board, modes.TEXT_80)
    modes.poke(board, 0xB8000, 0x41, 0x07)
    modes.vbe_mode(board, 640, 480, 8)
    assert not vga.aperture.bytes[:4].any()


def test_a_bank_shows_at_a0000(board, vga):
    """VBE_DISPI_INDEX_BANK: 64 KB windows."""
    modes.vbe_mode(board, 1024, 768, 8)
    modes.vbe(board, BANK, 3)
    modes.poke(board, 0xA0005, 0x77)
    assert vga.aperture.bytes[0x30005] == 0x77


def test_banks_beyond_memory_wrap(board, vga):
    """SeaBIOS reads the bank back to see whether it exists."""
    modes.vbe_mode(board, 1024, 768, 8)
    modes.vbe(board, BANK, 0x1FF)
    assert modes.vbe(board, BANK) == 0xFF


@pytest.mark.parametrize(
    ("bpp", "data", "color"),
    [
        (15, (0x1F, 0x7C), (255, 0, 255)),
        (16, (0xE0, 0x07), (0, 255, 0)),
        (24, (1, 2, 3), (3, 2, 1)),
        (32, (1, 2, 3, 0), (3, 2, 1)),
    ],
)
def test_direct_colors(board, vga, screen, bpp, data, color):
    """Blue in the lowest bits; 5:5:5, 5:6:5, 8:8:8."""
    modes.vbe_mode(board, 640, 480, bpp)
    start = 640 * 2 * len(data)
    vga.aperture.bytes[start : start + len(data)] = data
    frame = screen.frame()
    assert (frame.shape, tuple(frame[2, 0].tolist())) == ((480, 640, 3), color)


def test_seabios_mode_118h_is_1024x768_in_true_color(board, vga, screen):
    """VESA VBE 3.0, mode 118h."""
    modes.vbe_mode(board, 1024, 768, 24)
    assert screen.frame().shape == (768, 1024, 3)


def test_eight_bit_dac(board, vga, screen):
    """VBE_DISPI_8BIT_DAC: components are not cut to six bits."""
    modes.vbe_mode(board, 640, 480, 8, flags=0x61)
    board.out(0x3C8, 0)
    for value in (0x81, 0xFE, 0x03):
        board.out(0x3C9, value)
    assert screen.frame()[0, 0].tolist() == [0x81, 0xFE, 0x03]


def test_sixteen_colors_are_planar(board, vga, screen):
    """Mode 102h: 800x600 with four planes."""
    modes.set_mode(board, modes.PLANAR_640)
    modes.vbe_mode(board, 800, 600, 4)
    modes.poke(board, 0xA0000 + 100, 0xC0)
    frame = screen.frame()
    assert (frame.shape, frame[1, :3].tolist()) == (
        (600, 800, 3),
        [modes.rgb(0x3F), modes.rgb(0x3F), modes.rgb(0)],
    )


def test_offsets_pan_over_the_virtual_screen(board, vga, screen):
    """VBE_DISPI_INDEX_X_OFFSET and Y_OFFSET: double buffering."""
    modes.vbe_mode(board, 640, 480, 32)
    modes.vbe(board, VIRT_WIDTH, 800)
    modes.vbe(board, X_OFFSET, 10)
    modes.vbe(board, Y_OFFSET, 500)
    at = (800 * 500 + 10) * 4
    vga.aperture.bytes[at : at + 3] = (9, 8, 7)
    assert screen.frame()[0, 0].tolist() == [7, 8, 9]


def test_offsets_beyond_memory_are_not_followed(board, vga, screen):
    modes.vbe_mode(board, 1600, 1200, 32)
    modes.vbe(board, Y_OFFSET, 0xFFFF)
    modes.vbe(board, X_OFFSET, 0xFFFF)
    assert (modes.vbe(board, Y_OFFSET), screen.frame().shape) == (0, (1200, 1600, 3))
