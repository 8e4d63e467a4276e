"""Memory: layers, PAM switches, windows, and what bus masters do."""

import numpy as np
import pytest

from vpcore.errors import ConfigError
from vpcore.memory import MAP_DIRTY, MAP_DISCARD, Memory

MB = 1 << 20
PAGE = 4096


class Engine:
    """The physical map as an engine keeps it: for each page, where reads and writes go and the flags."""

    def __init__(self):
        self.pages = {}
        self.invalidated = []
        self.calls = 0

    def map(self, addr, size, read, write, flags):
        self.calls += 1
        assert addr % PAGE == size % PAGE == 0
        assert read is None or len(read) == size
        assert write is None or len(write) == size
        for at in range(0, size, PAGE):
            part = slice(at, at + PAGE)
            self.pages[(addr + at) // PAGE] = (
                None if read is None else read[part],
                None if write is None else write[part],
                flags,
            )

    def invalidate(self, addr, size):
        self.invalidated.append((addr, size))

    def dirty(self, addr, size, *, clear):
        self.asked = (addr, size, clear)
        return bytes(size // PAGE)

    def read(self, addr):
        """The byte that the processor reads; None is a device's."""
        page = self.pages.get(addr // PAGE, (None, None, 0))[0]
        return None if page is None else page[addr % PAGE]

    def write(self, addr, value):
        """Write as the processor does; what became of it."""
        _, page, flags = self.pages.get(addr // PAGE, (None, None, 0))
        if page is None:
            return "discarded" if flags & MAP_DISCARD else "device"
        page[addr % PAGE] = value
        return "written"


@pytest.fixture
def engine():
    """What the memory tells the engine."""
    return Engine()


@pytest.fixture
def memory(engine):
    """16 MB whose every page begins with 1."""
    ram = np.zeros(16 * MB, dtype=np.uint8)
    ram[::PAGE] = 1
    return Memory(memoryview(ram), engine)


@pytest.fixture
def rom(memory):
    """64 KB of ROM at F0000h whose every page begins with 2."""
    window = memory.window("bios", 0x10000, readonly=True)
    window.data[::PAGE] = b"\x02" * 16
    window.map(0xF0000)
    return window


# -- layers --


def test_ram_is_everywhere_but_in_the_hole(engine, memory):
    assert (1, 1, 1) == (engine.read(0), engine.read(0x9F000), engine.read(16 * MB - PAGE))
    assert (None, None, None) == (engine.read(0xA0000), engine.read(0xFF000), engine.read(16 * MB))
    assert (engine.write(0xA0000, 5), engine.write(0, 5)) == ("device", "written")


def test_a_rom_is_read_and_swallows_writes(engine, rom):
    assert engine.read(0xF0000) == 2
    assert engine.write(0xF0000, 9) == "discarded"


def test_a_window_hides_ram_while_it_is_there(engine, memory):
    window = memory.window("frame buffer", 0x2000)
    window.map(1 * MB)
    engine.write(1 * MB, 7)
    covered = engine.read(1 * MB), engine.read(1 * MB + 0x2000)
    window.map(None)

    assert covered == (7, 1)
    assert (engine.read(1 * MB), window.data[0]) == (1, 7)


def test_a_window_that_moves_leaves_ram_behind(engine, memory):
    window = memory.window("frame buffer", 0x1000)
    window.data[0] = 7
    for base in (0xA0000, 0xB0000, 0xE000_0000):
        window.map(base)
        assert engine.read(base) == 7

    assert (None, None) == (engine.read(0xA0000), engine.read(0xB0000))


def test_a_part_of_a_window_may_be_shown(engine, memory):
    window = memory.window("frame buffer", 0x4000)
    window.data[0x2000] = 7
    window.map(0xA0000, offset=0x2000, size=0x1000)

    assert (7, None) == (engine.read(0xA0000), engine.read(0xA1000))


def test_mapping_a_window_where_it_is_tells_the_engine_nothing(engine, rom):
    before = engine.calls
    rom.map(0xF0000)

    assert before == engine.calls


def test_the_window_made_last_lies_on_top(engine, memory, rom):
    over = memory.window("option rom", 0x1000, readonly=True)
    over.data[0] = 3
    over.map(0xF0000)

    assert (3, 2) == (engine.read(0xF0000), engine.read(0xF1000))
    over.map(None)
    assert engine.read(0xF0000) == 2


def test_a_tracked_window_asks_the_engine_for_dirty_pages(engine, memory):
    window = memory.window("vram", 0x4000, track=True)
    hidden = len(window.dirty())
    window.map(0xE000_0000)
    flags = window.dirty(clear=False)

    assert hidden == 0
    assert (len(flags), engine.asked) == (4, (0xE000_0000, 0x4000, False))
    assert engine.pages[0xE0000][2] == MAP_DIRTY


def test_an_owner_that_changed_its_data_drops_code_made_from_it(engine, rom):
    rom.written(0x100, 16)

    assert engine.invalidated == [(0xF0100, 16)]


@pytest.mark.parametrize("size", [1, 4095, 6000])
def test_a_window_must_be_whole_pages(memory, size):
    with pytest.raises(ConfigError, match=rf"'x' must be a multiple of 4096 bytes \(got {size}\)"):
        memory.window("x", size)


def test_existing_memory_may_be_a_window(engine, memory):
    shared = bytearray(PAGE)
    memory.window_of("display", memoryview(shared)).map(0xE000_0000)
    engine.write(0xE000_0005, 9)

    assert shared[5] == 9


# -- PAM (440FX data sheet, 3.2.13) --


@pytest.mark.parametrize(
    ("read_ram", "write_ram", "read", "written", "in_ram"),
    [
        (False, False, 2, "discarded", 1),
        (True, False, 1, "discarded", 1),
        (False, True, 2, "written", 9),
        (True, True, 1, "written", 9),
    ],
)
def test_pam_chooses_for_reads_and_writes_apart(engine, memory, rom, read_ram, write_ram, read, written, in_ram):
    memory.set_shadow(0xF0000, 0x10000, read_ram=read_ram, write_ram=write_ram)

    assert (read, written) == (engine.read(0xF0000), engine.write(0xF0000, 9))
    assert (in_ram, 2) == (memory.ram[0xF0000], rom.data[0])


def test_shadowing_a_bios_as_firmware_does(engine, memory, rom):
    """Copy through with reads from ROM and writes to RAM, then make RAM read-only."""
    memory.set_shadow(0xF0000, 0x10000, read_ram=False, write_ram=True)
    engine.write(0xF0000, engine.read(0xF0000))
    engine.write(0xF0001, 0x55)
    memory.set_shadow(0xF0000, 0x10000, read_ram=True, write_ram=False)

    assert (2, 0x55) == (engine.read(0xF0000), engine.read(0xF0001))
    assert engine.write(0xF0000, 0) != "written"


def test_pam_ranges_are_independent(engine, memory):
    memory.set_shadow(0xC8000, 0x4000, read_ram=True, write_ram=True)

    assert [None, 1, 1, None] == [engine.read(at) for at in (0xC7000, 0xC8000, 0xCB000, 0xCC000)]


def test_switches_that_do_not_change_tell_the_engine_nothing(engine, memory):
    memory.set_shadow(0xC0000, 0x4000, read_ram=True, write_ram=False)
    before = engine.calls
    memory.set_shadow(0xC0000, 0x4000, read_ram=True, write_ram=False)

    assert before == engine.calls


def test_shadow_over_a_window_that_moves_under_it(engine, memory):
    memory.set_shadow(0xC0000, 0x4000, read_ram=True, write_ram=True)
    window = memory.window("vga bios", 0x8000, readonly=True)
    window.data[0x4000] = 2
    window.map(0xC0000)

    assert (1, 2) == (engine.read(0xC0000), engine.read(0xC4000))


# -- bus masters and debuggers --


def test_bus_masters_read_ones_beyond_ram_and_their_writes_are_lost(engine, memory):
    memory.write(16 * MB - 2, b"abcd")
    memory.write(1 << 40, b"x")
    memory.write(-4, b"x")

    assert memory.read(16 * MB - 2, 4) == b"ab\xff\xff"
    assert memory.read(1 << 40, 2) == b"\xff\xff"
    assert engine.invalidated == [(16 * MB - 2, 2)]


def test_a_view_is_the_memory_itself_and_ends_with_it(memory):
    view = memory.view(0x1000, 4)
    view[:] = b"zero"

    assert memory.read(0x1000, 4) == b"zero"
    assert len(memory.view(16 * MB - 10, 100)) == 10
    assert len(memory.view(1 << 40, 100)) == 0


def test_peek_sees_what_the_processor_sees(memory, rom):
    assert memory.peek(0xF0FFF, 2) == b"\0\x02"
    assert memory.peek(0x9FFFF, 2) == b"\0\xff"


def test_size_is_that_of_ram(memory):
    assert memory.size == 16 * MB
