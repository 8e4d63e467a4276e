"""8237A: Intel's data sheet (order 231466) is the judge; section names in the docstrings."""

import pytest

from vpcore.wires import DmaController

PAGES = {0: 0x87, 1: 0x83, 2: 0x81, 3: 0x82, 5: 0x8B, 6: 0x89, 7: 0x8A}
WRITE, READ, VERIFY = 0x44, 0x48, 0x40
"""Single mode; write is device to memory."""


def port(number, reg):
    """Port of a register of the controller that has the channel."""
    return reg if number < 4 else 0xC0 + 2 * reg


def program(pc, number, address, count, mode=WRITE):
    """As drivers do: mask, clear flip-flop, mode, address, page, count - 1, unmask; in bytes."""
    shift = 0 if number < 4 else 1
    local = number % 4
    pc.out(port(number, 10), 4 | local)
    pc.out(port(number, 12), 0)
    pc.out(port(number, 11), mode | local)
    units, last = address >> shift, (count >> shift) - 1
    for value in (units & 0xFF, units >> 8 & 0xFF):
        pc.out(port(number, 2 * local), value)
    for value in (last & 0xFF, last >> 8 & 0xFF):
        pc.out(port(number, 2 * local + 1), value)
    pc.out(PAGES[number], address >> 16)
    pc.out(port(number, 10), local)


def word(pc, number, reg):
    """Read a two-byte register."""
    pc.out(port(number, 12), 0)
    return pc.inp(port(number, reg)) | pc.inp(port(number, reg)) << 8


@pytest.fixture
def dma(pc):
    """The controllers with the cascade set up as by a BIOS."""
    device = pc.add("dma")
    pc.out(0xD6, 0xC0)
    pc.out(0xD4, 0x00)
    return device


def channel(pc, number):
    return pc.service(DmaController).channel(number)


def test_a_write_transfer_goes_to_memory_and_ends_with_terminal_count(pc, dma):
    """Write transfers; terminal count after count + 1 bytes."""
    program(pc, 2, 0x12345, 4)

    assert channel(pc, 2).from_device(b"ab") == (2, False)
    assert channel(pc, 2).from_device(b"cdef") == (2, True)
    assert pc.memory.read(0x12345, 6) == b"abcd\0\0"


def test_a_read_transfer_comes_from_memory(pc, dma):
    """Read transfers."""
    pc.memory.write(0x54321, b"hello")
    program(pc, 1, 0x54321, 5, READ)

    assert channel(pc, 1).to_device(100) == (b"hello", True)


def test_the_engine_is_told_of_memory_written(pc, dma):
    """Translated code must go."""
    program(pc, 2, 0x10000, 16)
    channel(pc, 2).from_device(bytes(16))

    assert pc.phys.invalidated[-1] == (0x10000, 16)


def test_terminal_count_masks_the_channel(pc, dma):
    """Mask register: set at EOP if the channel is not programmed to autoinitialize."""
    program(pc, 2, 0x10000, 1)
    channel(pc, 2).from_device(b"x")

    assert channel(pc, 2).ready is False
    assert channel(pc, 2).from_device(b"x") == (0, False)


def test_status_shows_terminal_count_until_read(pc, dma):
    """Status register: bits 0 to 3 are cleared by each read."""
    program(pc, 2, 0x10000, 1)
    channel(pc, 2).from_device(b"x")

    assert (pc.inp(0x08), pc.inp(0x08)) == (0x04, 0x00)


def test_status_shows_requests(pc, dma):
    """Status register: bits 4 to 7."""
    channel(pc, 3).request(True)
    high = pc.inp(0x08)
    channel(pc, 3).request(False)

    assert (high, pc.inp(0x08)) == (0x80, 0x00)


def test_autoinitialize_starts_over(pc, dma):
    """Autoinitialize: base address and count are restored, the mask bit is not set."""
    pc.memory.write(0x10000, b"abc")
    program(pc, 1, 0x10000, 3, READ | 0x10)
    blocks = [channel(pc, 1).to_device(10) for _ in range(2)]

    assert blocks == [(b"abc", True)] * 2


def test_current_registers_show_progress(pc, dma):
    """Current address and word count registers."""
    program(pc, 2, 0x10100, 0x100)
    channel(pc, 2).from_device(bytes(0x10))

    assert (word(pc, 2, 4), word(pc, 2, 5)) == (0x0110, 0x00EF)


def test_count_is_all_ones_after_terminal_count(pc, dma):
    """Current word count: TC is generated when it goes from zero to FFFFH."""
    program(pc, 2, 0x10000, 4)
    channel(pc, 2).from_device(bytes(4))

    assert word(pc, 2, 5) == 0xFFFF


def test_sixteen_bit_channels_count_words_and_reach_128k(pc, dma):
    """A PC's second controller is shifted by one address line; page bit 0 is not used."""
    pc.memory.write(0x3FFFC, b"abcdefgh")
    program(pc, 5, 0x3FFFC, 4, READ)

    assert (channel(pc, 5).to_device(100), pc.inp(0x8B)) == ((b"abcd", True), 3)


def test_an_address_wraps_inside_its_page(pc, dma):
    """The page register gets no carry: 64 KB boundary of the PC."""
    program(pc, 2, 0x1FFFE, 4)
    channel(pc, 2).from_device(b"abcd")

    assert (pc.memory.read(0x1FFFE, 2), pc.memory.read(0x10000, 2)) == (b"ab", b"cd")
    assert pc.memory.read(0x20000, 2) == b"\0\0"


def test_decrement_goes_down(pc, dma):
    """Mode register bit 5."""
    program(pc, 2, 0x10003, 4, WRITE | 0x20)
    channel(pc, 2).from_device(b"abcd")

    assert pc.memory.read(0x10000, 4) == b"dcba"


def test_decrement_of_words_keeps_their_bytes(pc, dma):
    """Mode register bit 5 on the second controller."""
    pc.memory.write(0x10000, b"abcdef")
    program(pc, 6, 0x10004, 6, READ | 0x20)

    assert channel(pc, 6).to_device(6) == (b"efcdab", True)


def test_verify_counts_without_touching_memory(pc, dma):
    """Verify transfers: addresses are generated, memory control lines stay inactive."""
    program(pc, 2, 0x10000, 4, VERIFY)

    assert channel(pc, 2).from_device(b"abcd") == (4, True)
    assert pc.memory.read(0x10000, 4) == bytes(4)


def test_the_first_controller_needs_the_cascade(pc, dma):
    """Cascade mode: channel 4 carries the requests of channels 0 to 3."""
    program(pc, 2, 0x10000, 4)
    pc.out(0xD4, 0x04)
    cut = channel(pc, 2).ready
    pc.out(0xD4, 0x00)

    assert (cut, channel(pc, 2).ready) == (False, True)


def test_a_disabled_controller_moves_nothing(pc, dma):
    """Command register bit 2."""
    program(pc, 2, 0x10000, 4)
    pc.out(0x08, 0x04)

    assert channel(pc, 2).ready is False


def test_master_clear_masks_all_and_clears_the_flip_flop(pc, dma):
    """Master clear."""
    program(pc, 2, 0x10000, 4)
    pc.out(0x04, 0x55)
    pc.out(0x0D, 0)

    assert (channel(pc, 2).ready, pc.inp(0x0F)) == (False, 0xFF)
    assert dma.state.chips[0].high_byte is False


def test_clear_mask_register_enables_all(pc, dma):
    """Clear mask register."""
    pc.out(0x0E, 0)

    assert [channel(pc, number).ready for number in range(4)] == [True] * 4


def test_a_device_is_told_when_its_channel_becomes_ready(pc, dma):
    """Our wire: a device that waits need not poll."""
    told = []
    channel(pc, 3).on_ready(lambda: told.append(True))
    program(pc, 3, 0x10000, 4)

    assert told == [True]


def test_a_software_request_runs_to_terminal_count(pc, dma):
    """Request register: a software request in block mode, ended by TC."""
    program(pc, 1, 0x10000, 4, VERIFY | 0x80)
    pc.out(0x09, 0x05)

    assert pc.inp(0x08) == 0x02


def test_transfers_beyond_memory_are_harmless(pc, dma):
    """A hostile guest: the page register reaches 16 MB."""
    program(pc, 2, 0xFF0000, 0x10000)

    assert channel(pc, 2).from_device(bytes(0x10000)) == (0x10000, True)
    program(pc, 2, 0xFF0000, 4, READ)
    assert channel(pc, 2).to_device(4) == (b"\xff" * 4, True)


def test_page_registers_without_a_channel_are_storage(pc, dma):
    """PIIX3 2.5.1; 80h is the POST code's."""
    for spare in (0x84, 0x85, 0x86, 0x88, 0x8C, 0x8D, 0x8E, 0x8F):
        pc.out(spare, spare)

    assert [pc.inp(spare) for spare in (0x84, 0x88, 0x8E)] == [0x84, 0x88, 0x8E]
    assert pc.port_claimed(0x80) is False
