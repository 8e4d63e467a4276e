"""Board: all that a device may ask of the machine it is plugged into.

Each device gets a board of its own (`Board.named`), which knows the device's name: errors and logs speak of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import attrs

from vpcore.bus import Bus, Mapping
from vpcore.clock import Clock
from vpcore.device import Device
from vpcore.errors import ConfigError
from vpcore.host.ends import BlockDevice, CharDevice
from vpcore.irq import Line, LineInput
from vpcore.log import DeviceLog
from vpcore.memory import Memory, Window
from vpcore.native import NativeMachine, Registers
from vpcore.pci import PciBus, PciFunction, PciId
from vpcore.ports import PortMap
from vpcore.wires import DmaChannel, DmaController

ServiceT = TypeVar("ServiceT")

ISA_LINES = 16


class Backends(Protocol):
    """Opens the host ends that machine files name."""

    def disk(self, path: str, *, readonly: bool) -> BlockDevice:
        """Open an image or host block device, locked against other writers."""

    def char(self, spec: str, owner: str) -> CharDevice:
        """Open `stdio`, `pty`, `file:F`, `tcp:H:P`, `none`, `buffer` or a host serial port."""

    def find(self, path: str) -> Path:
        """A file that a machine file names: absolute, or relative to the machine file."""


@attrs.frozen
class MachineInfo:
    """What the `[machine]` table says that a device may need."""

    name: str = "machine"
    boot: str = "acd"
    """Boot order: a floppy, c disk, d CD-ROM, n network."""
    epoch_ns: int = 0
    """Host wall-clock time (Unix ns) at virtual time 0."""


@attrs.define(eq=False)
class Parts:
    """What all devices of one machine share."""

    bus: Bus
    clock: Clock
    memory: Memory
    backends: Backends
    info: MachineInfo = attrs.field(factory=MachineInfo)
    pci: PciBus = attrs.field(factory=PciBus)
    lines: list[Line] = attrs.field(factory=lambda: [Line(f"irq{number}") for number in range(ISA_LINES)])
    services: dict[type, list[Any]] = attrs.field(factory=dict)
    exclusive: dict[int, str] = attrs.field(factory=dict)
    """ISA line number to the device that claimed it for itself."""
    native: Callable[[], NativeMachine] | None = None


class Board:
    """The machine as one device sees it."""

    def __init__(self, parts: Parts, name: str) -> None:
        self._parts = parts
        self.name = name
        self.log = DeviceLog(name)

    def named(self, name: str) -> Board:
        """The same board for another device."""
        return Board(self._parts, name)

    @property
    def info(self) -> MachineInfo:
        """The machine as a whole."""
        return self._parts.info

    # -- registers and memory --

    def map_ports(
        self, base: int | None, device: Device[Any], ports: PortMap | None = None, native: Registers | None = None
    ) -> Mapping:
        """Answer I/O ports from *base* on by the device's `ports` (or another of its maps).

        With base None the mapping exists but is nowhere; `Mapping.move` places it.  Raises `ConfigError` on overlap.
        *native* answers some of them in C, as the map's methods would.
        """
        return self._parts.bus.map_ports(base, device, self.name, ports or device.ports, native)

    @property
    def native(self) -> NativeMachine:
        """The machine as device models in C meet it."""
        assert self._parts.native is not None
        return self._parts.native()

    def port_claimed(self, port: int) -> bool:
        """Whether some device answers *port*; ask when the machine is built."""
        return port in self._parts.bus.ports.owners

    def map_mmio(self, base: int | None, device: Device[Any], ports: PortMap) -> Mapping:
        """Answer physical addresses from *base* on by a map of the device."""
        return self._parts.bus.map_mmio(base, device, self.name, ports)

    def window(self, size: int, *, readonly: bool = False, track: bool = False) -> Window:
        """Memory of *size* bytes that the guest can be shown at an address: ROM, frame buffer."""
        return self._parts.memory.window(self.name, size, readonly=readonly, track=track)

    def window_of(self, data: memoryview, *, readonly: bool = False, track: bool = False) -> Window:
        """The same onto existing host memory."""
        return self._parts.memory.window_of(self.name, data, readonly=readonly, track=track)

    @property
    def memory(self) -> Memory:
        """Guest memory, for bus masters."""
        return self._parts.memory

    # -- wires and time --

    def line(self, irq: int, *, shared: bool = False) -> LineInput:
        """A driver of ISA interrupt line *irq* (0-15).

        Without *shared* the line is claimed: a second device that wants it for itself is a `ConfigError`.
        """
        if not 0 <= irq < ISA_LINES:
            msg = f"irq of device {self.name!r} must be 0 to {ISA_LINES - 1} (got {irq})"
            raise ConfigError(msg)
        if not shared:
            other = self._parts.exclusive.setdefault(irq, self.name)
            if other != self.name:
                msg = f"irq {irq} of device {self.name!r} is already that of {other!r}: give one of them another irq"
                raise ConfigError(msg)
        return self._parts.lines[irq].input(self.name)

    @property
    def lines(self) -> list[Line]:
        """The ISA interrupt lines, for an interrupt controller to listen to."""
        return self._parts.lines

    @property
    def clock(self) -> Clock:
        """Virtual time."""
        return self._parts.clock

    def pci(self, slot: int, function: int, ident: PciId, *, interrupt: bool = False) -> PciFunction:
        """Plug a PCI function into bus 0."""
        return self._parts.pci.add(slot, function, self.name, ident, interrupt=interrupt)

    @property
    def pci_bus(self) -> PciBus:
        """PCI bus 0, for a host bridge and an interrupt router."""
        return self._parts.pci

    def dma(self, channel: int) -> DmaChannel:
        """A channel of the ISA DMA controllers, once the machine is built."""
        return self.service(DmaController).channel(channel)  # type: ignore[type-abstract]

    # -- other devices --

    def provide(self, kind: type[ServiceT], thing: ServiceT) -> None:
        """Offer *thing* to other devices and to the Python API as a *kind* of `vpcore.wires`."""
        self._parts.services.setdefault(kind, []).append(thing)

    def services(self, kind: type[ServiceT]) -> list[ServiceT]:
        """Everything offered of that kind, in the order of the machine file."""
        return list(self._parts.services.get(kind, ()))

    def service(self, kind: type[ServiceT]) -> ServiceT:
        """The first thing offered of that kind; ask when it is used (or `when_built`), not while building.

        Raises `ConfigError` naming the kind where the machine has none.
        """
        found = self._parts.services.get(kind)
        if not found:
            msg = f"device {self.name!r} needs a {kind.__name__}: add a device that offers one to the machine file"
            raise ConfigError(msg)
        thing: ServiceT = found[0]
        return thing

    def when_built(self, callback: Callable[[], None]) -> None:
        """Call back once, when every device of the machine has been built."""
        self.provide(BuiltCallback, BuiltCallback(callback))

    # -- host ends --

    def disk(self, path: str, *, readonly: bool = False) -> BlockDevice:
        """Open a disk, floppy or CD image (or host block device)."""
        return self._parts.backends.disk(path, readonly=readonly)

    def char(self, spec: str) -> CharDevice:
        """Open the host end of a serial port or console."""
        return self._parts.backends.char(spec, self.name)

    def find(self, path: str) -> Path:
        """A file that a machine file names, relative to that file."""
        return self._parts.backends.find(path)

    def firmware(self, chosen: str, places: tuple[str, ...], kind: str) -> tuple[Path, bytes]:
        """The ROM image *chosen* by the device's key `rom`, or without one the first that there is of *places*.

        Raises `ConfigError` saying what to install; *kind* is what the image is.
        """
        paths = [self.find(chosen)] if chosen else [Path(place) for place in places]
        path = next((path for path in paths if path.is_file()), None)
        if path is None and chosen:
            raise ConfigError(f"{paths[0]}: no such {kind} image")
        if path is None:
            msg = f"no {kind} found in {', '.join(places)}: install the package `seabios`, or set {self.name}.rom"
            raise ConfigError(msg)
        try:
            return path, path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


@attrs.frozen
class BuiltCallback:
    """A callback waiting for the machine to be complete (`Board.when_built`)."""

    call: Callable[[], None]
