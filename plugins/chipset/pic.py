"""The 8259A interrupt controllers of a PC: two chips, the slave's INT wired to the master's IR2, and the ELCR."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs

from vpcore.board import Board
from vpcore.device import Device, DeviceType
from vpcore.irq import Line
from vpcore.ports import PortMap
from vpcore.wires import InterruptController, Processor

from .regs_pic import CASCADE, ELCR, ICW1, ICW2, ICW4, INPUTS, OCW2, OCW3, SPURIOUS, Expect, Poll, Port, Reg

ALL: Final = 0xFF
NONE: Final = INPUTS


def _rank(lowest: int, bits: int) -> int:
    """How far the most urgent of *bits* is from the head of the rotation that ends at *lowest*; NONE if there is none."""
    return next((rank for rank in range(INPUTS) if bits >> ((lowest + 1 + rank) % INPUTS) & 1), NONE)


RANKS: Final = tuple(bytes(_rank(lowest, bits) for bits in range(ALL + 1)) for lowest in range(INPUTS))
"""Rank by lowest priority level and set of levels: priorities are resolved on every mask and EOI, so by table."""


@attrs.define
class ChipState:
    """One 8259A."""

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
    expect: int = Expect.OCW1
    icw1: int = 0
    aeoi: bool = False
    sfnm: bool = False
    special_mask: bool = False
    rotate_aeoi: bool = False
    read_isr: bool = False
    poll: bool = False


class Chip(Device[ChipState]):
    """One 8259A: priority resolver and registers.  `on_int` is told of each change of the INT output."""

    ports = PortMap(size=2)

    def __init__(self, *, cascade: int) -> None:
        self._cascade = cascade
        self.on_int: Callable[[bool], object] = bool
        self.load(ChipState())

    def load(self, state: ChipState) -> None:
        """Become *state* without telling anybody."""
        self.state = state
        self.int = self.pending() != NONE

    # -- requests --

    def set_input(self, level: int, high: bool) -> None:
        """An IR input changed.  A request that is withdrawn before its acknowledge is lost (figure 10, note 1)."""
        s = self.state
        bit = 1 << level
        if high:
            if not s.inputs & bit:
                s.inputs |= bit
                s.irr |= bit & ~s.elcr
        else:
            s.inputs &= ~bit
            s.irr &= ~bit
        if not s.imr & bit:
            self.update()

    def pending(self) -> int:
        """The level that INT asks for, or NONE."""
        s = self.state
        requests = (s.irr | s.inputs & s.elcr) & ~s.imr
        if not requests:
            return NONE
        ranks = RANKS[s.lowest]
        rank = ranks[requests]
        service = ranks[s.isr & ~s.imr if s.special_mask else s.isr]
        if rank > service:
            return NONE
        level = (s.lowest + 1 + rank) % INPUTS
        if rank == service and not (s.sfnm and self._cascade >> level & 1):
            return NONE
        return level

    def update(self) -> None:
        """Drive INT from the state."""
        s = self.state
        now = bool((s.irr | s.inputs & s.elcr) & ~s.imr) and self.pending() != NONE
        if now is not self.int:
            self.int = now
            self.on_int(now)

    def acknowledge(self) -> int:
        """The INTA sequence as this chip sees it; return the level."""
        s = self.state
        level = self.pending()
        if level == NONE:
            return SPURIOUS
        bit = 1 << level
        s.irr &= ~bit
        if not s.aeoi:
            s.isr |= bit
        elif s.rotate_aeoi:
            s.lowest = level
        if self.int:  # INT falls during INTA: what is still pending gives a new edge
            self.int = False
            self.on_int(False)
        self.update()
        return level

    # -- registers --

    @ports.write(Reg.COMMAND)
    def _write_command(self, value: int) -> None:
        """A0=0: ICW1, OCW2 or OCW3."""
        if value & ICW1.SELECT:
            self._initialize(value)
        elif value & OCW3.SELECT:
            self._write_ocw3(value)
        else:
            self._write_ocw2(value)
        self.update()

    @ports.write(Reg.DATA)
    def _write_data(self, value: int) -> None:
        """A0=1: the interrupt mask, or the ICW that is expected."""
        s = self.state
        if s.expect:
            self._write_icw(value)
        else:
            s.imr = value
        self.update()

    @ports.read(Reg.COMMAND)
    def _read_command(self) -> int:
        """A0=0: IRR, ISR or the poll word."""
        s = self.state
        if s.poll:
            return self._poll()
        return s.isr if s.read_isr else s.irr | s.inputs & s.elcr

    @ports.read(Reg.DATA)
    def _read_data(self) -> int:
        """A0=1: the mask, or the poll word."""
        return self._poll() if self.state.poll else self.state.imr

    def _initialize(self, value: int) -> None:
        """ICW1 resets the chip; an input that is high must fall and rise again to ask (ICW1, a to f)."""
        s = self.state
        self.state = ChipState(inputs=s.inputs, elcr=s.elcr, icw1=value, expect=Expect.ICW2)

    def _write_icw(self, value: int) -> None:
        s = self.state
        last = Expect.ICW4 if s.icw1 & ICW1.IC4 else Expect.OCW1
        if s.expect == Expect.ICW2:
            s.vector = value & ICW2.VECTOR
            s.expect = last if s.icw1 & ICW1.SNGL else Expect.ICW3
        elif s.expect == Expect.ICW3:  # the wiring of a PC is fixed
            s.expect = last
        else:
            s.aeoi = bool(value & ICW4.AEOI)
            s.sfnm = bool(value & ICW4.SFNM)
            s.expect = Expect.OCW1

    def _write_ocw2(self, value: int) -> None:
        s = self.state
        action = value & OCW2.ACTION
        level = value & OCW2.LEVEL
        if action == OCW2.EOI:
            self._end(self._in_service())
        elif action == OCW2.SPECIFIC_EOI:
            s.isr &= ~(1 << level)
        elif action == OCW2.ROTATE_EOI:
            level = self._in_service()
            self._end(level)
            s.lowest = level if level != NONE else s.lowest
        elif action == OCW2.ROTATE_SPECIFIC_EOI:
            s.isr &= ~(1 << level)
            s.lowest = level
        elif action == OCW2.SET_PRIORITY:
            s.lowest = level
        elif action in (OCW2.ROTATE_IN_AEOI_SET, OCW2.ROTATE_IN_AEOI_CLEAR):
            s.rotate_aeoi = action == OCW2.ROTATE_IN_AEOI_SET

    def _in_service(self) -> int:
        """The most urgent level in service; in special mask mode a masked one is left alone."""
        s = self.state
        rank = RANKS[s.lowest][s.isr & ~s.imr if s.special_mask else s.isr]
        return NONE if rank == NONE else (s.lowest + 1 + rank) % INPUTS

    def _end(self, level: int) -> None:
        self.state.isr &= ~(1 << level)

    def _write_ocw3(self, value: int) -> None:
        s = self.state
        if value & OCW3.ESMM:
            s.special_mask = bool(value & OCW3.SMM)
        if value & OCW3.POLL:
            s.poll = True
        elif value & OCW3.RR:
            s.read_isr = bool(value & OCW3.RIS)

    def _poll(self) -> int:
        """The read after a poll command acknowledges the most urgent request (Poll command)."""
        self.state.poll = False
        if self.pending() == NONE:
            return 0
        return Poll.INTERRUPT | self.acknowledge()


@attrs.define
class PicState:
    """Both chips."""

    master: ChipState = attrs.field(factory=ChipState)
    slave: ChipState = attrs.field(factory=ChipState)


class Pic(Device[PicState]):
    """The pair of 8259A, each answering at ports of its own, and the ELCR."""

    ports = PortMap(size=2)

    def __init__(self, *, lines: list[Line]) -> None:
        self.master = Chip(cascade=1 << CASCADE)
        self.slave = Chip(cascade=0)
        self.slave.on_int = partial(self.master.set_input, CASCADE)
        self.load(PicState())
        for number, line in enumerate(lines):
            if number != CASCADE:  # the pin of IRQ 2 does not reach the bus
                chip = self.master if number < INPUTS else self.slave
                line.listen(partial(chip.set_input, number % INPUTS))

    def connect(self, processor: Processor) -> None:
        """Wire INT to the processor."""
        self.master.on_int = processor.set_intr
        self.drive()

    def acknowledge(self) -> int:
        """Run the interrupt acknowledge cycle; return the vector."""
        master, slave = self.master, self.slave
        level = master.acknowledge()
        if level == CASCADE:
            level = slave.acknowledge()
            return slave.state.vector | level
        return master.state.vector | level

    def load(self, state: PicState) -> None:
        """Become *state*; the chips share its parts."""
        self.master.load(state.master)
        self.slave.load(state.slave)
        super().load(state)

    def save(self) -> PicState:
        """Return the state; ICW1 makes a chip a new one."""
        self.state = PicState(self.master.state, self.slave.state)
        return self.state

    def reset(self) -> None:
        """Return to power-on; what the wires say stays."""
        master, slave = self.master.state.inputs & ~(1 << CASCADE), self.slave.state.inputs
        self.load(PicState(ChipState(inputs=master), ChipState(inputs=slave)))

    def drive(self) -> None:
        """Set INTR."""
        self.master.on_int(self.master.int)

    @ports.read(0)
    def _read_elcr1(self) -> int:
        return self.master.state.elcr

    @ports.write(0)
    def _write_elcr1(self, value: int) -> None:
        self._set_elcr(self.master, value & ELCR.MASTER)

    @ports.read(1)
    def _read_elcr2(self) -> int:
        return self.slave.state.elcr

    @ports.write(1)
    def _write_elcr2(self, value: int) -> None:
        self._set_elcr(self.slave, value & ELCR.SLAVE)

    def _set_elcr(self, chip: Chip, value: int) -> None:
        chip.state.elcr = value
        chip.state.irr &= ~value
        chip.update()


@attrs.frozen
class PicConfig:
    """The two 8259A interrupt controllers and the edge/level control registers (20h, A0h, 4D0h)."""

    name: str


def build(config: PicConfig, board: Board) -> Pic:  # noqa: ARG001 - nothing to configure
    """Wire the pair between the ISA lines and the processor."""
    pic = Pic(lines=board.lines)
    board.map_ports(Port.MASTER, pic.master)
    board.map_ports(Port.SLAVE, pic.slave)
    board.map_ports(Port.ELCR, pic)
    board.provide(InterruptController, pic)  # type: ignore[type-abstract]
    board.when_built(lambda: pic.connect(board.service(Processor)))  # type: ignore[type-abstract]
    return pic


TYPE: Final[DeviceType[Any]] = DeviceType("pic", PicConfig, build)
