"""A PS/2 mouse with wheel: stream and remote mode, sample rates, and the Intellimouse identities."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from vpcore_plugins.input.regs import (
    BYTE,
    DEFAULT_RATE,
    DEFAULT_RESOLUTION,
    MAX_PENDING,
    MAX_STEP,
    MAX_WHEEL,
    MOUSE_BUFFER,
    NIBBLE,
    SCALED,
    Answer,
    MouseCommand,
    MouseId,
    MousePacket,
    MouseStatus,
)

from vpcore.device import Device
from vpcore.log import DeviceLog
from vpcore.wires import Ps2Port


@attrs.define
class MouseState:
    """Mode, movement not yet reported, and output buffer; the defaults are those after reset."""

    enabled: bool = False
    remote: bool = False
    wrap: bool = False
    scale_2: bool = False
    rate: int = DEFAULT_RATE
    resolution: int = DEFAULT_RESOLUTION
    ident: int = MouseId.PLAIN
    knocks: list[int] = attrs.field(factory=list)
    waiting_for: int = 0
    output: bytearray = attrs.field(factory=bytearray)
    last: int = 0
    dx: int = 0
    dy: int = 0
    wheel: int = 0
    buttons: int = 0
    reported: int = 0


class Ps2Mouse(Device[MouseState]):
    """A mouse at the auxiliary port of the controller."""

    def __init__(self, *, port: Callable[[], Ps2Port], log: DeviceLog) -> None:
        self._port, self._log = port, log
        self.state = MouseState()

    def drive(self) -> None:
        """A waiting byte is offered."""
        if self.state.output:
            self._port().notify()

    # -- wires.Pointer --

    def move(self, dx: int, dy: int, wheel: int = 0) -> None:
        """Move by counts, y downwards; a wheel step away from the user is negative."""
        state = self.state
        state.dx = _clamp(state.dx + dx, MAX_PENDING)
        state.dy = _clamp(state.dy - dy, MAX_PENDING)
        state.wheel = _clamp(state.wheel + wheel, MAX_PENDING)
        self._report()

    def button(self, number: int, down: bool) -> None:
        """Press or release button 0 (left), 1 (right), 2 (middle)."""
        mask = 1 << number & MousePacket.BUTTONS
        self.state.buttons = self.state.buttons | mask if down else self.state.buttons & ~mask
        self._report()

    # -- wires.Ps2Device --

    def next_byte(self) -> int | None:
        """Hand the oldest byte over; when the buffer is empty, report what happened since."""
        state = self.state
        if not state.output:
            self._report()
        if not state.output:
            return None
        state.last = state.output.pop(0)
        return state.last

    def receive(self, byte: int) -> None:
        """Take a byte from the controller."""
        state = self.state
        if state.wrap and byte not in (MouseCommand.RESET, MouseCommand.UNWRAP):
            self._send(byte)
        elif state.waiting_for:
            command, state.waiting_for = state.waiting_for, 0
            self._argument(command, byte)
        else:
            self._command(byte)

    def _send(self, *data: int) -> None:
        self.state.output += bytes(data)
        del self.state.output[:-MOUSE_BUFFER]
        self._port().notify()

    def _command(self, byte: int) -> None:
        state = self.state
        state.output.clear()
        switches: dict[int, tuple[str, bool]] = {
            MouseCommand.SCALE_1: ("scale_2", False),
            MouseCommand.SCALE_2: ("scale_2", True),
            MouseCommand.STREAM: ("remote", False),
            MouseCommand.REMOTE: ("remote", True),
            MouseCommand.UNWRAP: ("wrap", False),
            MouseCommand.WRAP: ("wrap", True),
            MouseCommand.ENABLE: ("enabled", True),
            MouseCommand.DISABLE: ("enabled", False),
        }
        if byte in switches:
            setattr(state, *switches[byte])
            if byte in MouseCommand.FORGET_MOVEMENT:
                state.dx = state.dy = state.wheel = 0
                state.reported = state.buttons
            self._send(Answer.ACK)
        elif byte in (MouseCommand.RESOLUTION, MouseCommand.RATE):
            state.waiting_for = byte
            self._send(Answer.ACK)
        elif byte == MouseCommand.STATUS:
            self._send(Answer.ACK, self._status(), state.resolution, state.rate)
        elif byte == MouseCommand.READ:
            self._send(Answer.ACK, *self._packet(scaled=False))
        elif byte == MouseCommand.IDENTIFY:
            self._send(Answer.ACK, state.ident)
        elif byte == MouseCommand.DEFAULTS:
            self.state = MouseState(ident=state.ident, buttons=state.buttons)
            self._send(Answer.ACK)
        elif byte == MouseCommand.RESET:
            self.state = MouseState(buttons=state.buttons)
            self._send(Answer.ACK, Answer.SELF_TEST_PASSED, MouseId.PLAIN)
        elif byte == MouseCommand.RESEND:
            self._send(state.last)
        else:
            self._log.debug("unknown mouse command", command=byte)  # drivers probe for other makers' mice
            self._send(Answer.RESEND)

    def _argument(self, command: int, value: int) -> None:
        state = self.state
        if command == MouseCommand.RESOLUTION:
            state.resolution = value
        else:
            state.rate = value
            state.knocks = [*state.knocks, value][-MouseId.KNOCKS :]
            state.ident = MouseId.KNOCK.get((state.ident, *state.knocks), state.ident)
        self._send(Answer.ACK)

    def _status(self) -> int:
        state = self.state
        value = (MouseStatus.LEFT if state.buttons & 1 else 0) | (MouseStatus.RIGHT if state.buttons & 2 else 0)
        value |= (MouseStatus.MIDDLE if state.buttons & 4 else 0) | (MouseStatus.SCALE_2 if state.scale_2 else 0)
        return value | (MouseStatus.ENABLED if state.enabled else 0) | (MouseStatus.REMOTE if state.remote else 0)

    def _report(self) -> None:
        """In stream mode, send a packet when there is something to tell and the last one was taken."""
        state = self.state
        news = state.dx or state.dy or state.wheel or state.buttons != state.reported
        if state.enabled and not state.remote and not state.output and news:
            self._send(*self._packet(scaled=state.scale_2))

    def _packet(self, *, scaled: bool) -> bytes:
        """One movement packet; what does not fit stays for the next."""
        state = self.state
        most = MAX_STEP // 2 if scaled else MAX_STEP
        x, y, wheel = _clamp(state.dx, most), _clamp(state.dy, most), _clamp(state.wheel, MAX_WHEEL)
        state.dx -= x
        state.dy -= y
        if scaled:
            x, y = _scale_2(x), _scale_2(y)
        state.reported = state.buttons
        first = MousePacket.ALWAYS | state.buttons
        first |= (MousePacket.X_SIGN if x < 0 else 0) | (MousePacket.Y_SIGN if y < 0 else 0)
        data = bytes((first, x & BYTE, y & BYTE))
        if state.ident == MouseId.PLAIN:
            state.wheel = 0
            return data
        state.wheel -= wheel
        return data + bytes((wheel & (BYTE if state.ident == MouseId.WHEEL else NIBBLE),))


def _scale_2(count: int) -> int:
    """2:1 scaling: small movements are slowed down, large ones doubled."""
    size = abs(count)
    size = SCALED[size] if size < len(SCALED) else 2 * size
    return size if count >= 0 else -size


def _clamp(value: int, limit: int) -> int:
    return max(-limit, min(limit, value))
