"""An engine as the oracle's double: the same cases in, the same records out (engine_batch.c)."""

from typing import Any, Self

import numpy as np
from native import CSRC, HERE, library
from oracle import Run
from oracle.layout import CHANGE, HEADER, PATCH, RESULT, WINDOW_SIZE
from oracle.segments import SEGMENTS, descriptor

from vpcore.engine import Engine, EngineConfig
from vpcore.engine.library import ffi as engine_ffi
from vpcore.engine.library import lib as engine_lib

CALLS = ("vp_cpu", "vp_cpu_changed", "vp_run", "vp_invalidate")
"""In the order of struct engine_calls, after vm and ram."""
CDEF = """
struct engine_calls { uintptr_t vm, ram, calls[4]; };
struct batch {
    uintptr_t ldt, cases, patches, windows, results, changes;
    uint32_t first, count, change_room, done, change_used;
};
void engine_batch(const struct engine_calls *e, struct batch *b);
"""
CHANGE_ROOM = 1 << 20
RAM = 4 << 20


class NoBus:
    """Nothing answers a port or an address: the cases cannot reach any."""

    def port_in(self, port: int, size: int) -> int:
        return (1 << 8 * size) - 1

    def port_out(self, port: int, size: int, value: int) -> None: ...

    def port_in_block(self, port: int, size: int, buffer: memoryview) -> int:
        return 0

    def port_out_block(self, port: int, size: int, buffer: memoryview) -> int:
        return 0

    def mmio_read(self, addr: int, size: int) -> int:
        return (1 << 8 * size) - 1

    def mmio_write(self, addr: int, size: int, value: int) -> None: ...


class Subject:
    """One engine; a context manager with the `run` of `Oracle`."""

    def __init__(self, engine: str = "interp", cpu: str = "host") -> None:
        self._config = EngineConfig(ram_size=RAM, cpu=cpu, clock="icount", engine=engine)

    def __enter__(self) -> Self:
        self._ffi, self._lib = library(HERE / "engine_batch.c", CDEF, [CSRC / "vp.h", HEADER])
        self._engine = Engine(self._config, NoBus(), lambda: 0)
        self._ldt = np.array([descriptor(n << 3) for n in range(len(SEGMENTS))], np.uint64)
        return self

    def __exit__(self, *exception: object) -> None:
        self._engine.close()

    def run(self, cases: Any, patches: Any = None, windows: Any = None) -> Run:
        """As `Oracle.run`."""
        patches = np.zeros(0, PATCH) if patches is None else np.ascontiguousarray(patches)
        windows = np.zeros((1, WINDOW_SIZE), np.uint8) if windows is None else np.ascontiguousarray(windows)
        cases = np.ascontiguousarray(cases)
        results, changes = np.zeros(len(cases), RESULT), np.zeros(CHANGE_ROOM, CHANGE)
        batch = self._ffi.new("struct batch *")
        arrays = {"ldt": self._ldt, "cases": cases, "patches": patches, "windows": windows}
        for name, array in (arrays | {"results": results, "changes": changes}).items():
            setattr(batch, name, array.ctypes.data)
        batch.count, batch.change_room = len(cases), CHANGE_ROOM
        found, total = [], 0
        while batch.first < len(cases):
            self._lib.engine_batch(self._calls(), batch)
            results["change_first"][batch.first : batch.done] += np.uint32(total)
            found.append(changes[: batch.change_used].copy())
            total += batch.change_used
            batch.first = batch.done
        return Run(results, np.concatenate(found) if found else np.zeros(0, CHANGE))

    def _calls(self) -> Any:
        calls = self._ffi.new("struct engine_calls *")
        calls.vm = int(engine_ffi.cast("uintptr_t", self._engine._vm))
        calls.ram = int(engine_ffi.cast("uintptr_t", engine_ffi.from_buffer(self._engine.ram)))
        for n, name in enumerate(CALLS):
            calls.calls[n] = int(engine_ffi.cast("uintptr_t", engine_ffi.addressof(engine_lib, name)))
        return calls
