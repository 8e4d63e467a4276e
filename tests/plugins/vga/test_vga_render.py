"""What the monitor shows (IBM VGA; FreeVGA), in modes set through their registers."""

import numpy as np
import pytest
import vga_modes as modes

GLYPH = (0x81, 0x42, 0x24, 0x18)
HEIGHT = 16


def _font(vga, code, rows, number=0):
    start = (number & 3) << 14 | (number & 4) << 11
    at = start + 32 * code
    vga.aperture.planes[at : at + len(rows), 2] = rows


def _text(board, *cells, at=0):
    for index, (code, attribute) in enumerate(cells):
        modes.poke(board, 0xB8000 + 2 * (at + index), code, attribute)


def _lit(frame, top, left, color, size=(4, 9)):
    """1 where a pixel has that text color, by rows."""
    part = frame[top : top + size[0], left : left + size[1]]
    return (part == modes.rgb(modes.BASE_PALETTE[color])).all(axis=2).astype(int).tolist()


@pytest.fixture
def text_mode(board, vga):
    """80x25 with glyph 1 known and the cursor off."""
    modes.set_mode(board, modes.TEXT_80)
    modes.crtc(board, 0x0A, 0x20)
    _font(vga, 1, GLYPH)
    return board


@pytest.mark.parametrize(
    ("mode", "size"),
    [
        ("TEXT_80", (400, 720)),
        ("CGA_320", (200, 320)),
        ("CGA_640", (200, 640)),
        ("PLANAR_320", (200, 320)),
        ("PLANAR_640", (480, 640)),
        ("LINEAR_320", (200, 320)),
    ],
)
def test_size_follows_the_crtc(board, screen, mode, size):
    """IBM VGA, BIOS modes 3, 4, 6, D, 12h and 13h."""
    modes.set_mode(board, getattr(modes, mode))
    assert screen.frame().shape == (*size, 3)


def test_a_glyph_shows_its_dots_in_foreground_and_background(text_mode, screen):
    """IBM VGA, alphanumeric modes: font in map 2, attribute nibbles."""
    _text(text_mode, (1, 0x1E))
    frame = screen.frame()
    expected = [[row >> 7 - x & 1 for x in range(8)] + [0] for row in GLYPH]
    background = [[1 - bit for bit in row] for row in expected]
    assert (_lit(frame, 0, 0, 0xE), _lit(frame, 0, 0, 1)) == (expected, background)


def test_the_ninth_dot_repeats_the_eighth_for_line_graphics_only(text_mode, vga, screen):
    """IBM VGA, attribute mode control bit 2: characters C0h to DFh."""
    for code in (0xBF, 0xC0, 0xDF, 0xE0):
        _font(vga, code, (0xFF,))
    _text(text_mode, *((code, 7) for code in (0xBF, 0xC0, 0xDF, 0xE0)))
    frame = screen.frame()
    assert [_lit(frame, 0, 9 * column + 8, 7, (1, 1))[0][0] for column in range(4)] == [0, 1, 1, 0]


def test_eight_dot_characters_have_no_ninth(text_mode, screen):
    """IBM VGA, clocking mode register bit 0."""
    modes.seq(text_mode, 1, 1)
    assert screen.frame().shape == (400, 640, 3)


def test_attribute_bit_3_chooses_between_two_fonts(text_mode, vga, screen):
    """IBM VGA, character map select register: map A for bit 3 set, map B for clear."""
    _font(vga, 1, (0xFF,), number=5)
    modes.seq(text_mode, 3, 0b100100)  # A: 1 + 4, B: 0
    _text(text_mode, (1, 0x07), (1, 0x0F))
    frame = screen.frame()
    assert (_lit(frame, 0, 0, 7, (1, 8)), _lit(frame, 0, 9, 15, (1, 8))) == (
        [[1, 0, 0, 0, 0, 0, 0, 1]],
        [[1] * 8],
    )


def test_blinking_text_disappears_for_half_the_time(text_mode, screen):
    """IBM VGA, attribute mode control bit 3: 16 of 32 frames."""
    _text(text_mode, (1, 0x87))
    on = _lit(screen.frame(), 0, 0, 7, (1, 8))
    text_mode.advance(16 * 14_300_000)
    off = _lit(screen.frame(), 0, 0, 7, (1, 8))
    assert (on, off) == ([[1, 0, 0, 0, 0, 0, 0, 1]], [[0] * 8])


def test_without_blinking_bit_7_is_background_intensity(text_mode, screen):
    """IBM VGA, attribute mode control bit 3 clear."""
    modes.attr(text_mode, 0x10, 0x04)
    _text(text_mode, (1, 0x90))
    assert _lit(screen.frame(), 0, 0, 9, (1, 8)) == [[0, 1, 1, 1, 1, 1, 1, 0]]


def test_the_cursor_covers_its_scan_lines_and_blinks(text_mode, screen):
    """IBM VGA, cursor start, end and location registers."""
    for index, value in ((0x0A, 13), (0x0B, 14), (0x0E, 0), (0x0F, 81)):
        modes.crtc(text_mode, index, value)
    _text(text_mode, (0, 0x07), at=81)
    lit = [row[0] for row in _lit(screen.frame(), HEIGHT, 9, 7, (HEIGHT, 1))]
    text_mode.advance(8 * 14_300_000)
    off = [row[0] for row in _lit(screen.frame(), HEIGHT, 9, 7, (HEIGHT, 1))]
    assert (lit, sum(off), screen.cells()[1]) == ([0] * 13 + [1, 1, 0], 0, (1, 1))


@pytest.mark.parametrize(("start", "end"), [(0x20 | 13, 14), (14, 13)])
def test_a_cursor_that_is_off_or_upside_down_is_not_there(text_mode, screen, start, end):
    """IBM VGA, cursor start register bit 5; an end above the start shows none."""
    modes.crtc(text_mode, 0x0A, start)
    modes.crtc(text_mode, 0x0B, end)
    _text(text_mode, (0, 0x07))
    assert (screen.cells()[1], np.unique(_lit(screen.frame(), 0, 0, 7, (16, 9))).tolist()) == (None, [0])


def test_underline_shows_in_monochrome(text_mode, screen):
    """IBM VGA, underline location register and monochrome attribute 01h."""
    modes.attr(text_mode, 0x10, 0x0E)
    modes.crtc(text_mode, 0x14, 0x0D)
    _text(text_mode, (0, 0x01))
    assert [row[0] for row in _lit(screen.frame(), 0, 0, 1, (16, 1))].index(1) == 13


def test_text_reads_as_unicode_from_the_start_address(text_mode, screen):
    """IBM VGA, start address register; code page 437."""
    _text(text_mode, *((code, 7) for code in b"\x01\xb0\xdbA\xe1\xff"), at=80)
    modes.crtc(text_mode, 0x0D, 80)
    lines = screen.text()
    assert (len(lines), len(lines[0]), lines[0].rstrip("\0 ")) == (25, 80, "☺░█Aß")


def test_the_split_screen_starts_again_at_address_0(text_mode, screen):
    """IBM VGA, line compare register: lines after 199 show address 0."""
    _text(text_mode, (0x54, 7))
    _text(text_mode, (0x42, 7), at=800)
    for index, value in ((0x0C, 800 >> 8), (0x0D, 800 & 0xFF), (0x18, 207), (0x07, 0x0F), (0x09, 0x0F)):
        modes.crtc(text_mode, index, value)
    lines = screen.text()
    assert (lines[0][0], lines[13][0], len(lines)) == ("B", "T", 25)


def test_preset_row_scan_scrolls_text_by_lines(text_mode, screen):
    """IBM VGA, preset row scan register: the first row starts at its third line."""
    _text(text_mode, (1, 7))
    modes.crtc(text_mode, 0x08, 2)
    assert _lit(screen.frame(), 0, 0, 7, (2, 8)) == [[row >> 7 - x & 1 for x in range(8)] for row in GLYPH[2:]]


@pytest.mark.parametrize(("value", "shift"), [(8, 0), (0, 1), (3, 4), (7, 8)])
def test_pel_panning_shifts_nine_dot_text(text_mode, screen, value, shift):
    """IBM VGA, horizontal PEL panning register: 8 is none with nine dots."""
    _text(text_mode, (0, 0x07), (1, 0x07))
    modes.attr(text_mode, 0x13, value)
    assert _lit(screen.frame(), 0, 9 - shift, 7, (1, 8)) == [[1, 0, 0, 0, 0, 0, 0, 1]]


def test_planar_pixels_combine_a_bit_of_each_plane(board, vga, screen):
    """IBM VGA, mode 12h."""
    modes.set_mode(board, modes.PLANAR_640)
    vga.aperture.planes[0] = (0x80, 0x40, 0xC0, 0x20)
    shown = screen.frame()[0, :4].tolist()
    assert shown == [modes.rgb(modes.BASE_PALETTE[color]) for color in (0b0101, 0b0110, 0b1000, 0)]


def test_color_plane_enable_masks_planes(board, vga, screen):
    """IBM VGA, color plane enable register."""
    modes.set_mode(board, modes.PLANAR_640)
    vga.aperture.planes[0] = (0x80, 0x80, 0x80, 0x80)
    modes.attr(board, 0x12, 0b0010)
    assert screen.frame()[0, 0].tolist() == modes.rgb(2)


def test_color_select_supplies_the_high_bits(board, vga, screen):
    """IBM VGA, color select register: bits 6-7 always, 4-5 with P54S."""
    modes.set_mode(board, modes.PLANAR_640)
    modes.attr(board, 0x14, 0b1101)
    modes.attr(board, 0x10, 0x81)
    modes.attr(board, 0, 0x3A)
    assert screen.frame()[0, 0].tolist() == modes.rgb(0b11_01_1010)


def test_pel_mask_masks_the_color(board, vga, screen):
    """IBM VGA, PEL mask register."""
    modes.set_mode(board, modes.LINEAR_320)
    modes.poke(board, 0xA0000, 0xA5)
    board.out(0x3C6, 0x0F)
    assert screen.frame()[0, 0].tolist() == modes.rgb(5)


def test_planar_panning_and_start_address_scroll(board, vga, screen):
    """IBM VGA, start address and PEL panning: 8 x start + pan pixels."""
    modes.set_mode(board, modes.PLANAR_640)
    vga.aperture.planes[2, 0] = 0x10
    modes.crtc(board, 0x0D, 2)
    modes.attr(board, 0x13, 3)
    assert screen.frame()[0, 0].tolist() == modes.rgb(1)


def test_cga_lines_alternate_between_two_banks(board, screen):
    """IBM VGA, CRTC mode control bit 0: odd lines 8 KB up; two bits a pixel, left first."""
    modes.set_mode(board, modes.CGA_320)
    modes.poke(board, 0xB8000, 0b00011011)
    modes.poke(board, 0xBA000, 0b11100100)
    frame = screen.frame()
    palette = modes.CGA_320.attr
    assert [[palette[c] for c in row] for row in ((0, 1, 2, 3), (3, 2, 1, 0))] == [
        [_dac_index(pixel) for pixel in frame[line, :4].tolist()] for line in (0, 1)
    ]


def _dac_index(pixel):
    return next(color for color in range(256) if modes.rgb(color) == pixel)


def test_cga_two_color_mode_shows_bits(board, screen):
    """IBM VGA, mode 6."""
    modes.set_mode(board, modes.CGA_640)
    modes.poke(board, 0xBA000, 0xA0)
    assert [_dac_index(pixel) for pixel in screen.frame()[1, :4].tolist()] == [0x17, 0, 0x17, 0]


def test_mode_13h_is_a_byte_a_pixel(board, screen):
    """IBM VGA, mode 13h."""
    modes.set_mode(board, modes.LINEAR_320)
    modes.poke(board, 0xA0000 + 320 * 2 + 5, 200)
    assert screen.frame()[2, 5].tolist() == modes.rgb(200)


@pytest.mark.parametrize("off", ["sequencer", "attribute"])
def test_a_screen_that_is_off_is_black(board, screen, off):
    """IBM VGA, clocking mode bit 5; attribute address bit 5."""
    modes.set_mode(board, modes.LINEAR_320)
    modes.attr(board, 0, 0)
    modes.poke(board, 0xA0000, 255)
    if off == "sequencer":
        modes.seq(board, 1, 0x21)
    else:
        board.inp(0x3DA)
        board.out(0x3C0, 0)
    assert not screen.frame().any()


def test_graphics_modes_have_no_text(board, screen):
    """`Screen.text` and `cells`."""
    modes.set_mode(board, modes.LINEAR_320)
    assert (screen.text(), screen.cells()[0].shape, screen.cells()[1]) == ([], (0, 0, 2), None)
