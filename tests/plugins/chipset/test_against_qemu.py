"""Random guests on our chips and on QEMU's: every register reads alike, where QEMU follows the data sheets.

Where it does not, the guest is kept from going (each place says why).
"""

import random

import chipset_oracle
import pytest

pytestmark = pytest.mark.skipif(not chipset_oracle.available, reason="needs qemu-system-i386")

NONSPECIFIC = 0x20
OCW2_ACTIONS = (0x20, 0x60, 0xA0, 0xC0, 0xE0, 0x80, 0x00)


@pytest.fixture(scope="module")
def qemu():
    oracle = chipset_oracle.Oracle()
    yield oracle
    oracle.close()


class Both:
    """Does everything to both."""

    def __init__(self, pc, qemu):
        self.pc, self.qemu = pc, qemu
        self.log = []

    def out(self, port, value):
        self.log.append((hex(port), hex(value)))
        self.pc.out(port, value)
        self.qemu.out(port, value)

    def agree(self, port, mask=0xFF):
        ours, theirs = self.pc.inp(port) & mask, self.qemu.inp(port) & mask
        assert ours == theirs, f"port {port:#x}: ours {ours:#x}, QEMU's {theirs:#x} after {self.log[-40:]}"


def initialize(both, icw4):
    for port, base, icw3 in ((0x20, 0x08, 4), (0xA0, 0x70, 2)):
        for at, value in ((port, 0x11), (port + 1, base), (port + 1, icw3), (port + 1, icw4)):
            both.out(at, value)


@pytest.mark.parametrize("seed", range(12))
def test_interrupt_controllers_agree(pc, qemu, seed):
    """One chip at a time: QEMU's master keeps a request that the slave has withdrawn."""
    guest = random.Random(seed)
    pic = pc.add("pic")
    both = Both(pc, qemu)
    port, elcr, first = ((0x20, 0x4D0, 0), (0xA0, 0x4D1, 8))[seed % 2]

    def chip():
        return (pic.save().master, pic.save().slave)[seed % 2]

    lines = {number: pc.lines[number].input("guest") for number in range(first, first + 8) if number != 2}
    for number in (*range(2), *range(3, 16)):
        qemu.line(number, level=False)
    initialize(both, 1)
    both.out(0xA0, 0x0C)
    qemu.inp(0xA0), pc.inp(0xA0)
    initialize(both, 1)
    both.out(elcr, guest.randrange(256))  # QEMU does not look at the lines again where this changes later

    def toggle():
        number = guest.choice(list(lines))
        level = not lines[number].level
        if level or not chip().irr >> number % 8 & 1:  # QEMU keeps a request that was withdrawn
            both.log.append((number, level))
            lines[number].set(level)
            qemu.line(number, level)

    def command():
        value = guest.choice(OCW2_ACTIONS) | guest.randrange(8)
        if not (chip().special_mask and value & 0x60 == NONSPECIFIC):  # QEMU ends masked levels too
            both.out(port, value)

    def poll():
        both.out(port, 0x0C)
        both.agree(port)

    acts = [
        toggle,
        toggle,
        toggle,
        command,
        command,
        poll,
        lambda: both.out(port + 1, guest.randrange(256) & guest.randrange(256)),
        lambda: both.out(port, guest.choice((0x68, 0x48))),
    ]
    for step in range(300):
        initialize(both, guest.choice((1, 3, 0x11))) if step % 100 == 99 else guest.choice(acts)()
        for select in (0x0A, 0x0B):
            both.out(port, select)
            both.agree(port, 0xFB if first == 0 else 0xFF)
        both.agree(port + 1)


@pytest.mark.parametrize("seed", range(4))
def test_dma_controllers_agree(pc, qemu, seed):
    """Registers without transfers; QEMU starts a count when its second byte is written, so bytes come in pairs."""
    guest = random.Random(seed)
    pc.add("dma")
    both = Both(pc, qemu)
    base, step = ((0x00, 1), (0xC0, 2))[seed % 2]
    both.out(base + 13 * step, 0)
    for channel in range(8):
        for _ in range(2):
            both.out(base + channel * step, 0)
    for _ in range(300):
        reg = guest.randrange(8)
        act = guest.randrange(4)
        if act == 0:
            both.out(base + reg * step, guest.randrange(256))
            both.out(base + reg * step, guest.randrange(256))
        elif act == 1:
            both.agree(base + reg * step)
            both.agree(base + reg * step)
        elif act == 2:
            both.out(base + guest.choice((10, 14, 15)) * step, guest.randrange(16))
        else:
            page = guest.choice((0x81, 0x82, 0x83, 0x87, 0x89, 0x8A, 0x8B))
            both.out(page, guest.randrange(256))
            both.agree(page)
        both.agree(base + 8 * step)


def test_clock_registers_agree(pc, qemu):
    """What the clock shows at power-on, in BCD and 24 hours."""
    pc.add("rtc", start="1999-12-31T23:59:58")
    both = Both(pc, qemu)
    for index in (*range(10), 0x0D, 0x32):
        both.out(0x70, index)
        both.agree(0x71)


@pytest.mark.parametrize("command", [0x20, 0xA9, 0xAA, 0xAB])
def test_keyboard_controller_answers_agree(pc, qemu, command):
    """Answers of the controller itself, both ports disabled."""
    pc.add("kbc")
    both = Both(pc, qemu)
    both.out(0x64, 0x60)
    both.out(0x60, 0x30)
    for _ in range(20):
        qemu.inp(0x60)
    both.out(0x64, command)
    both.agree(0x64, 0x01)
    both.agree(0x60)
