"""Where a PC has its 8259A pair, and the ELCR of PIIX3 (2.5.6); the chips' own registers are in csrc/i8259.c."""

from __future__ import annotations

from typing import Final

INPUTS: Final = 8
"""Interrupt request inputs IR0-IR7 of one chip."""
CASCADE: Final = 2
"""Master input that the slave's INT is wired to on a PC."""
REGISTERS: Final = 2
"""Of one chip: its address line A0."""


class Port:
    """Where a PC decodes the two chips."""

    MASTER: Final = 0x20
    SLAVE: Final = 0xA0
    ELCR: Final = 0x4D0


class ELCR:
    """Edge/level control: inputs that may be level triggered (PIIX3 2.5.6: IRQ 0, 1, 2, 8 and 13 may not)."""

    MASTER: Final = 0xF8
    SLAVE: Final = 0xDE
