"""The standard registers (IBM VGA = IBM PS/2 Hardware Interface Technical Reference, Video Subsystem; FreeVGA)."""

import pytest
import vga_modes as modes


def test_miscellaneous_output_is_written_at_3c2_and_read_at_3cc(board, vga):
    """IBM VGA, general registers."""
    board.out(0x3C2, 0x67)
    assert board.inp(0x3CC) == 0x67


@pytest.mark.parametrize(("misc", "live", "dead"), [(1, 0x3D4, 0x3B4), (0, 0x3B4, 0x3D4)])
def test_io_address_select_moves_the_crtc_between_3bx_and_3dx(board, vga, misc, live, dead):
    """IBM VGA, miscellaneous output register bit 0."""
    board.out(0x3C2, misc)
    board.out(live, 0x0E)
    board.out(live + 1, 0x5A)
    board.out(dead, 0)
    board.out(dead + 1, 0)
    assert [board.inp(port) for port in (live, live + 1, dead, dead + 1)] == [0x0E, 0x5A, 0xFF, 0xFF]


@pytest.mark.parametrize(
    ("port", "index", "kept"),
    [
        (0x3C4, 1, 0x3D),
        (0x3C4, 2, 0x0F),
        (0x3C4, 3, 0x3F),
        (0x3C4, 4, 0x0E),
        (0x3CE, 0, 0x0F),
        (0x3CE, 3, 0x1F),
        (0x3CE, 4, 0x03),
        (0x3CE, 5, 0x7B),
        (0x3CE, 6, 0x0F),
        (0x3CE, 8, 0xFF),
    ],
)
def test_reserved_bits_read_as_zero(board, vga, port, index, kept):
    """IBM VGA, sequencer and graphics controller registers."""
    board.out(port, index)
    board.out(port + 1, 0xFF)
    assert board.inp(port + 1) == kept


@pytest.mark.parametrize("port", [0x3C4, 0x3CE, 0x3D4])
def test_a_word_write_sets_index_and_data(board, vga, port):
    """What every driver does: OUT DX, AX."""
    board.out(0x3C2, 1)
    board.out(port, 0x0302, 2)
    assert (board.inp(port), board.inp(port + 1)) == (2, 3)


def test_protected_crtc_registers_keep_all_but_line_compare(board, vga):
    """IBM VGA, vertical retrace end register bit 7; FreeVGA, CRTC registers."""
    board.out(0x3C2, 1)
    modes.crtc(board, 0x11, 0x80)
    modes.crtc(board, 0x00, 0x5F)
    modes.crtc(board, 0x07, 0xFF)
    modes.crtc(board, 0x0C, 0x12)
    values = []
    for index in (0x00, 0x07, 0x0C):
        board.out(0x3D4, index)
        values.append(board.inp(0x3D5))
    assert values == [0, 0x10, 0x12]


def test_attribute_port_takes_index_and_data_in_turn(board, vga):
    """IBM VGA, attribute controller: the flip-flop, which reading input status 1 clears."""
    board.out(0x3C2, 1)
    board.inp(0x3DA)
    board.out(0x3C0, 0x13)
    board.out(0x3C0, 0x05)
    board.out(0x3C0, 0x12)
    board.inp(0x3DA)
    board.out(0x3C0, 0x13)
    assert board.inp(0x3C1) == 0x05


def test_dac_takes_and_gives_triples_with_index_running_on(board, vga):
    """IBM VGA, video DAC: 6 bits a component."""
    board.out(0x3C8, 254)
    for value in (1, 2, 3, 0xFF, 0x80, 0x40, 7, 8, 9):
        board.out(0x3C9, value)
    board.out(0x3C7, 254)
    read = [board.inp(0x3C9) for _ in range(9)]
    assert read == [1, 2, 3, 0x3F, 0, 0, 7, 8, 9]


def test_a_color_changes_only_with_its_third_component(board, vga):
    """IBM VGA, video DAC: the three bytes go into the color register at once."""
    board.out(0x3C8, 5)
    board.out(0x3C9, 1)
    board.out(0x3C9, 2)
    board.out(0x3C7, 5)
    assert [board.inp(0x3C9) for _ in range(3)] == [0, 0, 0]


def test_dac_state_tells_read_from_write_mode(board, vga):
    """IBM VGA, DAC state register: 0 in write mode, 3 in read mode."""
    board.out(0x3C7, 0)
    reading = board.inp(0x3C7)
    board.out(0x3C8, 0)
    assert (reading, board.inp(0x3C7)) == (3, 0)


def test_a_block_of_dac_bytes_is_as_good_as_single_ones(board, vga):
    """REP OUTSB, with which games load palettes."""
    board.out(0x3C8, 0)
    taken = board.bus.port_out_block(0x3C9, 1, memoryview(bytes((1, 2, 3, 4, 5, 6))))
    board.out(0x3C7, 0)
    assert (taken, [board.inp(0x3C9) for _ in range(6)]) == (6, [1, 2, 3, 4, 5, 6])


def _status_over_a_frame(board, step):
    seen = []
    start = board.time
    while board.time - start < 14_268_000:
        seen.append(board.inp(0x3DA))
        board.advance(step)
    return seen


def test_text_mode_retraces_seventy_times_a_second(board, vga):
    """IBM VGA: 28.322 MHz / (100 x 9 dots) / 449 lines = 70.08 Hz; 2 of 449 lines are vertical sync."""
    modes.set_mode(board, modes.TEXT_80)
    seen = _status_over_a_frame(board, 1000)
    retrace = sum(bool(status & 8) for status in seen)
    assert retrace == pytest.approx(len(seen) * 2 / 449, abs=2)


def test_display_is_blanked_in_horizontal_and_vertical_blanking(board, vga):
    """IBM VGA, input status 1 bit 0: 80 of 100 characters of 400 of 449 lines show."""
    modes.set_mode(board, modes.TEXT_80)
    seen = _status_over_a_frame(board, 977)
    shown = sum(not status & 1 for status in seen) / len(seen)
    assert abs(shown - 0.8 * 400 / 449) < 0.01


def test_status_is_answered_before_any_mode_is_set(board, vga):
    """A guest may poll an adapter whose totals are zero."""
    board.out(0x3C2, 1)
    board.advance(12345)
    assert board.inp(0x3DA) & ~9 == 0
