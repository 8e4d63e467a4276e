"""Intel 82371AB (PIIX4) function 3, power management: registers named as in the data sheet (order 290562), chapter 7,
and what SeaBIOS's ACPI tables put beside it (fw/acpi.c, fw/acpi-dsdt.dsl).
"""

from __future__ import annotations

from typing import Final

from vpcore.pci import PciId

IDENT: Final = PciId(0x8086, 0x7113, 0x068000, revision=3, subsystem_vendor=0x1AF4, subsystem=0x1100)
SLOT: Final = 1
FUNCTION: Final = 3
SCI_IRQ: Final = 9


class Reg:
    """Offsets in configuration space (7.1)."""

    PCISTS: Final = 0x06
    INTERRUPT_PIN: Final = 0x3D
    PMBA: Final = 0x40
    CNT: Final = 0x44  # CNTA, CNTB, GPICTL
    DEVRES: Final = 0x50  # DEVRESD to DEVRESJ; DEVACTA, DEVACTB
    DEVACTB: Final = 0x58
    DEVRESA: Final = 0x5C
    DEVRES_PARALLEL: Final = 0x5F
    DEVRES_SERIAL: Final = 0x67
    PMREGMISC: Final = 0x80
    SMBBA: Final = 0x90
    SMBHSTCFG: Final = 0xD2
    SMBREV: Final = 0xD6
    LAST_DEVRES: Final = 0x7C


class Base:
    """PMBA and SMBBA: an I/O base address, bit 0 wired to 1."""

    IO: Final = 1
    PM_MASK: Final = 0xFFC0
    SMBUS_MASK: Final = 0xFFF0


class Devactb:
    """Device activity B (7.1.14), in its byte 5Bh."""

    APMC_EN: Final = 1 << 25
    """A write to APMC raises SMI#.  There is no system management mode: the firmware finds it set and skips its set-up."""


class Devres:
    """Where SeaBIOS's DSDT looks for what is there (PIIX4 decodes these ports for the ISA bus)."""

    PARALLEL: Final = 1 << 7
    SERIAL1: Final = 1 << 3
    SERIAL2: Final = 1 << 7
    PARALLEL_PORT: Final = 0x378
    SERIAL1_PORT: Final = 0x3F8
    SERIAL2_PORT: Final = 0x2F8


PMIOSE: Final = 1 << 0
"""PMREGMISC (7.1.29): power management registers are decoded."""


class Smbhstcfg:
    """SMBus host configuration (7.1.32)."""

    ENABLE: Final = 1 << 0
    INTERRUPT: Final = 0x0E
    IRQ9: Final = 0x08


class Pm:
    """Offsets from PMBA (7.2)."""

    SIZE: Final = 0x40
    PMSTS: Final = 0x00
    PMEN: Final = 0x02
    PMCNTRL: Final = 0x04
    PMTMR: Final = 0x08
    GPSTS: Final = 0x0C
    GPEN: Final = 0x0E


class Pmsts:
    """Power management status (7.2.1) and enable (7.2.2)."""

    TMROF: Final = 1 << 0
    BM: Final = 1 << 4
    GBL: Final = 1 << 5
    PWRBTN: Final = 1 << 8
    RTC: Final = 1 << 10
    RSM: Final = 1 << 15
    STATUS: Final = TMROF | BM | GBL | PWRBTN | RTC | RSM
    ENABLE: Final = TMROF | GBL | PWRBTN | RTC


class Pmcntrl:
    """Power management control (7.2.3)."""

    SCI_EN: Final = 1 << 0
    BRLD_EN_BM: Final = 1 << 1
    SUS_TYP_SHIFT: Final = 10
    SUS_TYP: Final = 0x07
    SUS_EN: Final = 1 << 13
    WRITABLE: Final = SCI_EN | BRLD_EN_BM | SUS_TYP << SUS_TYP_SHIFT
    SOFT_OFF: Final = 0
    """SUS_TYP of S5, as in SeaBIOS's _S5 package; its _S4 uses 0 too."""


class Pmtmr:
    """Power management timer (7.2.4): 3.579545 MHz = 315/88 MHz."""

    TICKS: Final = 315
    PER_NS: Final = 88_000
    MASK: Final = 0xFF_FFFF
    OVERFLOW_SHIFT: Final = 23
    """TMROF is set whenever bit 23 changes."""


class Apm:
    """Advanced power management control and status ports (PIIX4 4.2.5), and the two commands of SeaBIOS's FADT."""

    PORT: Final = 0xB2
    APMC: Final = 0
    APMS: Final = 1
    ACPI_ENABLE: Final = 0xF1
    ACPI_DISABLE: Final = 0xF0


class Gpe:
    """General purpose event block 0 of SeaBIOS's FADT: two status bytes, two enable bytes."""

    PORT: Final = 0xAFE0
    SIZE: Final = 4


class Hotplug:
    """PCI hot plug ports of SeaBIOS's DSDT: slots that came, slots that went, eject, slots that can be removed."""

    PORT: Final = 0xAE00
    SIZE: Final = 0x10


class Smbus:
    """Offsets from SMBBA (7.3)."""

    SIZE: Final = 0x10
    SMBHSTSTS: Final = 0x0
    SMBHSTCNT: Final = 0x2
    SMBHSTCMD: Final = 0x3
    SMBBLKDAT: Final = 0x7


class Smbhststs:
    """SMBus host status (7.3.1)."""

    DEV_ERR: Final = 1 << 2
    CLEARABLE: Final = 0x1E


class Smbhstcnt:
    """SMBus host control (7.3.3)."""

    INTEREN: Final = 1 << 0
    KILL: Final = 1 << 1
    PROTOCOL: Final = 0x1C
    START: Final = 1 << 6
    STORED: Final = INTEREN | PROTOCOL


DEFAULTS: Final = {
    Reg.PCISTS: b"\x80\x02",
    Reg.INTERRUPT_PIN: b"\x01",
    Reg.PMBA: bytes([Base.IO]),
    Reg.DEVACTB: Devactb.APMC_EN.to_bytes(4, "little"),
    Reg.SMBBA: bytes([Base.IO]),
}
WRITABLE: Final = {
    Reg.PMBA: Base.PM_MASK.to_bytes(4, "little"),
    Reg.CNT: b"\xff" * 12,
    Reg.DEVRES: b"\xff" * (Reg.LAST_DEVRES + 4 - Reg.DEVRES),
    Reg.PMREGMISC: bytes([PMIOSE]),
    Reg.SMBBA: Base.SMBUS_MASK.to_bytes(4, "little"),
    Reg.SMBHSTCFG: b"\x0f\xff\xff\xff",
}
