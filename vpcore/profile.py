"""Profile: where the time of a running machine goes.

While one is attached, each access and timer of a device is timed, and the engine samples guest code and counts what
translated code leaves to the interpreter (csrc/profile.h).  Without one nothing of this exists: callables are exchanged,
not guarded.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from types import MethodType, TracebackType
from typing import Any, Final, Self

import attrs

from vpcore.clock import NS_PER_SECOND, Timer
from vpcore.engine.engine import Exit, ModeChange, Place, disassemble
from vpcore.machine import Machine
from vpcore.wires import InterruptController

HEAD: Final = 4
"""Instructions shown of a block."""
NOBODY: Final = "(nobody)"
PARTS: Final = ("guest", "devices", "timers", "halted", "host")


@attrs.frozen
class DeviceTime:
    """What the guest's accesses to a device and the device's timers cost."""

    name: str
    accesses: int
    timers: int
    seconds: float


@attrs.frozen
class Block:
    """A place in guest code; its time has that of the devices it called."""

    address: int
    mode: str
    seconds: float
    code: str
    """Its first instructions."""


@attrs.frozen
class Profile:
    """What was measured."""

    engine: str
    seconds: float
    parts: dict[str, float]
    """Seconds: guest code; devices answering it; their timers; halted; the host's side.  The rest is the machine's own."""
    counters: dict[str, int]
    """The engine's statistics, their growth; sizes as they are at the end."""
    exits: dict[str, tuple[int, int]]
    """Instructions, by mnemonic, that translated code left to the interpreter: by itself, and by a window's fault."""
    devices: list[DeviceTime]
    blocks: list[Block]
    elsewhere: float
    """Seconds in blocks that are not kept."""
    modes: list[ModeChange]
    """The last changes of memory mode, oldest first, by instructions since the measurement began."""
    lacks: str
    """What the engine has to do without on this host."""

    @property
    def rest(self) -> float:
        """Seconds that are in none of the parts."""
        return max(self.seconds - sum(self.parts.values()), 0.0)


SIZES: Final = (
    "cache_bytes",
    "window_pages",
    "code_bytes",
    "code_room",
    "cold_bytes",
    "cold_room",
    "record_bytes",
    "record_room",
)
"""Counters that are no counts but sizes."""


class Profiler:
    """Measures a machine while it is a context: `with Profiler(machine) as profiler: machine.run(...)`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._parts = dict.fromkeys(PARTS, 0)
        self._ns: Counter[str] = Counter()
        self._accesses: Counter[str] = Counter()
        self._timers: Counter[str] = Counter()
        self._names = {id(device): name for name, device in machine.devices.items()}
        self._undo: list[Callable[[], None]] = []
        self._began = self._took = 0
        self.result: Profile | None = None
        """The profile, when the context has ended."""

    def __enter__(self) -> Self:
        machine = self._machine
        self._before = machine.engine.stats()
        machine.engine.profile(on=True)
        self._plain: dict[str, Callable[..., Any]] = {}
        machine.engine.wrap_calls(self._timed_call)
        self._exchange(machine.engine, "run", self._guest)
        self._exchange(
            machine.engine, "live", lambda _live: partial(self._live, self._timed("halted", machine.engine.sleep))
        )
        self._exchange(machine.loop, "wait", partial(self._timed, "halted"))
        self._exchange(machine.loop, "poll", partial(self._timed, "host"))
        self._exchange(machine.clock, "run_due", lambda run_due: partial(run_due, due=self._due))
        self._began = time.perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._took = time.perf_counter_ns() - self._began
        self.result = self._profile()
        for undo in self._undo:
            undo()
        self._machine.engine.wrap_calls(lambda name, _call: self._plain[name], direct=True)
        self._machine.engine.profile(on=False)

    # -- exchanged for the time of the measurement --

    def _exchange(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        undo = (
            partial(setattr, owner, name, getattr(owner, name))
            if name in vars(owner)
            else partial(delattr, owner, name)
        )
        setattr(owner, name, wrap(getattr(owner, name)))
        self._undo.append(undo)

    def _timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        parts = self._parts

        def timed(*args: Any) -> Any:
            start = time.perf_counter_ns()
            try:
                return call(*args)
            finally:
                parts[part] += time.perf_counter_ns() - start

        return timed

    def _live(self, sleep: Callable[[int, int], Any], fd: int, until: int, slice_ns: int) -> Exit | None:
        """In place of `Engine.live`, which does not tell apart guest code and sleep."""
        engine = self._machine.engine
        engine.set_deadline(min(until, engine.now() + slice_ns))
        reason = engine.run()
        if reason is not Exit.HALT:
            return reason
        sleep(fd, until if engine.next_alarm is None else min(until, engine.next_alarm))
        return None

    def _guest(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """Guest code is what the engine's run takes less what devices take of it."""
        parts = self._parts

        def timed(*args: Any) -> Any:
            start, devices = time.perf_counter_ns(), parts["devices"]
            try:
                return run(*args)
            finally:
                parts["guest"] += time.perf_counter_ns() - start - (parts["devices"] - devices)

        return timed

    def _timed_call(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        self._plain[name] = call
        owner = self._owner_of(name)
        parts, ns, accesses = self._parts, self._ns, self._accesses

        def timed(*args: Any) -> Any:
            start = time.perf_counter_ns()
            try:
                return call(*args)
            finally:
                took = time.perf_counter_ns() - start
                who = owner(*args)
                parts["devices"] += took
                ns[who] += took
                accesses[who] += 1

        return timed

    def _owner_of(self, name: str) -> Callable[..., str]:
        """Who answers a call of that name with the same arguments."""
        ports, mmio = self._machine.bus.ports.owners, self._machine.bus.mmio

        def of_port(port: int, *_args: Any) -> str:
            mapping = ports.get(port)
            return NOBODY if mapping is None else mapping.owner

        def of_memory(addr: int, *_args: Any) -> str:
            mapping = mmio.find(addr)
            return NOBODY if mapping is None else mapping.owner

        if name.startswith("port"):
            return of_port
        if name.startswith("mmio"):
            return of_memory
        controllers = self._machine.board.services(InterruptController)  # type: ignore[type-abstract]
        controller = self._names.get(id(controllers[0]) if controllers else 0, "interrupt acknowledge")
        return lambda: controller

    def _due(self, timer: Timer) -> None:
        start = time.perf_counter_ns()
        try:
            timer.callback()
        finally:
            took = time.perf_counter_ns() - start
            who = self._name_of(timer.callback)
            self._parts["timers"] += took
            self._ns[who] += took
            self._timers[who] += 1

    def _name_of(self, callback: Callable[[], None]) -> str:
        """The device whose method it is, else the module it comes from."""
        owner = callback.__self__ if isinstance(callback, MethodType) else None
        name = self._names.get(id(owner))
        return name or ".".join(getattr(callback, "__module__", NOBODY).split(".")[-2:])

    # -- result --

    def _modes(self) -> list[ModeChange]:
        began, changes = self._before.insns, self._machine.engine.mode_changes()
        return [attrs.evolve(change, insns=change.insns - began) for change in changes if change.insns >= began]

    def _profile(self) -> Profile:
        engine = self._machine.engine
        after = engine.stats()
        grown = {
            name: now if name in SIZES else now - before
            for name, before, now in zip(after._fields, self._before, after, strict=True)
        }
        devices = [
            DeviceTime(name, self._accesses[name], self._timers[name], ns / NS_PER_SECOND)
            for name, ns in self._ns.most_common()
        ]
        places, others = engine.places()
        places.sort(key=lambda place: place.ns, reverse=True)
        return Profile(
            engine=engine.name,
            seconds=self._took / NS_PER_SECOND,
            parts={part: ns / NS_PER_SECOND for part, ns in self._parts.items()},
            counters=grown,
            exits=dict(sorted(engine.exits().items(), key=lambda item: sum(item[1]), reverse=True)),
            devices=devices,
            blocks=[Block(p.linear, _mode(p), p.ns / NS_PER_SECOND, _head(p)) for p in places],
            elsewhere=others / NS_PER_SECOND,
            modes=self._modes(),
            lacks=engine.lacks,
        )


def _mode(place: Place) -> str:
    if not place.protected:
        return "real"
    ring = {0: "kernel", 3: "user"}.get(place.cpl, f"ring {place.cpl}")
    return f"{ring} {place.bits}"


def _head(place: Place) -> str:
    """The first instructions, as far as their bytes are kept."""
    texts: list[str] = []
    at = 0
    while len(texts) < HEAD:
        found = disassemble(place.code[at:], place.linear + at, place.bits) if at < len(place.code) else None
        if found is None:
            break
        texts.append(found[0])
        at += found[1]
    return "; ".join(texts)
