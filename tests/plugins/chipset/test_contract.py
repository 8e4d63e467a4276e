"""What every device of the chipset owes: reset, checkpoint at any moment, and patience with hostile guests."""

from copy import deepcopy

import cattrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vpcore_plugins.chipset import vpcore_device_types

TYPES = [kind.name for kind in vpcore_device_types()]
PORTS = sorted(
    {*range(0x10), *range(0x20, 0x22), *range(0x40, 0x44), 0x60, 0x61, 0x64, *range(0x70, 0x74), *range(0x81, 0x90)}
    | {0x92, 0xA0, 0xA1, 0xB2, 0xB3, *range(0xC0, 0xE0), 0x4D0, 0x4D1, *range(0xCF8, 0xD00)}
    | {*range(0xAE00, 0xAE10), *range(0xAFE0, 0xAFE4), *range(0xB000, 0xB040), *range(0xB100, 0xB110)}
)
ACCESSES = st.lists(
    st.tuples(
        st.sampled_from(PORTS),
        st.sampled_from((1, 2, 4)),
        st.one_of(st.none(), st.integers(0, 0xFFFF_FFFF)),
        st.sampled_from((0, 0, 1_000, 1_000_000, 3_000_000_000)),
    ),
    max_size=60,
)
CONFIG = st.lists(
    st.tuples(st.sampled_from(((0, 0), (1, 0), (1, 3))), st.integers(0, 255), st.integers(0, 0xFFFF_FFFF)), max_size=20
)
CONVERTER = cattrs.Converter()
CONVERTER.register_structure_hook(bytearray, lambda value, _: bytearray(value))
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def make(make_pc):
    """Make a whole chipset, with the power management ports where SeaBIOS puts them."""

    def factory():
        pc = make_pc()
        devices = dict(zip(TYPES, pc.add(*TYPES), strict=True))
        pc.write_config(1, 3, 0x40, 0xB001)
        pc.write_config(1, 3, 0x80, 0x01, 1)
        pc.write_config(1, 3, 0x90, 0xB101)
        pc.write_config(1, 3, 0xD2, 0x09, 1)
        return pc, devices

    return factory


def play(pc, accesses):
    """Do as the guest says; return what it read."""
    seen = []
    for port, width, value, wait in accesses:
        if value is None:
            seen.append(pc.inp(port, width))
        else:
            pc.out(port, value & (1 << 8 * width) - 1, width)
        pc.advance(wait)
    return seen


def states(devices):
    """All states as plain data."""
    return {name: CONVERTER.unstructure(device.save()) for name, device in devices.items()}


@QUICK
@given(ACCESSES, CONFIG)
def test_no_access_raises_and_every_read_fits_its_width(make, accesses, config):
    pc, _ = make()
    for (slot, function), offset, value in config:
        pc.write_config(slot, function, offset, value)
    for port, width, value, wait in accesses:
        if value is None:
            assert 0 <= pc.inp(port, width) < 1 << 8 * width
        else:
            pc.out(port, value & (1 << 8 * width) - 1, width)
        pc.advance(wait)


@QUICK
@given(ACCESSES, ACCESSES)
def test_a_machine_restored_from_plain_data_goes_on_alike(make, before, after):
    pc, devices = make()
    play(pc, before)
    saved = deepcopy(states(devices))
    other, others = make()
    other.time = pc.time
    for name, device in others.items():
        device.load(CONVERTER.structure(saved[name], type(device.state)))

    assert states(others) == saved
    assert [line.level for line in other.lines] == [line.level for line in pc.lines]
    assert other.processor.intr == pc.processor.intr
    assert play(other, after) == play(pc, after)


@QUICK
@given(ACCESSES)
def test_states_may_be_restored_in_any_order(make, before):
    pc, devices = make()
    play(pc, before)
    saved = deepcopy(states(devices))
    other, others = make()
    other.time = pc.time
    for name in reversed(list(others)):
        others[name].load(CONVERTER.structure(saved[name], type(others[name].state)))

    assert states(others) == saved
    assert other.processor.intr == pc.processor.intr


@pytest.mark.parametrize("name", [name for name in TYPES if name != "rtc"])
def test_reset_is_the_state_of_a_new_device(make, name):
    """The clock keeps time and RAM: test_rtc."""
    fresh_pc, fresh = make()
    fresh[name].reset()
    pc, devices = make()
    play(pc, [(port, 1, 0x5B, 0) for port in PORTS])
    pc.processor.resets = 0
    devices[name].reset()

    got, expected = (CONVERTER.unstructure(device.save()) for device in (devices[name], fresh[name]))
    if name == "pic":  # its inputs are wires
        for chip in ("master", "slave"):
            got[chip]["inputs"] = expected[chip]["inputs"] = 0
    assert got == expected
    assert fresh_pc.time == pc.time
