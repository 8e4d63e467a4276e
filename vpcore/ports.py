"""PortMap: which method of a device answers which register.

The same declaration serves I/O ports and memory-mapped registers.  Nothing here knows a bus: `Bus.map_ports` and
`Bus.map_mmio` bind a map's methods to a device instance once, so that an access is one list look-up and one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import attrs

Method = TypeVar("Method", bound=Callable[..., Any])

WIDTHS: Final = (1, 2, 4)
"""Access widths in bytes of an ISA or PCI register."""


@attrs.frozen
class Handler:
    """One declared register: the method *name* answers accesses of *width* bytes at *offset*."""

    name: str
    offset: int
    width: int
    args: tuple[int, ...] = ()
    """Leading arguments: none, the offset, or offset and width (see `PortMap.read`)."""


@attrs.frozen
class Storage:
    """A plain byte at *offset* without behaviour, kept in the state field *field*."""

    offset: int
    field: str


class PortMap:
    """The registers of a device, as offsets from its base.

    *size* is how many offsets there are.  A second handler for the same offset and width, or an offset outside the
    size, is a `ValueError` when the class is made, not when the guest runs.

    With *exact*, a register wider than a byte claims its first byte only: another device may have those behind it (the
    440FX takes 32-bit accesses to CF8h, bytes at CF9h are the south bridge's).
    """

    def __init__(self, size: int, *, exact: bool = False) -> None:
        self.size = size
        self.exact = exact
        self.reads: dict[tuple[int, int], Handler] = {}
        self.writes: dict[tuple[int, int], Handler] = {}
        self.block_reads: dict[tuple[int, int], Handler] = {}
        self.block_writes: dict[tuple[int, int], Handler] = {}
        self.stores: dict[int, Storage] = {}
        self.area_read = ""
        self.area_write = ""

    def read(self, where: int | range, *, width: int = 1) -> Callable[[Method], Method]:
        """Declare `method(self) -> int` as the read of a register *width* bytes wide.

        With a range, the method is `method(self, offset) -> int` and answers each of its offsets.
        """
        return self._declare(self.reads, where, width)

    def write(self, where: int | range, *, width: int = 1) -> Callable[[Method], Method]:
        """Declare `method(self, value)`, or with a range `method(self, offset, value)`, as the write."""
        return self._declare(self.writes, where, width)

    def read_any(self, where: range) -> Callable[[Method], Method]:
        """Declare `method(self, offset, width) -> int` for accesses of 1, 2 and 4 bytes anywhere in the range."""
        return self._declare_any(self.reads, where)

    def write_any(self, where: range) -> Callable[[Method], Method]:
        """Declare `method(self, offset, width, value)` for accesses of 1, 2 and 4 bytes anywhere in the range."""
        return self._declare_any(self.writes, where)

    def read_block(self, offset: int, *, width: int = 1) -> Callable[[Method], Method]:
        """Declare `method(self, buffer: memoryview) -> int` for REP INS: fill the writable buffer from its start.

        The result is the number of *bytes* filled, a multiple of the width; 0 lets the engine go on element by element.
        """
        return self._declare(self.block_reads, offset, width)

    def write_block(self, offset: int, *, width: int = 1) -> Callable[[Method], Method]:
        """Declare `method(self, buffer: memoryview) -> int` for REP OUTS: take bytes from the buffer's start."""
        return self._declare(self.block_writes, offset, width)

    def read_area(self, method: Method) -> Method:
        """Declare `method(self, offset, width) -> int` as the read of *every* offset, at widths 1, 2, 4 and 8.

        For memory-mapped apertures too large for a table of handlers; other declarations of the map are then ignored.
        """
        self.area_read = method.__name__
        return method

    def write_area(self, method: Method) -> Method:
        """Declare `method(self, offset, width, value)` as the write of every offset (see `read_area`)."""
        self.area_write = method.__name__
        return method

    def storage(self, offset: int, field: str) -> None:
        """Declare a byte that only keeps what was written, in the state field *field*.

        On a machine it is answered in C without Python.  Behaviour must not depend on it: the state field is brought up
        to date by `Device.save`, not at each access.
        """
        self._check(offset, 1)
        key = (offset, 1)
        if key in self.reads or key in self.writes or offset in self.stores:
            msg = f"offset {offset:#x} has two handlers"
            raise ValueError(msg)
        self.stores[offset] = Storage(offset, field)

    def offsets(self) -> set[int]:
        """Every offset that some handler claims: all bytes of wide registers, unless the map is exact."""
        covered = set(self.stores)
        for table in (self.reads, self.writes):
            for offset, width in table:
                covered.update(range(offset, offset + (1 if self.exact else width)))
        return covered

    def handlers(self) -> Iterator[Handler]:
        """Every declared handler of every kind."""
        for table in (self.reads, self.writes, self.block_reads, self.block_writes):
            yield from table.values()

    def _check(self, offset: int, width: int) -> None:
        if width not in WIDTHS:
            msg = f"width {width} is not one of {WIDTHS}"
            raise ValueError(msg)
        if not 0 <= offset <= self.size - width:
            msg = f"offset {offset:#x} lies outside a map of {self.size} bytes"
            raise ValueError(msg)

    def _add(self, table: dict[tuple[int, int], Handler], handler: Handler) -> None:
        self._check(handler.offset, handler.width)
        key = (handler.offset, handler.width)
        if key in table or handler.offset in self.stores:
            msg = f"offset {handler.offset:#x} has two handlers: {handler.name}"
            raise ValueError(msg)
        table[key] = handler

    def _declare(
        self, table: dict[tuple[int, int], Handler], where: int | range, width: int
    ) -> Callable[[Method], Method]:
        def declare(method: Method) -> Method:
            if isinstance(where, int):
                self._add(table, Handler(method.__name__, where, width))
            else:
                for offset in where:
                    self._add(table, Handler(method.__name__, offset, width, (offset,)))
            return method

        return declare

    def _declare_any(self, table: dict[tuple[int, int], Handler], where: range) -> Callable[[Method], Method]:
        def declare(method: Method) -> Method:
            for offset in where:
                for width in WIDTHS:
                    if offset + width <= where.stop:
                        self._add(table, Handler(method.__name__, offset, width, (offset, width)))
            return method

        return declare
