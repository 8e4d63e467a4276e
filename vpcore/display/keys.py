"""What was typed in a terminal, as messages to the machine (wire.py).  What terminals send for a key, blessed knows."""

from __future__ import annotations

import codecs
import os
from typing import Final, cast

from blessed import Terminal
from blessed.keyboard import Keystroke

LEAVE: Final = "\x1d"
"""Ctrl-] leaves, as on the serial console."""
PREFIX: Final = "KEY_"
MODIFIERS: Final = {"CTRL_": "left-ctrl", "ALT_": "left-alt", "SHIFT_": "left-shift"}
KEYS: Final = {
    "UP": "up", "DOWN": "down", "LEFT": "left", "RIGHT": "right", "HOME": "home", "END": "end",
    "INSERT": "insert", "DELETE": "delete", "PGUP": "page-up", "PGDOWN": "page-down", "BACKSPACE": "backspace",
    "TAB": "tab", "ENTER": "enter", "ESCAPE": "esc", "SPACE": "space", "KP_ENTER": "keypad-enter",
    **{f"F{number}": f"f{number}" for number in range(1, 13)},
    "^": "6", "_": "-", "@": "2",
}  # fmt: skip
"""Names of the guest's keyboard; the last three are what a US keyboard presses for a terminal's control characters."""

Message = list[str]


class UserTerminal(Terminal):
    """A terminal whose keyboard sends UTF-8; bytes that are none are left out."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("ignore")
        super().__init__(force_styling=True)  # without colours (NO_COLOR) it can still be painted
        if os.environ.get("NO_COLOR"):
            self.number_of_colors = 0

    def getch(self, decode_latin1: bool = False) -> str:  # noqa: FBT002 - blessed's
        """What the next byte of the keyboard completes.  Raises `EOFError` at the end."""
        byte = os.read(cast("int", self._keyboard_fd), 1)
        if not byte:
            raise EOFError
        return byte.decode("latin-1") if decode_latin1 else self._utf8.decode(byte)


def message(key: Keystroke) -> Message:
    """The message for one key; empty where the guest's keyboard has nothing like it."""
    if str(key) == LEAVE:
        return ["quit"]
    if not key.name:
        return [] if key.is_sequence else ["text", str(key)]
    if key.name == "KEY_BTAB":
        return ["chord", "left-shift", "tab"]
    modifiers, name = [], key.name.removeprefix(PREFIX)
    for prefix, modifier in MODIFIERS.items():
        if len(name) > len(prefix) and name.startswith(prefix):
            modifiers.append(modifier)
            name = name.removeprefix(prefix)
    pressed = KEYS.get(name, name.lower() if len(name) == 1 else None)
    return ["chord", *modifiers, pressed] if pressed else []


def read(term: Terminal, escape_s: float) -> list[Message]:
    """Messages for all that was typed by now; an ESC waits *escape_s* seconds for the rest of a sequence."""
    messages: list[Message] = []
    while key := term.inkey(timeout=0, esc_delay=escape_s):
        messages.append(message(key))
    return joined(messages)


def joined(messages: list[Message]) -> list[Message]:
    """The same with neighbouring texts in one, and nothing empty."""
    out: list[Message] = []
    for each in filter(None, messages):
        if out and each[0] == out[-1][0] == "text":
            out[-1] = ["text", out[-1][1] + each[1]]
        else:
            out.append(each)
    return out
