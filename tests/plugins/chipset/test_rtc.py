"""MC146818A: Motorola's data sheet is the judge; register names in the docstrings.  CMOS notes: SeaBIOS hw/rtc.h."""

import pytest

from vpcore.errors import ConfigError
from vpcore.wires import Cmos

SECOND = 1_000_000_000
START = "1999-12-31T23:59:58"
A, B, C, D = 0x0A, 0x0B, 0x0C, 0x0D
UIE, AIE, PIE, SET, BINARY, H24 = 0x10, 0x20, 0x40, 0x80, 0x04, 0x02


def read(pc, index):
    pc.out(0x70, index)
    return pc.inp(0x71)


def write(pc, index, value):
    pc.out(0x70, index)
    pc.out(0x71, value)


def time_of(pc):
    """Century, year, month, date, hours, minutes, seconds, day of week as they are stored."""
    return tuple(read(pc, index) for index in (0x32, 9, 8, 7, 4, 2, 0, 6))


@pytest.fixture
def rtc(pc):
    return pc.add("rtc", start=START)


def test_time_starts_where_the_machine_file_says_in_bcd(pc, rtc):
    """Time, calendar and alarm locations; Friday is day 6."""
    assert time_of(pc) == (0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58, 6)


def test_the_millennium_turns(pc, rtc):
    """Update cycle: seconds carry into minutes up to the century."""
    pc.advance(2 * SECOND)

    assert time_of(pc) == (0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 7)


def test_host_time_comes_from_the_machine(pc):
    """Option start = "host" is the epoch of the machine, 0 on a test board."""
    pc.add("rtc", utc_offset=90)

    assert time_of(pc) == (0x19, 0x70, 0x01, 0x01, 0x01, 0x30, 0x00, 5)


def test_a_bad_start_is_an_error_that_says_what_is_allowed(pc):
    with pytest.raises(ConfigError, match="start of device 'rtc' must be host or a date"):
        pc.add("rtc", start="yesterday")


def test_binary_and_twelve_hour_modes(pc, rtc):
    """Register B, DM and 24/12; table 3: PM is bit 7 of the hours."""
    write(pc, B, BINARY)
    for index, value in ((9, 99), (8, 12), (7, 31), (4, 0x80 | 11), (2, 59), (0, 59)):
        write(pc, index, value)
    pc.advance(2 * SECOND)

    assert [read(pc, index) for index in (9, 8, 7, 4, 2, 0)] == [0, 1, 1, 12, 0, 1]


def test_noon_is_twelve_pm(pc, rtc):
    """Table 3: hours 1 to 12 in 12-hour mode."""
    write(pc, B, 0)
    for index, value in ((4, 0x11), (2, 0x59), (0, 0x59)):
        write(pc, index, value)
    pc.advance(2 * SECOND)

    assert read(pc, 4) == 0x92


def test_set_stops_updates_and_keeps_what_is_written(pc, rtc):
    """Register B, SET: no update cycle while the program initializes the time."""
    write(pc, B, SET | H24)
    write(pc, 0, 0x30)
    pc.advance(5 * SECOND)
    stopped = read(pc, 0)
    write(pc, B, H24)
    pc.advance(SECOND)

    assert (stopped, read(pc, 0)) == (0x30, 0x31)


def test_uip_is_set_before_each_update(pc, rtc):
    """Register A, UIP: with UIP clear there are 244 us before the time changes (figure 16)."""
    pc.advance(SECOND - 2_229_000)
    before = read(pc, A) & 0x80
    pc.advance(2_000)
    during = read(pc, A) & 0x80
    pc.advance(2_227_000)

    assert (before, during, read(pc, A) & 0x80) == (0, 0x80, 0)


def test_linux_sets_the_clock_with_the_divider_in_reset(pc, rtc):
    """Register A, DV 11x: the first update comes half a second after it is released (mc146818_set_time)."""
    write(pc, B, SET | H24)
    write(pc, A, 0x76)
    write(pc, 0, 0x00)
    write(pc, B, H24)
    write(pc, A, 0x26)
    pc.advance(SECOND // 2 - 1)
    before = read(pc, 0)
    pc.advance(1)

    assert (before, read(pc, 0)) == (0x00, 0x01)


def test_update_ended_interrupt_comes_every_second_and_reading_c_clears_it(pc, rtc):
    """Register C: all flags are cleared by reading it; PF is set too, without its interrupt."""
    write(pc, B, UIE | H24)
    pc.advance(SECOND)
    raised = pc.irq(8)
    flags = read(pc, C)

    assert (raised, flags, pc.irq(8), read(pc, C)) == (True, 0xD0, False, 0)
    pc.advance(SECOND)
    assert pc.irq(8) is True


def test_update_flag_is_set_without_its_interrupt(pc, rtc):
    """Register C, UF: set after each update cycle whether or not UIE is."""
    pc.advance(SECOND)

    assert (pc.irq(8), read(pc, C) & 0x10) == (False, 0x10)


def test_alarm_interrupt_comes_at_its_time(pc, rtc):
    """Alarm: all three bytes match."""
    for index, value in ((5, 0x00), (3, 0x00), (1, 0x05)):
        write(pc, index, value)
    write(pc, B, AIE | H24)
    pc.advance(7 * SECOND - 1)
    before = pc.irq(8)
    pc.advance(1)

    assert (before, pc.irq(8), read(pc, C)) == (False, True, 0xF0)


def test_alarm_with_wild_cards_comes_every_second(pc, rtc):
    """Alarm bytes from C0h on do not care."""
    for index in (5, 3, 1):
        write(pc, index, 0xFF)
    write(pc, B, AIE | H24)
    pc.advance(SECOND)
    read(pc, C)
    pc.advance(SECOND)

    assert pc.irq(8) is True


def test_alarm_that_can_never_match_does_not_come(pc, rtc):
    """Alarm bytes that no time has."""
    write(pc, 1, 0x77)
    write(pc, B, AIE | H24)
    pc.advance(90_000 * SECOND)

    assert pc.irq(8) is False


@pytest.mark.parametrize(("rate", "hertz"), [(0x6, 1024), (0xF, 2), (0x3, 8192), (0x1, 256), (0x2, 128)])
def test_periodic_interrupt_keeps_its_rate(pc, rtc, rate, hertz):
    """Table 5, with a 32.768 kHz crystal."""
    write(pc, A, 0x20 | rate)
    write(pc, B, PIE | H24)
    count = 0
    for _ in range(hertz):
        pc.advance(SECOND // hertz)
        count += pc.irq(8)
        read(pc, C)

    assert hertz - 1 <= count <= hertz


def test_periodic_interrupt_that_nobody_serves_comes_once(pc, rtc):
    """Register C, PF stays set; the guest is not flooded, the host not kept awake."""
    write(pc, B, PIE | H24)
    pc.advance(SECOND)

    assert pc.clock.next_deadline is None
    assert read(pc, C) == 0xD0


def test_no_rate_means_no_periodic_interrupt(pc, rtc):
    """Table 5, rate 0."""
    write(pc, A, 0x20)
    write(pc, B, PIE | H24)
    pc.advance(10 * SECOND)

    assert pc.irq(8) is False


def test_c_and_d_are_read_only_and_d_says_valid(pc, rtc):
    """Register D, VRT."""
    write(pc, C, 0xFF)
    write(pc, D, 0x00)

    assert (read(pc, C), read(pc, D)) == (0, 0x80)


def test_nonsense_dates_are_carried_on_from(pc, rtc):
    """A hostile guest: the clock goes on from what is possible."""
    for index in (0, 2, 4, 7, 8, 9, 0x32):
        write(pc, index, 0xEE)
    pc.advance(SECOND)

    assert read(pc, 0) == 0x00


def test_reset_keeps_time_and_ram_and_clears_enables(pc, rtc):
    """RESET pin: PIE, AIE, UIE, SQWE and the flags are cleared; calendar and RAM are not affected."""
    write(pc, 0x40, 0xA5)
    write(pc, B, PIE | UIE | AIE | H24)
    pc.advance(SECOND)
    rtc.reset()

    assert (pc.irq(8), read(pc, B), read(pc, C), read(pc, 0x40), read(pc, 0)) == (False, H24, 0, 0xA5, 0x59)


def test_the_extended_bank_is_separate(pc, rtc):
    """Ports 72h and 73h."""
    write(pc, 0x40, 0x11)
    pc.out(0x72, 0x40)
    pc.out(0x73, 0x22)

    assert (read(pc, 0x40), pc.inp(0x73)) == (0x11, 0x22)


def test_bit_7_of_the_index_is_the_nmi_mask_and_no_address(pc, rtc):
    """Port 70h."""
    assert read(pc, 0x80) == 0x58
    assert rtc.state.nmi_masked is True


@pytest.mark.parametrize(
    ("megabytes", "extended", "above"),
    [(1, 0, 0), (16, 15 * 1024, 0), (128, 0xFFFF, (128 - 16) * 16)],
)
def test_memory_size_is_where_firmware_looks(make_pc, megabytes, extended, above):
    """SeaBIOS takes 34h and 35h, or 30h and 31h where those are 0."""
    pc = make_pc(megabytes << 20)
    pc.add("rtc")

    def word(index):
        return read(pc, index) | read(pc, index + 1) << 8

    assert (word(0x15), word(0x17), word(0x30), word(0x34), word(0x5B)) == (640, extended, extended, above, 0)


def test_boot_order_is_that_of_the_machine(pc, rtc):
    """SeaBIOS boot.c: codes 1 floppy, 2 disk, 3 CD-ROM in 3Dh low, 3Dh high, 38h high."""
    assert (read(pc, 0x3D), read(pc, 0x38)) == (0x21, 0x30)


def test_diskette_types_set_the_equipment_byte_and_the_checksum(pc, rtc):
    """IBM AT technical reference: 14h counts drives, 2Eh and 2Fh sum 10h to 2Dh."""
    pc.service(Cmos).set_byte(0x10, 0x45)
    total = sum(read(pc, index) for index in range(0x10, 0x2E))

    assert read(pc, 0x14) == 0x47
    assert read(pc, 0x2E) << 8 | read(pc, 0x2F) == total


def test_the_file_keeps_the_ram_but_not_the_time(pc, make_pc, tmp_path):
    """Option file: what the guest left is there at the next power-on."""
    file = tmp_path / "cmos.bin"
    first = pc.add("rtc", file=str(file), start=START)
    write(pc, 0x40, 0xA5)
    first.close()
    again = make_pc()
    again.add("rtc", file=str(file), start="2001-02-03T04:05:06")

    assert (read(again, 0x40), read(again, 9)) == (0xA5, 0x01)
    assert [path.name for path in tmp_path.iterdir()] == ["cmos.bin"]


def test_what_the_guest_writes_is_in_the_file_at_once(pc, tmp_path):
    """A machine that is killed has lost nothing of its setup; the time is not kept."""
    file = tmp_path / "cmos.bin"
    pc.add("rtc", file=str(file), start=START)
    assert not file.exists()
    write(pc, 0x40, 0xA5)
    pc.out(0x72, 0x12)
    pc.out(0x73, 0x5A)
    for seconds in (0x11, 0x22):
        write(pc, 0, seconds)

    kept = file.read_bytes()
    assert (256, 0xA5, 0x5A) == (len(kept), kept[0x40], kept[0x92])


def test_a_file_that_cannot_be_written_is_said_once_and_the_guest_goes_on(pc, tmp_path, caplog):
    rtc = pc.add("rtc", file=str(tmp_path / "gone" / "cmos.bin"), start=START)
    for value in range(3):
        write(pc, 0x40, value)
    rtc.close()

    assert read(pc, 0x40) == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"CMOS contents not saved file={tmp_path}/gone/cmos.bin reason=No such file or directory"
    ]


def test_a_file_of_the_wrong_size_is_an_error(pc, tmp_path):
    file = tmp_path / "cmos.bin"
    file.write_bytes(b"short")

    with pytest.raises(ConfigError, match=r"cmos.bin: CMOS file must be 256 bytes \(got 5\)"):
        pc.add("rtc", file=str(file))


def test_a_restored_clock_keeps_its_alarm(pc, rtc):
    """A checkpoint between two updates."""
    for index, value in ((5, 0x00), (3, 0x00), (1, 0x00)):
        write(pc, index, value)
    write(pc, B, AIE | H24)
    pc.advance(SECOND // 2)
    rtc.load(rtc.save())
    pc.advance(2 * SECOND)

    assert pc.irq(8) is True
