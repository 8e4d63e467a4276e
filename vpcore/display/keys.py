"""What a terminal sends when keys are pressed, as messages to the machine (wire.py).

The sequences are those of xterm (ctlseqs, "PC-Style Function Keys") and of the terminals that follow it, and the Linux
console's F1 to F5 (console_codes(4)).  What is not known is left out.
"""

from __future__ import annotations

import re
from typing import Final

ESC: Final = 0x1B
LEAVE: Final = 0x1D
"""Ctrl-] leaves, as on the serial console."""
FIRST_PRINTABLE: Final = 0x20
SEQUENCE: Final = re.compile(
    rb"\x1b(?:\[\[(?P<linux>[A-E])|\[(?P<numbers>[0-9;]*)(?P<end>[@-Z\\^-~])|O(?P<ss3>[A-Za-z]))"
)
UNFINISHED: Final = re.compile(rb"\x1b+(?:\[\[?[0-9;]*|O)?")
ENDS: Final = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end", "M": "keypad-enter",
    "P": "f1", "Q": "f2", "R": "f3", "S": "f4",
}  # fmt: skip
NUMBERS: Final = {
    1: "home", 2: "insert", 3: "delete", 4: "end", 5: "page-up", 6: "page-down", 7: "home", 8: "end",
    11: "f1", 12: "f2", 13: "f3", 14: "f4", 15: "f5", 17: "f6", 18: "f7", 19: "f8", 20: "f9", 21: "f10", 23: "f11", 24: "f12",
}  # fmt: skip
LINUX: Final = {"A": "f1", "B": "f2", "C": "f3", "D": "f4", "E": "f5"}
MODIFIERS: Final = ((1, "left-shift"), (2, "left-alt"), (4, "left-ctrl"))
"""Bits of a sequence's second number, less one."""
CONTROLS: Final = {
    0x00: ("left-ctrl", "space"), 0x1B: ("esc",), 0x1C: ("left-ctrl", "\\"), 0x1E: ("left-ctrl", "6"),
    0x1F: ("left-ctrl", "-"), 0x7F: ("backspace",),
}  # fmt: skip
ALT: Final = "left-alt"

Message = list[str]


def decode(data: bytes, *, final: bool = False) -> tuple[list[Message], bytes]:
    """The messages of what was typed, and the bytes of a sequence that is not complete; *final*: no more will come."""
    messages: list[Message] = []
    while data:
        if not final and UNFINISHED.fullmatch(data):
            break
        message, size = _next(data)
        data = data[size:]
        if not message:
            continue
        if messages and message[0] == messages[-1][0] == "text":
            messages[-1][1] += message[1]
        else:
            messages.append(message)
    return messages, data


def _next(data: bytes) -> tuple[Message, int]:
    """One key and its length in bytes."""
    byte = data[0]
    if byte == LEAVE:
        return ["quit"], 1
    if byte == ESC and len(data) > 1:
        match = SEQUENCE.match(data)
        if match is not None:
            return _sequence(match), match.end()
        message, size = _next(data[1:])
        return _with_alt(message), size + 1
    if byte in CONTROLS:
        return ["chord", *CONTROLS[byte]], 1
    size = _utf8_size(byte)
    return ["text", data[:size].decode(errors="ignore")], size


def _with_alt(message: Message) -> Message:
    if message[:1] == ["quit"] or not message:
        return message
    return ["chord", ALT, *message[1:]]


def _sequence(match: re.Match[bytes]) -> Message:
    groups = {name: value.decode() for name, value in match.groupdict().items() if value is not None}
    if "linux" in groups:
        return ["chord", LINUX[groups["linux"]]]
    if "ss3" in groups:
        return _chord(ENDS.get(groups["ss3"]), 0)
    end = groups["end"]
    first, second = ([int(number or 1) for number in groups["numbers"].split(";")] + [1, 1])[:2]
    if end == "Z":
        return ["chord", "left-shift", "tab"]
    return _chord(NUMBERS.get(first) if end == "~" else ENDS.get(end), second - 1)


def _chord(key: str | None, modifiers: int) -> Message:
    if key is None:
        return []
    return ["chord", *(name for bit, name in MODIFIERS if modifiers & bit), key]


def _utf8_size(first: int) -> int:
    """Bytes of the character that begins with this one (RFC 3629, section 3)."""
    return next((size for size, lead in ((4, 0xF0), (3, 0xE0), (2, 0xC0)) if first >= lead), 1)
