"""Task file, selection, interrupts and resets (ATA/ATAPI-6, T13 1410D)."""

import pytest
from vpcore_plugins.ide.regs import Cmd, Control, Error, Reg, Status

from vpcore.testing import MemoryDisk

READY = Status.DRDY | Status.DSC


def test_a_disk_is_ready_after_power_on_and_shows_its_signature(host):
    """ATA-6 9.1, 9.12: count and low 1, mid and high 0, error 01h."""
    assert (READY, Error.DIAG_PASSED, (1, 1, 0, 0)) == (host.status, host.error, host.signature)


def test_a_packet_device_is_not_drdy_after_power_on_and_shows_its_signature(pc):
    """SFF-8020i 5.2.1 and ATA-6 9.12: mid 14h, high EBh."""
    assert (0, (1, 1, 0x14, 0xEB)) == (pc.secondary.status, pc.secondary.signature)


def test_registers_keep_what_is_written(host):
    """How SeaBIOS and libata find a drive: 55h and AAh come back."""
    host.put(Reg.COUNT, 0x55)
    host.put(Reg.LBA_LOW, 0xAA)

    assert (0x55, 0xAA) == (host.get(Reg.COUNT), host.get(Reg.LBA_LOW))


def test_hob_shows_the_previous_contents_until_the_next_write(host):
    """ATA-6 7.8: device control bit 7; cleared by a write to any command block register."""
    host.put(Reg.COUNT, 0x12)
    host.put(Reg.COUNT, 0x34)

    host.control(Control.HOB)
    assert host.get(Reg.COUNT) == 0x12
    host.put(Reg.DEVICE, 0xE0)
    assert host.get(Reg.COUNT) == 0x34


def test_a_missing_slave_reads_status_zero_and_the_masters_registers(host):
    """ATA-6 9.16.1: device 0 answers for device 1, its status excepted; libata then takes it for absent."""
    host.put(Reg.DEVICE, 0xB0)
    host.put(Reg.COUNT, 0x55)

    assert (0, 0, 0x55) == (host.status, host.alternate, host.get(Reg.COUNT))


def test_commands_to_a_missing_slave_are_ignored(host):
    """ATA-6 9.16.1."""
    host.command(Cmd.IDENTIFY, device=0xB0)

    assert (0, False) == (host.status, host.irq)


def test_an_empty_channel_is_never_busy_and_keeps_nothing(make_pc):
    """SeaBIOS ata_detect: status not FFh or BSY, then 55h and AAh must not come back."""
    host = make_pc(hda=MemoryDisk(bytes(512)), hdc="").secondary
    host.put(Reg.COUNT, 0x55)

    assert (0, 0xFF) == (host.status, host.get(Reg.COUNT))


def test_both_drives_take_register_writes_but_only_the_selected_one_answers(make_pc):
    """ATA-6 7.2."""
    host = make_pc(hda=MemoryDisk(bytes(512 * 100)), hdb=MemoryDisk(bytes(512 * 200))).primary
    slave = host.identify(device=0xF0)
    master = host.identify(device=0xE0)

    assert (100, 200) == (master[60], slave[60])


def test_reading_the_status_acknowledges_the_interrupt_reading_the_alternate_does_not(host):
    """ATA-6 7.15, 7.3."""
    host.command(Cmd.RECALIBRATE[0])

    assert host.irq
    assert host.alternate == READY
    assert host.irq
    assert host.status == READY
    assert not host.irq


def test_nien_holds_the_interrupt_off_but_does_not_forget_it(host):
    """ATA-6 7.8."""
    host.control(Control.NIEN)
    host.command(Cmd.RECALIBRATE[0])
    assert not host.irq

    host.control(0)
    assert host.irq


def test_a_new_command_takes_the_old_interrupt_away(host):
    """ATA-6 7.4: writing the command register clears a pending interrupt."""
    host.command(Cmd.RECALIBRATE[0])
    host.control(Control.NIEN)
    host.command(Cmd.WRITE, count=1, lba=1)
    host.control(0)

    assert not host.irq


def test_the_interrupt_is_that_of_the_selected_drive(make_pc):
    """ATA-6 5.2.9: INTRQ is released by a device that is not selected."""
    host = make_pc(hda=MemoryDisk(bytes(512)), hdb=MemoryDisk(bytes(512))).primary
    host.command(Cmd.RECALIBRATE[0], device=0xA0)
    host.put(Reg.DEVICE, 0xB0)
    assert not host.irq

    host.put(Reg.DEVICE, 0xA0)
    assert host.irq


def test_software_reset_holds_bsy_and_ends_with_the_signature(host):
    """ATA-6 9.2."""
    host.command(Cmd.READ, count=2, lba=5)
    host.control(Control.SRST)
    assert host.status == Status.BSY

    host.control(0)
    assert (READY, Error.DIAG_PASSED, (1, 1, 0, 0), False) == (host.status, host.error, host.signature, host.irq)


def test_software_reset_selects_device_0(make_pc):
    """ATA-6 9.2."""
    host = make_pc(hda=MemoryDisk(bytes(512)), hdb=MemoryDisk(bytes(512))).primary
    host.put(Reg.DEVICE, 0xB0)
    host.control(Control.SRST)
    host.control(0)

    assert host.get(Reg.DEVICE) == 0xA0


def test_commands_are_ignored_while_busy(host):
    """ATA-6 7.4: the command register is not written while BSY is set."""
    host.control(Control.SRST)
    host.command(Cmd.IDENTIFY)
    host.control(0)

    assert host.status == READY


@pytest.mark.parametrize("slave", [True, False])
def test_diagnostic_is_executed_by_both_and_told_by_device_0(make_pc, slave):
    """ATA-6 8.11, 9.10: whichever is selected; device 1 raises no interrupt."""
    media = {"hda": MemoryDisk(bytes(512))} | ({"hdb": MemoryDisk(bytes(512))} if slave else {})
    host = make_pc(**media).primary
    host.command(Cmd.DIAGNOSTIC, device=0xB0, count=7)

    assert host.irq
    assert (Error.DIAG_PASSED, (1, 1, 0, 0), 0xA0) == (host.error, host.signature, host.get(Reg.DEVICE))
    assert host.status == READY
    host.put(Reg.DEVICE, 0xB0)
    assert not host.irq


def test_settings_survive_a_software_reset_but_not_a_hardware_reset(pc, host):
    """ATA-6 8.46, 8.50 with 9.1 and 9.2."""
    host.command(Cmd.SET_MULTIPLE, count=8)
    host.command(Cmd.SET_FEATURES, feature=3, count=0x42)
    host.control(Control.SRST)
    host.control(0)
    after_software = host.identify()
    pc.ide.reset()
    after_hardware = host.identify()

    assert (0x0108, 0x0407) == (after_software[59], after_software[88])
    assert (0, 0x0007) == (after_hardware[59], after_hardware[88])


def test_data_port_reads_ones_and_swallows_writes_when_no_data_is_due(pc, host):
    """No DRQ: nothing drives the bus."""
    pc.out(0x1F0, 0x1234, 2)

    assert (0xFFFF, 0xFFFF_FFFF) == (pc.inp(0x1F0, 2), pc.inp(0x1F0, 4))


def test_the_channel_is_loaded_with_its_pending_interrupt_and_nothing_else_happens(pc, host):
    """A checkpoint taken between INTRQ and the driver's look at the bus master shows the same there."""
    host.command(Cmd.RECALIBRATE[0])
    pc.out(host.master + 2, 0x04)
    assert host.master_status & 4 == 0

    pc.ide.load(pc.ide.save())

    assert host.irq
    assert host.master_status & 4 == 0
