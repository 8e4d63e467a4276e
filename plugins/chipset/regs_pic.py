"""8259A registers and bits, named as in Intel's 8259A data sheet (order 231468), and the ELCR of PIIX3 (2.5.6)."""

from __future__ import annotations

from typing import Final

INPUTS: Final = 8
"""Interrupt request inputs IR0-IR7 of one chip."""
CASCADE: Final = 2
"""Master input that the slave's INT is wired to on a PC."""
SPURIOUS: Final = 7
"""Level given when the request went away before it was acknowledged ("default IR7", edge triggered mode)."""


class Port:
    """Where a PC decodes the two chips."""

    MASTER: Final = 0x20
    SLAVE: Final = 0xA0
    ELCR: Final = 0x4D0


class Reg:
    """Offsets: the chip's address line A0."""

    COMMAND: Final = 0
    DATA: Final = 1


class ICW1:
    """Initialization command word 1."""

    IC4: Final = 1 << 0  # ICW4 will follow
    SNGL: Final = 1 << 1  # alone: no ICW3
    SELECT: Final = 1 << 4  # tells ICW1 from OCW2 and OCW3


class Expect:
    """What the next write with A0=1 is (figure 6, initialization sequence)."""

    OCW1: Final = 0
    ICW2: Final = 2
    ICW3: Final = 3
    ICW4: Final = 4


class ICW2:
    """Initialization command word 2: vector base."""

    VECTOR: Final = 0xF8


class ICW4:
    """Initialization command word 4."""

    AEOI: Final = 1 << 1
    SFNM: Final = 1 << 4


class OCW2:
    """Operation command word 2: end of interrupt and rotation."""

    LEVEL: Final = 0x07
    ACTION: Final = 0xE0
    ROTATE_IN_AEOI_CLEAR: Final = 0x00
    EOI: Final = 0x20
    SPECIFIC_EOI: Final = 0x60
    ROTATE_IN_AEOI_SET: Final = 0x80
    ROTATE_EOI: Final = 0xA0
    SET_PRIORITY: Final = 0xC0
    ROTATE_SPECIFIC_EOI: Final = 0xE0


class OCW3:
    """Operation command word 3: what to read, poll, special mask."""

    SELECT: Final = 1 << 3
    RIS: Final = 1 << 0
    RR: Final = 1 << 1
    POLL: Final = 1 << 2
    SMM: Final = 1 << 5
    ESMM: Final = 1 << 6


class Poll:
    """The poll word."""

    INTERRUPT: Final = 1 << 7


class ELCR:
    """Edge/level control: inputs that may be level triggered (PIIX3 2.5.6: IRQ 0, 1, 2, 8 and 13 may not)."""

    MASTER: Final = 0xF8
    SLAVE: Final = 0xDE
