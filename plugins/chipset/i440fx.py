"""The Intel 440FX host bridge: way into PCI configuration space, and the switches of the memory below 1 MB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from vpcore.board import Board
from vpcore.device import DeviceType
from vpcore.memory import Memory
from vpcore.pci import PciBus, PciFunction
from vpcore.ports import PortMap

from . import regs_i440fx as regs
from .pcidevice import PciDevice
from .regs_i440fx import Confadd, Pam, Port, Reg, Smram

CONFDATA_BYTES: Final = 4


@attrs.define
class I440fxState:
    """Configuration space and configuration address."""

    config: bytes = b""
    address: int = 0


class I440fx(PciDevice[I440fxState]):
    """The bridge, function 00:00.0."""

    ports = PortMap(size=4, exact=True)
    """CONFADD takes 32-bit accesses only; narrower ones reach the bus, where CF9h is PIIX3's (3.1.1)."""
    data_ports = PortMap(size=CONFDATA_BYTES)

    def __init__(self, *, fn: PciFunction, bus: PciBus, memory: Memory) -> None:
        self._bus = bus
        self._memory = memory
        self.plug(fn)
        self.load(I440fxState())

    def defaults(self) -> Mapping[int, bytes]:
        """Registers after reset; the row boundaries are those of the memory that is there."""
        rows = min(self._memory.size // regs.DRB_UNIT, 0xFF)
        return regs.DEFAULTS | {Reg.DRB: bytes([rows]) * regs.DRB_ROWS}

    def writable(self) -> Mapping[int, bytes]:
        """Bits that the guest may write."""
        return regs.WRITABLE

    def drive(self) -> None:
        """Switch memory as PAM and SMRAM say."""
        config = self.fn.config
        self._shadow(Pam.PAM0_START, Pam.PAM0_SIZE, config[Reg.PAM0] >> Pam.NIBBLE)
        for number in range(2 * Pam.COUNT):
            nibble = config[Reg.PAM0 + 1 + number // 2] >> Pam.NIBBLE * (number % 2)
            self._shadow(Pam.START + number * Pam.SIZE, Pam.SIZE, nibble)
        smram = config[Reg.SMRAM]
        open_ = bool(smram & Smram.D_OPEN and smram & Smram.G_SMRAME)
        self._memory.set_shadow(Smram.START, Smram.SIZE, read_ram=open_, write_ram=open_)
        lock = Smram.WRITABLE & ~(Smram.D_LCK | Smram.D_OPEN | Smram.G_SMRAME)
        self.fn.writable[Reg.SMRAM] = lock if smram & Smram.D_LCK else Smram.WRITABLE

    def config_written(self, offset: int, width: int) -> None:
        """Switch memory where a switch was written; locking SMRAM closes it."""
        if offset <= Reg.SMRAM < offset + width and self.fn.config[Reg.SMRAM] & Smram.D_LCK:
            self.fn.config[Reg.SMRAM] &= ~Smram.D_OPEN
        if offset + width > Reg.PAM0 and offset <= Reg.SMRAM:
            self.drive()

    def _shadow(self, start: int, size: int, nibble: int) -> None:
        self._memory.set_shadow(start, size, read_ram=bool(nibble & Pam.RE), write_ram=bool(nibble & Pam.WE))

    # -- configuration mechanism 1 --

    @ports.read(0, width=4)
    def _read_address(self) -> int:
        return self.state.address

    @ports.write(0, width=4)
    def _write_address(self, value: int) -> None:
        self.state.address = value & Confadd.WRITABLE

    @data_ports.read_any(range(CONFDATA_BYTES))
    def _read_data(self, offset: int, width: int) -> int:
        address = self.state.address
        if not address & Confadd.ENABLE:
            return (1 << 8 * width) - 1
        return self._bus.read_config(*_target(address), address & Confadd.REGISTER | offset, width)

    @data_ports.write_any(range(CONFDATA_BYTES))
    def _write_data(self, offset: int, width: int, value: int) -> None:
        address = self.state.address
        if address & Confadd.ENABLE:
            self._bus.write_config(*_target(address), address & Confadd.REGISTER | offset, width, value)


def _target(address: int) -> tuple[int, int, int]:
    return (
        address >> Confadd.BUS_SHIFT & Confadd.BUS,
        address >> Confadd.DEVICE_SHIFT & Confadd.DEVICE,
        address >> Confadd.FUNCTION_SHIFT & Confadd.FUNCTION,
    )


@attrs.frozen
class I440fxConfig:
    """The Intel 440FX host bridge (00:00.0, CF8h and CFCh)."""

    name: str


def build(config: I440fxConfig, board: Board) -> I440fx:  # noqa: ARG001 - nothing to configure
    """Put the bridge on the bus that it reaches."""
    bridge = I440fx(fn=board.pci(0, 0, regs.IDENT), bus=board.pci_bus, memory=board.memory)
    board.map_ports(Port.CONFADD, bridge)
    board.map_ports(Port.CONFDATA, bridge, bridge.data_ports)
    return bridge


TYPE: Final[DeviceType[Any]] = DeviceType("i440fx", I440fxConfig, build)
