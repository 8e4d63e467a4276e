"""What the C side calls in Python: a machine's bus, by bound methods without anything in between (glue.c).

An exception is kept, the first one only, the engine stopped, and the access answered as an open bus.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from vpcore.engine.library import ffi, lib

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
        self._failed: BaseException | None = None
        self._callables: list[Callable[..., Any] | None] = [None] * lib.VP_PY_CALLS
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
            (lib.VP_PY_KEEP, self._keep),
        ):
            self._callables[which] = callee
        self._host = ffi.new("uintptr_t[]", [id(callee) for callee in self._callables])

    def wrap(self, wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> None:
        """Replace each callable of the bus (by its name in `GuestBus`, and `inta`) by what *wrap* makes of it."""
        for name, which in NAMES.items():
            callee = self._callables[which]
            assert callee is not None
            self._callables[which] = wrap(name, callee)
            self._host[which] = id(self._callables[which])

    @property
    def host(self) -> Any:
        """`vp_config.host`; valid as long as this object lives."""
        return ffi.cast("void *", self._host)

    def _keep(self, error: BaseException) -> None:
        if self._failed is None:
            self._failed = error
        self.stop()

    def take_failure(self) -> BaseException | None:
        """The exception that a callable raised since the last time."""
        failed, self._failed = self._failed, None
        return failed
