"""PIIX3 function 0: Intel's data sheet (order 290550), sections in the docstrings."""

import pytest

from vpcore.pci import PciId


@pytest.fixture
def bridge(pc):
    return pc.add("i440fx", "piix3")[1]


@pytest.fixture
def card(pc, bridge):
    """INTA# of a card in slot 3: PIRQC on this board."""
    return pc.pci(3, 0, PciId(0x1022, 0x2000, 0x020000), interrupt=True).intx


def test_it_is_the_isa_bridge_of_slot_1(pc, bridge):
    """2.2.1 to 2.2.6."""
    assert pc.read_config(1, 0, 0) == 0x7000_8086
    assert pc.read_config(1, 0, 8) >> 8 == 0x060100


def test_it_becomes_multifunction_with_its_neighbours(pc, bridge):
    """2.2.8 HEDT: SeaBIOS and Linux look for functions 1 to 3 only then."""
    before = pc.read_config(1, 0, 0x0E, 1)
    pc.add("piix4pm")

    assert (before, pc.read_config(1, 0, 0x0E, 1)) == (0x00, 0x80)


def test_routing_is_disabled_after_reset(pc, bridge, card):
    """2.2.9 PIRQRC: default 80h."""
    card.set(True)

    assert pc.read_config(1, 0, 0x60) == 0x8080_8080
    assert [irq for irq in range(16) if pc.irq(irq)] == []


def test_seabios_routes_the_wires(pc, bridge, card):
    """fw/pciinit.c: PIRQ A and B to 10, C and D to 11."""
    pc.write_config(1, 0, 0x60, 0x0B0B_0A0A)
    card.set(True)
    routed = [irq for irq in range(16) if pc.irq(irq)]
    card.set(False)

    assert (routed, pc.irq(11)) == ([11], False)


def test_a_line_in_use_moves_with_its_route(pc, bridge, card):
    """2.2.9: Linux may route again while a card asks."""
    pc.write_config(1, 0, 0x62, 0x0B, 1)
    card.set(True)
    pc.write_config(1, 0, 0x62, 0x05, 1)
    moved = [irq for irq in range(16) if pc.irq(irq)]
    pc.write_config(1, 0, 0x62, 0x80, 1)

    assert (moved, pc.irq(5)) == ([5], False)


def test_two_cards_share_a_line(pc, bridge, card):
    """Wired-OR: it falls when the last one lets go."""
    other = pc.pci(7, 0, PciId(0x1234, 1, 0), interrupt=True).intx
    pc.write_config(1, 0, 0x62, 0x0B, 1)
    card.set(True)
    other.set(True)
    card.set(False)
    shared = pc.irq(11)
    other.set(False)

    assert (shared, pc.irq(11)) == (True, False)


@pytest.mark.parametrize("irq", [0, 1, 2, 8, 13])
def test_reserved_lines_cannot_be_routed_to(pc, bridge, card, irq):
    """2.2.9: reserved values."""
    pc.write_config(1, 0, 0x62, irq, 1)
    card.set(True)

    assert pc.irq(irq) is False


@pytest.mark.parametrize(("values", "hard", "soft"), [((0x02, 0x06), 1, 0), ((0x00, 0x04), 0, 1), ((0x02, 0x02), 0, 0)])
def test_reset_control_resets_on_a_rising_rcpu(pc, bridge, values, hard, soft):
    """2.5.4.2 RCR: SRST chooses hard or soft, RCPU starts it."""
    for value in values:
        pc.out(0xCF9, value)

    assert (pc.processor.resets, pc.processor.cpu_resets) == (hard, soft)


def test_reset_control_does_not_disturb_configuration_address(pc, bridge):
    """CF9h lies inside CF8h's four bytes, but only bytes reach it."""
    pc.out(0xCF8, 0x8000_0800, 4)
    pc.out(0xCF9, 0x02)

    assert (pc.inp(0xCF8, 4), pc.inp(0xCF9), pc.processor.resets) == (0x8000_0800, 0x02, 0)


def test_writing_the_configuration_address_resets_nothing(pc, bridge):
    """A 32-bit write with bits of RCR in its second byte."""
    pc.out(0xCF8, 0x8000_0600, 4)

    assert pc.processor.resets == 0


def test_a_checkpoint_restores_routes_and_levels(pc, bridge, card):
    """Lines follow the configuration space."""
    pc.write_config(1, 0, 0x62, 0x0B, 1)
    card.set(True)
    config = bridge.save().config
    bridge.reset()
    cut = pc.irq(11)
    bridge.load(type(bridge.state)(config=config))

    assert (cut, pc.irq(11)) == (False, True)
