"""The way from C to a machine's bus: module functions that cffi calls with a small number for the machine.

Each is one list look-up and one call (a look-up costs a fifth of `ffi.from_handle`).  An exception is kept, the first
one only, the engine stopped, and the access answered as an open bus.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from vpcore.engine.library import ffi

log = logging.getLogger("vpcore.engine")


def _gone(*_args: Any) -> int:
    return 0


class _Table:
    """Bound methods of every machine of this process, by the machine's number."""

    def __init__(self) -> None:
        self.port_in: list[Callable[[int, int], int]] = []
        self.port_out: list[Callable[[int, int, int], Any]] = []
        self.port_in_block: list[Callable[[int, int, memoryview], int]] = []
        self.port_out_block: list[Callable[[int, int, memoryview], int]] = []
        self.mmio_read: list[Callable[[int, int], int]] = []
        self.mmio_write: list[Callable[[int, int, int], Any]] = []
        self.inta: list[Callable[[], int]] = []
        self.ferr: list[Callable[[bool], Any]] = []
        self.stop: list[Callable[[], Any]] = []
        self.failed: list[BaseException | None] = []
        self.free: list[int] = []

    def put(self, host: int, bus: Any, inta: Callable[[], int], ferr: Callable[[bool], Any]) -> None:
        self.port_in[host] = bus.port_in
        self.port_out[host] = bus.port_out
        self.port_in_block[host] = bus.port_in_block
        self.port_out_block[host] = bus.port_out_block
        self.mmio_read[host] = bus.mmio_read
        self.mmio_write[host] = bus.mmio_write
        self.inta[host] = inta
        self.ferr[host] = ferr

    def clear(self, host: int) -> None:
        for name, column in vars(self).items():
            if name not in ("failed", "free"):
                column[host] = _gone
        self.failed[host] = None

    def grow(self) -> int:
        for name, column in vars(self).items():
            if name != "free":
                column.append(None)
        return len(self.failed) - 1


_table = _Table()
_port_in, _port_out = _table.port_in, _table.port_out
_port_in_block, _port_out_block = _table.port_in_block, _table.port_out_block
_mmio_read, _mmio_write, _inta = _table.mmio_read, _table.mmio_write, _table.inta

OPEN_BUS = (1 << 64) - 1
_ONES = {size: OPEN_BUS >> (64 - 8 * size) for size in (1, 2, 4, 8)}
_SPURIOUS = 7
"""What an 8259A answers when nothing is pending."""


def register(bus: Any, inta: Callable[[], int], ferr: Callable[[bool], Any] | None) -> int:
    """Make a number for a machine."""
    host = _table.free.pop() if _table.free else _table.grow()
    _table.put(host, bus, inta, ferr or _gone)
    return host


def attach(host: int, stop: Callable[[], Any]) -> None:
    """Say what stops the machine."""
    _table.stop[host] = stop


def forget(host: int) -> None:
    """Give the number back."""
    _table.clear(host)
    _table.free.append(host)


def failure(host: int) -> BaseException | None:
    """Take the exception that a callback raised."""
    failed = _table.failed[host]
    _table.failed[host] = None
    return failed


def _keep(host: int, error: BaseException) -> None:
    if _table.failed[host] is None:
        _table.failed[host] = error
    _table.stop[host]()


@ffi.def_extern()  # type: ignore[untyped-decorator]
def vp_py_in(host: int, port: int, size: int) -> int:
    """IN."""
    try:
        return _port_in[host](port, size) & _ONES[size]
    except BaseException as error:  # noqa: BLE001 - run() raises it
        _keep(host, error)
        return _ONES[size]


@ffi.def_extern()  # type: ignore[untyped-decorator]
def vp_py_out(host: int, port: int, size: int, value: int) -> None:
    """OUT."""
    try:
        _port_out[host](port, size, value)
    except BaseException as error:  # noqa: BLE001
        _keep(host, error)


@ffi.def_extern()  # type: ignore[untyped-decorator]
def vp_py_in_block(host: int, port: int, size: int, buf: Any, count: int) -> int:
    """REP INS."""
    try:
        return _port_in_block[host](port, size, memoryview(ffi.buffer(buf, size * count)))
    except BaseException as error:  # noqa: BLE001
        _keep(host, error)
        return 0


@ffi.def_extern()  # type: ignore[untyped-decorator]
def vp_py_out_block(host: int, port: int, size: int, buf: Any, count: int) -> int:
    """REP OUTS."""
    try:
        return _port_out_block[host](port, size, memoryview(ffi.buffer(buf, size * count)))
    except BaseException as error:  # noqa: BLE001
        _keep(host, error)
        return 0


@ffi.def_extern()  # type: ignore[untyped-decorator]
def vp_py_mmio_read(host: int, addr: int, size: int) -> int:
    """Load from what is not memory."""
    try:
        return _mmio_read[host](addr, size) & _ONES[size]
    except BaseException as error:  # noqa: BLE001
        _keep(host, error)
        return _ONES[size]


@ffi.def_extern()  # type: ignore[untyped-decorator]
def vp_py_mmio_write(host: int, addr: int, size: int, value: int) -> None:
    """Store to what is not memory."""
    try:
        _mmio_write[host](addr, size, value)
    except BaseException as error:  # noqa: BLE001
        _keep(host, error)


@ffi.def_extern()  # type: ignore[untyped-decorator]
def vp_py_inta(host: int) -> int:
    """Interrupt acknowledge cycle."""
    try:
        return _inta[host]() & _ONES[1]
    except BaseException as error:  # noqa: BLE001
        _keep(host, error)
        return _SPURIOUS


@ffi.def_extern()  # type: ignore[untyped-decorator]
def vp_py_warn(host: int, text: Any) -> None:
    """Something the user should know."""
    log.warning("machine %d: %s", host, ffi.string(text).decode())


@ffi.def_extern()  # type: ignore[untyped-decorator]
def vp_py_ferr(host: int, level: int) -> None:
    """The FERR# pin."""
    try:
        _table.ferr[host](level != 0)
    except BaseException as error:  # noqa: BLE001
        _keep(host, error)
