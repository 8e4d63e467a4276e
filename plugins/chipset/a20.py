"""The A20 gate, which the keyboard controller and port 92h both move; whoever moved it last decides.

Each holder keeps the gate's position in its own state, so a checkpoint of either restores it.
"""

from __future__ import annotations

from collections.abc import Callable

from vpcore.board import Board
from vpcore.wires import Processor


class A20Gate:
    """The gate of one machine."""

    def __init__(self) -> None:
        self._holders: list[Callable[[bool], None]] = []

    def hold(self, callback: Callable[[bool], None]) -> None:
        """Tell *callback* of each move."""
        self._holders.append(callback)

    def set(self, open_: bool) -> None:
        """Move the gate."""
        for holder in self._holders:
            holder(open_)


def a20_gate(board: Board) -> A20Gate:
    """The machine's gate, made by the first device that asks for it."""
    gates = board.services(A20Gate)
    if gates:
        return gates[0]
    gate = A20Gate()
    board.provide(A20Gate, gate)
    board.when_built(lambda: gate.hold(board.service(Processor).set_a20))  # type: ignore[type-abstract]
    return gate


def soft_reset(board: Board) -> Callable[[], None]:
    """What resets the processor alone.

    The gate opens with it: a processor that starts at FFFFFFF0h with A20 held low would fetch from where no ROM is.
    """
    gate = a20_gate(board)

    def reset() -> None:
        gate.set(True)
        board.service(Processor).reset_cpu()  # type: ignore[type-abstract]

    return reset
