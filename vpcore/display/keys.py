"""What was typed in a terminal, as messages to the machine (wire.py).  What terminals send for a key, blessed knows."""

from __future__ import annotations

from typing import Final

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
    while True:
        try:
            key = term.inkey(timeout=0, esc_delay=escape_s)
        except UnicodeDecodeError:  # no character of the terminal's encoding
            continue
        if not key:
            return joined(messages)
        messages.append(message(key))


def joined(messages: list[Message]) -> list[Message]:
    """The same with neighbouring texts in one, and nothing empty."""
    out: list[Message] = []
    for each in filter(None, messages):
        if out and each[0] == out[-1][0] == "text":
            out[-1] = ["text", out[-1][1] + each[1]]
        else:
            out.append(each)
    return out
