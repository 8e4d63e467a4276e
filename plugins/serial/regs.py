"""16550A registers and bits, named as in the National Semiconductor PC16550D data sheet (June 1995), section 8."""

from typing import Final


class Reg:
    """Offsets from the base port (table II)."""

    SIZE: Final = 8
    DATA: Final = 0
    """RBR and THR; DLL while DLAB is set."""
    IER: Final = 1
    """DLM while DLAB is set."""
    IIR: Final = 2
    """FCR when written."""
    LCR: Final = 3
    MCR: Final = 4
    LSR: Final = 5
    MSR: Final = 6
    SCR: Final = 7


class IER:
    """Interrupt enable register (8.7)."""

    ERBFI: Final = 1 << 0
    ETBEI: Final = 1 << 1
    ELSI: Final = 1 << 2
    EDSSI: Final = 1 << 3
    MASK: Final = 0x0F


class IIR:
    """Interrupt identification register (8.6, table IV)."""

    NONE: Final = 0x01
    MODEM: Final = 0x00
    THRE: Final = 0x02
    DATA: Final = 0x04
    TIMEOUT: Final = 0x0C
    LINE: Final = 0x06
    FIFOS: Final = 0xC0


class FCR:
    """FIFO control register (8.5)."""

    ENABLE: Final = 1 << 0
    CLEAR_RX: Final = 1 << 1
    CLEAR_TX: Final = 1 << 2
    DMA_MODE: Final = 1 << 3
    TRIGGER_SHIFT: Final = 6
    TRIGGERS: Final = (1, 4, 8, 14)


class LCR:
    """Line control register (8.1)."""

    WORD_LENGTH: Final = 0x03
    STOP: Final = 1 << 2
    PARITY: Final = 1 << 3
    EVEN: Final = 1 << 4
    STICK: Final = 1 << 5
    BREAK: Final = 1 << 6
    DLAB: Final = 1 << 7
    SHORTEST: Final = 5


class MCR:
    """Modem control register (8.8)."""

    DTR: Final = 1 << 0
    RTS: Final = 1 << 1
    OUT1: Final = 1 << 2
    OUT2: Final = 1 << 3
    LOOP: Final = 1 << 4
    MASK: Final = 0x1F


class LSR:
    """Line status register (8.4)."""

    DR: Final = 1 << 0
    OE: Final = 1 << 1
    PE: Final = 1 << 2
    FE: Final = 1 << 3
    BI: Final = 1 << 4
    THRE: Final = 1 << 5
    TEMT: Final = 1 << 6
    ERRORS: Final = OE | PE | FE | BI


class MSR:
    """Modem status register (8.9): deltas below, levels above."""

    DCTS: Final = 1 << 0
    DDSR: Final = 1 << 1
    TERI: Final = 1 << 2
    DDCD: Final = 1 << 3
    CTS: Final = 1 << 4
    DSR: Final = 1 << 5
    RI: Final = 1 << 6
    DCD: Final = 1 << 7
    DELTAS: Final = 0x0F
    LEVELS: Final = 0xF0


FIFO_SIZE: Final = 16
CLOCK_HZ: Final = 1_843_200
CLOCKS_PER_BIT: Final = 16
"""BAUDOUT# is the input clock through the divisor, 16 times the baud rate (8.3)."""
TIMEOUT_CHARACTERS: Final = 4
"""A character waits this long below the trigger level before it asks for an interrupt (8.12)."""
BYTE: Final = 0xFF
EIGHT_BITS: Final = 8
