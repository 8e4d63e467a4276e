"""Reading and writing sectors by programmed I/O, and the other commands of a disk (ATA/ATAPI-6)."""

import struct

import pytest
from vpcore_plugins.ide.regs import Cmd, Error, Reg, Status

from vpcore.testing import MemoryDisk

READY = Status.DRDY | Status.DSC
SECTOR = 512


def sector(number):
    return struct.pack("<H", number & 0xFFFF) * 256


# -- addressing --


@pytest.mark.parametrize(
    ("device", "cylinder", "head", "number", "lba"),
    [(0xA0, 0, 0, 1, 0), (0xA0, 0, 1, 1, 63), (0xA0, 1, 0, 1, 1008), (0xA0, 99, 15, 63, 100799)],
)
def test_chs_addresses_count_sectors_heads_cylinders(host, device, cylinder, head, number, lba):
    """ATA-5 6.2: sectors from 1, in the geometry of words 54-56."""
    host.command(Cmd.READ, device=device | head, count=1, lba=cylinder << 8 | number)

    assert sector(lba) == host.read(SECTOR)


@pytest.mark.parametrize(("head", "number"), [(0, 0), (0, 64), (5, 0)])
def test_sector_numbers_outside_the_track_are_not_found(host, head, number):
    """8.34.6: IDNF."""
    host.command(Cmd.READ, device=0xA0 | head, count=1, lba=1 << 8 | number)

    assert (READY | Status.ERR, Error.IDNF) == (host.status, host.error)


def test_heads_outside_the_chosen_geometry_are_not_found(host):
    """ATA-5 8.16."""
    host.command(Cmd.INIT_PARAMETERS, device=0xA3, count=63)
    host.command(Cmd.READ, device=0xA4, count=1, lba=1)

    assert host.error == Error.IDNF


def test_chosen_geometry_changes_where_chs_addresses_lie(host):
    """ATA-5 8.16."""
    host.command(Cmd.INIT_PARAMETERS, device=0xA1, count=10)
    host.command(Cmd.READ, device=0xA1, count=1, lba=1 << 8 | 3)

    assert sector(1 * 20 + 1 * 10 + 2) == host.read(SECTOR)


def test_lba28_takes_four_bits_from_the_device_register(host):
    """7.7, 6.2.2."""
    host.command(Cmd.READ, count=1, lba=70000)

    assert sector(70000) == host.read(SECTOR)


def test_lba48_takes_both_halves_of_the_registers(host):
    """6.2.3, 8.35: the first write of each register is the upper half."""
    host.command48(Cmd.READ_EXT, count=2, lba=70001)

    assert sector(70001) + sector(70002) == host.read(2 * SECTOR)


def test_lba48_beyond_the_end_is_not_found(host):
    """8.35.6; the old contents of the registers count."""
    host.command48(Cmd.READ_EXT, count=1, lba=1 << 40)

    assert host.error == Error.IDNF


@pytest.mark.parametrize(("lba", "count"), [(100799, 2), (100800, 1), (100700, 0)])
def test_transfers_that_reach_beyond_the_end_are_not_begun(host, lba, count):
    """8.34.6; a count of 0 is 256 sectors."""
    host.command(Cmd.READ, count=count, lba=lba)

    assert (READY | Status.ERR, Error.IDNF, True) == (host.alternate, host.error, host.irq)


# -- reading --


def test_each_sector_read_is_announced_by_an_interrupt(host):
    """9.5 PIO data-in: INTRQ and DRQ before each block, none after the last."""
    host.command(Cmd.READ, count=2, lba=7)
    seen = [(host.irq, host.status, host.read(SECTOR)) for _ in range(2)]

    assert seen == [(True, READY | Status.DRQ, sector(7)), (True, READY | Status.DRQ, sector(8))]
    assert (False, READY) == (host.irq, host.status)


def test_a_count_of_zero_is_256_sectors(host):
    """8.34.4."""
    host.command(Cmd.READ, count=0, lba=3)
    data = host.read(256 * SECTOR)

    assert b"".join(map(sector, range(3, 259))) == data
    assert host.status == READY


def test_a_48_bit_count_of_zero_is_65536_sectors(host):
    """8.35.4."""
    host.command48(Cmd.VERIFY_EXT, count=0, lba=100)
    beyond = host.error
    host.command48(Cmd.VERIFY_EXT, count=0, lba=0)

    assert (0, READY) == (host.error, host.status)
    assert beyond == 0


def test_read_multiple_moves_several_sectors_for_each_interrupt(host):
    """8.30: blocks of what SET MULTIPLE MODE chose, the last one shorter."""
    host.command(Cmd.SET_MULTIPLE, count=4)
    host.command(Cmd.READ_MULTIPLE, count=6, lba=10)
    seen = [(host.irq, host.status & Status.DRQ, host.read(count * SECTOR)) for count in (4, 2)]

    assert seen == [
        (True, Status.DRQ, b"".join(map(sector, range(10, 14)))),
        (True, Status.DRQ, sector(14) + sector(15)),
    ]
    assert (False, READY) == (host.irq, host.status)


@pytest.mark.parametrize("code", [Cmd.READ_MULTIPLE, Cmd.WRITE_MULTIPLE, Cmd.READ_MULTIPLE_EXT, Cmd.WRITE_MULTIPLE_EXT])
def test_multiple_commands_are_refused_before_set_multiple_mode(host, code):
    """8.30, 8.60."""
    host.command(code, count=1, lba=1)

    assert (Status.ERR, Error.ABRT) == (host.status & Status.ERR, host.error)


@pytest.mark.parametrize(("count", "refused"), [(1, 0), (2, 0), (16, 0), (0, 0), (3, 1), (32, 1), (255, 1)])
def test_set_multiple_mode_takes_powers_of_two_up_to_word_47(host, count, refused):
    """8.50: 0 turns it off."""
    host.command(Cmd.SET_MULTIPLE, count=count)

    assert refused == host.status & Status.ERR
    assert (0 if refused or not count else 0x100 | count) == host.identify()[59]


def test_rep_insw_takes_a_sector_at_once(pc, host):
    """The block path gives what single reads give."""
    host.command(Cmd.READ, count=2, lba=20)
    buffer = bytearray(3 * SECTOR)
    first = pc.bus.port_in_block(0x1F0, 2, memoryview(buffer))

    assert first == 256
    assert buffer[:SECTOR] == sector(20)
    assert host.irq


def test_rep_insd_and_single_double_words_agree(pc, host):
    """PIIX3 IDE data port takes 32-bit accesses."""
    host.command(Cmd.READ, count=1, lba=21)
    buffer = bytearray(SECTOR - 8)
    pc.bus.port_in_block(0x1F0, 4, memoryview(buffer))
    rest = [pc.inp(0x1F0, 4), pc.inp(0x1F0, 4)]

    assert sector(21) == bytes(buffer) + struct.pack("<II", *rest)


# -- writing --


def test_a_write_asks_for_each_sector_and_tells_when_it_is_done(host, disk):
    """9.6 PIO data-out: DRQ without interrupt first, an interrupt for each block after it."""
    host.command(Cmd.WRITE, count=2, lba=30)
    begun = (host.irq, host.status)
    host.write(b"a" * SECTOR)
    between = (host.irq, host.status)
    host.write(b"b" * SECTOR)

    assert begun == (False, READY | Status.DRQ)
    assert between == (True, READY | Status.DRQ)
    assert (True, READY) == (host.irq, host.status)
    assert disk.data[30 * SECTOR : 32 * SECTOR] == b"a" * SECTOR + b"b" * SECTOR
    assert disk.data[32 * SECTOR : 33 * SECTOR] == sector(32)


def test_write_multiple_takes_blocks(host, disk):
    """8.60."""
    host.command(Cmd.SET_MULTIPLE, count=2)
    host.command(Cmd.WRITE_MULTIPLE, count=3, lba=40)
    host.write(b"x" * 2 * SECTOR)
    assert disk.data[40 * SECTOR : 42 * SECTOR] == b"x" * 2 * SECTOR

    host.write(b"y" * SECTOR)
    assert disk.data[42 * SECTOR : 43 * SECTOR] == b"y" * SECTOR
    assert host.status == READY


def test_write_ext_writes_beyond_28_bits_worth_of_registers(host, disk):
    """8.63."""
    host.command48(Cmd.WRITE_EXT, count=1, lba=0x10203)
    host.write(b"z" * SECTOR)

    assert disk.data[0x10203 * SECTOR : 0x10204 * SECTOR] == b"z" * SECTOR


@pytest.mark.parametrize("width", [2, 4])
def test_rep_outs_takes_a_sector_at_once(pc, host, disk, width):
    """What is more than the sector stays with the guest."""
    host.command(Cmd.WRITE, count=1, lba=50)
    taken = pc.bus.port_out_block(0x1F0, width, memoryview(b"q" * 2 * SECTOR))

    assert SECTOR // width == taken
    assert disk.data[50 * SECTOR : 51 * SECTOR] == b"q" * SECTOR


def test_the_last_bytes_of_an_image_that_is_no_multiple_of_a_sector_are_written(make_pc):
    """Beyond the image's end the sector reads as zeros."""
    image = MemoryDisk(bytes(SECTOR + 100))
    host = make_pc(hda=image).primary
    host.command(Cmd.WRITE, count=1, lba=1)
    host.write(b"w" * SECTOR)

    assert image.data[SECTOR:] == b"w" * 100


@pytest.mark.parametrize("code", [Cmd.WRITE, Cmd.WRITE_EXT, Cmd.WRITE_DMA, Cmd.WRITE_DMA_EXT])
def test_a_read_only_image_refuses_writes(make_pc, code):
    """8.62.6: ABRT, where the medium cannot be written."""
    host = make_pc(hda=MemoryDisk(bytes(SECTOR * 100), readonly=True)).primary
    host.command(code, count=1, lba=1)

    assert (READY | Status.ERR, Error.ABRT) == (host.status, host.error)


# -- errors of the host's medium --


def test_a_bad_sector_ends_the_read_with_its_address(host, disk):
    """8.34.6: UNC, and the address of the first unrecoverable sector in the registers."""
    host.command(Cmd.READ, count=3, lba=0x1234)
    disk.fail = True
    good = host.read(SECTOR)

    assert good == sector(0x1234)
    assert (READY | Status.ERR, Error.UNC, True) == (host.alternate, host.error, host.irq)
    assert (0x35, 0x12, 0x00, 0xE0) == tuple(map(host.get, (Reg.LBA_LOW, Reg.LBA_MID, Reg.LBA_HIGH, Reg.DEVICE)))


def test_a_bad_sector_is_addressed_as_the_host_asked(host, disk):
    """8.34.6, by cylinder, head and sector."""
    disk.fail = True
    host.command(Cmd.READ, device=0xA5, count=1, lba=3 << 8 | 9)

    assert (9, 3, 0, 0xA5) == tuple(map(host.get, (Reg.LBA_LOW, Reg.LBA_MID, Reg.LBA_HIGH, Reg.DEVICE)))


def test_a_failed_write_ends_the_command(host, disk):
    """8.62.6."""
    host.command(Cmd.WRITE, count=2, lba=9)
    disk.fail = True
    host.write(b"f" * SECTOR)

    assert (READY | Status.ERR, Error.ABRT) == (host.status, host.error)


def test_a_new_command_abandons_a_transfer(host):
    """7.4: writing the command register while DRQ is set."""
    host.command(Cmd.READ, count=5, lba=1)
    host.read(10)
    host.command(Cmd.READ, count=1, lba=60)

    assert sector(60) == host.read(SECTOR)
    assert host.status == READY


# -- the rest --


@pytest.mark.parametrize("code", [Cmd.FLUSH, Cmd.FLUSH_EXT])
def test_flush_cache_makes_the_image_durable(host, disk, code):
    """8.12."""
    host.command(code)

    assert disk.log[-1][0] == "flush"
    assert (True, READY) == (host.irq, host.status)


def test_a_failed_flush_is_told(host, disk):
    """8.12.6."""
    disk.fail = True
    host.command(Cmd.FLUSH)

    assert host.status & Status.ERR


def test_without_write_cache_each_write_is_durable_when_it_is_done(host, disk):
    """8.46.2: SET FEATURES 82h."""
    host.command(Cmd.SET_FEATURES, feature=0x82)
    host.command(Cmd.WRITE, count=1, lba=9)
    host.write(bytes(SECTOR))

    assert ["write", "flush"] == [what for what, _, _ in disk.log[-2:]]


def test_read_buffer_gives_what_write_buffer_left(host):
    """8.22, 8.59."""
    data = bytes(range(256)) * 2
    host.command(Cmd.WRITE_BUFFER)
    host.write(data)
    host.command(Cmd.READ_BUFFER)

    assert data == host.read(SECTOR)


def test_check_power_mode_says_active(host):
    """8.7: FFh."""
    host.command(Cmd.CHECK_POWER)

    assert host.get(Reg.COUNT) == 0xFF


def test_native_max_address_is_the_last_sector(host):
    """8.32."""
    host.command(Cmd.NATIVE_MAX)
    low = tuple(map(host.get, (Reg.LBA_LOW, Reg.LBA_MID, Reg.LBA_HIGH, Reg.DEVICE)))

    assert low == (100799 & 0xFF, 100799 >> 8 & 0xFF, 1, 0xE0)


def test_native_max_address_needs_lba(host):
    """8.32.6."""
    host.command(Cmd.NATIVE_MAX, device=0xA0)

    assert host.error == Error.ABRT


@pytest.mark.parametrize(
    "code", [Cmd.RECALIBRATE[0], Cmd.SEEK[0], Cmd.IDLE, Cmd.STANDBY, Cmd.IDLE_NOW, Cmd.STANDBY_NOW, Cmd.SLEEP]
)
def test_commands_of_mechanics_succeed(host, code):
    """8.14 on: an interrupt, and the drive stays ready."""
    host.command(code)

    assert (True, READY) == (host.irq, host.status)


@pytest.mark.parametrize("code", [Cmd.NOP, 0x02, 0x50, 0xB0, 0xF5, Cmd.PACKET, Cmd.DEVICE_RESET, 0xFF])
def test_commands_that_are_not_known_are_aborted(host, code):
    """7.9.5; NOP always ends so (8.16)."""
    host.command(code)

    assert (READY | Status.ERR, Error.ABRT, True) == (host.alternate, host.error, host.irq)


@pytest.mark.parametrize("feature", [0x02, 0x82, 0x55, 0xAA, 0x66, 0xCC])
def test_features_that_drivers_set_are_taken(host, feature):
    """8.46."""
    host.command(Cmd.SET_FEATURES, feature=feature)

    assert host.status == READY


def test_unknown_features_are_aborted(host):
    """8.46."""
    host.command(Cmd.SET_FEATURES, feature=0x5D)

    assert host.error == Error.ABRT
