"""Memory: RAM, ROM, RAM-backed windows, PAM shadowing, and what bus masters do with them.

The physical address space is a stack of layers: RAM at the bottom, holes in it, windows (ROM, frame buffers) over it,
and on top the chipset's shadow switches, which choose per page whether reads and writes reach RAM or the window.
`Memory` resolves the stack into pages for the engine (`PhysicalMap`) whenever a layer changes; no access passes here.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final, Protocol

import attrs
import numpy as np
import numpy.typing as npt

from vpcore.errors import ConfigError

PAGE: Final = 4096
MAP_DIRTY: Final = 1
MAP_DISCARD: Final = 2
HOLE: Final = range(0xA0000, 0x100000)
"""Below 1 MB only the chipset's switches show RAM here (440FX data sheet, 3.2.13 PAM)."""


class PhysicalMap(Protocol):
    """What the engine offers: pages of the physical space onto host memory."""

    def map(self, addr: int, size: int, read: memoryview | None, write: memoryview | None, flags: int) -> None:
        """Map [addr, addr+size) onto buffers of that size; None is MMIO, or discarded writes with MAP_DISCARD."""

    def invalidate(self, addr: int, size: int) -> None:
        """Drop code made from memory that the host changed."""

    def dirty(self, addr: int, size: int, *, clear: bool) -> bytes:
        """One byte a page: 1 where the guest wrote since the last clear (pages mapped with MAP_DIRTY)."""


class Window:
    """A block of host memory that the guest sees at an address: ROM, or a frame buffer with dirty tracking.

    *data* may be written by its owner at any time (call `written` if the guest may execute it).
    """

    def __init__(self, memory: Memory, owner: str, data: memoryview, *, readonly: bool, track: bool) -> None:
        self._memory = memory
        self.owner = owner
        self.data = data
        self.readonly = readonly
        self.track = track
        self.base: int | None = None
        self.offset = 0
        self.size = len(data)

    def map(self, base: int | None, *, offset: int = 0, size: int | None = None) -> None:
        """Show data[offset:offset+size] at physical *base*, in place of where it was; None hides it.

        All three are multiples of 4096.
        """
        size = len(self.data) - offset if size is None else size
        if base == self.base and (base is None or (offset, size) == (self.offset, self.size)):
            return
        old = (self.base, self.size)
        self.base, self.offset, self.size = base, offset, size
        self._memory.window_moved(self, old)

    def dirty(self, *, clear: bool = True) -> npt.NDArray[np.bool_]:
        """One flag a page of the mapped part: written by the guest since the last clear; empty when hidden."""
        if self.base is None:
            return np.zeros(0, dtype=np.bool_)
        flags = self._memory.phys.dirty(self.base, self.size, clear=clear)
        return np.frombuffer(flags, dtype=np.bool_)

    def written(self, offset: int = 0, size: int | None = None) -> None:
        """The owner changed data: drop code made from it."""
        if self.base is not None:
            self._memory.phys.invalidate(self.base + max(0, offset - self.offset), size or self.size)


@attrs.frozen
class Shadow:
    """PAM switches of one range: where reads and where writes go."""

    read_ram: bool = False
    write_ram: bool = False


class Memory:
    """The physical memory of one machine.

    *ram* is guest RAM as one writable buffer from physical 0 on (the hole below 1 MB hides a part of it).
    """

    def __init__(self, ram: memoryview, phys: PhysicalMap) -> None:
        self.ram = ram
        self.phys = phys
        self.windows: list[Window] = []
        self._shadow: dict[int, Shadow] = {}
        self._remap(0, len(ram))

    @property
    def size(self) -> int:
        """Bytes of RAM."""
        return len(self.ram)

    # -- layers --

    def window(self, owner: str, size: int, *, readonly: bool = False, track: bool = False) -> Window:
        """Make a window of *size* zero bytes (a multiple of 4096), hidden until mapped."""
        return self.window_of(owner, memoryview(bytearray(size)), readonly=readonly, track=track)

    def window_of(self, owner: str, data: memoryview, *, readonly: bool = False, track: bool = False) -> Window:
        """Make a window onto existing writable host memory, for example shared memory of a display."""
        if len(data) % PAGE:
            msg = f"memory window of device {owner!r} must be a multiple of {PAGE} bytes (got {len(data)})"
            raise ConfigError(msg)
        window = Window(self, owner, data, readonly=readonly, track=track)
        self.windows.append(window)
        return window

    def set_shadow(self, addr: int, size: int, *, read_ram: bool, write_ram: bool) -> None:
        """Choose per page of [addr, addr+size) below 1 MB whether reads and writes reach RAM or what lies over it."""
        shadow = Shadow(read_ram, write_ram)
        changed = False
        for page in range(addr // PAGE, (addr + size) // PAGE):
            changed |= self._shadow.get(page, Shadow()) != shadow
            self._shadow[page] = shadow
        if changed:
            self._remap(addr, size)

    def window_moved(self, window: Window, old: tuple[int | None, int]) -> None:
        """Resolve the pages that a window left and those it covers now; for Window only."""
        if old[0] is not None:
            self._remap(old[0], old[1])
        if window.base is not None:
            self._remap(window.base, window.size)

    # -- bus masters and debuggers --

    def view(self, addr: int, size: int) -> memoryview:
        """Zero-copy view of guest RAM, cut at the end of RAM.  After writing through it, call `written`."""
        return self.ram[addr : addr + size]

    def written(self, addr: int, size: int) -> None:
        """Tell the engine that RAM changed by DMA."""
        self.phys.invalidate(addr, size)

    def read(self, addr: int, size: int) -> bytes:
        """Read RAM as a bus master does; beyond RAM all ones."""
        data = bytes(self.ram[addr : addr + size]) if addr >= 0 else b""
        return data if len(data) == size else data + b"\xff" * (size - len(data))

    def write(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        """Write RAM as a bus master does; what lies beyond RAM is lost."""
        end = min(addr + len(data), len(self.ram))
        if 0 <= addr < end:
            self.ram[addr:end] = memoryview(data)[: end - addr]
            self.phys.invalidate(addr, end - addr)

    def peek(self, addr: int, size: int) -> bytes:
        """Read what the CPU would read at a physical address, windows included; MMIO reads as all ones."""
        out = bytearray()
        while size > 0:
            part = min(size, PAGE - addr % PAGE)
            buffer, _, _ = self._page(addr // PAGE)
            out += b"\xff" * part if buffer is None else bytes(buffer[addr % PAGE : addr % PAGE + part])
            addr, size = addr + part, size - part
        return bytes(out)

    # -- resolving --

    def _page(self, page: int) -> tuple[memoryview | None, memoryview | None, int]:
        addr = page * PAGE
        ram = self.ram[addr : addr + PAGE] if addr + PAGE <= len(self.ram) else None
        read = write = None if addr in HOLE else ram
        flags = 0
        for window in self.windows:
            if window.base is not None and window.base <= addr < window.base + window.size:
                at = window.offset + addr - window.base
                read = window.data[at : at + PAGE]
                write = None if window.readonly else read
                flags = (MAP_DISCARD if window.readonly else 0) | (MAP_DIRTY if window.track else 0)
        shadow = self._shadow.get(page)
        if shadow is not None and ram is not None:
            read = ram if shadow.read_ram else read
            if shadow.write_ram:
                write, flags = ram, flags & ~MAP_DISCARD
        return read, write, flags

    def _remap(self, addr: int, size: int) -> None:
        """Tell the engine, in runs of pages that resolve alike and lie one behind the other in the host."""
        first, last = addr // PAGE, (addr + size + PAGE - 1) // PAGE
        for start, end in self._uniform_runs(first, last):
            read, write, flags = self._page(start)
            length = (end - start) * PAGE
            self.phys.map(
                start * PAGE, length, self._extend(read, start, length), self._extend(write, start, length), flags
            )

    def _uniform_runs(self, first: int, last: int) -> Sequence[tuple[int, int]]:
        """Cut [first, last) where a layer begins or ends."""
        cuts = {first, last, HOLE.start // PAGE, HOLE.stop // PAGE, len(self.ram) // PAGE}
        for window in self.windows:
            if window.base is not None:
                cuts |= {window.base // PAGE, (window.base + window.size) // PAGE}
        for page, shadow in self._shadow.items():
            if self._shadow.get(page - 1) != shadow:
                cuts.add(page)
            if page + 1 not in self._shadow:
                cuts.add(page + 1)
        inside = sorted(cut for cut in cuts if first <= cut <= last)
        return list(itertools.pairwise(inside))

    def _extend(self, part: memoryview | None, page: int, length: int) -> memoryview | None:
        """The buffer of *length* bytes that begins with the one page *part* of `_page(page)`."""
        if part is None:
            return None
        addr = page * PAGE
        if _address(part) == _address(self.ram) + addr:
            return self.ram[addr : addr + length]
        for window in reversed(self.windows):
            if window.base is not None and window.base <= addr < window.base + window.size:
                at = window.offset + addr - window.base
                return window.data[at : at + length]
        return None


def _address(view: memoryview) -> int:
    array: npt.NDArray[Any] = np.frombuffer(view, dtype=np.uint8)
    return int(array.ctypes.data)
