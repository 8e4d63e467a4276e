"""8042 keyboard controller: ports, status, command byte and commands, as in IBM's PS/2 technical reference
(keyboard and auxiliary device controller) and Intel's UPI-42 data sheet.
"""

from __future__ import annotations

from typing import Final


class Port:
    """Where a PC decodes the controller; data and command lie four apart."""

    DATA: Final = 0x60


class Reg:
    """Offsets."""

    DATA: Final = 0
    COMMAND: Final = 4  # status when read
    COUNT: Final = 5


class Status:
    """Status register."""

    OBF: Final = 1 << 0  # output buffer full
    SYS: Final = 1 << 2  # system flag, as in the command byte
    COMMAND: Final = 1 << 3  # the last write was a command
    UNLOCKED: Final = 1 << 4  # keyboard not inhibited by the key lock
    AUX: Final = 1 << 5  # the byte in the output buffer is the auxiliary device's


class CommandByte:
    """Byte 0 of the controller's RAM."""

    KEYBOARD_INT: Final = 1 << 0
    AUX_INT: Final = 1 << 1
    SYS: Final = 1 << 2
    KEYBOARD_DISABLE: Final = 1 << 4
    AUX_DISABLE: Final = 1 << 5
    TRANSLATE: Final = 1 << 6


class Command:
    """Commands written to port 64h."""

    READ_RAM: Final = range(0x20, 0x40)
    WRITE_RAM: Final = range(0x60, 0x80)
    TEST_PASSWORD: Final = 0xA4
    DISABLE_AUX: Final = 0xA7
    ENABLE_AUX: Final = 0xA8
    TEST_AUX: Final = 0xA9
    SELF_TEST: Final = 0xAA
    TEST_KEYBOARD: Final = 0xAB
    DISABLE_KEYBOARD: Final = 0xAD
    ENABLE_KEYBOARD: Final = 0xAE
    READ_INPUT_PORT: Final = 0xC0
    READ_OUTPUT_PORT: Final = 0xD0
    WRITE_OUTPUT_PORT: Final = 0xD1
    WRITE_KEYBOARD_BUFFER: Final = 0xD2
    WRITE_AUX_BUFFER: Final = 0xD3
    WRITE_AUX: Final = 0xD4
    DISABLE_A20: Final = 0xDD
    ENABLE_A20: Final = 0xDF
    READ_TEST_INPUTS: Final = 0xE0
    PULSE: Final = range(0xF0, 0x100)


class Answer:
    """What commands answer."""

    SELF_TEST_PASSED: Final = 0x55
    LINE_FINE: Final = 0x00
    NO_PASSWORD: Final = 0xF1


class OutputPort:
    """Output port P2."""

    NO_RESET: Final = 1 << 0
    A20: Final = 1 << 1
    AUX_FULL: Final = 1 << 5
    KEYBOARD_FULL: Final = 1 << 4
    IDLE: Final = 0xCC  # clock and data lines of both devices released


class InputPort:
    """Input port P1."""

    IDLE: Final = 0xB0  # not locked, VGA, manufacturing jumper open, planar RAM enabled


RAM: Final = 32
RAM_MASK: Final = RAM - 1
