"""Bus: routes port and MMIO accesses to the devices that claimed them, composes widths, answers where nobody does.

A claimed register of the access's own width answers directly.  A wider access is composed of narrower ones, low bytes
first; a narrower read of a wide register gives the bytes asked for; a narrower write to it is dropped.  What nobody
claims reads as all ones (open bus) and swallows writes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs

from vpcore.device import Device
from vpcore.errors import ConfigError
from vpcore.log import DeviceLog
from vpcore.native import Registers
from vpcore.ports import Handler, PortMap

PORTS: Final = 0x10000
PAGE: Final = 4096
CELL: Final = 1
"""Kind of a port that is a byte of `PortSpace.cells` (csrc/vp.h, VP_PORT_CELL)."""

Reader = Callable[[], int]
Writer = Callable[[int], None]
Block = Callable[[memoryview], int]

_ONES: Final = {1: 0xFF, 2: 0xFFFF, 4: 0xFFFF_FFFF, 8: 0xFFFF_FFFF_FFFF_FFFF}


@attrs.define(eq=False)
class Cells:
    """The storage registers of one mapping, as a device's `StorageCells`."""

    values: bytearray
    fields: dict[str, int]
    """State field to port."""

    def pull(self, state: object) -> None:
        """Copy the cells into the state's fields."""
        for field, port in self.fields.items():
            setattr(state, field, self.values[port])

    def push(self, state: object) -> None:
        """Copy the state's fields into the cells."""
        for field, port in self.fields.items():
            self.values[port] = getattr(state, field)


class Mapping:
    """A device's registers at a place of an address space; it can be moved (PCI BARs) and taken away (hot reload)."""

    def __init__(
        self, space: Space, owner: str, device: Device[Any], ports: PortMap, native: Registers | None = None
    ) -> None:
        self._space = space
        self.owner = owner
        self.device = device
        self.ports = ports
        self.native = native
        self.base: int | None = None

    def move(self, base: int | None) -> None:
        """Map at *base* in place of the old address; None unmaps.

        Raises `ConfigError` naming both owners where another device's registers are in the way; the mapping is then
        nowhere.
        """
        if base == self.base:
            return
        if self.base is not None:
            self._space.remove(self)
            self.base = None
        if base is not None:
            self._space.add(self, base)
            self.base = base


class Space:
    """An address space of registers: subclasses keep the look-up tables."""

    kind = "registers"

    def __init__(self) -> None:
        self.traced: dict[str, DeviceLog] = {}
        """Owners whose accesses are logged."""

    def bind(self, mapping: Mapping, handler: Handler, base: int, event: str) -> Callable[..., Any]:
        """The call that answers a handler's register, logging it where the owner is traced."""
        call = _bind(mapping.device, handler)
        log = self.traced.get(mapping.owner)
        return call if log is None else partial(_logged, call, log, event, base + handler.offset, handler.width)

    def add(self, mapping: Mapping, base: int) -> None:
        """Route the mapping's registers from *base* on."""
        raise NotImplementedError

    def remove(self, mapping: Mapping) -> None:
        """Stop routing them."""
        raise NotImplementedError

    def mappings(self) -> list[Mapping]:
        """Everything that is mapped, each once."""
        raise NotImplementedError

    def trace(self, owner: str, log: DeviceLog) -> None:
        """Log each access to the registers of *owner* from now on."""
        self.traced[owner] = log
        for mapping in self.mappings():
            if mapping.owner == owner and mapping.base is not None:
                self.remove(mapping)
                self.add(mapping, mapping.base)

    def _overlap(self, mapping: Mapping, base: int, other: str, at: int) -> ConfigError:
        end = base + mapping.ports.size - 1
        return ConfigError(
            f"{self.kind} {base:#x}-{end:#x} of device {mapping.owner!r} overlap those of {other!r} at {at:#x}:"
            " give one of them another base address"
        )


def _bind(device: Device[Any], handler: Handler) -> Callable[..., Any]:
    method = getattr(device, handler.name)
    return partial(method, *handler.args) if handler.args else method


def _logged(call: Callable[..., Any], log: DeviceLog, event: str, address: int, width: int, *args: Any) -> Any:
    """Make the access and log it: what a write wrote, what a read gave, how many bytes a block had."""
    result = call(*args)
    value = len(args[0]) if event.endswith("block") else result if event == "read" else args[0]
    log.trace(event, address=address, width=width, value=value)
    return result


class PortSpace(Space):
    """The 64 K I/O ports."""

    kind = "ports"

    def __init__(self) -> None:
        super().__init__()
        self.reads: dict[int, list[Reader | None]] = {width: [None] * PORTS for width in (1, 2, 4)}
        self.writes: dict[int, list[Writer | None]] = {width: [None] * PORTS for width in (1, 2, 4)}
        self.block_reads: dict[tuple[int, int], Block] = {}
        self.block_writes: dict[tuple[int, int], Block] = {}
        self.owners: dict[int, Mapping] = {}
        self.cells = bytearray(PORTS)
        self.cell_kind = bytearray(PORTS)
        """Both shared with the engine, which answers a port whose kind is not 0 by itself."""
        self.native_kind: Callable[[int, Registers], int] | None = None
        """The engine's, on a machine: the kind of ports that a device model in C answers from an address on."""

    def add(self, mapping: Mapping, base: int) -> None:
        """Route the mapping's ports from *base* on."""
        ports = mapping.ports
        for offset in ports.offsets():
            port = base + offset
            if not 0 <= port < PORTS:
                where = f"ports {base:#x}+{offset:#x} of device {mapping.owner!r}"
                raise ConfigError(f"{where} lie outside 0 to {PORTS - 1:#x}: change its base")
            if port in self.owners:
                raise self._overlap(mapping, base, self.owners[port].owner, port)
        self.owners.update({base + offset: mapping for offset in ports.offsets()})
        self._route(mapping, base)

    def _route(self, mapping: Mapping, base: int) -> None:
        ports = mapping.ports
        for (offset, width), handler in ports.reads.items():
            self.reads[width][base + offset] = self.bind(mapping, handler, base, "read")
        for (offset, width), handler in ports.writes.items():
            self.writes[width][base + offset] = self.bind(mapping, handler, base, "write")
        for (offset, width), handler in ports.block_reads.items():
            self.block_reads[base + offset, width] = self.bind(mapping, handler, base, "read block")
        for (offset, width), handler in ports.block_writes.items():
            self.block_writes[base + offset, width] = self.bind(mapping, handler, base, "write block")
        if ports.stores:
            mapping.device.cells = Cells(self.cells, {s.field: base + s.offset for s in ports.stores.values()})
            mapping.device.cells.push(mapping.device.state)
            for offset in ports.stores:
                self._route_cell(mapping, base + offset)
        if mapping.native is not None and self.native_kind is not None and mapping.owner not in self.traced:
            kind = self.native_kind(base, mapping.native)
            for offset in mapping.native.offsets:
                self.cell_kind[base + offset] = kind

    def _route_cell(self, mapping: Mapping, port: int) -> None:
        """A storage register is the engine's to answer, unless somebody wants to see each access."""
        log = self.traced.get(mapping.owner)
        if log is None:
            self.cell_kind[port] = CELL
            return
        self.reads[1][port] = partial(_logged, partial(self.cells.__getitem__, port), log, "read", port, 1)
        self.writes[1][port] = partial(_logged, partial(self.cells.__setitem__, port), log, "write", port, 1)

    def mappings(self) -> list[Mapping]:
        """Everything that is mapped, each once."""
        return list({id(mapping): mapping for mapping in self.owners.values()}.values())

    def owned_by(self, owner: str) -> list[int]:
        """The ports that a device claims, ascending."""
        return sorted(port for port, mapping in self.owners.items() if mapping.owner == owner)

    def remove(self, mapping: Mapping) -> None:
        """Stop routing them."""
        base = mapping.base
        if base is None:
            return
        ports = mapping.ports
        if ports.stores and mapping.device.cells is not None:
            mapping.device.cells.pull(mapping.device.state)
            mapping.device.cells = None
        for offset in ports.offsets():
            port = base + offset
            self.owners.pop(port, None)
            self.cell_kind[port] = 0
            for width in (1, 2, 4):
                self.reads[width][port] = None
                self.writes[width][port] = None
                self.block_reads.pop((port, width), None)
                self.block_writes.pop((port, width), None)


@attrs.frozen
class Area:
    """An aperture answered by two methods (`PortMap.read_area`)."""

    base: int
    read: Callable[[int, int], int]
    write: Callable[[int, int, int], None]


class MmioSpace(Space):
    """Memory-mapped registers, found by page; what is RAM or ROM never comes here."""

    kind = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.areas: dict[int, Area] = {}
        """Page to the aperture that fills it."""
        self._pages: dict[int, list[Mapping]] = {}
        self._tables: dict[int, tuple[dict[tuple[int, int], Reader], dict[tuple[int, int], Writer]]] = {}

    def add(self, mapping: Mapping, base: int) -> None:
        """Route the mapping's registers from *base* on."""
        end = base + mapping.ports.size
        pages = range(base // PAGE, (end - 1) // PAGE + 1)
        for page in pages:
            for other in self._pages.get(page, ()):
                other_base = other.base or 0
                if other_base < end and base < other_base + other.ports.size:
                    raise self._overlap(mapping, base, other.owner, max(base, other_base))
        for page in pages:
            self._pages.setdefault(page, []).append(mapping)
        ports = mapping.ports
        if ports.area_read:
            device = mapping.device
            area = Area(base, getattr(device, ports.area_read), getattr(device, ports.area_write))
            self.areas.update(dict.fromkeys(pages, area))
        reads = {key: self.bind(mapping, handler, base, "read") for key, handler in ports.reads.items()}
        writes = {key: self.bind(mapping, handler, base, "write") for key, handler in ports.writes.items()}
        self._tables[id(mapping)] = (reads, writes)

    def remove(self, mapping: Mapping) -> None:
        """Stop routing them."""
        base = mapping.base
        if base is None:
            return
        for page in range(base // PAGE, (base + mapping.ports.size - 1) // PAGE + 1):
            self._pages[page].remove(mapping)
            self.areas.pop(page, None)
            if not self._pages[page]:
                del self._pages[page]
        del self._tables[id(mapping)]

    def mappings(self) -> list[Mapping]:
        """Everything that is mapped, each once."""
        return list({id(mapping): mapping for page in self._pages.values() for mapping in page}.values())

    def find(self, addr: int) -> Mapping | None:
        """The mapping that holds the physical address *addr*."""
        for mapping in self._pages.get(addr // PAGE, ()):
            base = mapping.base or 0
            if base <= addr < base + mapping.ports.size:
                return mapping
        return None

    def reader(self, addr: int, width: int) -> Reader | None:
        """The handler of exactly this address and width."""
        mapping = self.find(addr)
        return None if mapping is None else self._tables[id(mapping)][0].get((addr - (mapping.base or 0), width))

    def writer(self, addr: int, width: int) -> Writer | None:
        """The handler of exactly this address and width."""
        mapping = self.find(addr)
        return None if mapping is None else self._tables[id(mapping)][1].get((addr - (mapping.base or 0), width))


class Bus:
    """Ports and MMIO of one machine.  The engine calls the port_ and mmio_ methods; values are unsigned."""

    def __init__(self) -> None:
        self.ports = PortSpace()
        self.mmio = MmioSpace()
        self.log = DeviceLog("bus")
        self._reads = self.ports.reads
        self._writes = self.ports.writes

    def map_ports(
        self, base: int | None, device: Device[Any], owner: str, ports: PortMap, native: Registers | None = None
    ) -> Mapping:
        """Claim ports for a device; with base None the mapping is made but is nowhere yet."""
        mapping = Mapping(self.ports, owner, device, ports, native)
        mapping.move(base)
        return mapping

    def map_mmio(self, base: int | None, device: Device[Any], owner: str, ports: PortMap) -> Mapping:
        """Claim physical addresses for a device's registers."""
        mapping = Mapping(self.mmio, owner, device, ports)
        mapping.move(base)
        return mapping

    def trace(self, owner: str) -> None:
        """Log each access to the registers of the device *owner*; apertures of whole pages (VGA memory) are left out."""
        log = DeviceLog(owner)
        log.set_tracing(True)
        self.ports.trace(owner, log)
        self.mmio.trace(owner, log)

    # -- ports --

    def port_in(self, port: int, size: int) -> int:
        """Read *size* (1, 2, 4) bytes from *port*."""
        handler = self._reads[size][port]
        if handler is not None:
            return handler()
        return self._narrow_in(port) if size == 1 else self._wide_in(port, size)

    def port_out(self, port: int, size: int, value: int) -> None:
        """Write *size* bytes to *port*."""
        handler = self._writes[size][port]
        if handler is not None:
            handler(value)
        elif size == 1:
            self._narrow_out(port, value)
        else:
            half = size // 2
            mask = _ONES[half]
            self.port_out(port, half, value & mask)
            self.port_out((port + half) % PORTS, half, value >> 8 * half)

    def port_in_block(self, port: int, size: int, buffer: memoryview) -> int:
        """REP INS: fill the buffer; the number of elements filled, 0 where the port takes no blocks."""
        handler = self.ports.block_reads.get((port, size))
        return 0 if handler is None else handler(buffer) // size

    def port_out_block(self, port: int, size: int, buffer: memoryview) -> int:
        """REP OUTS: take the buffer; the number of elements taken."""
        handler = self.ports.block_writes.get((port, size))
        return 0 if handler is None else handler(buffer) // size

    def _wide_in(self, port: int, size: int) -> int:
        half = size // 2
        low = self.port_in(port, half)
        return low | self.port_in((port + half) % PORTS, half) << 8 * half

    def _narrow_in(self, port: int) -> int:
        if self.ports.cell_kind[port] == CELL:
            return self.ports.cells[port]
        for width in (2, 4):
            for offset in range(width):
                handler = self._reads[width][port - offset] if port >= offset else None
                if handler is not None:
                    return handler() >> 8 * offset & 0xFF
        if port not in self.ports.owners:
            self.log.debug("read of an unclaimed port", port=port)
        return 0xFF

    def _narrow_out(self, port: int, value: int) -> None:
        if self.ports.cell_kind[port] == CELL:
            self.ports.cells[port] = value
            return
        owner = self.ports.owners.get(port)
        if owner is None:
            self.log.debug("write to an unclaimed port", port=port, value=value)
        else:
            self.log.warn_once(port, "byte write dropped", port=port, value=value, device=owner.owner)

    # -- MMIO --

    def mmio_read(self, addr: int, size: int) -> int:
        """Read *size* (1, 2, 4, 8) bytes of registers at a physical address."""
        mmio = self.mmio
        area = mmio.areas.get(addr // PAGE)
        if area is not None:
            return area.read(addr - area.base, size)
        handler = mmio.reader(addr, size)
        if handler is not None:
            return handler()
        if size > 1:
            half = size // 2
            return self.mmio_read(addr, half) | self.mmio_read(addr + half, half) << 8 * half
        for width in (2, 4):
            start = addr & -width
            handler = mmio.reader(start, width)
            if handler is not None:
                return handler() >> 8 * (addr - start) & 0xFF
        self.log.debug("read of unclaimed memory", address=addr)
        return 0xFF

    def mmio_write(self, addr: int, size: int, value: int) -> None:
        """Write *size* bytes of registers at a physical address."""
        area = self.mmio.areas.get(addr // PAGE)
        if area is not None:
            area.write(addr - area.base, size, value)
            return
        handler = self.mmio.writer(addr, size)
        if handler is not None:
            handler(value)
        elif size > 1:
            half = size // 2
            self.mmio_write(addr, half, value & _ONES[half])
            self.mmio_write(addr + half, half, value >> 8 * half)
        else:
            self.log.debug("write to unclaimed memory", address=addr, value=value)
