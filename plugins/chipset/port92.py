"""System control port A (92h): fast A20 gate and fast reset, as in IBM's PS/2 technical reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from vpcore.board import Board
from vpcore.device import Device, DeviceType
from vpcore.ports import PortMap

from .a20 import A20Gate, a20_gate, soft_reset

PORT: Final = 0x92
RESET: Final = 1 << 0
A20: Final = 1 << 1


@attrs.define
class Port92State:
    """What was written; bit 1 is where the A20 gate stands."""

    value: int = A20


class Port92(Device[Port92State]):
    """A20 gate and reset of the processor without the keyboard controller's delay."""

    ports = PortMap(size=1)

    def __init__(self, *, gate: A20Gate, reset: Callable[[], None]) -> None:
        self._gate = gate
        self._reset = reset
        gate.hold(self._moved)
        self.load(Port92State())

    def drive(self) -> None:
        """Move the gate."""
        self._gate.set(bool(self.state.value & A20))

    def _moved(self, open_: bool) -> None:
        s = self.state
        s.value = s.value | A20 if open_ else s.value & ~A20

    @ports.read(0)
    def _read(self) -> int:
        return self.state.value

    @ports.write(0)
    def _write(self, value: int) -> None:
        rising = value & ~self.state.value & RESET
        self.state.value = value
        self.drive()
        if rising:
            self._reset()


@attrs.frozen
class Port92Config:
    """System control port A: fast A20 gate and processor reset (92h)."""

    name: str


def build(config: Port92Config, board: Board) -> Port92:  # noqa: ARG001 - nothing to configure
    """Wire the port to the A20 gate and the processor."""
    port92 = Port92(gate=a20_gate(board), reset=soft_reset(board))
    board.map_ports(PORT, port92)
    return port92


TYPE: Final[DeviceType[Any]] = DeviceType("port92", Port92Config, build)
