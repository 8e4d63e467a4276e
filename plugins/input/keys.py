"""The keys of a 102-key keyboard: names, scan codes, and what a US layout types with them.

Codes are from the IBM PS/2 Hardware Interface Technical Reference, keyboard section, scan code sets 1 and 2.
"""

from __future__ import annotations

from typing import Final

import attrs


@attrs.frozen
class Key:
    """One key: its code in sets 1 and 2, and whether an E0 goes before it."""

    set1: int
    set2: int
    extended: bool = False


_PLAIN: Final = """
esc 01 76   1 02 16   2 03 1e   3 04 26   4 05 25   5 06 2e   6 07 36   7 08 3d   8 09 3e   9 0a 46   0 0b 45
- 0c 4e   = 0d 55   backspace 0e 66   tab 0f 0d   q 10 15   w 11 1d   e 12 24   r 13 2d   t 14 2c   y 15 35
u 16 3c   i 17 43   o 18 44   p 19 4d   [ 1a 54   ] 1b 5b   enter 1c 5a   left-ctrl 1d 14   a 1e 1c   s 1f 1b
d 20 23   f 21 2b   g 22 34   h 23 33   j 24 3b   k 25 42   l 26 4b   ; 27 4c   ' 28 52   ` 29 0e
left-shift 2a 12   \\ 2b 5d   z 2c 1a   x 2d 22   c 2e 21   v 2f 2a   b 30 32   n 31 31   m 32 3a   , 33 41
. 34 49   / 35 4a   right-shift 36 59   keypad-* 37 7c   left-alt 38 11   space 39 29   caps-lock 3a 58
f1 3b 05   f2 3c 06   f3 3d 04   f4 3e 0c   f5 3f 03   f6 40 0b   f7 41 83   f8 42 0a   f9 43 01   f10 44 09
num-lock 45 77   scroll-lock 46 7e   keypad-7 47 6c   keypad-8 48 75   keypad-9 49 7d   keypad-- 4a 7b
keypad-4 4b 6b   keypad-5 4c 73   keypad-6 4d 74   keypad-+ 4e 79   keypad-1 4f 69   keypad-2 50 72
keypad-3 51 7a   keypad-0 52 70   keypad-. 53 71   sysrq 54 84   < 56 61   f11 57 78   f12 58 07
"""
_EXTENDED: Final = """
keypad-enter 1c 5a   right-ctrl 1d 14   keypad-/ 35 4a   print-screen 37 7c   right-alt 38 11   home 47 6c
up 48 75   page-up 49 7d   left 4b 6b   right 4d 74   end 4f 69   down 50 72   page-down 51 7a   insert 52 70
delete 53 71   left-win 5b 1f   right-win 5c 27   menu 5d 2f   power 5e 37   sleep 5f 3f   wake 63 5e
"""


def _parse(text: str, *, extended: bool) -> dict[str, Key]:
    words = text.split()
    return {words[at]: Key(int(words[at + 1], 16), int(words[at + 2], 16), extended) for at in range(0, len(words), 3)}


PAUSE: Final = "pause"
KEYS: Final = {**_parse(_PLAIN, extended=False), **_parse(_EXTENDED, extended=True)}
"""Every key but Pause, whose codes are of their own shape."""

_SHIFTED: Final = dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./", strict=True))
_NAMED: Final = {
    "\n": "enter",
    "\r": "enter",
    "\t": "tab",
    " ": "space",
    "\b": "backspace",
    "\x1b": "esc",
    "\x7f": "delete",
}


def strokes(character: str) -> tuple[str, ...]:
    """The keys, in order of pressing, that write a character on a US keyboard; empty where none do."""
    if character in _NAMED:
        return (_NAMED[character],)
    if character in _SHIFTED:
        return ("left-shift", _SHIFTED[character])
    if character.isascii() and character.isupper():
        return ("left-shift", character.lower())
    if "\x01" <= character <= "\x1a":
        return ("left-ctrl", chr(ord(character) + ord("a") - 1))
    return (character,) if character in KEYS else ()


def normal_name(name: str) -> str:
    """A key name as `KEYS` spells it: `Left Ctrl` is `left-ctrl`."""
    return name if len(name) == 1 else name.strip().lower().replace(" ", "-").replace("_", "-")
