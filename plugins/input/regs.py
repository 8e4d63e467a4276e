"""Commands and answers of PS/2 keyboards and mice (IBM PS/2 Hardware Interface Technical Reference, keyboard and mouse
sections; Microsoft Intellimouse extension).
"""

from typing import Final


class Answer:
    """What devices send back."""

    ACK: Final = 0xFA
    RESEND: Final = 0xFE
    ECHO: Final = 0xEE
    SELF_TEST_PASSED: Final = 0xAA
    OVERRUN: Final = {1: b"\xff", 2: b"\x00"}
    """By scan code set: what stands in the buffer for the keys that found no room."""


class KeyboardCommand:
    """Commands to a keyboard."""

    SET_LEDS: Final = 0xED
    ECHO: Final = 0xEE
    SCAN_SET: Final = 0xF0
    IDENTIFY: Final = 0xF2
    TYPEMATIC: Final = 0xF3
    ENABLE: Final = 0xF4
    DISABLE: Final = 0xF5
    DEFAULTS: Final = 0xF6
    KEY_TYPES: Final = frozenset(range(0xF7, 0xFB))
    KEY_TYPE_ONE: Final = frozenset(range(0xFB, 0xFE))
    RESEND: Final = 0xFE
    RESET: Final = 0xFF


class MouseCommand:
    """Commands to a mouse."""

    SCALE_1: Final = 0xE6
    SCALE_2: Final = 0xE7
    RESOLUTION: Final = 0xE8
    STATUS: Final = 0xE9
    STREAM: Final = 0xEA
    READ: Final = 0xEB
    UNWRAP: Final = 0xEC
    WRAP: Final = 0xEE
    REMOTE: Final = 0xF0
    IDENTIFY: Final = 0xF2
    RATE: Final = 0xF3
    ENABLE: Final = 0xF4
    DISABLE: Final = 0xF5
    DEFAULTS: Final = 0xF6
    RESEND: Final = 0xFE
    RESET: Final = 0xFF
    FORGET_MOVEMENT: Final = frozenset({STREAM, REMOTE, ENABLE, DISABLE})


KEYBOARD_ID: Final = (0xAB, 0x83)
BREAK_2: Final = 0xF0
"""Prefix of a release in scan code set 2."""
BREAK_1: Final = 0x80
"""Added to a release in scan code set 1."""
EXTENDED: Final = 0xE0
PREFIXES: Final = frozenset({BREAK_2, EXTENDED, 0xE1})
PAUSE_1: Final = bytes.fromhex("e11d45e19dc5")
PAUSE_2: Final = bytes.fromhex("e11477e1f014f077")
KEYBOARD_BUFFER: Final = 16
DEFAULT_TYPEMATIC: Final = 0x2B
"""10.9 characters a second after 500 ms."""
LED_MASK: Final = 0x07


class MousePacket:
    """First byte of a movement packet."""

    BUTTONS: Final = 0x07
    ALWAYS: Final = 1 << 3
    X_SIGN: Final = 1 << 4
    Y_SIGN: Final = 1 << 5
    X_OVERFLOW: Final = 1 << 6
    Y_OVERFLOW: Final = 1 << 7


class MouseStatus:
    """First byte of the status report."""

    RIGHT: Final = 1 << 0
    MIDDLE: Final = 1 << 1
    LEFT: Final = 1 << 2
    SCALE_2: Final = 1 << 4
    ENABLED: Final = 1 << 5
    REMOTE: Final = 1 << 6


class MouseId:
    """Identities: plain, wheel, five buttons; and the sample rates that switch to them."""

    PLAIN: Final = 0
    WHEEL: Final = 3
    FIVE_BUTTONS: Final = 4
    KNOCK: Final[dict[tuple[int, ...], int]] = {
        (PLAIN, 200, 100, 80): WHEEL,
        (WHEEL, 200, 200, 80): FIVE_BUTTONS,
    }
    """Identity and the last three sample rates to the identity that follows."""
    KNOCKS: Final = 3


DEFAULT_RATE: Final = 100
DEFAULT_RESOLUTION: Final = 2
MAX_STEP: Final = 255
SCALED: Final = (0, 1, 1, 3, 6, 9)
"""What 2:1 scaling makes of counts below 6."""
MAX_WHEEL: Final = 7
MAX_PENDING: Final = 1 << 15
MOUSE_BUFFER: Final = 64
BYTE: Final = 0xFF
NIBBLE: Final = 0x0F
