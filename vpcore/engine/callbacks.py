"""What the C side calls in Python: a machine's bus, by bound methods without anything in between (glue.c).

An exception is kept, the first one only, the engine stopped, and the access answered as an open bus.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from vpcore.engine.library import ffi, lib

WIDTHS: Final = (1, 2, 4)
NO_PORT: Final = -1

log = logging.getLogger("vpcore.engine")


NAMES: Final = {
    "port_in": lib.VP_PY_IN,
    "port_out": lib.VP_PY_OUT,
    "port_in_block": lib.VP_PY_IN_BLOCK,
    "port_out_block": lib.VP_PY_OUT_BLOCK,
    "mmio_read": lib.VP_PY_MMIO_READ,
    "mmio_write": lib.VP_PY_MMIO_WRITE,
    "inta": lib.VP_PY_INTA,
}


class Callbacks:
    """The callables of one machine; *bus* is an `engine.GuestBus`."""

    def __init__(self, bus: Any, inta: Callable[[], int], ferr: Callable[[bool], Any] | None) -> None:
        self.stop: Callable[[], Any] = bool
        self.failed: BaseException | None = None
        """What a callable raised first since `take_failure`."""
        self._failed_at: tuple[BaseException | None, int] = (None, NO_PORT)
        """The last of them, and the port whose handler it was where one was called without the bus in between."""
        self._callables: list[Any] = [None] * lib.VP_PY_CALLS
        for which, callee in (
            (lib.VP_PY_IN, bus.port_in),
            (lib.VP_PY_OUT, bus.port_out),
            (lib.VP_PY_IN_BLOCK, bus.port_in_block),
            (lib.VP_PY_OUT_BLOCK, bus.port_out_block),
            (lib.VP_PY_MMIO_READ, bus.mmio_read),
            (lib.VP_PY_MMIO_WRITE, bus.mmio_write),
            (lib.VP_PY_INTA, inta),
            (lib.VP_PY_WARN, log.warning),
            (lib.VP_PY_FERR, ferr or bool),
            (lib.VP_PY_KEEP, self.keep),
        ):
            self._callables[which] = callee
        ports = getattr(bus, "ports", None)
        if ports is not None and hasattr(ports, "reads"):
            for first, tables in ((lib.VP_PY_READS1, ports.reads), (lib.VP_PY_WRITES1, ports.writes)):
                self._callables[first : first + len(WIDTHS)] = [tables[width] for width in WIDTHS]
        self._host = ffi.new("uintptr_t[]", [0 if callee is None else id(callee) for callee in self._callables])

    def wrap(self, wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]], *, direct: bool) -> None:
        """Replace each callable of the bus (by its name in `GuestBus`, and `inta`) by what *wrap* makes of it.

        With *direct* the handlers of ports are called without the bus in between.
        """
        for which in range(lib.VP_PY_READS1, lib.VP_PY_CALLS):
            table = self._callables[which]
            self._host[which] = id(table) if direct and table is not None else 0
        for name, which in NAMES.items():
            callee = self._callables[which]
            assert callee is not None
            self._callables[which] = wrap(name, callee)
            self._host[which] = id(self._callables[which])

    @property
    def host(self) -> Any:
        """`vp_config.host`; valid as long as this object lives."""
        return ffi.cast("void *", self._host)

    def connect(self, inta: Callable[[], int]) -> None:
        """Let somebody else answer the interrupt acknowledge cycle."""
        self._callables[lib.VP_PY_INTA] = inta
        self._host[lib.VP_PY_INTA] = id(inta)

    def keep(self, error: BaseException, port: int) -> None:
        """Somebody raised, at *port* or NO_PORT: stop, to raise it from `Engine.run`."""
        if self.failed is None:
            self.failed = error
            self._failed_at = (error, port)
        self.stop()

    def port_of(self, error: BaseException) -> int:
        """The port whose handler raised *error*; NO_PORT where that is not known."""
        failed, port = self._failed_at
        return port if failed is error else NO_PORT

    def take_failure(self) -> BaseException:
        """What `failed` holds, once."""
        failed, self.failed = self.failed, None
        assert failed is not None
        return failed
