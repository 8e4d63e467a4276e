"""PortMap: declarations are checked when the class is made."""

import pytest

from vpcore.ports import PortMap


def nothing(self, *_):
    return 0


def test_a_handler_is_found_by_offset_and_width():
    ports = PortMap(8)
    ports.read(2)(nothing)
    ports.write(4, width=4)(nothing)

    assert set(ports.reads) == {(2, 1)}
    assert set(ports.writes) == {(4, 4)}
    assert ports.offsets() == {2, 4, 5, 6, 7}


def test_a_range_gives_a_handler_for_each_offset_with_the_offset_as_argument():
    ports = PortMap(4)
    ports.read(range(1, 3))(nothing)

    assert {(1, 1): (1,), (2, 1): (2,)} == {key: handler.args for key, handler in ports.reads.items()}


def test_any_width_gives_a_handler_for_each_width_that_fits():
    ports = PortMap(4)
    ports.read_any(range(4))(nothing)

    assert set(ports.reads) == {(0, 1), (0, 2), (0, 4), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1)}
    assert ports.reads[1, 2].args == (1, 2)


def test_registers_of_several_widths_may_share_an_offset():
    ports = PortMap(8)
    ports.read(0, width=2)(nothing)
    ports.read(0, width=4)(nothing)
    ports.read(1)(nothing)

    assert set(ports.reads) == {(0, 2), (0, 4), (1, 1)}


@pytest.mark.parametrize("declare", ["read", "write", "read_block", "write_block"])
def test_a_second_handler_of_the_same_offset_and_width_is_an_error(declare):
    ports = PortMap(8)
    getattr(ports, declare)(3)(nothing)

    with pytest.raises(ValueError, match="offset 0x3 has two handlers: nothing"):
        getattr(ports, declare)(3)(nothing)


@pytest.mark.parametrize(("offset", "width"), [(8, 1), (7, 2), (5, 4), (-1, 1)])
def test_a_register_outside_the_map_is_an_error(offset, width):
    with pytest.raises(ValueError, match="lies outside a map of 8 bytes"):
        PortMap(8).read(offset, width=width)(nothing)


@pytest.mark.parametrize("width", [0, 3, 8])
def test_a_width_that_no_bus_has_is_an_error(width):
    with pytest.raises(ValueError, match=rf"width {width} is not one of \(1, 2, 4\)"):
        PortMap(8).read(0, width=width)(nothing)


def test_storage_keeps_its_offset_for_itself():
    ports = PortMap(8)
    ports.storage(7, "scratch")

    assert ports.offsets() == {7}
    for declare in (ports.read, ports.write):
        with pytest.raises(ValueError, match="offset 0x7 has two handlers"):
            declare(7)(nothing)
    with pytest.raises(ValueError, match="offset 0x7 has two handlers"):
        ports.storage(7, "again")


def test_storage_does_not_take_an_offset_that_has_a_handler():
    ports = PortMap(8)
    ports.write(7)(nothing)

    with pytest.raises(ValueError, match="offset 0x7 has two handlers"):
        ports.storage(7, "scratch")


def test_an_exact_map_claims_the_first_byte_of_wide_registers_only():
    ports = PortMap(8, exact=True)
    ports.read(0, width=4)(nothing)

    assert ports.offsets() == {0}


def test_areas_are_named_after_their_methods():
    ports = PortMap(0x20000)

    @ports.read_area
    def peek(self, offset, width):
        return 0

    @ports.write_area
    def poke(self, offset, width, value):
        return None

    assert (ports.area_read, ports.area_write) == ("peek", "poke")
