"""8042: IBM's PS/2 technical reference, and what Linux (i8042.c), SeaBIOS (ps2port.c) and DOS programs do with it."""

import pytest

from vpcore.wires import KeyboardController

DATA, COMMAND = 0x60, 0x64
OBF, AUX = 0x01, 0x20
BYTE = 800_000


class FakePs2:
    """A device that keeps what it is sent and gives what it is told."""

    def __init__(self):
        self.got = []
        self.queue = []

    def receive(self, byte):
        self.got.append(byte)

    def next_byte(self):
        return self.queue.pop(0) if self.queue else None


@pytest.fixture
def kbc(pc):
    return pc.add("kbc")


@pytest.fixture
def keyboard(pc, kbc):
    device = FakePs2()
    pc.service(KeyboardController).keyboard_port.attach(device)
    return device


@pytest.fixture
def mouse(pc, kbc):
    device = FakePs2()
    pc.service(KeyboardController).mouse_port.attach(device)
    return device


def press(pc, device, *codes, port="keyboard_port"):
    device.queue += codes
    getattr(pc.service(KeyboardController), port).notify()


def command_byte(pc, value):
    pc.out(COMMAND, 0x60)
    pc.out(DATA, value)


def ask(pc, command):
    """A command whose answer is there at once."""
    pc.out(COMMAND, command)
    assert pc.inp(COMMAND) & OBF
    return pc.inp(DATA)


@pytest.mark.parametrize(("command", "answer"), [(0xAA, 0x55), (0xAB, 0x00), (0xA9, 0x00), (0xA4, 0xF1)])
def test_self_tests_pass(pc, kbc, command, answer):
    """Commands AAh, ABh, A9h; A4h: no password installed."""
    assert ask(pc, command) == answer


def test_self_test_sets_the_system_flag(pc, kbc):
    """Status bit 2."""
    ask(pc, 0xAA)

    assert pc.inp(COMMAND) & 0x04


def test_controller_ram_reads_back(pc, kbc):
    """Commands 20h-3Fh and 60h-7Fh."""
    for index in range(32):
        pc.out(COMMAND, 0x60 + index)
        pc.out(DATA, 0x40 + index)

    assert [ask(pc, 0x20 + index) for index in range(32)] == [0x40 + index for index in range(32)]


def test_commands_enable_and_disable_the_ports(pc, kbc):
    """Linux checks the auxiliary port by A7h and A8h and bit 5 of the command byte."""
    seen = []
    for command in (0xAE, 0xA8, 0xAD, 0xA7):
        pc.out(COMMAND, command)
        seen.append(ask(pc, 0x20) & 0x30)

    assert seen == [0x20, 0x00, 0x10, 0x30]


def test_a_key_takes_the_time_of_the_cable_and_interrupts(pc, keyboard):
    """IRQ 1 follows the output buffer while the command byte enables it."""
    command_byte(pc, 0x21)
    press(pc, keyboard, 0x1C)
    pc.advance(BYTE - 1)
    before = (pc.irq(1), pc.inp(COMMAND) & OBF)
    pc.advance(1)

    assert before == (False, 0)
    assert (pc.irq(1), pc.inp(COMMAND) & (OBF | AUX), pc.inp(DATA), pc.irq(1)) == (True, OBF, 0x1C, False)


def test_the_data_port_repeats_its_byte_until_the_next_comes(pc, keyboard):
    """DOS programs read the scan code and leave it for the BIOS handler."""
    command_byte(pc, 0x21)
    press(pc, keyboard, 0x1C, 0x32)
    pc.advance(BYTE)
    both = [pc.inp(DATA), pc.inp(DATA)]
    pc.advance(BYTE)

    assert (both, pc.inp(DATA)) == ([0x1C, 0x1C], 0x32)


def test_each_byte_gives_its_own_edge(pc, keyboard):
    """An edge triggered interrupt controller must see every byte."""
    edges = []
    pc.lines[1].listen(edges.append)
    command_byte(pc, 0x21)
    press(pc, keyboard, 0x1C, 0x32, 0x21)
    for _ in range(3):
        pc.advance(BYTE)
        pc.inp(DATA)

    assert edges == [True, False] * 3


def test_translation_turns_set_2_into_set_1(pc, keyboard):
    """Command byte bit 6: make, release, extended release."""
    command_byte(pc, 0x61)
    press(pc, keyboard, 0x1C, 0xF0, 0x1C, 0xE0, 0xF0, 0x75, 0x83, 0xFA, 0xAA)
    seen = []
    for _ in range(7):
        pc.advance(BYTE)
        seen.append(pc.inp(DATA))

    assert seen == [0x1E, 0x9E, 0xE0, 0xC8, 0x41, 0xFA, 0xAA]


def test_a_disabled_keyboard_is_not_asked(pc, keyboard):
    """Command byte bit 4 holds the clock line low."""
    command_byte(pc, 0x31)
    press(pc, keyboard, 0x1C)
    pc.advance(10 * BYTE)
    before = pc.inp(COMMAND) & OBF
    pc.out(COMMAND, 0xAE)
    pc.advance(BYTE)

    assert (before, pc.inp(COMMAND) & OBF) == (0, OBF)


def test_sending_to_the_keyboard_enables_it(pc, keyboard):
    """A byte written to port 60h goes to the keyboard and releases its clock."""
    command_byte(pc, 0x30)
    pc.out(DATA, 0xED)

    assert (keyboard.got, ask(pc, 0x20) & 0x10) == ([0xED], 0)


def test_mouse_bytes_are_marked_and_interrupt_on_12(pc, mouse):
    """Status bit 5; command D4h."""
    command_byte(pc, 0x12)
    pc.out(COMMAND, 0xD4)
    pc.out(DATA, 0xF4)
    press(pc, mouse, 0xFA, port="mouse_port")
    pc.advance(BYTE)

    assert mouse.got == [0xF4]
    assert (pc.irq(12), pc.irq(1), pc.inp(COMMAND) & (OBF | AUX), pc.inp(DATA)) == (True, False, OBF | AUX, 0xFA)


def test_linux_finds_the_auxiliary_port_by_its_loop_back(pc, kbc):
    """i8042_check_aux: D3h returns the byte as if from the mouse, and raises IRQ 12."""
    command_byte(pc, 0x02)
    pc.out(COMMAND, 0xD3)
    pc.out(DATA, 0xA5)

    assert (pc.irq(12), pc.inp(COMMAND) & (OBF | AUX), pc.inp(DATA)) == (True, OBF | AUX, 0xA5)


def test_keyboard_buffer_write_looks_like_a_key(pc, kbc):
    """Command D2h."""
    command_byte(pc, 0x01)
    pc.out(COMMAND, 0xD2)
    pc.out(DATA, 0x1E)

    assert (pc.irq(1), pc.inp(COMMAND) & (OBF | AUX), pc.inp(DATA)) == (True, OBF, 0x1E)


def test_an_answer_waits_behind_an_unread_key_and_goes_before_the_next(pc, keyboard):
    """The output buffer holds one byte."""
    command_byte(pc, 0x20)
    press(pc, keyboard, 0x1C, 0x32)
    pc.advance(BYTE)
    pc.out(COMMAND, 0xAA)
    seen = [pc.inp(DATA), pc.inp(DATA)]
    pc.advance(BYTE)

    assert [*seen, pc.inp(DATA)] == [0x1C, 0x55, 0x32]


def test_the_status_tells_command_from_data(pc, kbc):
    """Status bit 3: the last write was to port 64h."""
    pc.out(COMMAND, 0xAE)
    command = pc.inp(COMMAND) & 0x08
    pc.out(DATA, 0xF4)

    assert (command, pc.inp(COMMAND) & 0x08) == (0x08, 0)


def test_pulsing_bit_0_resets_the_processor(pc, kbc):
    """Commands F0h-FFh pulse the bits that are 0."""
    for command in (0xFE, 0xFF, 0xF1, 0xF0):
        pc.out(COMMAND, command)

    assert pc.processor.cpu_resets == 2


def test_a_reset_of_the_processor_opens_the_gate(pc, kbc):
    """The first fetch is at FFFFFFF0h."""
    pc.out(COMMAND, 0xDD)
    pc.out(COMMAND, 0xFE)

    assert (pc.processor.a20, kbc.state.a20) == (True, True)


def test_the_output_port_moves_a20_and_resets(pc, kbc):
    """Commands D0h and D1h."""
    pc.out(COMMAND, 0xD1)
    pc.out(DATA, 0xDD)
    closed = (pc.processor.a20, ask(pc, 0xD0) & 0x03)
    pc.out(COMMAND, 0xD1)
    pc.out(DATA, 0xDF)

    assert (closed, pc.processor.a20, pc.processor.cpu_resets) == ((False, 0x01), True, 0)


def test_short_commands_move_a20(pc, kbc):
    """Commands DDh and DFh."""
    pc.out(COMMAND, 0xDD)
    closed = pc.processor.a20
    pc.out(COMMAND, 0xDF)

    assert (closed, pc.processor.a20) == (False, True)


def test_port_92_and_the_controller_move_the_same_gate(pc):
    """Whoever moved it last decides, and both know."""
    pc.add("kbc", "port92")
    pc.out(COMMAND, 0xDD)
    closed = (pc.processor.a20, pc.inp(0x92) & 0x02)
    pc.out(0x92, 0x02)

    assert (closed, pc.processor.a20, ask(pc, 0xD0) & 0x02) == ((False, 0), True, 0x02)


def test_port_92_resets_on_a_rising_bit(pc):
    """System control port A bit 0: alternate hot reset."""
    pc.add("port92")
    for value in (0x02, 0x03, 0x03, 0x02, 0x03):
        pc.out(0x92, value)

    assert pc.processor.cpu_resets == 2


def test_a_checkpoint_restores_the_gate(pc):
    """Either holder brings it back."""
    kbc, _ = pc.add("kbc", "port92")
    saved = kbc.save()
    kbc.load(type(saved)(a20=False))

    assert (pc.processor.a20, pc.inp(0x92) & 0x02) == (False, 0)
    kbc.reset()
    assert pc.processor.a20 is True


def test_a_checkpoint_keeps_a_byte_on_the_cable(pc, kbc, keyboard):
    """Restored in mid-byte."""
    command_byte(pc, 0x21)
    press(pc, keyboard, 0x1C)
    pc.advance(BYTE // 2)
    kbc.load(kbc.save())
    pc.advance(BYTE // 2)

    assert pc.irq(1) is True
