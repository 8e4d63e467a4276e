"""The floppy controller: Intel 82077AA data sheet (order 290166), as BIOSes and Linux's floppy.c program it."""

import pytest
from vpcore_plugins.floppy import vpcore_device_types
from vpcore_plugins.floppy.regs import CMOS_FLOPPY, Dor, Msr, Rate, Reg, St0, St1, St2

from vpcore.errors import ConfigError
from vpcore.testing import FakeBoard, FakeCmos, FakeDma, MemoryDisk
from vpcore.wires import Cmos, DmaController

(FLOPPY,) = vpcore_device_types()
SECTOR = 512
RUN = Dor.NOT_RESET | Dor.DMA
MOTOR_A = 1 << Dor.MOTOR_SHIFT
MOTOR_B = 2 << Dor.MOTOR_SHIFT
MILLISECOND = 1_000_000

READ, WRITE, FORMAT, VERIFY, READ_TRACK = 0x46, 0x45, 0x4D, 0x56, 0x42
MULTITRACK = 0x80


def sectors_of(size):
    """An image whose every sector begins with its number."""
    return b"".join(number.to_bytes(2, "little") * 256 for number in range(size // SECTOR))


class Pc(FakeBoard):
    """A board with the controller, and the routines of a BIOS."""

    def __init__(self, a=None, b=None):
        super().__init__()
        self.dma_controller, self.cmos = FakeDma(), FakeCmos()
        self.provide(DmaController, self.dma_controller)
        self.provide(Cmos, self.cmos)
        self.backends.disks.update({name: disk for name, disk in (("a", a), ("b", b)) if disk})
        self.fdc = self.build(FLOPPY, a="a" if a else "", b="b" if b else "")
        self.built()

    @property
    def channel(self):
        return self.dma_controller.channel(2)

    def get(self, register):
        return self.inp(Reg.BASE + register)

    def put(self, register, value):
        self.out(Reg.BASE + register, value)

    def command(self, *data):
        for byte in data:
            assert self.get(Reg.MSR) & (Msr.RQM | Msr.TO_HOST) == Msr.RQM
            self.put(Reg.FIFO, byte)

    def result(self):
        out = []
        while self.get(Reg.MSR) & (Msr.RQM | Msr.TO_HOST | Msr.NON_DMA) == Msr.RQM | Msr.TO_HOST:
            out.append(self.get(Reg.FIFO))
        return out

    def ask(self, *data):
        self.command(*data)
        return self.result()

    def sense(self):
        return self.ask(0x08)

    def wait(self, milliseconds=400):
        """Until the interrupt comes."""
        for _ in range(milliseconds * 10):
            if self.irq(6):
                return
            self.advance(100_000)
        raise AssertionError("no interrupt")

    def start(self, rate=Rate.KBPS_500, *, dma=True):
        """What a BIOS does: reset, sense four drives, SPECIFY, data rate, motors."""
        self.put(Reg.DOR, 0)
        self.put(Reg.DOR, RUN | MOTOR_A | MOTOR_B)
        self.wait()
        for _ in range(4):
            self.sense()
        self.command(0x03, 0xDF, 0x02 if dma else 0x03)
        self.put(Reg.DIR, rate)

    def seek(self, cylinder, drive=0):
        self.command(0x0F, drive, cylinder)
        self.wait()
        return self.sense()

    def transfer(self, code, *, cylinder=0, head=0, sector=1, last=18, drive=0, size_code=2):
        """Run a data command to its result phase."""
        self.command(code, head << 2 | drive, cylinder, head, sector, size_code, last, 27, 0xFF)
        self.wait()
        return self.result()

    def read(self, count, **place):
        self.channel.program(bytes(count * SECTOR))
        result = self.transfer(READ, **place)
        return result, bytes(self.channel.data)


@pytest.fixture
def disk():
    """A 1.44 MB disk."""
    return MemoryDisk(sectors_of(1440 << 10))


@pytest.fixture
def pc(disk):
    """A machine with the disk in drive A, started."""
    pc = Pc(a=disk)
    pc.start()
    return pc


def data(first, count):
    return sectors_of((first + count) * SECTOR)[first * SECTOR :]


# -- reset --


def test_after_reset_the_four_drives_are_polled(disk):
    """5.2.4, 5.2.2: one interrupt, then ST0 C0h to C3h; a fifth SENSE INTERRUPT is invalid."""
    pc = Pc(a=disk)
    pc.put(Reg.DOR, RUN)
    quiet = pc.irq(6)
    pc.wait()

    assert not quiet
    assert [[0xC0 | number, 0] for number in range(4)] == [pc.sense() for _ in range(4)]
    assert not pc.irq(6)
    assert pc.sense() == [0x80]


def test_the_controller_is_silent_while_held_in_reset(pc):
    """2.1.3: MSR 0, commands are not taken."""
    pc.put(Reg.DOR, Dor.DMA)
    pc.put(Reg.FIFO, 0x10)

    assert pc.get(Reg.MSR) == 0
    pc.advance(10 * MILLISECOND)
    assert not pc.irq(6)


def test_the_interrupt_is_gated_by_the_dma_bit(disk):
    """2.1.3 DMAGATE."""
    pc = Pc(a=disk)
    pc.put(Reg.DOR, Dor.NOT_RESET)
    pc.advance(MILLISECOND)
    shut = pc.irq(6)
    pc.put(Reg.DOR, RUN)

    assert (False, True) == (shut, pc.irq(6))


def test_dsr_resets_by_itself(pc):
    """2.1.4: the software reset bit clears itself."""
    pc.put(Reg.MSR, 0x80)
    pc.wait()

    assert [[0xC0 | number, 0] for number in range(4)] == [pc.sense() for _ in range(4)]


def test_lock_keeps_the_fifo_configuration_over_a_software_reset(pc):
    """5.2.7."""
    pc.command(0x13, 0, 0x57, 3)
    assert pc.ask(0x94) == [0x10]
    pc.start()
    locked = pc.ask(0x0E)[8:]
    assert pc.ask(0x14) == [0x00]
    pc.start()

    assert ([0x57, 3], [0, 0]) == (locked, pc.ask(0x0E)[8:])


# -- commands without data --


def test_version_tells_an_82077(pc):
    """5.2.5: 90h."""
    assert pc.ask(0x10) == [0x90]


@pytest.mark.parametrize("code", [0x00, 0x01, 0x0B, 0x15, 0x18, 0x1F, 0x3A])
def test_unknown_commands_are_invalid(pc, code):
    """5.1.4: ST0 80h; PART ID too, by which Linux tells a post-1991 82077."""
    assert pc.ask(code) == [0x80]
    assert pc.get(Reg.MSR) == Msr.RQM


def test_dumpreg_shows_the_registers(pc):
    """5.2.6: ten bytes."""
    pc.seek(5)
    pc.command(0x13, 0, 0x1F, 7)

    assert pc.ask(0x0E) == [5, 0, 0, 0, 0xDF, 0x02, 0, 0, 0x1F, 7]


def test_sense_drive_status_shows_track_0_and_write_protection(disk):
    """Table 5-3, ST3: bits 3 and 5 are always 1."""
    disk.readonly = True
    pc = Pc(a=disk)
    pc.start()
    at_0 = pc.ask(0x04, 0x04)
    pc.seek(3)

    assert ([0x7C], [0x68]) == (at_0, pc.ask(0x04, 0x00))


def test_a_command_shows_in_the_main_status(pc):
    """2.1.5: RQM and CB while parameters are due, DIO in the result phase."""
    pc.put(Reg.FIFO, 0x04)
    parameters = pc.get(Reg.MSR)
    pc.put(Reg.FIFO, 0)
    result = pc.get(Reg.MSR)
    pc.get(Reg.FIFO)

    assert (0x90, 0xD0, 0x80) == (parameters, result, pc.get(Reg.MSR))


# -- seeking --


def test_recalibrate_goes_to_track_0(pc):
    """5.2.1: ST0 20h, cylinder 0."""
    pc.seek(40)
    pc.command(0x07, 0)
    pc.wait()

    assert pc.sense() == [0x20, 0]


def test_seek_ends_with_an_interrupt_and_its_cylinder(pc):
    """5.2.3."""
    assert pc.seek(33) == [0x20, 33]
    assert not pc.irq(6)


def test_recalibrate_of_a_drive_that_is_not_there_fails(pc):
    """5.2.1: EC after 79 steps, abnormal termination."""
    pc.command(0x07, 2)
    pc.wait()

    assert pc.sense() == [St0.ABNORMAL | St0.EQUIPMENT_CHECK | St0.SEEK_END | 2, 0]


def test_recalibrate_takes_79_steps_only(pc):
    """5.2.1: from further in, a second one is needed."""
    pc.seek(82)
    results = []
    for _ in range(2):
        pc.command(0x07, 0)
        pc.wait()
        results.append(pc.sense())

    assert results == [[0x70, 3], [0x20, 0]]


@pytest.mark.parametrize(("code", "cylinder"), [(0x8F, 7), (0xCF, 13)])
def test_relative_seek_steps_out_or_in(pc, code, cylinder):
    """5.2.8: DIR."""
    pc.seek(10)
    pc.command(code, 0, 3)
    pc.wait()

    assert pc.sense() == [0x20, cylinder]


def test_drives_can_seek_at_once(disk):
    """5.2.3: the drive busy bits of MSR, and commands are taken meanwhile."""
    pc = Pc(a=disk, b=MemoryDisk(bytes(1440 << 10)))
    pc.start()
    pc.command(0x0F, 0, 10)
    pc.command(0x0F, 1, 20)
    seeking = pc.get(Reg.MSR)
    pc.advance(5 * MILLISECOND)

    assert seeking == Msr.RQM | 0b11
    assert pc.irq(6)
    assert [[0x20, 10], [0x21, 20]] == [pc.sense(), pc.sense()]
    assert pc.get(Reg.MSR) == Msr.RQM


# -- the disk change line --


def change_line(pc):
    return pc.get(Reg.DIR) & 0x80


def test_the_change_line_is_set_until_the_head_steps(pc, disk):
    """2.1.7; a seek to the track where the head is steps nowhere."""
    at_first = change_line(pc)
    pc.seek(0)
    not_moved = change_line(pc)
    pc.seek(1)
    moved = change_line(pc)
    pc.fdc.insert(0, MemoryDisk(bytes(1440 << 10)))

    assert (0x80, 0x80, 0, 0x80) == (at_first, not_moved, moved, change_line(pc))


def test_an_empty_drive_keeps_its_change_line(disk):
    """2.1.7: a step clears it only with a disk in."""
    pc = Pc()
    pc.start()
    pc.seek(1)

    assert change_line(pc) == 0x80


def test_the_change_line_is_that_of_a_drive_that_turns(pc):
    """2.1.7: drive select goes with the motor on a PC."""
    pc.put(Reg.DOR, RUN)

    assert change_line(pc) == 0


# -- reading --


def test_read_by_dma_ends_at_terminal_count(pc):
    """5.1.2: ST0 0, and the sector behind the last one read."""
    result, got = pc.read(3, sector=4)

    assert data(3, 3) == got
    assert result == [0, 0, 0, 0, 0, 7, 2]
    assert not pc.irq(6)


def test_multitrack_reads_go_on_on_the_other_side(pc):
    """5.1.2 MT."""
    pc.channel.program(bytes(36 * SECTOR))
    result = pc.transfer(MULTITRACK | READ)

    assert data(0, 36) == bytes(pc.channel.data)
    assert result == [0, 0, 0, 1, 0, 1, 2]


def test_the_place_in_the_result_follows_table_5_6(pc):
    """Table 5-6: with MT at EOT of side 0 the head changes, at EOT of side 1 the cylinder too."""
    pc.channel.program(bytes(18 * SECTOR))
    first = pc.transfer(MULTITRACK | READ)
    pc.channel.program(bytes(SECTOR))
    second = pc.transfer(MULTITRACK | READ, head=1, sector=18)

    assert (first[3:6], second[3:6]) == ([0, 1, 1], [1, 0, 1])


def test_without_terminal_count_the_last_sector_ends_abnormally(pc):
    """5.1.2 EOT: ST1 EN."""
    pc.channel.program(bytes(10 * SECTOR))
    result = pc.transfer(READ, sector=17, last=18)

    assert result[:2] == [St0.ABNORMAL, St1.END_OF_CYLINDER]
    assert data(16, 2) == bytes(pc.channel.data[: 2 * SECTOR])


def test_the_second_side_lies_behind_the_first(pc):
    """PC images go by cylinder, head, sector."""
    pc.seek(5)
    _, got = pc.read(1, cylinder=5, head=1, sector=2)

    assert data((5 * 2 + 1) * 18 + 1, 1) == got


def test_read_track_begins_at_sector_1(pc):
    """5.1.5."""
    pc.channel.program(bytes(2 * SECTOR))
    pc.transfer(READ_TRACK, sector=9)

    assert data(0, 2) == bytes(pc.channel.data)


def test_read_id_gives_a_sector_of_the_track(pc):
    """5.1.7: C, H, R, N."""
    pc.seek(7)
    pc.command(0x4A, 0x04)
    pc.wait()

    assert pc.result() == [0x04, 0, 0, 7, 1, 1, 2]


def test_verify_moves_no_data(pc):
    """5.1.6."""
    result = pc.transfer(VERIFY, last=18)

    assert (0, 0) == (result[0], result[1])


@pytest.mark.parametrize(
    ("place", "errors"),
    [
        ({"sector": 19}, [St0.ABNORMAL, St1.NO_DATA, 0]),
        ({"sector": 0}, [St0.ABNORMAL, St1.NO_DATA, 0]),
        ({"head": 1, "cylinder": 1}, [St0.ABNORMAL | St0.HEAD, St1.NO_DATA, St2.WRONG_CYLINDER]),
        ({"size_code": 3}, [St0.ABNORMAL, St1.NO_DATA, 0]),
        ({"drive": 1}, [St0.ABNORMAL | 1, St1.MISSING_ADDRESS, 0]),
        ({"drive": 3}, [St0.ABNORMAL | 3, St1.MISSING_ADDRESS, 0]),
    ],
)
def test_what_is_not_on_the_disk_is_not_found(pc, place, errors):
    """Table 5-3: ND, WC, MA."""
    result, _ = pc.read(1, **place)

    assert errors == result[:3]


def test_another_data_rate_finds_no_address_mark(pc):
    """2.1.4: how drivers find the density of a disk."""
    pc.put(Reg.DIR, Rate.KBPS_250)
    result, _ = pc.read(1)

    assert result[:2] == [St0.ABNORMAL, St1.MISSING_ADDRESS]


def test_a_bad_sector_is_a_data_error(pc, disk):
    """Table 5-3: DE."""
    disk.fail = True
    result, _ = pc.read(1)

    assert result[:2] == [St0.ABNORMAL, St1.DATA_ERROR]


def test_a_channel_that_is_programmed_late_still_gets_its_data(pc):
    """The data pass under the head once in a revolution."""
    pc.command(READ, 0, 0, 0, 1, 2, 18, 27, 0xFF)
    pc.advance(100 * MILLISECOND)
    pc.channel.program(bytes(SECTOR))
    pc.wait()

    assert pc.result()[0] == 0
    assert data(0, 1) == bytes(pc.channel.data)


def test_a_channel_that_stays_masked_is_an_overrun(pc):
    """Table 5-3: OR."""
    result = pc.transfer(READ)

    assert result[:2] == [St0.ABNORMAL, St1.OVERRUN]
    assert pc.clock.deadlines() == []


def test_implied_seek_moves_the_head(pc):
    """5.2.7 EIS."""
    pc.command(0x13, 0, 0x57, 0)
    result, got = pc.read(1, cylinder=9)

    assert result[0] == 0
    assert data(9 * 36, 1) == got


# -- writing --


def test_write_by_dma(pc, disk):
    """5.1.3."""
    pc.channel.program(b"w" * 2 * SECTOR)
    result = pc.transfer(MULTITRACK | WRITE, sector=18)

    assert result[:2] == [0, 0]
    assert disk.data[17 * SECTOR : 19 * SECTOR] == b"w" * 2 * SECTOR
    assert disk.data[19 * SECTOR : 20 * SECTOR] == data(19, 1)


def test_a_sector_cut_short_by_terminal_count_is_filled_with_zeros(pc, disk):
    """5.1.3."""
    pc.channel.program(b"w" * 100)
    pc.transfer(WRITE, sector=2)

    assert disk.data[SECTOR : 2 * SECTOR] == b"w" * 100 + bytes(412)


def test_a_write_protected_disk_refuses(pc, disk):
    """Table 5-3: NW."""
    disk.readonly = True
    pc.channel.program(b"w" * SECTOR)
    before = bytes(disk.data)
    write = pc.transfer(WRITE)
    pc.channel.program(bytes(72))
    pc.command(FORMAT, 0, 2, 18, 0x54, 0xF6)
    pc.wait()
    formatted = pc.result()

    assert write[:2] == formatted[:2] == [St0.ABNORMAL, St1.NOT_WRITABLE]
    assert before == disk.data


@pytest.mark.parametrize("code", [WRITE, FORMAT])
def test_a_failed_write_is_a_data_error(pc, disk, code):
    """Table 5-3: DE; the host's error never reaches the guest as an exception."""
    disk.fail = True
    pc.channel.program(bytes((0, 0, 1, 2)) * 128)
    if code == WRITE:
        result = pc.transfer(WRITE)
    else:
        pc.command(FORMAT, 0, 2, 18, 0x54, 0xF6)
        pc.wait()
        result = pc.result()

    assert result[:2] == [St0.ABNORMAL, St1.DATA_ERROR]


def test_format_fills_the_sectors_that_are_named(pc, disk):
    """5.1.8: C, H, R, N for each sector of the track under the head."""
    pc.seek(2)
    pc.channel.program(b"".join(bytes((2, 1, sector, 2)) for sector in range(1, 19)))
    pc.command(FORMAT, 0x04, 2, 18, 0x54, 0xE5)
    pc.wait()
    track = (2 * 2 + 1) * 18

    assert pc.result()[:3] == [St0.HEAD, 0, 0]
    assert disk.data[track * SECTOR : (track + 18) * SECTOR] == b"\xe5" * 18 * SECTOR
    assert disk.data[(track - 1) * SECTOR : track * SECTOR] == data(track - 1, 1)


def test_format_leaves_other_tracks_alone(pc, disk):
    """The IDs may lie, the head does not."""
    before = bytes(disk.data)
    pc.channel.program(b"".join(bytes((50, 0, sector, 2)) for sector in range(1, 19)))
    pc.command(FORMAT, 0, 2, 18, 0x54, 0xE5)
    pc.wait()

    assert before == disk.data


# -- programmed I/O --


def test_read_by_programmed_io(disk):
    """4.2.2: the processor reads each byte, an interrupt for each sector, and EOT ends it."""
    pc = Pc(a=disk)
    pc.start(dma=False)
    pc.command(READ, 0, 0, 0, 17, 2, 18, 27, 0xFF)
    got = bytearray()
    for _ in range(2):
        pc.wait()
        assert pc.get(Reg.MSR) == Msr.RQM | Msr.TO_HOST | Msr.NON_DMA | Msr.BUSY
        got.append(pc.get(Reg.FIFO))
        assert not pc.irq(6)
        got += bytes(pc.get(Reg.FIFO) for _ in range(SECTOR - 1))
    pc.wait()

    assert data(16, 2) == got
    assert pc.result()[:2] == [St0.ABNORMAL, St1.END_OF_CYLINDER]


def test_write_by_programmed_io(disk):
    """4.2.2."""
    pc = Pc(a=disk)
    pc.start(dma=False)
    pc.command(WRITE, 0, 0, 0, 18, 2, 18, 27, 0xFF)
    pc.wait()
    assert pc.get(Reg.MSR) == Msr.RQM | Msr.NON_DMA | Msr.BUSY
    for byte in b"pio!" * 128:
        pc.put(Reg.FIFO, byte)
    pc.wait()

    assert pc.result()[:2] == [St0.ABNORMAL, St1.END_OF_CYLINDER]
    assert disk.data[17 * SECTOR : 18 * SECTOR] == b"pio!" * 128


def test_while_the_controller_works_it_takes_nothing(pc):
    """2.1.5: RQM 0 in the execution phase of a DMA transfer."""
    pc.command(READ, 0, 0, 0, 1, 2, 18, 27, 0xFF)
    busy = pc.get(Reg.MSR)
    pc.put(Reg.FIFO, 0x10)

    assert busy == Msr.BUSY


# -- formats --


FORMATS = [
    (160, 40, 1, 8, Rate.KBPS_250, 1),
    (180, 40, 1, 9, Rate.KBPS_250, 1),
    (320, 40, 2, 8, Rate.KBPS_250, 1),
    (360, 40, 2, 9, Rate.KBPS_250, 1),
    (720, 80, 2, 9, Rate.KBPS_250, 3),
    (1200, 80, 2, 15, Rate.KBPS_500, 2),
    (1440, 80, 2, 18, Rate.KBPS_500, 4),
    (1680, 80, 2, 21, Rate.KBPS_500, 4),
    (1722, 82, 2, 21, Rate.KBPS_500, 4),
    (2880, 80, 2, 36, Rate.MBPS_1, 5),
]


@pytest.mark.parametrize(("kilobytes", "cylinders", "heads", "sectors", "rate", "drive"), FORMATS)
def test_every_pc_format_is_read_to_its_last_sector(kilobytes, cylinders, heads, sectors, rate, drive):
    """IBM and Microsoft's formats; the drive in CMOS 10h is one that takes the disk."""
    size = kilobytes << 10
    pc = Pc(a=MemoryDisk(sectors_of(size)))
    pc.start(rate)
    pc.seek(cylinders - 1)
    _, got = pc.read(1, cylinder=cylinders - 1, head=heads - 1, sector=sectors, last=sectors)
    beyond, _ = pc.read(1, cylinder=cylinders - 1, head=heads - 1, sector=sectors + 1, last=sectors + 1)

    assert data(size // SECTOR - 1, 1) == got
    assert beyond[1] == St1.NO_DATA
    assert drive << 4 == pc.cmos.bytes[CMOS_FLOPPY]


def test_an_image_cut_short_takes_the_next_larger_format():
    """Boot images are often as long as their contents."""
    pc = Pc(a=MemoryDisk(sectors_of(1000 << 10)), b=MemoryDisk(bytes(2 << 20)))

    assert pc.cmos.bytes[CMOS_FLOPPY] == 0x25


def test_an_image_larger_than_any_floppy_is_refused():
    """The message names the image and the limit."""
    with pytest.raises(ConfigError, match=r"memory: is no floppy image: 2949121 bytes is more than 2\.88 MB"):
        Pc(a=MemoryDisk(bytes((2880 << 10) + 1)))


def test_without_disks_there_is_a_drive_a_of_1_44_mb():
    """A disk may be put in later."""
    assert Pc().cmos.bytes[CMOS_FLOPPY] == 0x40


def test_a_reset_keeps_the_disk(pc):
    """Media are not electronics."""
    pc.fdc.reset()
    pc.start()
    _, got = pc.read(1)

    assert data(0, 1) == got
