"""PIIX4 function 3: Intel's data sheet (order 290562) chapter 7, and SeaBIOS's ACPI tables (fw/acpi.c)."""

from fractions import Fraction

import pytest
from vpcore_plugins.chipset import pit

from vpcore.device import Device
from vpcore.ports import PortMap
from vpcore.wires import PowerButton

PM = 0xB000
SMBUS = 0xB100
PMSTS, PMEN, PMCNTRL, PMTMR = PM, PM + 2, PM + 4, PM + 8
SCI_EN, SUS_EN = 0x0001, 0x2000
TMROF, PWRBTN, RTC, WAK = 0x0001, 0x0100, 0x0400, 0x8000
TICK = Fraction(88_000, 315)
"""Nanoseconds of a tick at 3.579545 MHz."""


@pytest.fixture
def pm(pc):
    """As SeaBIOS's piix4_pm_setup leaves it."""
    device = pc.add("i440fx", "piix4pm")[1]
    pc.write_config(1, 3, 0x40, PM | 1)
    pc.write_config(1, 3, 0x80, 0x01, 1)
    pc.write_config(1, 3, 0x90, SMBUS | 1)
    pc.write_config(1, 3, 0xD2, 0x09, 1)
    return device


def test_it_is_function_3_of_slot_1(pc, pm):
    """7.1.1 to 7.1.6."""
    assert pc.read_config(1, 3, 0) == 0x7113_8086
    assert pc.read_config(1, 3, 8) >> 8 == 0x068000
    assert pc.read_config(1, 3, 0x3D, 1) == 1


def test_registers_are_decoded_while_pmiose_is_set(pc, pm):
    """7.1.29 PMREGMISC."""
    seen = pc.inp(PMCNTRL, 2)
    pc.write_config(1, 3, 0x80, 0x00, 1)

    assert (seen, pc.inp(PMCNTRL, 2)) == (0, 0xFFFF)


def test_registers_follow_the_base_address(pc, pm):
    """7.1.10 PMBA; 600h is where SeaBIOS puts it with tables of fw_cfg."""
    pc.write_config(1, 3, 0x40, 0x0601)

    assert (pc.inp(0x604, 2), pc.inp(PMCNTRL, 2), pc.read_config(1, 3, 0x40)) == (0, 0xFFFF, 0x0601)


def test_a_base_address_in_the_way_of_another_device_maps_nothing(pc, pm):
    """A hostile guest."""
    pc.build(pit.TYPE)
    pc.write_config(1, 3, 0x40, 0x0041)

    assert pc.inp(PMCNTRL, 2) == 0xFFFF
    pc.write_config(1, 3, 0x40, PM | 1)
    assert pc.inp(PMCNTRL, 2) == 0


def test_the_timer_counts_virtual_time(pc, pm):
    """7.2.4 PMTMR: 24 bits at 3.579545 MHz."""
    pc.advance(1_000_000_000)
    second = pc.inp(PMTMR, 4)
    pc.advance(4_000_000_000)

    assert (second, pc.inp(PMTMR, 4)) == (3_579_545, int(5_000_000_000 / TICK) & 0xFF_FFFF)


def test_overflow_sets_its_flag_each_time_bit_23_changes(pc, pm):
    """7.2.1 TMROF_STS."""
    half = int(-(-(1 << 23) * TICK // 1))
    pc.advance(half - 1)
    before = pc.inp(PMSTS, 2)
    pc.advance(1)
    after = pc.inp(PMSTS, 2)
    pc.out(PMSTS, TMROF, 2)
    cleared = pc.inp(PMSTS, 2)
    pc.advance(half)

    assert (before, after, cleared, pc.inp(PMSTS, 2)) == (0, TMROF, 0, TMROF)


def test_overflow_interrupts_where_enabled(pc, pm):
    """7.2.2 TMROF_EN, SCI on IRQ 9."""
    pc.out(PMEN, TMROF, 2)
    pc.out(PMCNTRL, SCI_EN, 2)
    pc.advance(2_400_000_000)
    raised = pc.irq(9)
    pc.out(PMSTS, TMROF, 2)

    assert (raised, pc.irq(9)) == (True, False)


def test_the_power_button_asks_the_guest(pc, pm):
    """7.2.1 PWRBTN_STS; SCI only while SCI_EN is set (7.2.3)."""
    pc.out(PMEN, PWRBTN, 2)
    pc.service(PowerButton).press()
    without = pc.irq(9)
    pc.out(PMCNTRL, SCI_EN, 2)

    assert (without, pc.irq(9), pc.inp(PMSTS, 2)) == (False, True, PWRBTN)


def test_the_clocks_alarm_is_an_event(pc, pm):
    """7.2.1 RTC_STS."""
    pc.lines[8].input("clock").set(True)

    assert pc.inp(PMSTS, 2) == RTC


def test_soft_off_turns_the_machine_off(pc, pm):
    """7.2.3 SUS_TYP and SUS_EN; SeaBIOS's _S5 is type 0."""
    pc.out(PMCNTRL, SCI_EN, 2)
    before = pc.processor.is_off
    pc.out(PMCNTRL, SUS_EN | SCI_EN, 2)

    assert (before, pc.processor.is_off) == (False, True)


def test_other_sleeps_wake_at_once(pc, pm):
    """Linux waits for WAK_STS after SLP_EN."""
    pc.out(PMCNTRL, SUS_EN | 1 << 10, 2)

    assert (pc.processor.is_off, pc.inp(PMSTS, 2)) == (False, WAK)
    assert pc.inp(PMCNTRL, 2) == 1 << 10


def test_acpi_is_enabled_and_disabled_through_the_smi_command_port(pc, pm):
    """FADT: SMI_CMD B2h, ACPI_ENABLE F1h, ACPI_DISABLE F0h; Linux polls SCI_EN."""
    pc.out(0xB2, 0xF1)
    enabled = pc.inp(PMCNTRL, 2)
    pc.out(0xB2, 0xF0)

    assert (enabled, pc.inp(PMCNTRL, 2), pc.inp(0xB2)) == (SCI_EN, 0, 0xF0)


def test_the_apm_status_port_is_storage(pc, pm):
    """APMS."""
    pc.out(0xB3, 0x5A)

    assert pc.inp(0xB3) == 0x5A


def test_seabios_finds_system_management_mode_set_up(pc, pm):
    """fw/smm.c looks at APMC_EN, bit 25 of DEVACTB, and would wait for an SMI for ever."""
    assert pc.read_config(1, 3, 0x58) & 1 << 25


def test_general_purpose_events_keep_their_enables(pc, pm):
    """FADT: GPE0 at AFE0h, status then enable; nothing ever sets a status bit."""
    pc.out(0xAFE2, 0xFFFF, 2)
    pc.out(0xAFE0, 0xFFFF, 2)
    pc.out(PMCNTRL, SCI_EN, 2)

    assert (pc.inp(0xAFE0, 2), pc.inp(0xAFE2, 2), pc.irq(9)) == (0, 0xFFFF, False)


def test_no_slot_can_be_unplugged(pc, pm):
    """SeaBIOS's DSDT: AE00h up, AE04h down, AE08h eject, AE0Ch removable."""
    pc.out(0xAE08, 0xFFFF_FFFF, 4)

    assert [pc.inp(0xAE00 + at, 4) for at in (0, 4, 8, 12)] == [0] * 4


def test_smbus_transactions_end_unclaimed(pc, pm):
    """7.3.1 SMBHSTSTS: DEV_ERR, cleared by a one; Linux reads that as no device."""
    pc.out(SMBUS + 4, 0xA1)
    pc.out(SMBUS + 2, 0x48)
    status = pc.inp(SMBUS)
    pc.out(SMBUS, 0x1E)

    assert (status, pc.inp(SMBUS), pc.inp(SMBUS + 4)) == (0x04, 0, 0xA1)


def test_smbus_interrupts_on_irq_9_where_routed(pc, pm):
    """7.1.32 SMBHSTCFG: interrupt select 100b."""
    pc.out(SMBUS + 2, 0x49)
    raised = pc.irq(9)
    pc.out(SMBUS, 0x04)

    assert (raised, pc.irq(9)) == (True, False)


def test_the_dsdt_is_told_of_serial_and_parallel_ports(pc):
    """DSDT: LPEN in 5Fh bit 7, CAEN and CBEN in 67h bits 3 and 7."""
    ports = PortMap(size=1)

    class Port(Device):
        @ports.read(0)
        def read(self):
            return 0

    pc.map_ports(0x3F8, Port(), ports)
    pc.add("i440fx", "piix4pm")

    assert (pc.read_config(1, 3, 0x5F, 1), pc.read_config(1, 3, 0x67, 1)) == (0x00, 0x08)


def test_reset_stops_decoding_and_lowers_the_interrupt(pc, pm):
    """RST#."""
    pc.out(PMEN, PWRBTN, 2)
    pc.out(PMCNTRL, SCI_EN, 2)
    pm.press()
    pm.reset()

    assert (pc.irq(9), pc.inp(PMCNTRL, 2)) == (False, 0xFFFF)


def test_a_checkpoint_restores_decoding_and_the_interrupt(pc, pm):
    """Mappings follow the configuration space."""
    pc.out(PMEN, PWRBTN, 2)
    pc.out(PMCNTRL, SCI_EN, 2)
    pm.press()
    saved = pm.save()
    pm.reset()
    pm.load(saved)

    assert (pc.irq(9), pc.inp(PMCNTRL, 2)) == (True, SCI_EN)
