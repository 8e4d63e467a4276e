"""Intel 440FX PCIset: 82441FX registers and bits, named as in the data sheet (order 290549), section 3.2."""

from __future__ import annotations

from typing import Final

from vpcore.pci import PciId

IDENT: Final = PciId(0x8086, 0x1237, 0x060000, revision=2, subsystem_vendor=0x1AF4, subsystem=0x1100)
"""What SeaBIOS recognizes as a virtual machine with a fw_cfg device (fw/paravirt.c); the real chip has none."""


class Port:
    """Configuration mechanism 1 (3.1)."""

    CONFADD: Final = 0xCF8
    CONFDATA: Final = 0xCFC


class Confadd:
    """Configuration address register (3.1.1)."""

    ENABLE: Final = 1 << 31
    BUS_SHIFT: Final = 16
    BUS: Final = 0xFF
    DEVICE_SHIFT: Final = 11
    DEVICE: Final = 0x1F
    FUNCTION_SHIFT: Final = 8
    FUNCTION: Final = 0x07
    REGISTER: Final = 0xFC
    WRITABLE: Final = 0x80FF_FFFC


class Reg:
    """Offsets in configuration space."""

    PCICMD: Final = 0x04
    PCISTS: Final = 0x06
    MLT: Final = 0x0D
    PMCCFG: Final = 0x50
    DRAMC: Final = 0x57
    DRAMT: Final = 0x58
    PAM0: Final = 0x59
    DRB: Final = 0x60
    SMRAM: Final = 0x72


class Pam:
    """Programmable attribute map (3.2.13): two bits of each nibble."""

    RE: Final = 1 << 0
    WE: Final = 1 << 1
    PAM0_START: Final = 0xF0000  # the high nibble of PAM0
    PAM0_SIZE: Final = 0x10000
    START: Final = 0xC0000  # PAM1 to PAM6, low nibble first
    SIZE: Final = 0x4000
    COUNT: Final = 6
    NIBBLE: Final = 4


class Smram:
    """System management RAM control (3.2.19)."""

    G_SMRAME: Final = 1 << 3
    D_LCK: Final = 1 << 4
    D_OPEN: Final = 1 << 6
    BASE_SEG: Final = 0x02
    WRITABLE: Final = 0x78
    START: Final = 0xA0000
    SIZE: Final = 0x20000


DRB_UNIT: Final = 8 << 20
DRB_ROWS: Final = 8

DEFAULTS: Final = {
    Reg.PCICMD: b"\x06\x00",
    Reg.PCISTS: b"\x80\x02",
    Reg.DRAMC: b"\x01",
    Reg.SMRAM: bytes([Smram.BASE_SEG]),
}
WRITABLE: Final = {
    Reg.PCICMD: b"\x40\x01",  # PERRE and SERRE; I/O, memory and master are wired (3.2.3)
    Reg.MLT: b"\xf8",
    Reg.PMCCFG: b"\xf8\x87",
    Reg.DRAMC: b"\xff",
    Reg.DRAMT: b"\xff",
    Reg.PAM0: b"\x30" + b"\x33" * Pam.COUNT,
    Reg.DRB: b"\xff" * DRB_ROWS,
    Reg.SMRAM: bytes([Smram.WRITABLE]),
}
