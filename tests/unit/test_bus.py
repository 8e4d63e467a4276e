"""Bus: routing, width composition, overlaps, open bus, storage cells (its docstring is the specification)."""

import attrs
import pytest

from vpcore.bus import Bus, Mapping
from vpcore.device import Device
from vpcore.errors import ConfigError
from vpcore.ports import PortMap


@attrs.define
class State:
    scratch: int = 0


class Card(Device):
    """Registers of every width; *log* tells who was called."""

    ports = PortMap(16)
    ports.storage(15, "scratch")
    data = PortMap(2)
    area = PortMap(0x2000)

    def __init__(self):
        self.log = []
        self.load(State())

    @ports.read(0)
    def _read_0(self):
        return 0x10

    @ports.read(1)
    def _read_1(self):
        return 0x11

    @ports.write(range(2))
    def _write_byte(self, offset, value):
        self.log.append((offset, 1, value))

    @ports.read(4, width=2)
    def _read_4(self):
        self.log.append("word read")
        return 0x4321

    @ports.write(4, width=2)
    def _write_4(self, value):
        self.log.append((4, 2, value))

    @ports.read(8, width=4)
    def _read_8(self):
        return 0x8765_4321

    @ports.write(8, width=4)
    def _write_8(self, value):
        self.log.append((8, 4, value))

    @data.read(0, width=2)
    def _read_data(self):
        return 0xD0D1

    @data.read_block(0, width=2)
    def _read_block(self, buffer):
        buffer[:4] = b"abcd"
        return 4

    @data.write_block(0, width=2)
    def _write_block(self, buffer):
        self.log.append(bytes(buffer))
        return len(buffer)

    @area.read_area
    def _read_area(self, offset, width):
        return offset << 8 | width

    @area.write_area
    def _write_area(self, offset, width, value):
        self.log.append((offset, width, value))


@pytest.fixture
def bus():
    """A bus with a card at 300h."""
    bus = Bus()
    bus.card = Card()
    bus.mapping = bus.map_ports(0x300, bus.card, "card", Card.ports)
    return bus


# -- ports --


def test_a_register_of_the_accesss_own_width_answers(bus):
    assert (0x10, 0x4321, 0x8765_4321) == (bus.port_in(0x300, 1), bus.port_in(0x304, 2), bus.port_in(0x308, 4))


def test_a_wider_read_is_composed_of_narrower_ones_low_bytes_first(bus):
    assert (0x1110, 0xFFFF_1110) == (bus.port_in(0x300, 2), bus.port_in(0x300, 4))
    assert bus.port_in(0x302, 4) == 0x4321_FFFF


def test_a_wider_write_is_split_into_narrower_ones(bus):
    bus.port_out(0x300, 2, 0xBBAA)
    bus.port_out(0x304, 4, 0xDDDD_CCCC)

    assert bus.card.log == [(0, 1, 0xAA), (1, 1, 0xBB), (4, 2, 0xCCCC)]


@pytest.mark.parametrize(
    ("port", "byte"), [(0x304, 0x21), (0x305, 0x43), (0x308, 0x21), (0x309, 0x43), (0x30A, 0x65), (0x30B, 0x87)]
)
def test_a_narrower_read_of_a_wide_register_gives_the_byte_asked_for(bus, port, byte):
    assert byte == bus.port_in(port, 1)


def test_a_narrower_write_of_a_wide_register_is_dropped_with_one_warning(bus, caplog):
    for _ in range(3):
        bus.port_out(0x304, 1, 0xEE)
        bus.port_out(0x309, 1, 0xEE)

    assert bus.card.log == []
    assert [record.message for record in caplog.records] == [
        "byte write dropped port=0x304 value=0xee device=card",
        "byte write dropped port=0x309 value=0xee device=card",
    ]


@pytest.mark.parametrize(("width", "ones"), [(1, 0xFF), (2, 0xFFFF), (4, 0xFFFF_FFFF)])
def test_what_nobody_claims_reads_as_ones_and_swallows_writes(bus, width, ones):
    bus.port_out(0x500, width, 0)

    assert ones == bus.port_in(0x500, width)


def test_claimed_offsets_without_a_reader_read_as_ones(bus):
    assert bus.port_in(0x302, 1) == 0xFF


def test_accesses_at_the_end_of_the_space_wrap(bus):
    assert bus.port_in(0xFFFF, 4) == 0xFFFF_FFFF
    bus.port_out(0xFFFF, 2, 0)


def test_blocks_go_to_the_block_handler_in_elements(bus):
    bus.map_ports(0x1F0, bus.card, "card", Card.data)
    buffer = bytearray(8)
    moved = bus.port_in_block(0x1F0, 2, memoryview(buffer))
    taken = bus.port_out_block(0x1F0, 2, memoryview(b"123456"))

    assert (2, b"abcd\0\0\0\0") == (moved, bytes(buffer))
    assert (3, [b"123456"]) == (taken, bus.card.log)


@pytest.mark.parametrize(("port", "width"), [(0x1F0, 1), (0x1F0, 4), (0x300, 2)])
def test_ports_without_a_block_handler_move_nothing(bus, port, width):
    bus.map_ports(0x1F0, bus.card, "card", Card.data)

    assert bus.port_in_block(port, width, memoryview(bytearray(8))) == 0
    assert bus.port_out_block(port, width, memoryview(bytes(8))) == 0


# -- storage cells --


def test_a_storage_register_keeps_its_byte_in_the_state(bus):
    bus.port_out(0x30F, 1, 0x5A)

    assert bus.port_in(0x30F, 1) == 0x5A
    assert bus.card.save().scratch == 0x5A


def test_load_changes_the_cell(bus):
    bus.card.load(State(scratch=0x33))

    assert bus.port_in(0x30F, 1) == 0x33


def test_the_byte_moves_with_the_mapping(bus):
    bus.port_out(0x30F, 1, 0x77)
    bus.mapping.move(0x400)

    assert (0xFF, 0x77) == (bus.port_in(0x30F, 1), bus.port_in(0x40F, 1))


# -- overlaps --


def test_overlapping_ports_are_an_error_that_names_both_owners(bus):
    with pytest.raises(ConfigError) as error:
        bus.map_ports(0x301, Card(), "other", Card.ports)

    assert str(error.value) == (
        "ports 0x301-0x310 of device 'other' overlap those of 'card' at 0x301: give one of them another base address"
    )


def test_a_refused_mapping_claims_nothing(bus):
    before = dict(bus.ports.owners)
    with pytest.raises(ConfigError):
        bus.map_ports(0x2F5, Card(), "other", Card.ports)

    assert before == bus.ports.owners


def test_only_declared_offsets_are_claimed(bus):
    """302h and 303h lie in the middle of the card and are free."""
    bus.map_ports(0x302, Card(), "other", Card.data)

    assert bus.port_in(0x302, 2) == 0xD0D1


@pytest.mark.parametrize(("base", "shown"), [(0xFFF8, r"0xfff8\+0x8"), (-1, r"-0x1\+0x0"), (1 << 40, "0x10000000000")])
def test_ports_outside_the_space_are_an_error(bus, base, shown):
    with pytest.raises(
        ConfigError, match=rf"ports {shown}.* of device 'other' lie outside 0 to 0xffff: change its base"
    ):
        bus.map_ports(base, Card(), "other", Card.ports)


def test_a_mapping_that_moves_onto_another_is_nowhere_afterwards(bus):
    other = bus.map_ports(0x400, Card(), "other", Card.ports)
    with pytest.raises(ConfigError, match="'other' overlap those of 'card'"):
        other.move(0x300)

    assert other.base is None
    assert bus.port_in(0x400, 1) == 0xFF
    assert bus.port_in(0x300, 1) == 0x10


def test_unmapping_gives_the_ports_free(bus):
    bus.mapping.move(None)

    assert bus.port_in(0x300, 4) == 0xFFFF_FFFF
    assert bus.ports.owners == {}
    bus.map_ports(0x300, Card(), "other", Card.ports)


def test_a_mapping_may_be_made_nowhere_and_placed_later(bus):
    mapping = bus.map_ports(None, Card(), "other", Card.ports)
    assert isinstance(mapping, Mapping)
    mapping.move(0x600)

    assert bus.port_in(0x600, 1) == 0x10


def test_owned_by_lists_a_devices_ports(bus):
    assert bus.ports.owned_by("card") == [0x300, 0x301, 0x304, 0x305, 0x308, 0x309, 0x30A, 0x30B, 0x30F]


# -- memory-mapped registers --


@pytest.fixture
def mmio(bus):
    """The same card's registers at FEC00FF0h, which crosses no page, and an aperture."""
    bus.map_mmio(0xFEC0_0FF0, bus.card, "card", Card.ports)
    bus.aperture = bus.map_mmio(0xA0000, bus.card, "vga", Card.area)
    return bus


def test_registers_in_memory_answer_like_ports(mmio):
    assert (0x10, 0x1110, 0x4321, 0x8765_4321) == tuple(
        mmio.mmio_read(0xFEC0_0FF0 + offset, width) for offset, width in ((0, 1), (0, 2), (4, 2), (8, 4))
    )
    assert mmio.mmio_read(0xFEC0_0FFB, 1) == 0x87
    assert mmio.mmio_read(0xFEC0_0FF0, 8) == 0xFFFF_4321_FFFF_1110


def test_writes_to_registers_in_memory_are_split(mmio):
    mmio.mmio_write(0xFEC0_0FF0, 2, 0xBBAA)
    mmio.mmio_write(0xFEC0_0FF8, 8, 0x1122_3344_5566_7788)

    assert mmio.card.log == [(0, 1, 0xAA), (1, 1, 0xBB), (8, 4, 0x5566_7788)]


def test_memory_that_nobody_claims_reads_as_ones(mmio):
    mmio.mmio_write(0xD000_0000, 4, 0)

    assert mmio.mmio_read(0xD000_0000, 8) == 0xFFFF_FFFF_FFFF_FFFF


def test_an_aperture_answers_every_offset_and_width_at_once(mmio):
    mmio.mmio_write(0xA1003, 8, 7)

    assert mmio.mmio_read(0xA1234, 4) == 0x1234 << 8 | 4
    assert mmio.card.log == [(0x1003, 8, 7)]


def test_an_aperture_that_moves_leaves_nothing_behind(mmio):
    mmio.aperture.move(0xB0000)

    assert mmio.mmio_read(0xA0000, 1) == 0xFF
    assert mmio.mmio_read(0xB0001, 1) == 1 << 8 | 1
    assert mmio.mmio.find(0xA0000) is None


def test_overlapping_memory_is_an_error_that_names_both_owners(mmio):
    with pytest.raises(ConfigError) as error:
        mmio.map_mmio(0xA1FFF, Card(), "other", Card.data)

    assert str(error.value) == (
        "memory 0xa1fff-0xa2000 of device 'other' overlap those of 'vga' at 0xa1fff: give one of them another base address"
    )


def test_registers_of_two_devices_may_share_a_page(mmio):
    other = mmio.map_mmio(0xFEC0_0100, Card(), "other", Card.data)

    assert mmio.mmio_read(0xFEC0_0100, 2) == 0xD0D1
    assert mmio.mmio_read(0xFEC0_0FF0, 1) == 0x10
    other.move(None)
    assert mmio.mmio_read(0xFEC0_0100, 2) == 0xFFFF
