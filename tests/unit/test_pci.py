"""PCI functions and bus 0 (PCI local bus specification 2.1, chapter 6)."""

import pytest

from vpcore.errors import ConfigError
from vpcore.pci import Command, PciBus, PciId, Reg

IDENT = PciId(0x8086, 0x7010, 0x010180, revision=3, subsystem_vendor=0x1AF4, subsystem=0x1100)


@pytest.fixture
def bus():
    """Bus 0, empty."""
    return PciBus()


@pytest.fixture
def function(bus):
    """A function in slot 3 with an interrupt; *places* tells where its BARs were mapped."""
    function = bus.add(3, 0, "card", IDENT, interrupt=True)
    function.places = {}
    return function


def add_bar(function, index, size, **kind):
    function.add_bar(index, size, lambda address: function.places.__setitem__(index, address), **kind)


def write(function, offset, width, value):
    function.guest_write(offset, width, value)
    return function.get(offset, width)


# -- the header --


def test_the_header_says_what_the_function_is(function):
    """6.2.1, figure 6-1."""
    assert (0x8086, 0x7010, 3, 0x010180) == (
        function.get(Reg.VENDOR, 2),
        function.get(Reg.DEVICE, 2),
        function.get(Reg.REVISION),
        function.get(Reg.CLASS, 3),
    )
    assert (0x1AF4, 0x1100, 1) == (
        function.get(Reg.SUBSYSTEM_VENDOR, 2),
        function.get(Reg.SUBSYSTEM, 2),
        function.get(Reg.INTERRUPT_PIN),
    )


@pytest.mark.parametrize("width", [1, 2, 4])
def test_read_only_registers_stay(function, width):
    """6.2.1."""
    before = bytes(function.config)
    for offset in range(0, 64, width):
        if offset // 4 not in (Reg.COMMAND // 4, Reg.INTERRUPT_LINE // 4):
            function.guest_write(offset, width, 0xFFFF_FFFF)

    assert before == bytes(function.config)


def test_the_interrupt_line_keeps_what_is_written(function):
    """6.2.4."""
    assert write(function, Reg.INTERRUPT_LINE, 1, 0xA5) == 0xA5


def test_the_command_register_keeps_its_defined_bits(function):
    """6.2.2."""
    assert write(function, Reg.COMMAND, 2, 0xFFFF) == Command.MASK


def test_writes_at_the_end_of_the_space_are_cut(function):
    function.guest_write(255, 4, 0xFFFF_FFFF)

    assert len(function.config) == 256


def test_a_device_is_told_of_each_write(function):
    seen = []
    function.on_write = lambda offset, width: seen.append((offset, width))
    function.guest_write(0x40, 2, 5)

    assert seen == [(0x40, 2)]


# -- base address registers --


@pytest.mark.parametrize(
    ("index", "size", "kind", "mask"),
    [
        (0, 0x1000, {}, 0xFFFF_F000),
        (1, 16, {"io": True}, 0xFFFF_FFF1),
        (2, 16 << 20, {"prefetchable": True}, 0xFF00_0008),
        (6, 0x10000, {}, 0xFFFF_0001),
    ],
)
def test_a_bar_tells_its_size_and_kind(function, index, size, kind, mask):
    """6.2.5.1: write ones, read back; expansion ROM 6.2.5.2."""
    add_bar(function, index, size, **kind)
    offset = Reg.ROM if index == 6 else Reg.BAR0 + 4 * index

    assert mask == write(function, offset, 4, 0xFFFF_FFFF)


def test_bars_that_are_not_there_read_as_zero(function):
    """6.2.5.1."""
    assert write(function, Reg.BAR0 + 8, 4, 0xFFFF_FFFF) == 0


def test_a_bar_decodes_while_the_command_register_lets_it(function):
    """6.2.2 bits 0 and 1."""
    add_bar(function, 0, 0x1000)
    add_bar(function, 1, 16, io=True)
    function.guest_write(Reg.BAR0, 4, 0xE000_0000)
    function.guest_write(Reg.BAR0 + 4, 4, 0xC001)
    steps = [dict(function.places)]
    for command in (Command.MEMORY, Command.IO, 0):
        function.guest_write(Reg.COMMAND, 2, command)
        steps.append(dict(function.places))

    assert steps == [{}, {0: 0xE000_0000}, {0: None, 1: 0xC000}, {0: None, 1: None}]


def test_a_bar_moves_when_it_is_written(function):
    add_bar(function, 0, 0x1000)
    function.guest_write(Reg.COMMAND, 2, Command.MEMORY)
    for byte, value in enumerate((0x00, 0x50, 0x00, 0xE0)):
        function.guest_write(Reg.BAR0 + byte, 1, value)

    assert function.places == {0: 0xE000_5000}


def test_sizing_a_bar_that_decodes_maps_it_nowhere_sensible(function):
    """Drivers turn decoding off first; one that does not must not raise."""
    add_bar(function, 0, 0x1000)
    function.guest_write(Reg.COMMAND, 2, Command.MEMORY)
    function.guest_write(Reg.BAR0, 4, 0xFFFF_FFFF)

    assert function.places == {0: 0xFFFF_F000}


def test_an_io_bar_beyond_64_kb_decodes_nothing(function):
    add_bar(function, 0, 16, io=True)
    function.guest_write(Reg.COMMAND, 2, Command.IO)
    function.guest_write(Reg.BAR0, 4, 0x0001_0000)

    assert function.places == {}


def test_a_bar_at_zero_decodes_nothing(function):
    """Firmware has not been there yet."""
    add_bar(function, 0, 0x1000)
    function.guest_write(Reg.COMMAND, 2, Command.MEMORY)

    assert function.places == {}


def test_an_expansion_rom_has_an_enable_bit_of_its_own(function):
    """6.2.5.2."""
    add_bar(function, 6, 0x10000)
    function.guest_write(Reg.COMMAND, 2, Command.MEMORY)
    function.guest_write(Reg.ROM, 4, 0xE000_0000)
    before = dict(function.places)
    function.guest_write(Reg.ROM, 4, 0xE000_0001)

    assert (before, function.places) == ({}, {6: 0xE000_0000})


def test_a_bar_onto_other_registers_is_not_mapped_and_raises_nothing(function, caplog):
    """A guest may put two BARs onto each other."""

    def refuse(address):
        if address is not None:
            raise ConfigError("ports overlap")

    function.add_bar(0, 16, refuse, io=True)
    function.guest_write(Reg.COMMAND, 2, Command.IO)
    function.guest_write(Reg.BAR0, 4, 0x3F1)

    assert "BAR not mapped reason=ports overlap" in caplog.text


def test_reset_unmaps_and_forgets(function):
    """2.2.1 RST#."""
    add_bar(function, 0, 0x1000)
    fresh = bytes(function.config)
    function.guest_write(Reg.COMMAND, 2, Command.MEMORY | Command.MASTER)
    function.guest_write(Reg.BAR0, 4, 0xE000_0000)
    mastering = function.bus_master
    function.reset()

    assert (fresh, {0: None}) == (bytes(function.config), function.places)
    assert (mastering, function.bus_master) == (True, False)


def test_a_restored_configuration_maps_its_bars(bus, function):
    add_bar(function, 0, 0x1000)
    function.guest_write(Reg.BAR0, 4, 0xE000_0000)
    function.guest_write(Reg.COMMAND, 2, Command.MEMORY)
    saved = bytes(function.config)
    function.reset()
    function.restore(saved)

    assert function.places == {0: 0xE000_0000}


# -- the bus --


def test_functions_are_reached_by_slot_and_function(bus, function):
    bus.write_config(0, 3, 0, Reg.INTERRUPT_LINE, 1, 9)

    assert bus.read_config(0, 3, 0, Reg.INTERRUPT_LINE, 1) == 9
    assert bus.read_config(0, 3, 0, 0, 4) == 0x7010_8086


@pytest.mark.parametrize("place", [(0, 4, 0), (0, 3, 1), (1, 3, 0), (255, 31, 7)])
def test_where_no_function_is_reads_are_ones(bus, function, place):
    """3.7.4.1: master abort."""
    bus.write_config(*place, 4, 2, 0xFFFF)

    assert bus.read_config(*place, 0, 4) == 0xFFFF_FFFF


def test_a_slot_that_is_taken_is_an_error_that_names_both(bus, function):
    with pytest.raises(ConfigError) as error:
        bus.add(3, 0, "other", IDENT)

    assert str(error.value) == "PCI slot 03.0 of device 'other' is taken by 'card': give one of them another slot"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_function_0_of_several_is_marked(bus, order):
    """6.2.1 header type bit 7; it survives a reset."""
    functions = {number: bus.add(1, number, f"f{number}", IDENT) for number in order}
    functions[0].reset()

    assert (0x80, 0) == (functions[0].get(Reg.HEADER_TYPE), functions[1].get(Reg.HEADER_TYPE))


@pytest.mark.parametrize(("slot", "wire"), [(1, 0), (2, 1), (3, 2), (4, 3), (5, 0)])
def test_inta_is_swizzled_by_slot(bus, slot, wire):
    """SeaBIOS pci_slot_get_irq for 440FX boards: (slot - 1 + pin) modulo 4."""
    bus.add(slot, 0, "card", IDENT, interrupt=True).intx.set(True)

    assert [number == wire for number in range(4)] == [line.level for line in bus.pirq]


def test_a_function_without_interrupt_has_no_pin(bus):
    """6.2.4."""
    function = bus.add(2, 0, "card", IDENT)

    assert (0, None) == (function.get(Reg.INTERRUPT_PIN), function.intx)
