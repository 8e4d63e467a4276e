"""VGA registers, named as in the IBM PS/2 Hardware Interface Technical Reference, Video Subsystem (cited as IBM VGA),
and in the FreeVGA pages on the same registers.
"""

from typing import Final


class Port:
    """I/O ports, as offsets from `BASE` (FreeVGA, "Accessing the VGA registers")."""

    BASE: Final = 0x3B0
    SIZE: Final = 0x30
    CRTC_MONO: Final = 0x3B4 - BASE
    STATUS1_MONO: Final = 0x3BA - BASE
    ATTRIBUTE: Final = 0x3C0 - BASE
    ATTRIBUTE_READ: Final = 0x3C1 - BASE
    MISC_WRITE: Final = 0x3C2 - BASE
    VIDEO_ENABLE: Final = 0x3C3 - BASE
    SEQUENCER: Final = 0x3C4 - BASE
    PEL_MASK: Final = 0x3C6 - BASE
    DAC_READ_INDEX: Final = 0x3C7 - BASE
    DAC_WRITE_INDEX: Final = 0x3C8 - BASE
    DAC_DATA: Final = 0x3C9 - BASE
    FEATURE_READ: Final = 0x3CA - BASE
    MISC_READ: Final = 0x3CC - BASE
    GRAPHICS: Final = 0x3CE - BASE
    CRTC_COLOR: Final = 0x3D4 - BASE
    STATUS1_COLOR: Final = 0x3DA - BASE


class Misc:
    """Miscellaneous output register (IBM VGA, general registers)."""

    COLOR: Final = 1 << 0  # I/O address select: 3Dx rather than 3Bx
    ENABLE_RAM: Final = 1 << 1
    CLOCK_SHIFT: Final = 2
    CLOCK_MASK: Final = 3
    WRITABLE: Final = 0xEF


class Status0:
    """Input status register 0."""

    SWITCH_SENSE: Final = 1 << 4


class Status1:
    """Input status register 1."""

    BLANKED: Final = 1 << 0  # display enable is inactive
    VERTICAL_RETRACE: Final = 1 << 3


class Seq:
    """Sequencer registers and bits (IBM VGA, sequencer registers)."""

    RESET: Final = 0
    CLOCKING: Final = 1
    MAP_MASK: Final = 2
    CHARACTER_MAP: Final = 3
    MEMORY_MODE: Final = 4
    COUNT: Final = 8
    MASKS: Final = bytes((0x03, 0x3D, 0x0F, 0x3F, 0x0E, 0, 0, 0))

    EIGHT_DOTS: Final = 1 << 0  # clocking mode
    HALF_DOT_CLOCK: Final = 1 << 3
    SCREEN_OFF: Final = 1 << 5
    SEQUENTIAL: Final = 1 << 2  # memory mode: odd/even off
    CHAIN4: Final = 1 << 3


class Crtc:
    """CRT controller registers and bits (IBM VGA, CRT controller registers)."""

    BIT_9: Final = 9
    """Where the second overflow bit of a count belongs."""

    H_TOTAL: Final = 0x00
    H_DISPLAY_END: Final = 0x01
    OVERFLOW: Final = 0x07
    PRESET_ROW: Final = 0x08
    MAX_SCAN: Final = 0x09
    CURSOR_START: Final = 0x0A
    CURSOR_END: Final = 0x0B
    START_HIGH: Final = 0x0C
    START_LOW: Final = 0x0D
    CURSOR_HIGH: Final = 0x0E
    CURSOR_LOW: Final = 0x0F
    V_RETRACE_START: Final = 0x10
    V_RETRACE_END: Final = 0x11
    V_DISPLAY_END: Final = 0x12
    OFFSET: Final = 0x13
    UNDERLINE: Final = 0x14
    MODE: Final = 0x17
    LINE_COMPARE: Final = 0x18
    V_TOTAL: Final = 0x06
    COUNT: Final = 0x19
    INDEX_MASK: Final = 0x3F

    PROTECT: Final = 1 << 7  # vertical retrace end: registers 0-7 are read-only
    OVERFLOW_LINE_COMPARE: Final = 1 << 4
    OVERFLOW_V_TOTAL: Final = (1 << 0, 1 << 5)  # bits 8 and 9
    OVERFLOW_V_DISPLAY_END: Final = (1 << 1, 1 << 6)
    OVERFLOW_V_RETRACE_START: Final = (1 << 2, 1 << 7)
    SCAN_MASK: Final = 0x1F  # maximum scan line, preset row scan, cursor start and end, underline
    MAX_SCAN_LINE_COMPARE: Final = 1 << 6
    DOUBLE_SCAN: Final = 1 << 7
    BYTE_PANNING_SHIFT: Final = 5
    BYTE_PANNING_MASK: Final = 3
    CURSOR_OFF: Final = 1 << 5
    CURSOR_SKEW_SHIFT: Final = 5
    CURSOR_SKEW_MASK: Final = 3
    RETRACE_END_MASK: Final = 0x0F
    ROW_SCAN_13: Final = 1 << 0  # mode control: 0 puts row scan bit 0 on address bit 13
    ROW_SCAN_14: Final = 1 << 1
    HALF_VERTICAL: Final = 1 << 2
    BYTE_MODE: Final = 1 << 6


class Gfx:
    """Graphics controller registers and bits (IBM VGA, graphics controller registers)."""

    SET_RESET: Final = 0
    ENABLE_SET_RESET: Final = 1
    COLOR_COMPARE: Final = 2
    ROTATE: Final = 3
    READ_MAP: Final = 4
    MODE: Final = 5
    MISC: Final = 6
    COLOR_DONT_CARE: Final = 7
    BIT_MASK: Final = 8
    COUNT: Final = 16
    MASKS: Final = bytes((0x0F, 0x0F, 0x0F, 0x1F, 0x03, 0x7B, 0x0F, 0x0F, 0xFF, 0, 0, 0, 0, 0, 0, 0))

    ROTATE_MASK: Final = 0x07
    FUNCTION_SHIFT: Final = 3
    WRITE_MODE_MASK: Final = 0x03
    READ_COMPARE: Final = 1 << 3  # read mode 1
    HOST_ODD_EVEN: Final = 1 << 4
    SHIFT_INTERLEAVE: Final = 1 << 5
    SHIFT_256: Final = 1 << 6
    GRAPHICS: Final = 1 << 0  # miscellaneous register
    MAP_SHIFT: Final = 2
    MAP_MASK: Final = 3
    MAPS: Final = ((0xA0000, 0x20000), (0xA0000, 0x10000), (0xB0000, 0x8000), (0xB8000, 0x8000))
    """Address and size by memory map select."""


class Attr:
    """Attribute controller registers and bits (IBM VGA, attribute controller registers)."""

    PALETTE_SIZE: Final = 0x10
    MODE: Final = 0x10
    OVERSCAN: Final = 0x11
    PLANE_ENABLE: Final = 0x12
    PEL_PANNING: Final = 0x13
    COLOR_SELECT: Final = 0x14
    COUNT: Final = 0x20
    MASKS: Final = bytes((0x3F,) * 16 + (0xEF, 0xFF, 0x3F, 0x0F, 0x0F) + (0,) * 11)

    INDEX_MASK: Final = 0x1F
    ADDRESS_MASK: Final = 0x3F
    VIDEO_ON: Final = 1 << 5  # of the address register: palette address source
    GRAPHICS: Final = 1 << 0
    MONO: Final = 1 << 1
    LINE_GRAPHICS: Final = 1 << 2
    BLINK: Final = 1 << 3
    PANNING_COMPATIBLE: Final = 1 << 5
    PEL_8BIT: Final = 1 << 6
    P54_SELECT: Final = 1 << 7


class Dac:
    """Video DAC (IBM VGA, video DAC registers)."""

    COLORS: Final = 256
    STATE_READ: Final = 3
    STATE_WRITE: Final = 0
    MASK_6BIT: Final = 0x3F


class Dispi:
    """The Bochs VBE registers (Bochs VBE display API documentation, `VBE_DISPI_...`)."""

    PORT: Final = 0x1CE
    INDEX_PORT: Final = 0
    DATA_PORT: Final = 1  # 16 bits wide although the next port is its own
    DATA_PORT_EVEN: Final = 2  # where hosts without unaligned ports have it
    PORTS: Final = 4

    ID: Final = 0
    XRES: Final = 1
    YRES: Final = 2
    BPP: Final = 3
    ENABLE: Final = 4
    BANK: Final = 5
    VIRT_WIDTH: Final = 6
    VIRT_HEIGHT: Final = 7
    X_OFFSET: Final = 8
    Y_OFFSET: Final = 9
    VIDEO_MEMORY_64K: Final = 10
    COUNT: Final = 11

    ID0: Final = 0xB0C0
    ID5: Final = 0xB0C5
    MAX_XRES: Final = 1600
    MAX_YRES: Final = 1200
    MAX_BPP: Final = 32
    DEPTHS: Final = (4, 8, 15, 16, 24, 32)

    ENABLED: Final = 1 << 0
    GET_CAPS: Final = 1 << 1
    DAC_8BIT: Final = 1 << 5
    LFB_ENABLED: Final = 1 << 6
    NO_CLEAR: Final = 1 << 7
    BANK_SIZE: Final = 64 << 10


class Mmio:
    """BAR2 of the "stdvga" device, as Linux's bochs-drm uses it."""

    SIZE: Final = 0x1000
    VGA: Final = 0x400  # ports 3C0-3DF
    VGA_PORTS: Final = 0x20
    DISPI: Final = 0x500  # the VBE registers, two bytes each


class Pci:
    """Identity in PCI configuration space: what SeaBIOS's VGA BIOS and Linux's bochs-drm look for."""

    VENDOR: Final = 0x1234
    DEVICE: Final = 0x1111
    CLASS: Final = 0x030000
    SUBSYSTEM_VENDOR: Final = 0x1AF4
    SUBSYSTEM: Final = 0x1100
    LFB_BAR: Final = 0
    MMIO_BAR: Final = 2
    ROM_BAR: Final = 6


APERTURE: Final = 0xA0000
APERTURE_SIZE: Final = 0x20000
