"""An engine as the oracle's double: the same cases in, the same records out (engine_batch.c)."""

from typing import Any, Self

import numpy as np
from native import CSRC, HERE, library
from oracle import Run
from oracle.layout import CHANGE, HEADER, PATCH, RESULT, WINDOW_SIZE
from oracle.segments import SEGMENTS, descriptor

from vpcore.engine.engine import CLOCKS, CPU_MODELS
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
void open_bus(uintptr_t calls);
void engine_batch(const struct engine_calls *e, struct batch *b);
"""
CHANGE_ROOM = 1 << 20
RAM = CACHE = 4 << 20


class Subject:
    """One engine; a context manager with the `run` of `Oracle`."""

    def __init__(self, engine: str = "interp", cpu: str = "host") -> None:
        self._engine, self._cpu = engine, cpu

    def __enter__(self) -> Self:
        self._ffi, self._lib = library(HERE / "engine_batch.c", CDEF, [CSRC / "vp.h", HEADER])
        self._ldt = np.array([descriptor(n << 3) for n in range(len(SEGMENTS))], np.uint64)
        settings = engine_ffi.new("vp_config *")
        settings.ram_size, settings.cache_size = RAM, CACHE
        settings.cpu_model, settings.clock = CPU_MODELS[self._cpu], CLOCKS["icount"]
        settings.icount_ns, settings.tsc_hz = 1, 1_000_000_000
        self._lib.open_bus(_number(engine_ffi.addressof(settings, "calls")))
        self._vm = engine_lib.vp_create(settings)
        assert self._vm != engine_ffi.NULL, engine_ffi.string(engine_lib.vp_error(engine_ffi.NULL))
        assert engine_lib.vp_engine_select(self._vm, self._engine.encode()) == 0
        return self

    def __exit__(self, *exception: object) -> None:
        engine_lib.vp_destroy(self._vm)

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
        calls.vm, calls.ram = _number(self._vm), _number(engine_lib.vp_ram(self._vm))
        for n, name in enumerate(CALLS):
            calls.calls[n] = _number(engine_ffi.addressof(engine_lib, name))
        return calls


def _number(pointer: Any) -> int:
    return int(engine_ffi.cast("uintptr_t", pointer))
