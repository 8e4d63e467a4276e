"""The bus master: SFF-8038i revision 1.0 and PIIX3 data sheet (290550) 2.7, with the DMA commands of ATA/ATAPI-6."""

import struct

import pytest
from vpcore_plugins.ide.regs import BusMaster, Cmd, Status

from vpcore.pci import Command
from vpcore.pci import Reg as Config

READY = Status.DRDY | Status.DSC
SECTOR = 512
BUFFER = 0x10000


def sectors(first, count):
    return b"".join(struct.pack("<H", number & 0xFFFF) * 256 for number in range(first, first + count))


def test_read_dma_puts_the_sectors_where_the_list_says(pc, host):
    """SFF-8038i 2.1: descriptors of address and byte count, the last one marked."""
    host.prd((BUFFER, 300), (BUFFER + 0x2000, 724))
    host.command(Cmd.READ_DMA, count=2, lba=100)
    host.start()

    data = sectors(100, 2)
    assert data[:300] == pc.memory.read(BUFFER, 300)
    assert data[300:] == pc.memory.read(BUFFER + 0x2000, 724)
    assert pc.memory.read(BUFFER + 300, 4) == bytes(4)


def test_a_transfer_that_fits_ends_with_the_interrupt_and_without_active(host):
    """SFF-8038i 3.1 table: Interrupt 1, Active 0."""
    host.prd((BUFFER, SECTOR))
    host.command(Cmd.READ_DMA, count=1, lba=1)
    assert not host.irq
    host.start()

    assert (True, BusMaster.INTERRUPT) == (host.irq, host.master_status)
    assert host.status == READY
    assert not host.irq


def test_a_list_longer_than_the_transfer_leaves_active_set(host):
    """SFF-8038i 3.1 table: Interrupt 1, Active 1; stopping clears it."""
    host.prd((BUFFER, 4096))
    host.command(Cmd.READ_DMA, count=1, lba=1)
    host.start()

    assert host.master_status == BusMaster.INTERRUPT | BusMaster.ACTIVE
    host.stop()
    assert host.master_status == BusMaster.INTERRUPT


def test_a_list_shorter_than_the_transfer_gives_no_interrupt(pc, host):
    """SFF-8038i 3.1 table: Interrupt 0, Active 0; the drive still wants to transfer."""
    host.prd((BUFFER, 256))
    host.command(Cmd.READ_DMA, count=1, lba=1)
    host.start()

    assert (0, False) == (host.master_status, host.irq)
    assert host.alternate & Status.DRQ


def test_a_transfer_goes_on_with_the_next_list(pc, host):
    """The drive keeps its place while the bus master is stopped and started again."""
    host.prd((BUFFER, 200))
    host.command(Cmd.READ_DMA, count=1, lba=5)
    host.start()
    host.stop()
    host.prd((BUFFER + 200, 312))
    host.start()

    assert sectors(5, 1) == pc.memory.read(BUFFER, SECTOR)
    assert host.master_status == BusMaster.INTERRUPT


def test_write_dma_fetches_from_the_list(pc, host, disk):
    """ATA-6 8.56."""
    pc.memory.write(BUFFER, b"a" * 700)
    pc.memory.write(BUFFER + 0x4000, b"b" * 324)
    host.prd((BUFFER, 700), (BUFFER + 0x4000, 324))
    host.command(Cmd.WRITE_DMA, count=2, lba=200)
    host.start(to_memory=False)

    assert disk.data[200 * SECTOR : 202 * SECTOR] == b"a" * 700 + b"b" * 324
    assert (True, BusMaster.INTERRUPT) == (host.irq, host.master_status)


def test_a_write_with_a_short_list_writes_nothing_it_did_not_get(pc, host, disk):
    """SFF-8038i 3.1; the rest follows with the next list."""
    pc.memory.write(BUFFER, b"c" * SECTOR)
    host.prd((BUFFER, 100))
    host.command(Cmd.WRITE_DMA, count=1, lba=300)
    host.start(to_memory=False)
    assert disk.data[300 * SECTOR : 301 * SECTOR] == sectors(300, 1)

    host.stop()
    host.prd((BUFFER + 100, 412))
    host.start(to_memory=False)
    assert disk.data[300 * SECTOR : 301 * SECTOR] == b"c" * SECTOR


@pytest.mark.parametrize("code", [Cmd.READ_DMA_EXT, Cmd.READ_DMA, Cmd.READ_DMA_NO_RETRY])
def test_it_does_not_matter_whether_command_or_bus_master_comes_first(pc, host, code):
    """SFF-8038i 3.2 starts the bus master last; Intel's BIOS code first."""
    host.prd((BUFFER, SECTOR))
    host.start()
    host.command(code, count=1, lba=0)

    assert sectors(0, 1) == pc.memory.read(BUFFER, SECTOR)
    assert host.irq


def test_large_transfers_pass_in_one_go(pc, host, disk):
    """256 sectors through sixteen regions."""
    host.prd(*((BUFFER + 0x2000 * index, 0x2000) for index in range(16)))
    host.command(Cmd.READ_DMA, count=0, lba=7)
    host.start()

    assert sectors(7, 256) == pc.memory.read(BUFFER, 256 * SECTOR)
    assert host.master_status == BusMaster.INTERRUPT


def test_a_byte_count_of_zero_is_64_kb(pc, host):
    """SFF-8038i 2.1."""
    host.prd((BUFFER, 0))
    host.command(Cmd.READ_DMA, count=128, lba=0)
    host.start()

    assert sectors(0, 128) == pc.memory.read(BUFFER, 0x10000)
    assert host.master_status == BusMaster.INTERRUPT


def test_bit_0_of_addresses_and_counts_is_ignored(pc, host):
    """SFF-8038i 2.1: regions are aligned to words."""
    host.prd((BUFFER | 1, SECTOR | 1))
    host.command(Cmd.READ_DMA, count=1, lba=3)
    host.start()

    assert sectors(3, 1) == pc.memory.read(BUFFER, SECTOR)


# -- hostile lists --


def test_a_list_that_never_ends_is_given_up(pc, host):
    """No descriptor of 16 bits' worth of RAM carries the end mark: as many bytes as the drive has are moved, no more."""
    for at in range(0x1000, 0x100000, 8):
        pc.memory.write(at, struct.pack("<II", 0x180000, 2))
    pc.out(host.master + BusMaster.TABLE, 0x1000, 4)
    host.command(Cmd.READ_DMA, count=0, lba=0)
    host.start()

    assert host.alternate & Status.DRQ
    assert host.master_status == 0


def test_a_region_outside_ram_swallows_the_data(pc, host):
    """No memory answers: nothing is written, nothing raised."""
    before = bytes(pc.memory.ram[0x2000:])
    host.prd((0xFFFF_F000, 0x2000), (pc.memory.size - 256, 512), (0x8000_0000, 0))
    host.command(Cmd.READ_DMA, count=60, lba=0)
    host.start()

    assert before[:-256] == bytes(pc.memory.ram[0x2000:-256])
    assert host.status == READY


def test_a_list_outside_ram_reads_as_ones(pc, host, disk):
    """All ones: one region outside memory, marked as the last."""
    pc.out(host.master + BusMaster.TABLE, 0xF000_0000, 4)
    host.command(Cmd.WRITE_DMA, count=1, lba=0)
    host.start(to_memory=False)

    assert disk.data[:SECTOR] == b"\xff" * SECTOR
    assert host.status == READY


def test_a_list_that_overwrites_itself_is_bounded(pc, host):
    """The data land on the list while it is walked."""
    host.prd(*((0x1000, SECTOR),) * 4)
    host.command(Cmd.READ_DMA, count=8, lba=0)
    host.start()

    assert host.alternate & Status.BSY == 0


# -- registers --


def test_registers_read_back_in_every_width(pc, host):
    """PIIX3 2.7.1-2.7.3: command bits 0 and 3, capable bits 5 and 6, table bits 2-31."""
    pc.out(host.master, 0xFF)
    pc.out(host.master + 2, 0x60)
    pc.out(host.master + 4, 0x1234_5677, 4)

    assert (0x09, 0x61) == (pc.inp(host.master), pc.inp(host.master + 2))
    assert (0x1234_5674, 0x5674, 0x12) == (
        pc.inp(host.master + 4, 4),
        pc.inp(host.master + 4, 2),
        pc.inp(host.master + 7),
    )
    assert pc.inp(host.master, 4) == 0x00_61_00_09


def test_interrupt_and_error_are_cleared_by_writing_ones(host, pc):
    """PIIX3 2.7.2."""
    host.command(Cmd.RECALIBRATE[0])
    assert host.master_status == BusMaster.INTERRUPT
    pc.out(host.master + 2, 0)
    assert host.master_status == BusMaster.INTERRUPT

    pc.out(host.master + 2, BusMaster.INTERRUPT)
    assert host.master_status == 0


def test_the_channels_do_not_share_registers(pc):
    """PIIX3 2.7: the second channel's lie 8 bytes on."""
    pc.out(pc.secondary.master + 4, 0x5000, 4)
    pc.secondary.command(Cmd.IDENTIFY)

    assert (0, 0x5000) == (pc.inp(pc.primary.master + 4, 4), pc.inp(pc.secondary.master + 4, 4))
    assert (0, BusMaster.INTERRUPT) == (pc.primary.master_status, pc.secondary.master_status)


def test_without_bus_master_enable_nothing_moves(pc, host):
    """PCI 2.1 6.2.2."""
    pc.pci_bus.functions[1, 1].guest_write(Config.COMMAND, 2, Command.IO)
    host.prd((BUFFER, SECTOR))
    host.command(Cmd.READ_DMA, count=1, lba=1)
    host.start()

    assert pc.memory.read(BUFFER, SECTOR) == bytes(SECTOR)
    assert not host.irq


def test_a_bad_sector_ends_the_transfer_with_an_interrupt(host, disk):
    """ATA-6 8.25.6."""
    disk.fail = True
    host.prd((BUFFER, SECTOR))
    host.command(Cmd.READ_DMA, count=1, lba=1)
    host.start()

    assert host.irq
    assert host.status & Status.ERR


def test_the_data_port_gives_nothing_while_dma_is_due(pc, host):
    """DMACK- and not the data register moves the data."""
    host.command(Cmd.READ_DMA, count=1, lba=1)
    word = pc.inp(0x1F0, 2)
    host.prd((BUFFER, SECTOR))
    host.start()

    assert word == 0xFFFF
    assert sectors(1, 1) == pc.memory.read(BUFFER, SECTOR)


def test_the_engine_is_told_of_memory_that_dma_changed(pc, host):
    """Code made from it must go."""
    host.prd((BUFFER, SECTOR))
    host.command(Cmd.READ_DMA, count=1, lba=1)
    pc.phys.invalidated.clear()
    host.start()

    assert pc.phys.invalidated == [(BUFFER, SECTOR)]


def test_the_function_is_a_piix3_ide_controller(pc):
    """PIIX3 2.3: 8086:7010, class 0101, interface 80h, both channels decoding."""
    function = pc.pci_bus.functions[1, 1]

    assert (0x8086, 0x7010, 0x010180) == (function.get(0, 2), function.get(2, 2), function.get(9, 3))
    assert (0x8000, 0x8000) == (function.get(0x40, 2), function.get(0x42, 2))
    assert function.get(0x20, 4) & 0xF == 1
