"""8259A: Intel's data sheet (order 231468) is the judge; section names in the docstrings."""

import pytest

MASTER, SLAVE = 0x20, 0xA0
EOI = 0x20
READ_IRR, READ_ISR, POLL = 0x0A, 0x0B, 0x0C


def initialize(pc, *, icw4=0x01, mask1=0, mask2=0):
    """ICW1-4 as a PC BIOS writes them, vectors at 08h and 70h."""
    for port, base, icw3, mask in ((MASTER, 0x08, 0x04, mask1), (SLAVE, 0x70, 0x02, mask2)):
        pc.out(port, 0x11)
        pc.out(port + 1, base)
        pc.out(port + 1, icw3)
        pc.out(port + 1, icw4)
        pc.out(port + 1, mask)


@pytest.fixture
def pic(pc):
    device = pc.add("pic")
    initialize(pc)
    return device


@pytest.fixture
def irq(pc):
    """Drivers of the sixteen lines."""
    return [line.input(f"source {line.name}") for line in pc.lines]


def isr(pc, chip=MASTER):
    pc.out(chip, READ_ISR)
    return pc.inp(chip)


def irr(pc, chip=MASTER):
    pc.out(chip, READ_IRR)
    return pc.inp(chip)


def test_an_edge_raises_int_and_the_vector_is_base_plus_level(pc, pic, irq):
    """Interrupt sequence, 1 to 6."""
    irq[4].set(True)

    assert pc.processor.intr is True
    assert pic.acknowledge() == 0x0C
    assert pc.processor.intr is False
    assert isr(pc) == 0x10
    assert irr(pc) == 0


def test_the_slave_answers_with_its_own_vector_through_ir2(pc, pic, irq):
    """The cascade mode."""
    irq[12].set(True)

    assert pic.acknowledge() == 0x74
    assert isr(pc, MASTER) == 0x04
    assert isr(pc, SLAVE) == 0x10


def test_a_lower_priority_request_waits_for_eoi(pc, pic, irq):
    """Fully nested mode."""
    irq[1].set(True)
    pic.acknowledge()
    irq[3].set(True)

    assert pc.processor.intr is False
    pc.out(MASTER, EOI)
    assert pc.processor.intr is True
    assert pic.acknowledge() == 0x0B


def test_a_higher_priority_request_interrupts_the_service(pc, pic, irq):
    """Fully nested mode."""
    irq[3].set(True)
    pic.acknowledge()
    irq[1].set(True)

    assert pc.processor.intr is True
    assert pic.acknowledge() == 0x09
    assert isr(pc) == 0x0A


def test_nonspecific_eoi_ends_the_most_urgent_service(pc, pic, irq):
    """End of interrupt."""
    irq[3].set(True)
    pic.acknowledge()
    irq[1].set(True)
    pic.acknowledge()
    pc.out(MASTER, EOI)

    assert isr(pc) == 0x08


def test_specific_eoi_ends_the_level_named(pc, pic, irq):
    """End of interrupt."""
    irq[3].set(True)
    pic.acknowledge()
    irq[1].set(True)
    pic.acknowledge()
    pc.out(MASTER, 0x63)

    assert isr(pc) == 0x02


def test_a_masked_request_is_remembered(pc, pic, irq):
    """OCW1: masking does not affect the latch."""
    pc.out(MASTER + 1, 0x10)
    irq[4].set(True)

    assert pc.processor.intr is False
    pc.out(MASTER + 1, 0)
    assert pc.processor.intr is True


def test_the_mask_reads_back(pc, pic):
    """Reading the 8259A status: OCW1 is read with A0=1; Linux probes for the chip this way."""
    pc.out(SLAVE + 1, 0xFB)

    assert pc.inp(SLAVE + 1) == 0xFB


def test_a_request_withdrawn_before_acknowledge_gives_ir7_without_in_service_bit(pc, pic, irq):
    """Edge triggered mode: the default IR7."""
    irq[4].set(True)
    irq[4].set(False)

    assert pic.acknowledge() == 0x0F
    assert isr(pc) == 0


def test_a_spurious_request_of_the_slave_is_its_ir7_and_leaves_ir2_in_service(pc, pic, irq):
    """As above, seen through the cascade: the handler must end IR2 on the master only."""
    irq[10].set(True)
    pc.out(SLAVE + 1, 0xFF)
    irq[10].set(False)

    assert pc.processor.intr is False
    irq[10].set(True)
    pc.out(SLAVE + 1, 0)
    assert pic.acknowledge() == 0x72
    assert isr(pc, MASTER) == 0x04


def test_an_edge_triggered_line_that_stays_high_asks_once(pc, pic, irq):
    """ICW1, LTIM: edge triggered mode."""
    irq[5].set(True)
    pic.acknowledge()
    pc.out(MASTER, EOI)

    assert pc.processor.intr is False


def test_a_level_triggered_line_asks_until_it_falls(pc, pic, irq):
    """ELCR (PIIX3 2.5.6); level triggered mode."""
    pc.out(0x4D1, 0x04)
    irq[10].set(True)
    pic.acknowledge()
    pc.out(SLAVE, EOI)
    pc.out(MASTER, EOI)

    assert pc.processor.intr is True
    irq[10].set(False)
    assert pc.processor.intr is False


def test_elcr_keeps_system_lines_edge_triggered(pc, pic):
    """PIIX3 2.5.6: bits of IRQ 0, 1, 2, 8 and 13 are 0."""
    pc.out(0x4D0, 0xFF)
    pc.out(0x4D1, 0xFF)

    assert (pc.inp(0x4D0), pc.inp(0x4D1)) == (0xF8, 0xDE)


def test_icw1_forgets_latched_edges_and_masks(pc, pic, irq):
    """Initialization command words: a, b and e."""
    pc.out(MASTER + 1, 0xFF)
    irq[4].set(True)
    initialize(pc)

    assert pc.processor.intr is False
    assert pc.inp(MASTER + 1) == 0
    assert irr(pc) == 0


def test_icw1_without_ic4_ends_after_icw3(pc, pic):
    """Figure 6: ICW4 only if IC4 is 1."""
    pc.out(MASTER, 0x10)
    pc.out(MASTER + 1, 0x20)
    pc.out(MASTER + 1, 0x04)
    pc.out(MASTER + 1, 0xAA)

    assert pc.inp(MASTER + 1) == 0xAA


def test_automatic_eoi_leaves_nothing_in_service(pc, irq):
    """Automatic end of interrupt mode."""
    pic = pc.add("pic")
    initialize(pc, icw4=0x03)
    irq[4].set(True)

    assert pic.acknowledge() == 0x0C
    assert isr(pc) == 0


def test_rotation_in_automatic_eoi_mode_makes_the_served_level_last(pc, irq):
    """Automatic rotation."""
    pic = pc.add("pic")
    initialize(pc, icw4=0x03)
    pc.out(MASTER, 0x80)
    irq[3].set(True)
    pic.acknowledge()
    irq[3].set(False)
    irq[3].set(True)
    irq[5].set(True)

    assert pic.acknowledge() == 0x0D


def test_rotate_on_nonspecific_eoi(pc, pic, irq):
    """Automatic rotation: the level just served gets the lowest priority."""
    irq[1].set(True)
    pic.acknowledge()
    irq[1].set(False)
    pc.out(MASTER, 0xA0)
    irq[1].set(True)
    irq[6].set(True)

    assert pic.acknowledge() == 0x0E


def test_set_priority_chooses_the_lowest_level(pc, pic, irq):
    """Specific rotation."""
    pc.out(MASTER, 0xC4)
    irq[0].set(True)
    irq[5].set(True)

    assert pic.acknowledge() == 0x0D


def test_special_mask_mode_lets_lower_levels_through(pc, pic, irq):
    """Special mask mode."""
    irq[1].set(True)
    pic.acknowledge()
    pc.out(MASTER + 1, 0x02)
    irq[6].set(True)
    assert pc.processor.intr is False
    pc.out(MASTER, 0x68)

    assert pc.processor.intr is True
    assert pic.acknowledge() == 0x0E


def test_special_mask_mode_hides_masked_levels_from_nonspecific_eoi(pc, pic, irq):
    """End of interrupt, last sentence."""
    irq[1].set(True)
    pic.acknowledge()
    pc.out(MASTER + 1, 0x02)
    pc.out(MASTER, 0x68)
    pc.out(MASTER, EOI)

    assert isr(pc) == 0x02


def test_a_second_interrupt_of_the_slave_waits_for_the_masters_eoi(pc, pic, irq):
    """Fully nested mode blocks IR2 while it is in service."""
    irq[12].set(True)
    pic.acknowledge()
    irq[8].set(True)

    assert pc.processor.intr is False
    pc.out(MASTER, EOI)
    assert pc.processor.intr is True
    assert pic.acknowledge() == 0x70


def test_special_fully_nested_mode_lets_the_slave_interrupt_itself(pc, irq):
    """Special fully nested mode."""
    pic = pc.add("pic")
    initialize(pc, icw4=0x11)
    irq[12].set(True)
    pic.acknowledge()
    irq[8].set(True)

    assert pc.processor.intr is True
    assert pic.acknowledge() == 0x70


def test_a_request_pending_in_the_slave_gives_a_new_edge_after_its_eoi(pc, pic, irq):
    """The slave's INT falls with INTA and rises again for what is pending."""
    irq[9].set(True)
    irq[11].set(True)
    assert pic.acknowledge() == 0x71
    pc.out(SLAVE, EOI)
    pc.out(MASTER, EOI)

    assert pc.processor.intr is True
    assert pic.acknowledge() == 0x73


def test_poll_acknowledges_the_most_urgent_request(pc, pic, irq):
    """Poll command."""
    irq[3].set(True)
    pc.out(MASTER, POLL)

    assert pc.inp(MASTER) == 0x83
    assert isr(pc) == 0x08
    pc.out(MASTER, POLL)
    assert pc.inp(MASTER) & 0x80 == 0


def test_irq2_of_the_board_is_not_connected(pc, pic, irq):
    """On a PC the master's IR2 is the slave's INT."""
    irq[2].set(True)

    assert pc.processor.intr is False


def test_a_restored_controller_sees_no_edge_on_a_line_that_was_high(pc, pic, irq):
    """A checkpoint keeps the memory of the edge detectors."""
    irq[4].set(True)
    pic.acknowledge()
    pc.out(MASTER, EOI)
    saved = pic.save()
    pic.load(saved)
    irq[4].set(True)

    assert pc.processor.intr is False


def test_reset_forgets_requests_but_not_the_wires(pc, pic, irq):
    """A line that stays high over a reset gives no edge."""
    irq[4].set(True)
    pic.reset()
    initialize(pc)

    assert pc.processor.intr is False
    irq[4].set(False)
    irq[4].set(True)
    assert pc.processor.intr is True
