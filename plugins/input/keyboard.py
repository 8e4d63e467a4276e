"""A PS/2 keyboard: commands of the controller, scan codes of keys, and typing text for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from vpcore_plugins.input.keys import KEYS, PAUSE, normal_name, strokes
from vpcore_plugins.input.regs import (
    BREAK_1,
    BREAK_2,
    DEFAULT_TYPEMATIC,
    EXTENDED,
    KEYBOARD_BUFFER,
    KEYBOARD_ID,
    LED_MASK,
    PAUSE_1,
    PAUSE_2,
    PREFIXES,
    Answer,
    KeyboardCommand,
)

from vpcore.clock import Clock
from vpcore.device import Device
from vpcore.log import DeviceLog
from vpcore.wires import Ps2Port

TYPING_NS: Final = 12_000_000
"""Virtual time between two keys that `type` presses: slow enough for BIOS and DOS buffers."""
MOST_TYPED: Final = 1 << 16


@attrs.define
class KeyboardState:
    """Mode and output buffer; the defaults are those after the self test."""

    scan_set: int = 2
    enabled: bool = True
    leds: int = 0
    typematic: int = DEFAULT_TYPEMATIC
    waiting_for: int = 0
    """Command whose argument comes next, or 0."""
    answers: bytearray = attrs.field(factory=bytearray)
    """Answers to commands: they go before scan codes, but not into the middle of one."""
    output: bytearray = attrs.field(factory=bytearray)
    """Scan codes."""
    last: int = 0
    typing: list[str] = attrs.field(factory=list)
    """Keys still to be pressed (+name) and released (-name) by `type`."""
    type_at: int | None = None


class Ps2Keyboard(Device[KeyboardState]):
    """A keyboard at *port* of the controller (which is looked up when first used)."""

    def __init__(self, *, port: Callable[[], Ps2Port], clock: Clock, log: DeviceLog) -> None:
        self._port, self._clock, self._log = port, clock, log
        self._timer = clock.timer(self._type_next)
        self.state = KeyboardState()

    def drive(self) -> None:
        """Typing goes on at its time; a waiting byte is offered."""
        self._timer.at(self.state.type_at)
        if self.state.answers or self.state.output:
            self._port().notify()

    def reset(self) -> None:
        """The keyboard tests itself at power-on and says so."""
        super().reset()
        self._answer(Answer.SELF_TEST_PASSED)

    # -- wires.Ps2Device --

    def receive(self, byte: int) -> None:
        """Take a byte from the controller."""
        state = self.state
        if state.waiting_for:
            command, state.waiting_for = state.waiting_for, 0
            if byte < KeyboardCommand.SET_LEDS:
                self._argument(command, byte)
                return
        self._command(byte)

    def next_byte(self) -> int | None:
        """Hand the oldest byte over."""
        state = self.state
        in_a_code = state.last in PREFIXES and state.output
        queue = state.output if in_a_code or not state.answers else state.answers
        if not queue:
            return None
        state.last = queue.pop(0)
        return state.last

    def _answer(self, *data: int) -> None:
        self.state.answers += bytes(data)
        del self.state.answers[:-KEYBOARD_BUFFER]
        self._port().notify()

    # -- commands --

    def _command(self, byte: int) -> None:
        state = self.state
        if byte in (
            KeyboardCommand.SET_LEDS,
            KeyboardCommand.SCAN_SET,
            KeyboardCommand.TYPEMATIC,
            *KeyboardCommand.KEY_TYPE_ONE,
        ):
            state.waiting_for = byte
            self._answer(Answer.ACK)
        elif byte == KeyboardCommand.ECHO:
            self._answer(Answer.ECHO)
        elif byte == KeyboardCommand.IDENTIFY:
            self._answer(Answer.ACK, *KEYBOARD_ID)
        elif byte == KeyboardCommand.ENABLE:
            state.output.clear()
            state.enabled = True
            self._answer(Answer.ACK)
        elif byte in (KeyboardCommand.DISABLE, KeyboardCommand.DEFAULTS):
            self._set_defaults()
            state.enabled = state.enabled and byte == KeyboardCommand.DEFAULTS
        elif byte in KeyboardCommand.KEY_TYPES:
            self._answer(Answer.ACK)
        elif byte == KeyboardCommand.RESEND:
            self._answer(state.last)
        elif byte == KeyboardCommand.RESET:
            typing, at = state.typing, state.type_at
            self.state = KeyboardState(typing=typing, type_at=at)
            self._answer(Answer.ACK, Answer.SELF_TEST_PASSED)
        else:
            self._log.warn_once(byte, "unknown keyboard command", command=byte)
            self._answer(Answer.RESEND)

    def _set_defaults(self) -> None:
        state = self.state
        state.output.clear()
        state.typematic, state.scan_set = DEFAULT_TYPEMATIC, 2
        self._answer(Answer.ACK)

    def _argument(self, command: int, value: int) -> None:
        state = self.state
        if command == KeyboardCommand.SET_LEDS:
            state.leds = value & LED_MASK
        elif command == KeyboardCommand.TYPEMATIC:
            state.typematic = value
        elif command == KeyboardCommand.SCAN_SET:
            self._select_set(value)
            return
        self._answer(Answer.ACK)

    def _select_set(self, number: int) -> None:
        """Sets 1 and 2; set 3 is not modelled and refused, so that drivers stay with set 2."""
        state = self.state
        if number == 0:
            self._answer(Answer.ACK, state.scan_set)
        elif number in (1, 2):
            state.scan_set = number
            self._answer(Answer.ACK)
        else:
            self._answer(Answer.RESEND)

    # -- wires.Keyboard --

    def press(self, key: str) -> None:
        """Press a key by name; a name that no key has is a KeyError with the names."""
        self._key(key, down=True)

    def release(self, key: str) -> None:
        """Release a key by name."""
        self._key(key, down=False)

    def type(self, text: str) -> None:
        """Type text on a US keyboard, one key every 12 ms of virtual time; what no key writes is left out."""
        for character in text:
            self._enqueue(strokes(character))

    def chord(self, *keys: str) -> None:
        """Press keys, or what types a character, together and release them, after what is still being typed."""
        names = [name for key in keys for name in (strokes(key) if len(key) == 1 else (key,)) or (key,)]
        for name in names:
            scan_code(normal_name(name), self.state.scan_set, down=True)  # KeyError
        self._enqueue(tuple(names))

    def _enqueue(self, keys: tuple[str, ...]) -> None:
        state = self.state
        if len(state.typing) < MOST_TYPED:
            state.typing += [f"+{key}" for key in keys] + [f"-{key}" for key in reversed(keys)]
        if state.type_at is None and state.typing:
            state.type_at = self._clock.now + TYPING_NS
            self.drive()

    def _type_next(self) -> None:
        """Press or release what comes next, when the guest listens and has taken what was there."""
        state = self.state
        if state.enabled and not state.output:
            first = True
            while state.typing and (first or state.typing[0].startswith("-")):
                action = state.typing.pop(0)
                self._key(action[1:], down=action[0] == "+")
                first = False
        state.type_at = self._clock.now + TYPING_NS if state.typing else None
        self._timer.at(state.type_at)

    def _key(self, name: str, *, down: bool) -> None:
        code = scan_code(normal_name(name), self.state.scan_set, down=down)
        state = self.state
        if not state.enabled or not code:
            return
        if len(state.output) + len(code) > KEYBOARD_BUFFER:
            overrun = Answer.OVERRUN[state.scan_set]
            code = b"" if state.output[-1:] == overrun else overrun
        state.output += code
        self._port().notify()


def scan_code(name: str, scan_set: int, *, down: bool) -> bytes:
    """The bytes that a key sends."""
    if name == PAUSE:
        return (PAUSE_1 if scan_set == 1 else PAUSE_2) if down else b""
    if name not in KEYS:
        raise KeyError(f"no key is named {name!r}; there are {', '.join(KEYS)}, {PAUSE}")
    key = KEYS[name]
    prefix = bytes((EXTENDED,)) if key.extended else b""
    if scan_set == 1:
        return prefix + bytes((key.set1 if down else key.set1 | BREAK_1,))
    return prefix + (b"" if down else bytes((BREAK_2,))) + bytes((key.set2,))
