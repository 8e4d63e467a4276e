"""8254: Intel's data sheet (order 231164) is the judge; mode definitions by number."""

import itertools
from fractions import Fraction

import pytest

from vpcore.wires import Speaker

TICK = Fraction(88_000, 105)
"""Nanoseconds of a period of CLK: 14.31818 MHz / 12."""
CONTROL, LATCH0 = 0x43, 0x00


def wait(pc, ticks):
    """Let *ticks* periods of CLK pass since the clock last stood on one."""
    now = pc.time // TICK
    pc.advance(int(-(-(now + ticks) * TICK // 1)) - pc.time)


def program(pc, channel, mode, count, *, bcd=0):
    """Write a control word for two bytes and the count."""
    pc.out(CONTROL, channel << 6 | 0x30 | mode << 1 | bcd)
    pc.out(0x40 + channel, count & 0xFF)
    pc.out(0x40 + channel, count >> 8)


def count(pc, channel):
    """Latch and read two bytes."""
    pc.out(CONTROL, channel << 6 | LATCH0)
    return pc.inp(0x40 + channel) | pc.inp(0x40 + channel) << 8


def out2(pc):
    """OUT of channel 2 as port 61h shows it."""
    return bool(pc.inp(0x61) & 0x20)


@pytest.fixture
def pit(pc):
    return pc.add("pit")


@pytest.fixture
def edges(pc):
    """Virtual times of the rising edges of IRQ 0."""
    times = []
    pc.lines[0].listen(lambda level: times.append(pc.time) if level else None)
    return times


def test_mode_0_goes_high_count_plus_one_clocks_after_the_write(pc, pit):
    """Mode 0: OUT does not go high until N + 1 CLK pulses after the initial count is written."""
    pc.out(0x61, 0x01)
    program(pc, 2, 0, 100)
    wait(pc, 100)
    before = out2(pc)
    wait(pc, 1)

    assert (before, out2(pc)) == (False, True)


def test_mode_0_counts_on_through_zero(pc, pit):
    """Mode 0 counts down modulo 65536 after terminal count."""
    pc.out(0x61, 0x01)
    program(pc, 2, 0, 100)
    wait(pc, 111)

    assert count(pc, 2) == 0x10000 - 10


def test_mode_0_gate_stops_and_resumes_counting(pc, pit):
    """Mode 0: GATE = 0 disables counting and has no effect on OUT."""
    pc.out(0x61, 0x01)
    program(pc, 2, 0, 100)
    wait(pc, 41)
    pc.out(0x61, 0x00)
    wait(pc, 500)
    held = count(pc, 2)
    pc.out(0x61, 0x01)
    wait(pc, 10)

    assert (held, count(pc, 2)) == (60, 50)


def test_mode_0_first_byte_of_a_new_count_stops_the_old(pc, pit):
    """Mode 0: writing the first byte disables counting, OUT is set low."""
    pc.out(0x61, 0x01)
    program(pc, 2, 0, 10)
    wait(pc, 20)
    pc.out(0x42, 50)

    assert out2(pc) is False
    pc.out(0x42, 0)
    wait(pc, 51)
    assert out2(pc) is True


def test_mode_1_is_a_one_shot_of_count_clocks_from_the_gate(pc, pit):
    """Mode 1: OUT goes low on the CLK pulse following a trigger, for N clocks."""
    program(pc, 2, 1, 20)
    idle = out2(pc)
    pc.out(0x61, 0x01)
    wait(pc, 1)
    low = out2(pc)
    wait(pc, 19)
    still = out2(pc)
    wait(pc, 1)

    assert (idle, low, still, out2(pc)) == (True, False, False, True)


def test_mode_1_can_be_triggered_again(pc, pit):
    """Mode 1 is retriggerable."""
    program(pc, 2, 1, 20)
    pc.out(0x61, 0x01)
    wait(pc, 15)
    pc.out(0x61, 0x00)
    pc.out(0x61, 0x01)
    wait(pc, 15)

    assert out2(pc) is False


def test_mode_2_ticks_every_count_clocks_without_drift(pc, pit, edges):
    """Mode 2 divides by N; 18.2065 Hz with count 0."""
    program(pc, 0, 2, 0)
    edges.clear()
    pc.advance(1_000_000_000)

    assert edges == [int(-(-(1 + 0x10000 * n) * TICK // 1)) for n in range(1, 19)]


def test_mode_2_value_counts_down_to_one(pc, pit):
    """Mode 2: the sequence is N, N-1, ... 2, 1, N."""
    pc.out(0x61, 0x01)
    program(pc, 2, 2, 3)
    wait(pc, 1)
    values = []
    for _ in range(6):
        values.append(count(pc, 2))
        wait(pc, 1)

    assert values == [3, 2, 1, 3, 2, 1]


def test_mode_2_out_is_low_for_the_last_clock(pc, pit):
    """Mode 2: OUT goes low for one CLK pulse when the count is 1."""
    pc.out(0x61, 0x01)
    program(pc, 2, 2, 4)
    wait(pc, 1)
    levels = []
    for _ in range(5):
        levels.append(out2(pc))
        wait(pc, 1)

    assert levels == [True, True, True, False, True]


def test_mode_2_new_count_waits_for_the_end_of_the_period(pc, pit, edges):
    """Mode 2: a new count is loaded at the end of the current counting cycle."""
    program(pc, 0, 2, 1000)
    edges.clear()
    wait(pc, 500)
    pc.out(0x40, 2000 & 0xFF)
    pc.out(0x40, 2000 >> 8)
    wait(pc, 3500)

    assert [int(time / TICK) for time in edges] == [1001, 3001]


def test_mode_3_is_high_for_half_the_count(pc, pit):
    """Mode 3, odd count: high for (N+1)/2, low for (N-1)/2 clocks."""
    pc.out(0x61, 0x01)
    program(pc, 2, 3, 5)
    wait(pc, 1)
    levels = []
    for _ in range(10):
        levels.append(out2(pc))
        wait(pc, 1)

    assert levels == [True, True, True, False, False] * 2


def test_mode_3_counts_down_by_two(pc, pit):
    """Mode 3, even count: decremented by two on succeeding clocks, twice a period."""
    pc.out(0x61, 0x01)
    program(pc, 2, 3, 8)
    wait(pc, 1)
    values = []
    for _ in range(8):
        values.append(count(pc, 2))
        wait(pc, 1)

    assert values == [8, 6, 4, 2] * 2


def test_mode_3_gives_one_edge_a_period(pc, pit, edges):
    """Mode 3 divides by N: IRQ 0 once a period, the default of IBM's BIOS."""
    program(pc, 0, 3, 0)
    edges.clear()
    pc.advance(1_000_000_000)

    assert len(edges) == 18


def test_mode_3_gate_low_forces_out_high_and_restarts(pc, pit):
    """Mode 3: GATE low sets OUT high at once; a trigger reloads the count."""
    pc.out(0x61, 0x01)
    program(pc, 2, 3, 100)
    wait(pc, 60)
    low = out2(pc)
    pc.out(0x61, 0x00)
    high = out2(pc)
    pc.out(0x61, 0x01)
    wait(pc, 1)

    assert (low, high, count(pc, 2)) == (False, True, 100)


def test_mode_4_strobes_after_count_clocks(pc, pit, edges):
    """Mode 4: OUT strobes low N + 1 clocks after the write, for one clock; Linux's one-shot clock event."""
    program(pc, 0, 4, 100)
    edges.clear()
    wait(pc, 1000)

    assert [int(time / TICK) for time in edges] == [102]


def test_mode_5_strobes_count_plus_one_clocks_after_the_trigger(pc, pit):
    """Mode 5: the strobe is triggered by the gate."""
    program(pc, 2, 5, 10)
    wait(pc, 50)
    idle = out2(pc)
    pc.out(0x61, 0x01)
    wait(pc, 11)

    assert (idle, out2(pc)) == (True, False)
    wait(pc, 1)
    assert out2(pc) is True


def test_bcd_counts_in_decimal(pc, pit):
    """Control word, BCD: four decades."""
    pc.out(0x61, 0x01)
    program(pc, 2, 0, 0x1000, bcd=1)
    wait(pc, 2)

    assert count(pc, 2) == 0x0999


def test_latched_count_stays_until_read(pc, pit):
    """Counter latch command: later latches are ignored until the count was read."""
    pc.out(0x61, 0x01)
    program(pc, 2, 0, 1000)
    wait(pc, 101)
    pc.out(CONTROL, 0x80)
    wait(pc, 100)
    pc.out(CONTROL, 0x80)
    latched = pc.inp(0x42) | pc.inp(0x42) << 8

    assert (latched, count(pc, 2)) == (900, 800)


def test_lsb_only_reads_and_writes_one_byte(pc, pit):
    """Control word, RW = 1."""
    pc.out(0x61, 0x01)
    pc.out(CONTROL, 0x90)
    pc.out(0x42, 200)
    wait(pc, 51)

    assert [pc.inp(0x42), pc.inp(0x42)] == [150, 150]


def test_msb_only_counts_in_units_of_256(pc, pit):
    """Control word, RW = 2."""
    pc.out(0x61, 0x01)
    pc.out(CONTROL, 0xA0)
    pc.out(0x42, 2)
    wait(pc, 258)

    assert pc.inp(0x42) == 0


def test_read_back_gives_status_then_count(pc, pit):
    """Read-back command: status is read first; OUT, null count, RW, mode and BCD as programmed."""
    program(pc, 0, 2, 1000)
    pc.out(CONTROL, 0xC2)
    fresh = pc.inp(0x40)
    pc.inp(0x40), pc.inp(0x40)
    wait(pc, 11)
    pc.out(CONTROL, 0xC2)
    status = pc.inp(0x40)

    assert (fresh, status) == (0x80 | 0x40 | 0x34, 0x80 | 0x34)
    assert pc.inp(0x40) | pc.inp(0x40) << 8 == 990


def test_channel_0_mode_0_interrupts_once(pc, pit, edges):
    """Mode 0: interrupt on terminal count."""
    program(pc, 0, 0, 50)
    wait(pc, 10_000)

    assert [int(time / TICK) for time in edges] == [51]


def test_a_late_host_gets_a_bounded_number_of_ticks_made_up(pc, pit, edges):
    """Ticks that came while the host slept come faster than usual, and no more than the limit of them."""
    program(pc, 0, 2, 1193)
    edges.clear()
    pc.time += 10_000_000_000
    pc.advance(50_000_000)

    assert 32 <= len(edges) - 50 <= 34
    assert min(later - earlier for earlier, later in itertools.pairwise(edges)) >= 249_000


def test_a_guest_that_asks_for_half_a_million_ticks_a_second_does_not_get_them(pc, pit, edges):
    """Hostile guest: bounded time for the host."""
    program(pc, 0, 2, 2)
    edges.clear()
    pc.advance(10_000_000)

    assert 0 < len(edges) <= 334


def test_the_refresh_bit_toggles_every_fifteen_microseconds(pc, pit):
    """Port 61h bit 4 (PIIX3 2.5.5)."""
    levels = []
    for _ in range(40):
        levels.append(pc.inp(0x61) >> 4 & 1)
        pc.advance(5_000)
    changes = sum(one != two for one, two in itertools.pairwise(levels))

    assert changes in {12, 13}


def test_port_61_keeps_its_low_bits(pc, pit):
    """Port 61h: bits 0 to 3 read back."""
    pc.out(0x61, 0xFF)

    assert pc.inp(0x61) & 0x0F == 0x0F


class Recorder:
    """A speaker that writes tones down."""

    def __init__(self):
        self.tones = []

    def tone(self, frequency):
        self.tones.append(round(frequency))


def test_the_speaker_sounds_while_gate_and_data_bits_are_set(pc, pit):
    """Channel 2 in mode 3 drives the speaker through port 61h."""
    speaker = Recorder()
    pc.provide(Speaker, speaker)
    program(pc, 2, 3, 1193)
    pc.out(0x61, 0x03)
    program(pc, 2, 3, 2386)
    pc.out(0x61, 0x00)

    assert [tone for tone in speaker.tones if tone] == [1000, 500]
    assert speaker.tones[-1] == 0


def test_a_restored_timer_keeps_ticking_where_it_was(pc, pit, edges):
    """A checkpoint in the middle of a period."""
    program(pc, 0, 2, 10_000)
    pc.advance(3_000_000)
    edges.clear()
    pit.load(pit.save())
    pc.advance(6_000_000)

    assert edges == [int(-(-(1 + 10_000) * TICK // 1))]


def test_an_edge_that_the_host_was_too_late_to_see_still_comes(pc):
    """The guest's write and the model's look at the clock are not one instant: a busy host may lie between them."""
    pc.add("pit")
    levels = []
    program(pc, 0, 4, 0x20)
    pc.advance(1_000_000)
    pc.lines[0].listen(levels.append)
    levels.clear()
    times = itertools.count(pc.time, 5_000_000)
    pc.clock._source = lambda: next(times)

    program(pc, 0, 4, 0x20)
    pc.clock.run_due()

    assert levels == [False, True]
