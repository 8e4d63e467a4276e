"""The 8042 keyboard controller: two PS/2 ports, scan code translation, A20 gate and processor reset.

One byte is offered to the guest at a time.  What the controller itself answers comes at once; what a device sends takes
the time of its eleven bits on the cable, so a driver that reads port 60h twice reads the same byte twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from vpcore.board import Board
from vpcore.clock import Clock
from vpcore.device import Device, DeviceType
from vpcore.irq import LineInput
from vpcore.log import DeviceLog
from vpcore.ports import PortMap
from vpcore.wires import KeyboardController, Ps2Device

from .a20 import A20Gate, a20_gate, soft_reset
from .regs_kbc import RAM, RAM_MASK, Answer, Command, CommandByte, InputPort, OutputPort, Port, Reg, Status
from .scancodes import BREAK, RELEASED, SET2_TO_SET1

KEYBOARD_IRQ: Final = 1
MOUSE_IRQ: Final = 12
BYTE_NS: Final = 800_000
"""Eleven bits at 13.75 kHz (PS/2 keyboards: 10 to 16.7 kHz)."""


def _first_ram() -> bytearray:
    ram = bytearray(RAM)
    ram[0] = CommandByte.KEYBOARD_DISABLE | CommandByte.AUX_DISABLE
    return ram


@attrs.define
class KbcState:
    """The controller's RAM (byte 0 is the command byte), buffers and what it is waiting for."""

    ram: bytearray = attrs.field(factory=_first_ram)
    data: int = 0
    """The output buffer; it keeps its byte after it was read."""
    full: bool = False
    from_aux: bool = False
    wrote_command: bool = False
    command: int = 0
    """The command that waits for its data byte."""
    answer: int | None = None
    """An answer that waits for the output buffer to be read; a newer one replaces it."""
    answer_aux: bool = False
    a20: bool = True
    released: bool = False
    """Translation has swallowed a break prefix."""
    next_at: int | None = None
    """Virtual ns at which the byte now on a cable has arrived."""


class Ps2Connector:
    """One connector (`wires.Ps2Port`)."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.device: Ps2Device | None = None

    def attach(self, device: Ps2Device) -> None:
        """Plug the device in."""
        self.device = device

    def notify(self) -> None:
        """The device has a byte to give."""
        self._changed()

    def send(self, byte: int) -> None:
        """Give the device a byte; nobody answers where none is."""
        if self.device is not None:
            self.device.receive(byte)

    def next_byte(self) -> int | None:
        """Fetch a byte if there is one."""
        return None if self.device is None else self.device.next_byte()


class Kbc(Device[KbcState]):
    """The controller."""

    ports = PortMap(size=Reg.COUNT)

    def __init__(
        self,
        *,
        keyboard_irq: LineInput,
        mouse_irq: LineInput,
        clock: Clock,
        log: DeviceLog,
        gate: A20Gate,
        reset: Callable[[], None],
    ) -> None:
        self._keyboard_irq = keyboard_irq
        self._mouse_irq = mouse_irq
        self._clock = clock
        self._log = log
        self._gate = gate
        self._reset = reset
        self._timer = clock.timer(self._arrived)
        self.keyboard_port = Ps2Connector(self._has_byte)
        self.mouse_port = Ps2Connector(self._has_byte)
        gate.hold(self._a20_moved)
        self.load(KbcState())

    def drive(self) -> None:
        """Interrupt lines follow the output buffer; the timer waits for the byte on the cable."""
        s = self.state
        enables = s.ram[0]
        self._keyboard_irq.set(s.full and not s.from_aux and bool(enables & CommandByte.KEYBOARD_INT))
        self._mouse_irq.set(s.full and s.from_aux and bool(enables & CommandByte.AUX_INT))
        self._timer.at(s.next_at)
        self._gate.set(s.a20)

    def _a20_moved(self, open_: bool) -> None:
        self.state.a20 = open_

    # -- bytes to the guest --

    def _has_byte(self) -> None:
        """A device has something: its clock line is free unless the guest has a byte to read."""
        s = self.state
        if s.next_at is None and not s.full:
            s.next_at = self._clock.now + BYTE_NS
            self._timer.at(s.next_at)

    def _arrived(self) -> None:
        s = self.state
        s.next_at = None
        if not s.full:
            self._fetch()
        self.drive()

    def _fetch(self) -> None:
        """Take the next byte from the keyboard, else from the mouse, whichever is enabled."""
        enables = self.state.ram[0]
        if not enables & CommandByte.KEYBOARD_DISABLE:
            while (byte := self.keyboard_port.next_byte()) is not None:
                if (code := self._translate(byte)) is not None:
                    self._offer(code, aux=False)
                    return
        if not enables & CommandByte.AUX_DISABLE and (byte := self.mouse_port.next_byte()) is not None:
            self._offer(byte, aux=True)

    def _translate(self, byte: int) -> int | None:
        """Set 2 to set 1, if the command byte asks for it; None where a prefix is swallowed."""
        s = self.state
        if not s.ram[0] & CommandByte.TRANSLATE:
            return byte
        if byte == BREAK:
            s.released = True
            return None
        code = SET2_TO_SET1[byte] | (RELEASED if s.released else 0)
        s.released = False
        return code

    def _offer(self, byte: int, *, aux: bool) -> None:
        s = self.state
        s.data, s.from_aux, s.full = byte, aux, True

    def _answer(self, byte: int, *, aux: bool = False) -> None:
        """An answer of the controller goes before what devices send."""
        s = self.state
        if s.full:
            s.answer, s.answer_aux = byte, aux
        else:
            self._offer(byte, aux=aux)
            self.drive()

    # -- ports --

    @ports.read(Reg.COMMAND)
    def _read_status(self) -> int:
        s = self.state
        value = Status.UNLOCKED | s.ram[0] & CommandByte.SYS
        if s.full:
            value |= Status.OBF | Status.AUX if s.from_aux else Status.OBF
        return value | Status.COMMAND if s.wrote_command else value

    @ports.read(Reg.DATA)
    def _read_data(self) -> int:
        s = self.state
        data = s.data
        if s.full:
            s.full = False
            self.drive()  # the line falls, so that the next byte gives an edge
            if s.answer is not None:
                self._offer(s.answer, aux=s.answer_aux)
                s.answer = None
                self.drive()
            else:
                self._has_byte()
        return data

    @ports.write(Reg.DATA)
    def _write_data(self, value: int) -> None:
        s = self.state
        command, s.command = s.command, 0
        s.wrote_command = False
        if command in Command.WRITE_RAM:
            s.ram[command & RAM_MASK] = value
            self._ram_written()
        elif command == Command.WRITE_OUTPUT_PORT:
            self._write_output_port(value)
        elif command == Command.WRITE_KEYBOARD_BUFFER:
            self._answer(value)
        elif command == Command.WRITE_AUX_BUFFER:
            self._answer(value, aux=True)
        elif command == Command.WRITE_AUX:
            self._enable(CommandByte.AUX_DISABLE)
            self.mouse_port.send(value)
        else:
            self._enable(CommandByte.KEYBOARD_DISABLE)  # as the PS/2 controller does before it sends
            s.released = False
            self.keyboard_port.send(value)

    @ports.write(Reg.COMMAND)
    def _write_command(self, value: int) -> None:
        s = self.state
        s.wrote_command = True
        s.command = 0
        if value in Command.READ_RAM:
            self._answer(s.ram[value & RAM_MASK])
        elif value in Command.WRITE_RAM or value in _WITH_DATA:
            s.command = value
        elif value in Command.PULSE:
            if not value & OutputPort.NO_RESET:
                self._reset()
        elif value in _ANSWERS:
            self._answer(_ANSWERS[value])
        elif value in _ENABLES:
            self._set_disabled(*_ENABLES[value])
        elif value == Command.SELF_TEST:
            s.ram[0] |= CommandByte.SYS
            self._answer(Answer.SELF_TEST_PASSED)
        elif value == Command.READ_OUTPUT_PORT:
            self._answer(self._output_port())
        elif value in (Command.DISABLE_A20, Command.ENABLE_A20):
            self._gate.set(value == Command.ENABLE_A20)
        else:
            self._log.warn_once(value, "unknown keyboard controller command", command=value)

    # -- commands --

    def _ram_written(self) -> None:
        """The command byte may have enabled a port or an interrupt."""
        self._has_byte()
        self.drive()

    def _set_disabled(self, bit: int, disabled: bool) -> None:
        ram = self.state.ram
        ram[0] = ram[0] | bit if disabled else ram[0] & ~bit
        self._ram_written()

    def _enable(self, bit: int) -> None:
        if self.state.ram[0] & bit:
            self._set_disabled(bit, disabled=False)

    def _output_port(self) -> int:
        s = self.state
        value = OutputPort.IDLE | OutputPort.NO_RESET | (OutputPort.A20 if s.a20 else 0)
        if s.full:
            value |= OutputPort.AUX_FULL if s.from_aux else OutputPort.KEYBOARD_FULL
        return value

    def _write_output_port(self, value: int) -> None:
        self._gate.set(bool(value & OutputPort.A20))
        if not value & OutputPort.NO_RESET:
            self._reset()


_WITH_DATA: Final = frozenset(
    {Command.WRITE_OUTPUT_PORT, Command.WRITE_KEYBOARD_BUFFER, Command.WRITE_AUX_BUFFER, Command.WRITE_AUX}
)
_ANSWERS: Final = {
    Command.TEST_PASSWORD: Answer.NO_PASSWORD,
    Command.TEST_AUX: Answer.LINE_FINE,
    Command.TEST_KEYBOARD: Answer.LINE_FINE,
    Command.READ_INPUT_PORT: InputPort.IDLE,
    Command.READ_TEST_INPUTS: 0,
}
_ENABLES: Final = {
    Command.DISABLE_AUX: (CommandByte.AUX_DISABLE, True),
    Command.ENABLE_AUX: (CommandByte.AUX_DISABLE, False),
    Command.DISABLE_KEYBOARD: (CommandByte.KEYBOARD_DISABLE, True),
    Command.ENABLE_KEYBOARD: (CommandByte.KEYBOARD_DISABLE, False),
}


@attrs.frozen
class KbcConfig:
    """The 8042 keyboard controller (60h, 64h, IRQ 1 and 12) with two PS/2 ports."""

    name: str


def build(config: KbcConfig, board: Board) -> Kbc:  # noqa: ARG001 - nothing to configure
    """Wire the controller to its interrupt lines, the A20 gate and the processor's reset."""
    kbc = Kbc(
        keyboard_irq=board.line(KEYBOARD_IRQ),
        mouse_irq=board.line(MOUSE_IRQ),
        clock=board.clock,
        log=board.log,
        gate=a20_gate(board),
        reset=soft_reset(board),
    )
    board.map_ports(Port.DATA, kbc)
    board.provide(KeyboardController, kbc)  # type: ignore[type-abstract]
    return kbc


TYPE: Final[DeviceType[Any]] = DeviceType("kbc", KbcConfig, build)
