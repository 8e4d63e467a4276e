"""Intel 82371SB (PIIX3) function 0, ISA bridge: registers named as in the data sheet (order 290550), sections 2.2, 2.5."""

from __future__ import annotations

from typing import Final

from vpcore.pci import PciId

IDENT: Final = PciId(0x8086, 0x7000, 0x060100, revision=0, subsystem_vendor=0x1AF4, subsystem=0x1100)
SLOT: Final = 1


class Reg:
    """Offsets in configuration space."""

    PCICMD: Final = 0x04
    PCISTS: Final = 0x06
    IORT: Final = 0x4C
    XBCS: Final = 0x4E
    PIRQRC: Final = 0x60
    TOM: Final = 0x69
    MSTAT: Final = 0x6A
    MBIRQ: Final = 0x70
    MBDMA: Final = 0x76
    PCSC: Final = 0x78
    APICBASE: Final = 0x80
    DLC: Final = 0x82
    SMICNTL: Final = 0xA0
    SMIEN: Final = 0xA2
    SEE: Final = 0xA4
    FTMR: Final = 0xA8
    CTLTMR: Final = 0xAC
    CTHTMR: Final = 0xAE


class Pirqrc:
    """PCI interrupt route control (2.2.9)."""

    DISABLED: Final = 1 << 7
    IRQ: Final = 0x0F
    WRITABLE: Final = 0x8F
    WIRES: Final = 4
    RESERVED: Final = frozenset({0, 1, 2, 8, 13})


class Rcr:
    """Reset control register, port CF9h (2.5.4.2)."""

    PORT: Final = 0xCF9
    SRST: Final = 1 << 1  # hard reset rather than soft
    RCPU: Final = 1 << 2  # a rising edge starts the reset
    WRITABLE: Final = SRST | RCPU


DEFAULTS: Final = {
    Reg.PCICMD: b"\x07\x00",
    Reg.PCISTS: b"\x00\x02",
    Reg.IORT: b"\x4d",
    Reg.XBCS: b"\x03\x00",
    Reg.PIRQRC: bytes([Pirqrc.DISABLED]) * Pirqrc.WIRES,
    Reg.TOM: b"\x02",
    Reg.MBIRQ: b"\x80",
    Reg.MBDMA: b"\x0c\x0c",
    Reg.PCSC: b"\x02\x00",
    Reg.SMICNTL: b"\x08",
    Reg.FTMR: b"\x0f",
}
WRITABLE: Final = {
    Reg.PCICMD: b"\x08\x01",  # special cycles and SERR; the rest is wired
    Reg.IORT: b"\x7f",
    Reg.XBCS: b"\xff\x01",
    Reg.PIRQRC: bytes([Pirqrc.WRITABLE]) * Pirqrc.WIRES,
    Reg.TOM: b"\xfe",
    Reg.MSTAT: b"\x00\x80",
    Reg.MBIRQ: b"\xef",
    Reg.MBDMA: b"\x87\x87",
    Reg.PCSC: b"\xff\xff",
    Reg.APICBASE: b"\x7f",
    Reg.DLC: b"\x0f",
    Reg.SMICNTL: b"\x1d",
    Reg.SMIEN: b"\xff\xff",
    Reg.SEE: b"\xff\xff\xff\xff",
    Reg.FTMR: b"\xff",
    Reg.CTLTMR: b"\xff",
    Reg.CTHTMR: b"\xff",
}

COPROCESSOR_ERROR: Final = 0xF0
"""I/O port of the coprocessor error register (2.5.5.2)."""
