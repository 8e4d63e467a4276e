"""How the processor reaches the planes through A0000-BFFFF (IBM VGA, display memory; FreeVGA, accessing display memory)."""

import pytest
import vga_modes as modes
from vpcore_plugins.vga.aperture import Kind


def _plane(vga, number, size):
    vga.aperture.sync()
    return vga.aperture.planes[:size, number].tolist()


def test_text_goes_to_planes_0_and_1(board, vga):
    """IBM VGA, odd/even mode: characters in map 0, attributes in map 1."""
    modes.set_mode(board, modes.TEXT_80)
    modes.poke(board, 0xB8000, 0x41, 0x1F, 0x42, 0x2E)
    assert (_plane(vga, 0, 2), _plane(vga, 1, 2)) == ([0x41, 0x42], [0x1F, 0x2E])


def test_text_is_a_ram_window(board, vga):
    """A guest scrolls millions of bytes: no call for each."""
    modes.set_mode(board, modes.TEXT_80)
    assert vga.aperture._route.kind == Kind.TEXT


def test_a_font_loads_into_plane_2_and_leaves_the_text(board, vga):
    """The sequence of SeaBIOS and Linux: map mask 4, sequential, read map 2, A0000."""
    modes.set_mode(board, modes.TEXT_80)
    modes.poke(board, 0xB8000, 0x41, 0x1F)
    for index, value in ((2, 4), (4, 7)):
        modes.seq(board, index, value)
    for index, value in ((4, 2), (5, 0), (6, 4)):
        modes.gfx(board, index, value)
    modes.poke(board, 0xA0000 + 32 * 0x41, 0x18, 0x3C)
    read = modes.peek(board, 0xA0000 + 32 * 0x41 + 1)
    for index, value in ((2, 3), (4, 3)):
        modes.seq(board, index, value)
    for index, value in ((6, 0x0E), (4, 0), (5, 0x10)):
        modes.gfx(board, index, value)
    font = vga.aperture.planes[32 * 0x41 : 32 * 0x41 + 2, 2].tolist()
    text = [modes.peek(board, 0xB8000), modes.peek(board, 0xB8001)]
    assert (read, font, text) == (0x3C, [0x18, 0x3C], [0x41, 0x1F])


def test_unusual_text_access_passes_the_graphics_controller(board, vga):
    """IBM VGA, bit mask register, here in odd/even mode."""
    modes.set_mode(board, modes.TEXT_80)
    modes.poke(board, 0xB8000, 0xFF, 0xFF)
    modes.gfx(board, 8, 0x0F)
    modes.peek(board, 0xB8000)
    modes.poke(board, 0xB8000, 0x00, 0x00)
    modes.gfx(board, 8, 0xFF)
    assert [modes.peek(board, 0xB8000), modes.peek(board, 0xB8001)] == [0xF0, 0xF0]


@pytest.mark.parametrize(
    ("select", "inside", "outside"),
    [(0, 0xA0000, None), (0, 0xBFFFF, None), (1, 0xAFFFF, 0xB0000), (2, 0xB0000, 0xB8000), (3, 0xBFFFF, 0xB7FFF)],
)
def test_memory_map_select_chooses_the_addresses(board, vga, select, inside, outside):
    """IBM VGA, miscellaneous register bits 2-3."""
    modes.set_mode(board, modes.PLANAR_640)
    modes.gfx(board, 6, select << 2 | 1)
    modes.poke(board, inside, 0x5A)
    if outside is not None:
        modes.poke(board, outside, 0xA5)
    found = modes.peek(board, inside), outside is None or modes.peek(board, outside)
    assert found == (0x5A, True if outside is None else 0xFF)


def test_disabled_memory_is_open_bus(board, vga):
    """IBM VGA, miscellaneous output register bit 1."""
    modes.set_mode(board, modes.TEXT_80)
    modes.poke(board, 0xB8000, 0x41)
    board.out(0x3C2, 0x65)
    hidden = modes.peek(board, 0xB8000)
    board.out(0x3C2, 0x67)
    assert (hidden, modes.peek(board, 0xB8000)) == (0xFF, 0x41)


def test_map_mask_lets_chosen_planes_through(board, vga):
    """IBM VGA, map mask register."""
    modes.set_mode(board, modes.PLANAR_640)
    modes.seq(board, 2, 0b0101)
    modes.poke(board, 0xA0010, 0xC3)
    assert vga.aperture.planes[0x10].tolist() == [0xC3, 0, 0xC3, 0]


def test_write_mode_1_copies_the_latches(board, vga):
    """IBM VGA, write mode 1: how planar screens scroll."""
    modes.set_mode(board, modes.PLANAR_640)
    for plane in range(4):
        modes.seq(board, 2, 1 << plane)
        modes.poke(board, 0xA0000, 0x10 + plane)
    modes.seq(board, 2, 0xF)
    modes.gfx(board, 5, 1)
    modes.peek(board, 0xA0000)
    modes.poke(board, 0xA0050, 0)
    assert vga.aperture.planes[0x50].tolist() == [0x10, 0x11, 0x12, 0x13]


def test_read_map_select_chooses_the_plane_read(board, vga):
    """IBM VGA, read map select register."""
    modes.set_mode(board, modes.PLANAR_640)
    vga.aperture.planes[7] = (1, 2, 3, 4)
    seen = []
    for plane in range(4):
        modes.gfx(board, 4, plane)
        seen.append(modes.peek(board, 0xA0007))
    assert seen == [1, 2, 3, 4]


def test_wide_access_is_made_of_bytes(board, vga):
    """The 8-bit memory of the VGA answers a doubleword in four cycles."""
    modes.set_mode(board, modes.PLANAR_640)
    board.bus.mmio_write(0xA0000, 4, 0x44332211)
    assert (_plane(vga, 3, 4), board.bus.mmio_read(0xA0000, 4)) == ([0x11, 0x22, 0x33, 0x44], 0x44332211)


def test_chain_4_is_linear_over_the_planes(board, vga):
    """IBM VGA, memory mode register bit 3: the two low address bits select the map."""
    modes.set_mode(board, modes.LINEAR_320)
    modes.poke(board, 0xA0000, 1, 2, 3, 4, 5)
    assert (vga.aperture._route.kind, vga.aperture.planes[:2].tolist()) == (Kind.LINEAR, [[1, 2, 3, 4], [5, 0, 0, 0]])


def test_chain_4_with_a_map_mask_drops_the_other_planes(board, vga):
    """IBM VGA, map mask register in chain-4 mode."""
    modes.set_mode(board, modes.LINEAR_320)
    modes.seq(board, 2, 0b0010)
    modes.poke(board, 0xA0000, 1, 2, 3, 4)
    assert (vga.aperture.planes[0].tolist(), modes.peek(board, 0xA0001)) == ([0, 2, 0, 0], 2)


def test_mode_x_writes_four_pixels_at_once(board, vga, screen):
    """Mode 13h unchained (memory mode 6, byte mode): one address, all planes."""
    modes.set_mode(board, modes.LINEAR_320)
    modes.seq(board, 4, 6)
    modes.crtc(board, 0x14, 0)
    modes.crtc(board, 0x17, 0xE3)
    modes.poke(board, 0xA0000 + 80, 9)
    assert screen.frame()[1, :5].tolist() == [modes.rgb(9)] * 4 + [modes.rgb(0)]


def test_the_picture_changes_when_a_register_or_memory_does(board, vga, screen):
    """`Screen.generation`, by which displays decide whether to draw."""
    board.phys.dirty = lambda _addr, size, *, clear: bytes(size // 4096)
    modes.set_mode(board, modes.PLANAR_640)
    first = screen.generation
    same = screen.generation
    modes.poke(board, 0xA0000, 1)
    memory = screen.generation
    modes.attr(board, 0, 5)
    register = screen.generation
    assert (same, len({first, memory, register})) == (first, 3)


def test_blinking_changes_the_picture(board, vga, screen):
    """A text screen changes with time alone: 8 frames of 14.27 ms."""
    board.phys.dirty = lambda _addr, size, *, clear: bytes(size // 4096)
    modes.set_mode(board, modes.TEXT_80)
    first = screen.generation
    board.advance(8 * 14_300_000)
    assert screen.generation != first
