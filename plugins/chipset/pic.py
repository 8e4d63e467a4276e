"""The 8259A interrupt controllers of a PC: two chips, the slave's INT wired to the master's IR2, and the ELCR.

A guest meets them at each interrupt, so the chips themselves are C (csrc/i8259.c).
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import attrs

from vpcore.board import Board
from vpcore.device import Device, DeviceType
from vpcore.irq import End, Line
from vpcore.native import NativeDevice, NativeMachine, Registers, address, plug
from vpcore.ports import PortMap
from vpcore.wires import InterruptController

from .chips import ffi, function, lib
from .regs_pic import CASCADE, ELCR, INPUTS, REGISTERS, Port


@attrs.define
class ChipState:
    """One 8259A (struct i8259)."""

    inputs: int = 0
    """IR0-IR7 as last seen: the memory of the edge detectors."""
    irr: int = 0
    """Latched edges; a level triggered input asks by its level alone."""
    isr: int = 0
    imr: int = 0
    elcr: int = 0
    lowest: int = INPUTS - 1
    """The level of lowest priority; the next one is the most urgent."""
    vector: int = 0
    expect: int = 0
    """Which ICW the next write with A0=1 is; 0 for the mask."""
    icw1: int = 0
    aeoi: bool = False
    sfnm: bool = False
    special_mask: bool = False
    rotate_aeoi: bool = False
    read_isr: bool = False
    poll: bool = False


@attrs.define
class PicState:
    """Both chips (struct i8259_pair)."""

    master: ChipState = attrs.field(factory=ChipState)
    slave: ChipState = attrs.field(factory=ChipState)


class Chip(Device[None]):
    """The two registers and eight inputs of one 8259A (*model*); its state is the pair's."""

    ports = PortMap(size=REGISTERS)
    state = None

    def __init__(self, model: Any, native: NativeMachine) -> None:
        self._model = ffi.addressof(model)
        self._native = native
        target = address(ffi, self._model)
        self.registers = Registers(function("i8259_in"), function("i8259_out"), target, range(REGISTERS))
        self.inputs = [End(function("i8259_input"), target, level) for level in range(INPUTS)]

    def set_input(self, level: int, high: bool) -> None:
        """An IR input changed."""
        self._native.call(lib.i8259_input, self._model, level, high)

    def set_elcr(self, value: int) -> None:
        """Say which inputs are level triggered."""
        self._native.call(lib.i8259_set_elcr, self._model, value)

    @ports.read(range(REGISTERS))
    def _read(self, a0: int) -> int:
        return int(self._native.call(lib.i8259_in, self._model, a0))

    @ports.write(range(REGISTERS))
    def _write(self, a0: int, value: int) -> None:
        self._native.call(lib.i8259_out, self._model, a0, value)


class Pic(NativeDevice[PicState]):
    """The pair of 8259A, each answering at ports of its own, and the ELCR."""

    ports = PortMap(size=2)

    def __init__(self, *, lines: list[Line], native: NativeMachine) -> None:
        self.model = ffi.new("struct i8259_pair *")
        self._native = native
        lib.i8259_wire(self.model)
        plug(ffi, self.model.master.intr, native.intr())
        native.answer_inta(function("i8259_vector"), address(ffi, self.model))
        self.master, self.slave = Chip(self.model.master, native), Chip(self.model.slave, native)
        self.load(PicState())
        for number, line in enumerate(lines):
            if number != CASCADE:  # the pin of IRQ 2 does not reach the bus
                chip, level = (self.master, self.slave)[number // INPUTS], number % INPUTS
                line.listen(partial(chip.set_input, level), chip.inputs[level])

    def acknowledge(self) -> int:
        """Run the interrupt acknowledge cycle; return the vector."""
        return int(self._native.call(lib.i8259_vector, self.model))

    def reset(self) -> None:
        """Return to power-on; what the wires say stays."""
        master, slave = self.model.master.inputs & ~(1 << CASCADE), self.model.slave.inputs
        self.load(PicState(ChipState(inputs=master), ChipState(inputs=slave)))

    def drive(self) -> None:
        """Set INTR."""
        self._native.call(lib.i8259_drive, self.model)

    @ports.read(0)
    def _read_elcr1(self) -> int:
        return int(self.model.master.elcr)

    @ports.write(0)
    def _write_elcr1(self, value: int) -> None:
        self.master.set_elcr(value & ELCR.MASTER)

    @ports.read(1)
    def _read_elcr2(self) -> int:
        return int(self.model.slave.elcr)

    @ports.write(1)
    def _write_elcr2(self, value: int) -> None:
        self.slave.set_elcr(value & ELCR.SLAVE)


@attrs.frozen
class PicConfig:
    """The two 8259A interrupt controllers and the edge/level control registers (20h, A0h, 4D0h)."""

    name: str


def build(config: PicConfig, board: Board) -> Pic:  # noqa: ARG001 - nothing to configure
    """Wire the pair between the ISA lines and the processor."""
    pic = Pic(lines=board.lines, native=board.native)
    board.map_ports(Port.MASTER, pic.master, native=pic.master.registers)
    board.map_ports(Port.SLAVE, pic.slave, native=pic.slave.registers)
    board.map_ports(Port.ELCR, pic)
    board.provide(InterruptController, pic)  # type: ignore[type-abstract]
    return pic


TYPE: Final[DeviceType[Any]] = DeviceType("pic", PicConfig, build)
