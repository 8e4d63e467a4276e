"""The SMBus host controller of PIIX4 with nothing on its wires: every transaction ends unclaimed (PIIX4 7.3)."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from vpcore.device import Device
from vpcore.ports import PortMap

from .regs_piix4pm import Smbhstcnt, Smbhststs, Smbus


@attrs.define
class SmbusState:
    """Host status and control, the registers that only keep what is written, and the block buffer."""

    status: int = 0
    control: int = 0
    plain: bytearray = attrs.field(factory=lambda: bytearray(Smbus.SIZE))


class SmbusHost(Device[SmbusState]):
    """The controller; *changed* is told when its interrupt may have changed."""

    ports = PortMap(size=Smbus.SIZE)

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.state = SmbusState()

    @property
    def interrupt(self) -> bool:
        """The controller asks for its interrupt."""
        return bool(self.state.status and self.state.control & Smbhstcnt.INTEREN)

    @ports.read(Smbus.SMBHSTSTS)
    def _read_status(self) -> int:
        return self.state.status

    @ports.write(Smbus.SMBHSTSTS)
    def _write_status(self, value: int) -> None:
        self.state.status &= ~(value & Smbhststs.CLEARABLE)
        self._changed()

    @ports.read(Smbus.SMBHSTCNT)
    def _read_control(self) -> int:
        return self.state.control

    @ports.write(Smbus.SMBHSTCNT)
    def _write_control(self, value: int) -> None:
        """START runs a transaction that no device claims."""
        self.state.control = value & Smbhstcnt.STORED
        if value & Smbhstcnt.START and not value & Smbhstcnt.KILL:
            self.state.status |= Smbhststs.DEV_ERR
        self._changed()

    @ports.read(Smbus.SMBBLKDAT)
    def _read_block(self) -> int:
        return 0

    @ports.write(Smbus.SMBBLKDAT)
    def _write_block(self, value: int) -> None:
        """Nobody will fetch it."""

    @ports.read(range(Smbus.SMBHSTCMD, Smbus.SMBBLKDAT))
    def _read_plain(self, offset: int) -> int:
        return self.state.plain[offset]

    @ports.write(range(Smbus.SMBHSTCMD, Smbus.SMBBLKDAT))
    def _write_plain(self, offset: int, value: int) -> None:
        self.state.plain[offset] = value
