"""Engine: the Python face of the C library (csrc/vp.h).

One `Engine` is one processor with its physical address map.  Guest traffic goes to a bus object's bound methods; an
exception in one of them is kept, stops the engine, and is raised by `run()`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import attrs

from vpcore.engine.callbacks import NO_PORT, Callbacks
from vpcore.engine.ends import EngineEnds
from vpcore.engine.library import ffi, lib
from vpcore.errors import EngineError

log = logging.getLogger("vpcore.engine")

CPU_MODELS: Final = {
    "486": lib.VP_CPU_486,
    "pentium": lib.VP_CPU_PENTIUM,
    "pentium3": lib.VP_CPU_PENTIUM3,
    "host": lib.VP_CPU_HOST,
}
CLOCKS: Final = {"realtime": lib.VP_CLOCK_REALTIME, "icount": lib.VP_CLOCK_ICOUNT}
PREFERENCE: Final = ("kvm", "bt", "interp")
"""What `auto` tries, best first."""
PAGE: Final = 4096
TEXT_ROOM: Final = 128
CODE_ROOM: Final = 15
"""Bytes of the longest instruction."""


class Exit(IntEnum):
    """Why `Engine.run` came back."""

    DEADLINE = lib.VP_EXIT_DEADLINE
    HALT = lib.VP_EXIT_HALT
    STOP = lib.VP_EXIT_STOP
    BUDGET = lib.VP_EXIT_BUDGET
    SHUTDOWN = lib.VP_EXIT_SHUTDOWN
    BREAK = lib.VP_EXIT_BREAK


_EXITS: Final = {int(code): code for code in Exit}


class GuestBus(Protocol):
    """What answers the guest's ports and memory-mapped registers; `vpcore.bus.Bus` is one.

    Sizes are bytes.  A bus may also have an attribute `ports` with two 65536-byte buffers `cells` and `cell_kind`:
    a port whose kind is not 0 is then answered from its cell without a call.  Where that has `reads` and `writes` too,
    lists by width and port, a callable found there is called in place of `port_in` and `port_out`.
    """

    def port_in(self, port: int, size: int) -> int:
        """Read *size* (1, 2, 4) bytes from *port*."""

    def port_out(self, port: int, size: int, value: int) -> None:
        """Write *size* bytes to *port*."""

    def port_in_block(self, port: int, size: int, buffer: memoryview) -> int:
        """REP INS: fill the buffer from its start; the number of elements, 0 for no block transfer."""

    def port_out_block(self, port: int, size: int, buffer: memoryview) -> int:
        """REP OUTS: take from the buffer's start; the number of elements."""

    def mmio_read(self, addr: int, size: int) -> int:
        """Read *size* (1, 2, 4, 8) bytes at a physical address."""

    def mmio_write(self, addr: int, size: int, value: int) -> None:
        """Write *size* bytes at a physical address."""


@attrs.frozen
class EngineConfig:
    """What a processor is made of."""

    ram_size: int = 16 << 20
    """Bytes, a multiple of 4096; RAM lies at physical 0."""
    cpu: str = "pentium3"
    clock: str = "realtime"
    icount_ns: int = 10
    """Virtual ns an instruction under the icount clock."""
    tsc_hz: int = 1_000_000_000
    cache_size: int = 64 << 20
    """Bytes for decoded or translated code."""
    engine: str = "auto"

    @classmethod
    def of(cls, table: Any) -> EngineConfig:
        """From the `[machine]` table of a machine file."""
        return cls(
            ram_size=table.memory,
            cpu=table.cpu,
            clock=table.clock,
            icount_ns=table.icount_ns,
            cache_size=table.code_cache,
            engine=table.engine,
        )


class Stats(NamedTuple):
    """Counters since the engine was made (vp_stats)."""

    insns: int
    blocks_built: int
    blocks_run: int
    cache_flushes: int
    tlb_fills: int
    tlb_flushes: int
    smc_hits: int
    faults: int
    interrupts: int
    port_calls: int
    mmio_calls: int
    cache_bytes: int
    """Of decoded blocks; the sizes are what is used now, the others only grow."""
    window_faults: int
    """Accesses to a window (docs/engines.md, memory modes) that its mapping did not allow."""
    window_fills: int
    window_pages: int
    """Mapped at present."""
    window_probes: int
    """How often an instruction was made to go by the tables: its faults got it nothing, or were the guest's own and many."""
    trusted_links: int
    """How often a jump of host code to another page was made to go there without asking whether that is the right one."""
    doubted_links: int
    """How often one was made to ask again."""
    doubted_returns: int
    """Places behind calls that compare and jump from then on, for the guest returned elsewhere."""
    exits_direct: int
    """Times that translated code was left: by direct jumps that led nowhere yet."""
    exits_indirect: int
    """By indirect ones, and returns, whose target was not found."""
    exits_interp: int
    """For the interpreter, after which it did not go on at once."""
    rehearsals: int
    """Ticks of an idle guest in which was noted what memory the next ones will want at once (docs/engines.md)."""
    moved_blocks: int
    """Of such ticks, translated anew to lie together."""
    code_bytes: int
    code_room: int
    cold_bytes: int
    """The last part of that, for what is seldom executed."""
    cold_room: int
    record_bytes: int
    record_room: int
    ahead_bytes: int
    """Host memory that a helper thread was asked to touch, ahead of its use for these."""


@attrs.frozen
class ModeChange:
    """An address space got, or lost, a window (vp_mode_change; docs/engines.md, memory modes)."""

    insns: int
    """Instructions retired by the engine then."""
    cr3: int
    user: bool
    window: bool
    ran: int
    """What it was reckoned by: instructions of late, in which it touched so many new pages."""
    pages: int


class Place(NamedTuple):
    """A place in guest code that the profile found hot (vp_place)."""

    linear: int
    cpl: int
    bits: int
    protected: bool
    ns: int
    """Host time, that of devices it called included."""
    looks: int
    code: bytes
    """Its first bytes."""


class Engine:
    """A processor and its physical memory.

    *inta* is the interrupt acknowledge cycle: it returns the vector.  *ferr* is told the level of FERR# (an x87 error
    that awaits IRQ 13).  Everything but `stop` is for one thread.
    """

    def __init__(
        self,
        config: EngineConfig,
        bus: GuestBus,
        inta: Callable[[], int],
        ferr: Callable[[bool], Any] | None = None,
    ) -> None:
        self.config = config
        self._kept: dict[int, Any] = {}
        self._callbacks = Callbacks(bus, inta, ferr)
        settings = ffi.new("vp_config *")
        settings.ram_size = config.ram_size
        settings.cpu_model = _choice("cpu", config.cpu, CPU_MODELS)
        settings.clock = _choice("clock", config.clock, CLOCKS)
        settings.icount_ns = config.icount_ns
        settings.tsc_hz = config.tsc_hz
        settings.cache_size = config.cache_size
        settings.host = self._callbacks.host
        lib.vp_py_calls(ffi.addressof(settings, "calls"))
        ports = getattr(bus, "ports", None)
        if ports is not None:
            settings.cells = self._keep(ports.cells, writable=True)
            settings.cell_kind = self._keep(ports.cell_kind, writable=False)
        created = lib.vp_create(settings)
        if created == ffi.NULL:
            raise EngineError(_text(lib.vp_error(ffi.NULL)))
        self._vm = ffi.gc(created, lib.vp_destroy)
        self._callbacks.stop = self.stop
        self.ends = EngineEnds(self._vm, lambda error: self._callbacks.keep(error, NO_PORT))
        """For device models in C; `ports_kind` is what a bus needs for its `cell_kind`."""
        self._cpu = lib.vp_cpu(self._vm)
        self._ram = _owned_ram(self._vm)
        self._connect()
        self.name = self.select(config.engine)

    def _connect(self) -> None:
        """Make the calls of each tick: C functions with their first argument, so that no Python comes in between."""
        vm = self._vm
        self.now: Callable[[], int] = partial(lib.vp_now, vm)
        """Virtual ns."""
        self.set_deadline: Callable[[int], None] = partial(lib.vp_set_deadline, vm)
        """Make `run` return when virtual time reaches that many ns; allowed from bus methods."""
        self.sooner: Callable[[int], None] = partial(lib.vp_sooner, vm)
        """The same, where it is earlier than the present deadline."""
        self.set_intr: Callable[[bool], None] = partial(lib.vp_set_intr, vm)
        """Drive INTR."""
        self.sleep: Callable[[int, int], int] = partial(lib.vp_sleep, vm)
        """Sleep until an epoll descriptor is readable (True), or virtual time reaches a deadline."""

    def connect(self, inta: Callable[[], int]) -> None:
        """Let *inta* answer the interrupt acknowledge cycle from here on."""
        self._callbacks.connect(inta)

    # -- engines --

    def select(self, name: str) -> str:
        """Let the engine *name* (or the best one, for `auto`) execute from here on; the name chosen."""
        if name == "auto":
            return self._select_best()
        known = probe(self._vm)
        if name not in known:
            raise EngineError(f"engine must be auto or one of {', '.join(known)} (got {name!r})")
        if lib.vp_engine_select(self._vm, name.encode()) < 0:
            raise EngineError(f"engine {name!r} cannot be used: {self._error()}")
        self.name = name
        return name

    def _select_best(self) -> str:
        """The first of PREFERENCE that works; one that should and does not is a line in the log."""
        for name in best_first():
            try:
                chosen = self.select(name)
            except EngineError as error:
                log.warning("%s: the next best is taken", error)
            else:
                log.info("engine %s, the best that works here", chosen)
                return chosen
        raise EngineError("no engine works here")

    # -- running --

    def run(self, max_insns: int = 0) -> Exit:
        """Execute guest code until something ends it; after *max_insns* instructions at the latest, 0 for no bound.

        Raises what a bus method raised meanwhile.
        """
        return self._exit(lib.vp_py_run(self._vm, max_insns))

    def live(self, epoll: int, until: int, slice_ns: int) -> Exit | None:
        """Execute guest code, and sleep while it halts, until virtual time is *until* (realtime only).

        Python is not asked meanwhile: device models in C wake a guest that halts, and the epoll descriptor is looked at
        each *slice_ns*, or after half of that where the clock is looked at anyway.  Why the guest stopped; None when it
        is time to look elsewhere: the descriptor is readable, or the time has come, which devices' deadlines may make
        earlier.
        """
        code = lib.vp_live(self._vm, epoll, until, slice_ns)
        return None if code == lib.VP_WOKEN else self._exit(code)

    def _exit(self, code: int) -> Exit:
        if self._callbacks.failed is not None:
            raise self._callbacks.take_failure()
        if code < 0:
            raise EngineError(f"engine {self.name!r} cannot go on: {self._error()}")
        return _EXITS[code]

    def stop(self) -> None:
        """Make `run` return at the next block end; from any thread or signal handler."""
        if self._vm is not None:
            lib.vp_stop(self._vm)

    def reset(self) -> None:
        """The RESET pin: the processor starts over, memory stays."""
        lib.vp_reset(self._vm)

    def close(self) -> None:
        """End the processor.  Its RAM goes when the last view of it does."""
        if self._vm is not None:
            self._vm = self._cpu = None
            self._connect()
            self._ram = memoryview(b"")
            self._callbacks.stop = bool

    # -- time --

    def set_now(self, ns: int) -> None:
        """Set virtual time, after a restore or to skip idle time."""
        lib.vp_set_now(self._vm, ns)

    def pause(self, paused: bool) -> None:
        """Let virtual time stand still, or go on (realtime clock only)."""
        lib.vp_pause(self._vm, paused)

    def port_of(self, error: BaseException) -> int:
        """The port whose handler raised *error* out of `run`; -1 where that is not known."""
        return self._callbacks.port_of(error)

    @property
    def next_alarm(self) -> int | None:
        """When the first alarm of a device model in C rings, in virtual ns."""
        alarm = lib.vp_next_alarm(self._vm)
        return None if alarm == lib.VP_NEVER else int(alarm)

    @property
    def insns(self) -> int:
        """Instructions retired since the engine was made.

        Under the realtime clock `bt` takes users' code in windows to be as many as the host's time-stamp counter has ticks
        (docs/engines.md, kicks); under icount, and where `run` is told how many, the count is exact.
        """
        return int(lib.vp_insns(self._vm))

    # -- pins --

    def set_ignne(self, level: bool) -> None:
        """Drive IGNNE#: x87 errors are ignored until FERR# falls."""
        lib.vp_set_ignne(self._vm, level)

    def nmi(self) -> None:
        """Give an edge on NMI."""
        lib.vp_nmi(self._vm)

    def set_a20(self, open_: bool) -> None:
        """Open or close the A20 gate."""
        lib.vp_set_a20(self._vm, open_)

    # -- physical memory --

    @property
    def ram(self) -> memoryview:
        """Guest RAM, writable, without a copy; call `invalidate` after changing what may be code."""
        return self._ram

    def map(self, addr: int, size: int, read: memoryview | None, write: memoryview | None, flags: int = 0) -> None:
        """Map [addr, addr+size) onto buffers of that size; None is MMIO, or discarded writes with VP_MAP_DISCARD."""
        reads = ffi.NULL if read is None else self._address(read, size, writable=False)
        writes = ffi.NULL if write is None else self._address(write, size, writable=True)
        if lib.vp_map(self._vm, addr, size, reads, writes, flags) < 0:
            raise EngineError(self._error())

    def dirty(self, addr: int, size: int, *, clear: bool) -> bytes:
        """One byte a page: 1 where the guest wrote since the last clear (pages mapped with VP_MAP_DIRTY)."""
        flags = bytearray(size // PAGE)
        lib.vp_dirty(self._vm, addr, size, ffi.from_buffer("uint8_t *", flags, require_writable=True), clear)
        return bytes(flags)

    def invalidate(self, addr: int, size: int) -> None:
        """Drop code made from memory that the host changed."""
        lib.vp_invalidate(self._vm, addr, size)

    def translate(self, linear: int) -> int | None:
        """The physical address of a linear one, or None where it is not mapped; without side effects."""
        physical = lib.vp_translate(self._vm, linear)
        return None if physical < 0 else int(physical)

    # -- debugger and checkpoints --

    @property
    def cpu(self) -> Any:
        """`struct vp_cpu` itself, between two runs; call `cpu_changed` after writing to it."""
        return self._cpu

    def cpu_changed(self) -> None:
        """Take over what was written to `cpu`."""
        lib.vp_cpu_changed(self._vm)

    def get_state(self) -> dict[str, Any]:
        """Every field of `struct vp_cpu` by name: numbers, lists, byte strings and dicts."""
        return _to_python(self._cpu[0])  # type: ignore[no-any-return]

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over a state of `get_state`; fields that *state* does not have keep their values."""
        unknown = state.keys() - dict(ffi.typeof("struct vp_cpu").fields).keys()
        if unknown:
            raise EngineError(f"processor state has unknown fields: {', '.join(sorted(unknown))}")
        _from_python(self._cpu[0], state)
        self.cpu_changed()

    def set_breakpoint(self, linear: int, *, on: bool = True) -> None:
        """Make `run` return Exit.BREAK before the instruction at *linear*, or no longer."""
        if lib.vp_break(self._vm, linear, on) < 0:
            raise EngineError("no room for another breakpoint: clear one first")

    def stats(self) -> Stats:
        """Counters."""
        out = ffi.new("vp_stats *")
        lib.vp_get_stats(self._vm, out)
        return Stats(*(int(getattr(out, name)) for name in Stats._fields))

    @property
    def lacks(self) -> str:
        """What the chosen engine has to do without on this host, and why; empty where that is nothing."""
        return _text(lib.vp_engine_lacks(self._vm))

    def mode_changes(self) -> list[ModeChange]:
        """The last changes of memory mode, oldest first."""
        out = ffi.new("vp_mode_change[]", lib.VP_MODE_CHANGES)
        count = lib.vp_mode_trace(self._vm, out, lib.VP_MODE_CHANGES)
        return [
            ModeChange(o.insns, o.cr3, bool(o.user), bool(o.window), o.ran, o.pages)
            for o in (out[k] for k in range(count))
        ]

    def profile(self, *, on: bool) -> None:
        """Begin anew to measure where guest time goes, or stop and forget."""
        if lib.vp_profile(self._vm, on) < 0:
            raise EngineError(self._error())

    def places(self) -> tuple[list[Place], int]:
        """What was measured, in no order, and the ns of places that were dropped for want of room."""
        out, others = ffi.new("vp_place[]", lib.VP_PLACES), ffi.new("uint64_t *")
        count = lib.vp_profile_places(self._vm, out, lib.VP_PLACES, others)
        return [_place(out[k]) for k in range(count)], int(others[0])

    def exits(self) -> dict[str, tuple[int, int]]:
        """By mnemonic, how often translated code left an instruction to the interpreter while measuring.

        The first number is for want of host code, or because the address tables said no; the second for a window's fault.
        """
        counts: dict[str, tuple[int, int]] = {}
        count, refused, name, row = ffi.new("uint64_t *"), ffi.new("uint64_t *"), ffi.new("const char **"), 0
        while lib.vp_profile_exits(self._vm, row, count, refused, name):
            if count[0] or refused[0]:
                before = counts.get(_text(name[0]), (0, 0))
                counts[_text(name[0])] = (before[0] + int(count[0]), before[1] + int(refused[0]))
            row += 1
        return counts

    def wrap_calls(
        self, wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]], *, direct: bool = False
    ) -> None:
        """Let what *wrap* makes of each callable of the bus take its place; between two runs only.

        Every access goes through the bus then; *direct* lets ports be answered without it again.
        """
        self._callbacks.wrap(wrap, direct=direct)
        lib.vp_native_calls(self._vm, not direct)

    def _error(self) -> str:
        return _text(lib.vp_error(self._vm))

    def _keep(self, exporter: Any, *, writable: bool) -> Any:
        """The address of a buffer, which then lives and keeps its place as long as this engine."""
        kept = self._kept.get(id(exporter))
        if kept is None:
            kept = self._kept[id(exporter)] = (
                exporter,
                ffi.from_buffer("uint8_t *", exporter, require_writable=writable),
            )
        return kept[1]

    def _address(self, view: memoryview, size: int, *, writable: bool) -> Any:
        if len(view) < size or not view.c_contiguous:
            raise EngineError(
                f"a mapping of {size:#x} bytes needs a contiguous buffer of that size (got {len(view):#x})"
            )
        if view.obj is not self._ram.obj:  # our own RAM lives as long as we do
            self._keep(view.obj, writable=False)
        return ffi.from_buffer("uint8_t *", view, require_writable=writable)


def probe(vm: Any = ffi.NULL) -> dict[str, str]:
    """Every engine's name with the reason why it cannot run here, or an empty string."""
    reasons = {}
    for index in range(lib.vp_engine_count()):
        name = lib.vp_engine_name(index)
        usable = lib.vp_engine_probe(vm, name)
        reasons[_text(name)] = "" if usable else _text(lib.vp_error(vm))
    return reasons


def best_first() -> list[str]:
    """The engines there are, in the order in which `auto` tries them."""
    return [name for name in PREFERENCE if name in probe()]


def disassemble(code: bytes, eip: int = 0, bits: int = 32) -> tuple[str, int] | None:
    """Intel-syntax text and length of the instruction at the start of *code*; None where it is none."""
    text = ffi.new("char[]", TEXT_ROOM)
    length = lib.vp_disas(code, min(len(code), CODE_ROOM), bits, eip, text, TEXT_ROOM)
    return None if length < 0 else (_text(text), int(length))


def _place(raw: Any) -> Place:
    code = bytes(raw.code)[: raw.size]
    return Place(raw.linear, raw.cpl, raw.bits, bool(raw.protected_mode), int(raw.ns), int(raw.looks), code)


def _choice(key: str, value: str, known: dict[str, int]) -> int:
    if value not in known:
        raise EngineError(f"{key} must be one of {', '.join(known)} (got {value!r})")
    return known[value]


def _owned_ram(vm: Any) -> memoryview:
    """RAM as a buffer, of which each view keeps the vm."""
    pointer = ffi.gc(lib.vp_ram(vm), lambda _ram, _vm=vm: None)
    return memoryview(ffi.buffer(pointer, lib.vp_ram_size(vm)))


def _text(chars: Any) -> str:
    raw: bytes = ffi.string(chars)
    return raw.decode()


def _to_python(value: Any) -> Any:
    if not isinstance(value, ffi.CData):
        return value
    kind = ffi.typeof(value)
    if kind.kind == "struct":
        return {name: _to_python(getattr(value, name)) for name, _ in kind.fields}
    if kind.item.cname == "uint8_t":
        return bytes(value)
    return [_to_python(item) for item in value]


def _from_python(target: Any, state: dict[str, Any]) -> None:
    for name, value in state.items():
        field = getattr(target, name)
        if isinstance(value, dict):
            _from_python(field, value)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for index, item in enumerate(value):
                _from_python(field[index], item)
        elif isinstance(value, (list, bytes)):
            for index, item in enumerate(value):
                field[index] = item
        else:
            setattr(target, name, value)
