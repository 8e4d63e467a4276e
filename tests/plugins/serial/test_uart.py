"""The 16550A: National Semiconductor PC16550D data sheet (June 1995), section 8 unless said otherwise."""

import pytest
from vpcore_plugins.serial import vpcore_device_types
from vpcore_plugins.serial.regs import FCR, IER, IIR, LCR, LSR, MCR, MSR, Reg

from vpcore.errors import ConfigError
from vpcore.host.ends import ModemSignals
from vpcore.testing import FakeBoard

TYPES = {kind.name: kind for kind in vpcore_device_types()}
BASE = 0x3F8
NOBODY = ModemSignals(cts=False, dsr=False, dcd=False)
FIFO_14 = FCR.ENABLE | 3 << FCR.TRIGGER_SHIFT
READY = LSR.THRE | LSR.TEMT


class Com(FakeBoard):
    """A board with one serial port, as a driver sees it."""

    def __init__(self, **options):
        super().__init__()
        self.uart = self.build(TYPES["serial"], "com1", **options)
        self.end = self.backends.chars["com1"]

    def get(self, register):
        return self.inp(BASE + register)

    def put(self, register, value):
        self.out(BASE + register, value)

    def divisor(self, value, lcr=3):
        self.put(Reg.LCR, LCR.DLAB | lcr)
        self.put(Reg.DATA, value & 0xFF)
        self.put(Reg.IER, value >> 8)
        self.put(Reg.LCR, lcr)

    def receive_all(self):
        out = bytearray()
        while self.get(Reg.LSR) & LSR.DR:
            out.append(self.get(Reg.DATA))
        return bytes(out)

    @property
    def cause(self):
        return self.get(Reg.IIR) & 0x0F

    @property
    def line(self):
        return self.irq(4)


@pytest.fixture
def com():
    """A port whose interrupt gate (OUT2) is open and whose words have 8 bits."""
    com = Com()
    com.put(Reg.LCR, 3)
    com.put(Reg.MCR, MCR.OUT2 | MCR.RTS | MCR.DTR)
    return com


# -- reset and plain registers --


def test_master_reset_values_are_those_of_table_1():
    """Table I: IER 0, IIR 1, LCR 0, MCR 0, LSR 60h, MSR without deltas."""
    com = Com()

    assert [0, 1, 0, 0, READY] == [com.get(register) for register in (Reg.IER, Reg.IIR, Reg.LCR, Reg.MCR, Reg.LSR)]
    assert com.get(Reg.MSR) == MSR.CTS | MSR.DSR | MSR.DCD


def test_upper_bits_of_ier_and_mcr_are_always_zero(com):
    """8.7, 8.8: how Linux tells a 16550 from later chips."""
    com.put(Reg.IER, 0xFF)
    com.put(Reg.MCR, 0xFF)

    assert (0x0F, 0x1F) == (com.get(Reg.IER), com.get(Reg.MCR))


def test_the_scratch_register_keeps_what_is_written(com):
    """8.10."""
    com.put(Reg.SCR, 0xA5)

    assert com.get(Reg.SCR) == 0xA5


def test_dlab_shows_the_divisor_in_place_of_data_and_ier(com):
    """8.3, table II."""
    com.put(Reg.IER, IER.ERBFI)
    com.divisor(0x1234)
    com.put(Reg.LCR, LCR.DLAB)
    shown = com.get(Reg.DATA), com.get(Reg.IER)
    com.put(Reg.LCR, 3)

    assert shown == (0x34, 0x12)
    assert com.get(Reg.IER) == IER.ERBFI


# -- sending --


def test_what_is_written_reaches_the_host_at_once(com):
    """Without line_speed the transmitter is always empty."""
    for byte in b"hello":
        com.put(Reg.DATA, byte)

    assert com.end.sent == b"hello"
    assert com.get(Reg.LSR) == READY


def test_a_guest_that_never_sets_the_line_up_is_understood():
    """Table I leaves words of 5 bits; ends that are no real port take whole bytes, as early boot code expects."""
    com = Com()
    com.put(Reg.DATA, ord("A"))

    assert com.end.sent == b"A"


def test_enabling_etbei_with_an_empty_transmitter_interrupts_at_once(com):
    """8.7; Linux tests for it (UART_BUG_TXEN, UART_BUG_THRE), and again after it was acknowledged."""
    com.put(Reg.IER, IER.ETBEI)
    first = (com.line, com.cause, com.cause, com.line)
    com.put(Reg.IER, 0)
    com.put(Reg.IER, IER.ETBEI)

    assert first == (True, IIR.THRE, IIR.NONE, False)
    assert (True, IIR.THRE) == (com.line, com.cause)


def test_reading_iir_acknowledges_thre_only_when_it_is_the_cause_reported(com):
    """8.6: a higher cause hides THRE and leaves it pending."""
    com.put(Reg.IER, IER.ETBEI | IER.ERBFI)
    com.end.feed(b"x")
    hidden = com.cause
    com.get(Reg.DATA)

    assert (IIR.DATA, IIR.THRE, IIR.NONE) == (hidden, com.cause, com.cause)


def test_each_byte_sent_gives_a_new_edge(com):
    """8.6: writing THR clears the interrupt, the empty register raises it again; an 8259A needs the edge."""
    edges = []
    com.lines[4].listen(edges.append)
    com.put(Reg.IER, IER.ETBEI)
    com.put(Reg.DATA, 1)
    com.put(Reg.DATA, 2)

    assert edges == [True, False, True, False, True]


def test_with_line_speed_the_transmitter_is_busy_as_long_as_the_line():
    """8.4 THRE, TEMT: 10 bits at 9600 baud are 1.04 ms."""
    com = Com(line_speed=True)
    com.divisor(12)
    com.put(Reg.MCR, MCR.OUT2)
    com.put(Reg.IER, IER.ETBEI)
    com.get(Reg.IIR)
    com.put(Reg.DATA, 0x55)
    com.advance(1_041_000)
    before = (com.get(Reg.LSR), com.line)
    com.advance(1_000)

    assert before == (0, False)
    assert (READY, True) == (com.get(Reg.LSR), com.line)
    assert com.end.sent == b"\x55"


def test_with_line_speed_characters_queue_up():
    """Sixteen characters take sixteen times as long."""
    com = Com(line_speed=True)
    com.divisor(1)
    com.put(Reg.IIR, FCR.ENABLE)
    for byte in range(16):
        com.put(Reg.DATA, byte)
    com.advance(16 * 86_805 - 2_000)
    busy = com.get(Reg.LSR)
    com.advance(3_000)

    assert (0, READY) == (busy, com.get(Reg.LSR))


def test_clearing_the_transmitter_fifo_ends_the_wait():
    """8.5 bit 2."""
    com = Com(line_speed=True)
    com.divisor(0xFFFF)
    com.put(Reg.IIR, FCR.ENABLE)
    com.put(Reg.DATA, 1)
    com.put(Reg.IIR, FCR.ENABLE | FCR.CLEAR_TX)

    assert com.get(Reg.LSR) == READY


# -- receiving --


def test_a_received_character_interrupts_until_it_is_read(com):
    """8.6, 8.4 DR."""
    com.put(Reg.IER, IER.ERBFI)
    com.end.feed(b"A")
    before = (com.line, com.cause, com.get(Reg.LSR) & LSR.DR)

    assert before == (True, IIR.DATA, LSR.DR)
    assert com.get(Reg.DATA) == ord("A")
    assert (False, IIR.NONE, 0) == (com.line, com.cause, com.get(Reg.LSR) & LSR.DR)


def test_nothing_is_lost_however_much_the_host_sends(com):
    """The host's bytes wait outside until there is room."""
    data = bytes(range(256)) * 4
    com.end.feed(data)

    assert data == com.receive_all()
    assert com.get(Reg.LSR) & LSR.OE == 0


@pytest.mark.parametrize(("code", "level"), [(0, 1), (1, 4), (2, 8), (3, 14)])
def test_the_fifo_interrupts_at_its_trigger_level(com, code, level):
    """8.5 bits 6 and 7, 8.12."""
    com.put(Reg.IIR, FCR.ENABLE | code << FCR.TRIGGER_SHIFT)
    com.put(Reg.IER, IER.ERBFI)
    com.end.feed(bytes(level - 1))
    below = com.line
    com.end.feed(b"x")

    assert (False, True, IIR.DATA) == (below, com.line, com.cause)
    com.get(Reg.DATA)
    assert not com.line


def test_characters_below_the_trigger_level_time_out_after_four_characters(com):
    """8.12: cause 0Ch, cleared by reading a character, not by reading IIR."""
    com.divisor(1)
    com.put(Reg.IIR, FIFO_14)
    com.put(Reg.IER, IER.ERBFI)
    com.end.feed(b"ab")
    com.advance(4 * 86_805 - 1_000)
    early = com.line
    com.advance(2_000)

    assert (False, True, IIR.TIMEOUT, IIR.TIMEOUT) == (early, com.line, com.cause, com.cause)
    com.get(Reg.DATA)
    assert (False, IIR.NONE) == (com.line, com.cause)


def test_the_rest_times_out_again(com):
    """8.12: reading restarts the timer."""
    com.divisor(1)
    com.put(Reg.IIR, FIFO_14)
    com.put(Reg.IER, IER.ERBFI)
    com.end.feed(b"ab")
    com.advance(1_000_000)
    com.get(Reg.DATA)
    com.advance(1_000_000)

    assert com.cause == IIR.TIMEOUT


def test_without_the_fifo_there_is_no_time_out(com):
    """8.12 is about FIFO mode: one character is the trigger."""
    com.put(Reg.IER, IER.ERBFI)
    com.end.feed(b"a")

    assert com.cause == IIR.DATA
    assert com.clock.deadlines() == []


def test_iir_shows_that_the_fifos_are_on(com):
    """8.6 bits 6 and 7: how drivers tell a 16550A."""
    off = com.get(Reg.IIR)
    com.put(Reg.IIR, FCR.ENABLE)

    assert (0x01, 0xC1) == (off, com.get(Reg.IIR))


def test_fcr_bits_count_only_with_the_enable_bit(com):
    """8.5: bit 0 must be 1 when other bits are written."""
    com.put(Reg.IIR, FCR.ENABLE)
    com.put(Reg.IIR, 3 << FCR.TRIGGER_SHIFT)
    com.put(Reg.IER, IER.ERBFI)
    com.end.feed(b"a")

    assert com.get(Reg.IIR) == IIR.DATA


@pytest.mark.parametrize("fcr", [FCR.ENABLE | FCR.CLEAR_RX, 0])
def test_clearing_or_switching_the_fifo_drops_what_it_holds(com, fcr):
    """8.5 bits 0 and 1."""
    com.put(Reg.IIR, FCR.ENABLE)
    com.end.feed(b"abc")
    com.put(Reg.IIR, fcr)

    assert com.get(Reg.LSR) & LSR.DR == 0


def test_in_loopback_words_are_as_long_as_wls_says(com):
    """8.1."""
    com.put(Reg.LCR, 0)
    com.put(Reg.MCR, MCR.LOOP)
    com.put(Reg.DATA, 0xFF)

    assert com.get(Reg.DATA) == 0x1F


# -- priorities and line status --


def overrun(com):
    """Two characters in loopback without FIFO."""
    com.put(Reg.MCR, MCR.LOOP)
    com.put(Reg.DATA, 1)
    com.put(Reg.DATA, 2)
    com.put(Reg.MCR, MCR.OUT2)


def test_causes_are_reported_by_priority(com):
    """Table IV: line status, data, THRE, modem status."""
    overrun(com)
    com.put(Reg.IER, IER.MASK)
    com.end.set_modem(NOBODY)
    seen = [com.cause]
    com.get(Reg.LSR)
    seen.append(com.cause)
    com.get(Reg.DATA)
    seen += [com.cause, com.cause]
    com.get(Reg.MSR)
    seen.append(com.cause)

    assert seen == [IIR.LINE, IIR.DATA, IIR.THRE, IIR.MODEM, IIR.NONE]
    assert not com.line


def test_reading_lsr_clears_the_overrun_error(com):
    """8.4 bit 1."""
    overrun(com)

    assert com.get(Reg.LSR) & LSR.ERRORS == LSR.OE
    assert com.get(Reg.LSR) & LSR.ERRORS == 0


def test_out2_gates_the_interrupt(com):
    """IBM PC/XT asynchronous adapter: the line's driver is enabled by OUT2."""
    com.put(Reg.MCR, 0)
    com.put(Reg.IER, IER.ETBEI)
    shut = com.line
    com.put(Reg.MCR, MCR.OUT2)

    assert (False, True) == (shut, com.line)


# -- modem --


def test_msr_shows_the_hosts_signals(com):
    """8.9."""
    com.end.modem = ModemSignals(cts=False, dsr=True, dcd=False, ri=True)

    assert com.get(Reg.MSR) & MSR.LEVELS == MSR.DSR | MSR.RI


def test_msr_deltas_are_cleared_by_reading(com):
    """8.9 bits 0 to 3."""
    com.end.modem = ModemSignals(cts=False)
    first = com.get(Reg.MSR)

    assert first == MSR.DSR | MSR.DCD | MSR.DCTS
    assert com.get(Reg.MSR) == MSR.DSR | MSR.DCD


def test_ring_indicator_tells_of_its_trailing_edge_only(com):
    """8.9 bit 2."""
    com.end.modem = ModemSignals(ri=True)
    rising = com.get(Reg.MSR) & MSR.DELTAS
    com.end.modem = ModemSignals(ri=False)

    assert (0, MSR.TERI) == (rising, com.get(Reg.MSR) & MSR.DELTAS)


def test_a_change_that_the_host_tells_of_interrupts(com):
    """8.6, 8.7 EDSSI."""
    com.put(Reg.IER, IER.EDSSI)
    com.end.set_modem(NOBODY)

    assert (True, IIR.MODEM) == (com.line, com.cause)
    com.get(Reg.MSR)
    assert not com.line


def test_inputs_that_change_by_themselves_are_looked_at_while_the_guest_wants_to_know(com):
    """A host's serial port calls nobody."""
    com.end.has_modem = True
    com.put(Reg.IER, IER.EDSSI)
    com.end.modem = NOBODY
    com.advance(20_000_000)
    changed = com.line
    com.put(Reg.IER, 0)

    assert changed
    assert com.clock.deadlines() == []


def test_dtr_rts_and_break_reach_the_host(com):
    """8.8, 8.1 bit 6."""
    com.put(Reg.MCR, MCR.DTR)
    com.put(Reg.LCR, LCR.BREAK)

    assert com.end.outputs == {"dtr": True, "rts": False, "break": True}


def test_in_loopback_the_outputs_are_inactive_and_show_as_inputs(com):
    """8.8 bit 4: DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD; Linux looks for 90h."""
    com.put(Reg.MCR, MCR.LOOP | MCR.OUT2 | MCR.RTS)
    shown = com.get(Reg.MSR) & MSR.LEVELS

    assert shown == 0x90
    assert com.end.outputs == {"dtr": False, "rts": False, "break": False}


@pytest.mark.parametrize(
    ("output", "shown"), [(MCR.DTR, MSR.DSR), (MCR.RTS, MSR.CTS), (MCR.OUT1, MSR.RI), (MCR.OUT2, MSR.DCD)]
)
def test_each_output_loops_to_its_input(com, output, shown):
    """8.8."""
    com.put(Reg.MCR, MCR.LOOP | output)

    assert com.get(Reg.MSR) & MSR.LEVELS == shown


def test_in_loopback_characters_come_back_and_the_host_hears_nothing(com):
    """8.8 bit 4."""
    com.put(Reg.IIR, FCR.ENABLE)
    com.put(Reg.MCR, MCR.LOOP)
    com.end.feed(b"outside")
    for byte in b"inside":
        com.put(Reg.DATA, byte)
    inside = com.receive_all()
    com.put(Reg.MCR, MCR.OUT2)

    assert (b"inside", b"", b"outside") == (inside, bytes(com.end.sent), com.receive_all())


def test_in_loopback_the_fifo_overruns(com):
    """8.4 bit 1: what it held stays."""
    com.put(Reg.IIR, FCR.ENABLE)
    com.put(Reg.MCR, MCR.LOOP)
    for byte in range(17):
        com.put(Reg.DATA, byte)

    assert com.get(Reg.LSR) & LSR.OE
    assert bytes(range(16)) == com.receive_all()


# -- a host port follows --


@pytest.mark.parametrize(
    ("divisor", "lcr", "settings"),
    [
        (1, 0x03, (115200, 8, "N", 1.0)),
        (12, 0x1A, (9600, 7, "E", 1.0)),
        (96, 0x0E, (1200, 7, "O", 2.0)),
        (384, 0x04, (300, 5, "N", 1.5)),
        (6, 0x2B, (19200, 8, "M", 1.0)),
        (6, 0x3B, (19200, 8, "S", 1.0)),
    ],
)
def test_line_settings_reach_the_host(com, divisor, lcr, settings):
    """8.1 and 8.3: word length, stop bits, parity, baud rate."""
    com.divisor(divisor, lcr)

    assert settings == com.end.line


def test_a_divisor_of_zero_changes_nothing(com):
    """8.3: recommended against."""
    com.divisor(1)
    com.divisor(0)

    assert com.end.line == (115200, 8, "N", 1.0)


def test_a_restored_port_is_set_up_again(com):
    """The host's port has forgotten what the checkpoint knows."""
    com.divisor(6, 0x1B)
    com.put(Reg.MCR, MCR.DTR)
    other = Com()
    other.uart.load(com.uart.save())

    assert other.end.line == (19200, 8, "E", 1.0)
    assert other.end.outputs["dtr"]


def test_two_ports_on_one_interrupt_are_refused():
    """ISA interrupts are edges: COM1 and COM3 cannot share IRQ 4."""
    board = Com()
    with pytest.raises(ConfigError, match="irq 4 of device 'com3' is already that of 'com1'"):
        board.build(TYPES["serial"], "com3", base=0x3E8, irq=4)


def test_two_ports_at_one_address_are_refused():
    """Both owners are named."""
    board = Com()
    with pytest.raises(ConfigError, match=r"ports 0x3f8-0x3ff of device 'com2' overlap those of 'com1' at 0x3f8"):
        board.build(TYPES["serial"], "com2", irq=3)
