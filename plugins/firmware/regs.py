"""fw_cfg registers, keys and structures, as SeaBIOS reads them (QEMU docs/specs/fw_cfg)."""

from typing import Final


class Reg:
    """Offsets from port 510h."""

    BASE: Final = 0x510
    SIZE: Final = 16
    SELECTOR: Final = 0
    DATA: Final = 1
    DMA_HIGH: Final = 4
    DMA_LOW: Final = 8
    BOOT_DOORBELL: Final = 12
    """Ours: the boot ROM asks for the kernel to be put into memory."""


class Key:
    """Selector values."""

    SIGNATURE: Final = 0x00
    ID: Final = 0x01
    NB_CPUS: Final = 0x05
    BOOT_MENU: Final = 0x0E
    MAX_CPUS: Final = 0x0F
    FILE_DIR: Final = 0x19
    FILE_FIRST: Final = 0x20
    WRITE_CHANNEL: Final = 0x4000
    ARCH_LOCAL: Final = 0x8000
    MASK: Final = 0xFFFF


class Id:
    """Bits of the interface revision."""

    TRADITIONAL: Final = 1 << 0
    DMA: Final = 1 << 1


class Dma:
    """The DMA control word and structure: control, length (32 bit), address (64 bit), big-endian."""

    ERROR: Final = 1 << 0
    READ: Final = 1 << 1
    SKIP: Final = 1 << 2
    SELECT: Final = 1 << 3
    WRITE: Final = 1 << 4
    KEY_SHIFT: Final = 16
    FORMAT: Final = ">IIQ"
    SIGNATURE_HIGH: Final = 0x51454D55
    SIGNATURE_LOW: Final = 0x20434647


SIGNATURE: Final = b"QEMU"
FILE_FORMAT: Final = ">IHH56s"
"""A directory entry: size, selector, reserved, name."""
MAX_NAME: Final = 55


class E820:
    """Memory map entries (ACPI 6.4, 15.1): address, length, type."""

    FORMAT: Final = "<QQI"
    RAM: Final = 1
    RESERVED: Final = 2


class SystemStates:
    """etc/system-states: a byte for each of S0 to S5, what its SLP_TYP is and whether there is such a state."""

    OFFERED: Final = 1 << 7
    COUNT: Final = 6
    PIIX4: Final = {0: 0, 5: 0}
    """State to SLP_TYP: working and soft off (SeaBIOS's DSDT has 0 for S5)."""


class CmosBoot:
    """Where SeaBIOS looks for the boot order, and its codes."""

    FLAG1: Final = 0x38
    FLAG2: Final = 0x3D
    SKIP_FLOPPY_CHECK: Final = 1 << 0
    CODES: Final = {"a": 1, "c": 2, "d": 3, "n": 4}
