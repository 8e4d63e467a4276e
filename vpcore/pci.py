"""PCI: configuration space of a function, its BARs and interrupt pin, and the bus they sit on.

A device asks `board.pci(...)` for a slot and gets a `PciFunction`; the host bridge plugin reaches every function through
`PciBus.read_config` and `write_config` (mechanism 1, PCI 2.1 section 3.7.4.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from vpcore.errors import ConfigError
from vpcore.irq import Line, LineInput
from vpcore.log import DeviceLog

CONFIG_SIZE: Final = 256


class Reg:
    """Offsets of the type 0 header (PCI 2.1, figure 6-1)."""

    VENDOR: Final = 0x00
    DEVICE: Final = 0x02
    COMMAND: Final = 0x04
    STATUS: Final = 0x06
    REVISION: Final = 0x08
    CLASS: Final = 0x09
    HEADER_TYPE: Final = 0x0E
    BAR0: Final = 0x10
    SUBSYSTEM_VENDOR: Final = 0x2C
    SUBSYSTEM: Final = 0x2E
    ROM: Final = 0x30
    INTERRUPT_LINE: Final = 0x3C
    INTERRUPT_PIN: Final = 0x3D


class Command:
    """Bits of the command register (PCI 2.1, 6.2.2)."""

    IO: Final = 1 << 0
    MEMORY: Final = 1 << 1
    MASTER: Final = 1 << 2
    MASK: Final = 0x0547


BAR_IO: Final = 1
BAR_PREFETCHABLE: Final = 8
IO_WINDOW: Final = 0x10000
BAR_FLAGS: Final = {True: 0x3, False: 0xF}
MULTIFUNCTION: Final = 0x80
ROM_ENABLE: Final = 1


@attrs.frozen
class PciId:
    """What a function says it is; class_code is base class, subclass, interface (0x010180)."""

    vendor: int
    device: int
    class_code: int
    revision: int = 0
    subsystem_vendor: int = 0
    subsystem: int = 0


@attrs.define
class Bar:
    """One base address register: *map* is called with the address, or None while decoding is off."""

    offset: int
    size: int
    io: bool
    map: Callable[[int | None], None]
    rom: bool = False
    prefetchable: bool = False
    mapped: int | None = None


class PciFunction:
    """Configuration space of one function.

    *config* holds the bytes and is what a device's state keeps (`snapshot`/`restore`); *writable* says which bits the
    guest may change.  `on_write` is called after each configuration write as (offset, width).
    """

    def __init__(self, name: str, ident: PciId, intx: LineInput | None) -> None:
        self.name = name
        self.ident = ident
        self.config = bytearray(CONFIG_SIZE)
        self.writable = bytearray(CONFIG_SIZE)
        self.bars: list[Bar] = []
        self.intx = intx
        self.on_write: Callable[[int, int], None] | None = None
        self.log = DeviceLog(name)
        self._multifunction = False
        self.reset()

    # -- set-up --

    def add_bar(
        self,
        index: int,
        size: int,
        map_: Callable[[int | None], None],
        *,
        io: bool = False,
        prefetchable: bool = False,
    ) -> None:
        """Declare BAR *index* (6 is the expansion ROM) of *size* bytes (a power of two)."""
        rom = index == 6  # noqa: PLR2004 - 0 to 5 are BARs
        offset = Reg.ROM if rom else Reg.BAR0 + 4 * index
        self.bars.append(Bar(offset, size, io, map_, rom, prefetchable))
        mask = (~(size - 1) & 0xFFFF_FFFF) | (ROM_ENABLE if rom else 0)
        self.writable[offset : offset + 4] = mask.to_bytes(4, "little")
        self._header_defaults()

    def allow(self, offset: int, mask: int, width: int = 1) -> None:
        """Let the guest write the bits of *mask* at *offset*."""
        self.writable[offset : offset + width] = mask.to_bytes(width, "little")

    def set_multifunction(self) -> None:
        """Mark function 0 of a device with several."""
        self._multifunction = True
        self._header_defaults()

    def reset(self) -> None:
        """Return to the values after RST#; BARs decode nothing."""
        self.config[:] = bytes(CONFIG_SIZE)
        self.allow(Reg.COMMAND, Command.MASK, 2)
        self.allow(Reg.INTERRUPT_LINE, 0xFF)
        self._header_defaults()
        self.remap()

    # -- access --

    def get(self, offset: int, width: int = 1) -> int:
        """Read a register of the configuration space."""
        return int.from_bytes(self.config[offset : offset + width], "little")

    def put(self, offset: int, value: int, width: int = 1) -> None:
        """Set a register whether or not the guest may write it."""
        self.config[offset : offset + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")

    def guest_write(self, offset: int, width: int, value: int) -> None:
        """Write as the guest does: read-only bits stay, BARs and command take effect."""
        for index in range(min(width, CONFIG_SIZE - offset)):
            at = offset + index
            mask = self.writable[at]
            self.config[at] = self.config[at] & ~mask & 0xFF | value >> 8 * index & mask
        if offset < Reg.INTERRUPT_LINE:
            self.remap()
        if self.on_write is not None:
            self.on_write(offset, width)

    @property
    def bus_master(self) -> bool:
        """The command register lets the function read and write memory."""
        return bool(self.get(Reg.COMMAND) & Command.MASTER)

    def restore(self, config: bytes) -> None:
        """Become a saved configuration space."""
        self.config[:] = config
        self.remap()

    def remap(self) -> None:
        """Map every BAR where the configuration space says."""
        for bar in self.bars:
            address = self._address(bar)
            if address != bar.mapped:
                bar.mapped = None
                try:
                    bar.map(address)
                    bar.mapped = address
                except ConfigError as error:
                    self.log.warn_once(bar.offset, "BAR not mapped", reason=str(error))

    def _address(self, bar: Bar) -> int | None:
        value = self.get(bar.offset, 4)
        command = self.get(Reg.COMMAND, 2)
        if not command & (Command.IO if bar.io else Command.MEMORY) or (bar.rom and not value & ROM_ENABLE):
            return None
        address = value & ~(bar.size - 1)
        limit = IO_WINDOW if bar.io else 1 << 32
        return address if address > 0 and address + bar.size <= limit else None

    def _header_defaults(self) -> None:
        ident = self.ident
        self.put(Reg.VENDOR, ident.vendor, 2)
        self.put(Reg.DEVICE, ident.device, 2)
        self.put(Reg.REVISION, ident.revision)
        self.put(Reg.CLASS, ident.class_code, 3)
        self.put(Reg.SUBSYSTEM_VENDOR, ident.subsystem_vendor, 2)
        self.put(Reg.SUBSYSTEM, ident.subsystem, 2)
        self.put(Reg.HEADER_TYPE, MULTIFUNCTION if self._multifunction else 0)
        self.put(Reg.INTERRUPT_PIN, 1 if self.intx is not None else 0)
        for bar in self.bars:
            if bar.io:
                self.config[bar.offset] |= BAR_IO
            elif bar.prefetchable:
                self.config[bar.offset] |= BAR_PREFETCHABLE


class PciBus:
    """Bus 0 of one machine: functions by device and function number, and the four interrupt wires PIRQA# to PIRQD#."""

    def __init__(self) -> None:
        self.functions: dict[tuple[int, int], PciFunction] = {}
        self.pirq = [Line(f"pirq{letter}") for letter in "abcd"]

    def add(self, slot: int, function: int, name: str, ident: PciId, *, interrupt: bool = False) -> PciFunction:
        """Plug a function in; *interrupt* gives it INTA#, swizzled by slot as on the 440FX boards that SeaBIOS knows.

        Raises `ConfigError` naming both where the slot is taken.
        """
        key = (slot, function)
        if key in self.functions:
            msg = (
                f"PCI slot {slot:02x}.{function} of device {name!r} is taken by {self.functions[key].name!r}:"
                " give one of them another slot"
            )
            raise ConfigError(msg)
        wire = self.pirq[(slot - 1) % 4].input(name) if interrupt else None
        new = PciFunction(name, ident, wire)
        self.functions[key] = new
        if function and (slot, 0) in self.functions:
            self.functions[slot, 0].set_multifunction()
        if not function and any(other[0] == slot for other in self.functions if other != key):
            new.set_multifunction()
        return new

    def read_config(self, bus: int, slot: int, function: int, offset: int, width: int) -> int:
        """Read configuration space; all ones where no function is."""
        target = self.functions.get((slot, function)) if bus == 0 else None
        return (1 << 8 * width) - 1 if target is None else target.get(offset, width)

    def write_config(self, bus: int, slot: int, function: int, offset: int, width: int, value: int) -> None:
        """Write configuration space; lost where no function is."""
        target = self.functions.get((slot, function)) if bus == 0 else None
        if target is not None:
            target.guest_write(offset, width, value)
