"""The PIIX3 ISA bridge: routes PCI interrupts to ISA lines, and resets the machine through CF9h."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from vpcore.board import ISA_LINES, Board
from vpcore.device import DeviceType
from vpcore.irq import Line, LineInput
from vpcore.pci import PciFunction
from vpcore.ports import PortMap
from vpcore.wires import Power, Processor

from . import regs_piix3 as regs
from .a20 import soft_reset
from .pcidevice import PciDevice
from .regs_piix3 import Pirqrc, Rcr, Reg


@attrs.define
class Piix3State:
    """Configuration space and reset control."""

    config: bytes = b""
    rcr: int = 0


class Piix3(PciDevice[Piix3State]):
    """The bridge, function 00:01.0."""

    ports = PortMap(size=1)
    coprocessor = PortMap(size=1)

    def __init__(
        self,
        *,
        fn: PciFunction,
        pirq: list[Line],
        isa_line: Callable[[int], LineInput],
        hard_reset: Callable[[], None],
        soft_reset: Callable[[], None],
        ignore_fpu_error: Callable[[], None],
    ) -> None:
        self._ignore_fpu_error = ignore_fpu_error
        self._pirq = pirq
        routable = [irq for irq in range(ISA_LINES) if irq not in Pirqrc.RESERVED]
        self._outputs = [{irq: isa_line(irq) for irq in routable} for _ in pirq]
        self._hard_reset = hard_reset
        self._soft_reset = soft_reset
        self.plug(fn)
        self.load(Piix3State())
        for wire, line in enumerate(pirq):
            line.listen(self._listener(wire))

    def defaults(self) -> Mapping[int, bytes]:
        """Registers after reset."""
        return regs.DEFAULTS

    def writable(self) -> Mapping[int, bytes]:
        """Bits that the guest may write."""
        return regs.WRITABLE

    def drive(self) -> None:
        """Put each PIRQ on the ISA line it is routed to, and on no other."""
        for wire, line in enumerate(self._pirq):
            route = self._route(wire)
            for irq, output in self._outputs[wire].items():
                output.set(line.level and irq == route)

    def _route(self, wire: int) -> int:
        """ISA line of a wire; that of a disabled or reserved route is none (2.2.9)."""
        value = self.fn.config[Reg.PIRQRC + wire]
        return -1 if value & Pirqrc.DISABLED else value & Pirqrc.IRQ

    def _listener(self, wire: int) -> Callable[[bool], None]:
        outputs = self._outputs[wire]

        def changed(level: bool) -> None:
            output = outputs.get(self._route(wire))
            if output is not None:
                output.set(level)

        return changed

    @coprocessor.write(0)
    def _write_coprocessor_error(self, _value: int) -> None:
        """Coprocessor error register: any write asserts IGNNE# and takes IRQ 13 back (2.5.5.2; SDM 1, D.2)."""
        self._ignore_fpu_error()

    @ports.read(0)
    def _read_rcr(self) -> int:
        return self.state.rcr

    @ports.write(0)
    def _write_rcr(self, value: int) -> None:
        rising = value & ~self.state.rcr & Rcr.RCPU
        self.state.rcr = value & Rcr.WRITABLE
        if rising:
            self.state.rcr &= ~Rcr.RCPU  # a soft reset leaves the bridge alone, and must work again
            (self._hard_reset if value & Rcr.SRST else self._soft_reset)()


@attrs.frozen
class Piix3Config:
    """The PIIX3 ISA bridge (00:01.0): PCI interrupt routing and the reset control register (CF9h)."""

    name: str


def build(config: Piix3Config, board: Board) -> Piix3:  # noqa: ARG001 - nothing to configure
    """Wire the bridge between the PCI interrupts and the ISA lines."""
    bridge = Piix3(
        fn=board.pci(regs.SLOT, 0, regs.IDENT),
        pirq=board.pci_bus.pirq,
        isa_line=lambda irq: board.line(irq, shared=True),
        hard_reset=lambda: board.service(Power).reset(),  # type: ignore[type-abstract]
        soft_reset=soft_reset(board),
        ignore_fpu_error=lambda: board.service(Processor).set_ignne(True),  # type: ignore[type-abstract]
    )
    board.map_ports(Rcr.PORT, bridge)
    board.map_ports(regs.COPROCESSOR_ERROR, bridge, Piix3.coprocessor)
    return bridge


TYPE: Final[DeviceType[Any]] = DeviceType("piix3", Piix3Config, build)
