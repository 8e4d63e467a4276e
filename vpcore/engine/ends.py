"""Where device models in C meet the engine, or Python in its place (vpcore/native.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vpcore.clock import Clock
from vpcore.engine.library import ffi, lib
from vpcore.errors import ConfigError
from vpcore.irq import End
from vpcore.native import Registers, address
from vpcore.wires import Processor


def _pointer(address: int) -> Any:
    return ffi.cast("void *", address)


def _call(target: Any, *args: int) -> Any:
    call, failed = ffi.from_handle(target)
    try:
        return call(*args)
    except BaseException as error:  # noqa: BLE001 - C is no place to raise through; it is raised behind
        failed(error)
        return None


@ffi.def_extern()  # type: ignore[untyped-decorator]
def vp_py_set(target: Any, which: int, level: int) -> None:
    """End of a `vp_wire`."""
    _call(target, which, level)


@ffi.def_extern()  # type: ignore[untyped-decorator]
def vp_py_now(target: Any) -> int:
    """End of a `vp_clock`."""
    return _call(target) or 0


@ffi.def_extern()  # type: ignore[untyped-decorator]
def vp_py_at(target: Any, ns: int) -> None:
    """End of a `vp_alarm`."""
    _call(target, ns)


class Ends:
    """The part of `NativeMachine` that leads to Python; *failed* is told what Python raised there."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._kept: list[Any] = []

    def wire(self, call: Callable[[bool], object]) -> End:
        """A `vp_wire` to what is not C."""
        return self.end(lib.vp_py_set, lambda _which, level: call(bool(level)))

    def end(self, function: Any, call: Callable[..., Any]) -> End:
        """One of the functions above, which calls *call*."""
        handle = ffi.new_handle((call, self._failed))
        self._kept.append(handle)
        return End(address(ffi, function), address(ffi, handle))


class BoardEnds(Ends):
    """`NativeMachine` of a board without a processor."""

    def __init__(self, clock: Clock, processor: Processor) -> None:
        super().__init__(self._keep)
        self._clock = clock
        self._processor = processor
        self._failure: BaseException | None = None

    def intr(self) -> End:
        """The INTR pin of the board's processor."""
        return self.wire(self._processor.set_intr)

    def clock(self) -> End:
        """The board's time."""
        return self.end(lib.vp_py_now, lambda: self._clock.now)

    def alarm(self, fire: int, target: int) -> End:
        """A timer of the board's clock."""
        call = ffi.cast("void(*)(void *)", fire)
        timer = self._clock.timer(lambda: self.call(call, _pointer(target)))
        return self.end(lib.vp_py_at, lambda ns: timer.at(None if ns == lib.VP_NEVER else ns))

    def answer_inta(self, vector: int, target: int) -> None:
        """Nobody asks: tests call `InterruptController.acknowledge`."""

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a C function; raises what Python raised when it was called back."""
        result = function(*args)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return result

    def _keep(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error


class EngineEnds(Ends):
    """`NativeMachine` of an engine's *vm*; *failed* stops it."""

    def __init__(self, vm: Any, failed: Callable[[BaseException], None]) -> None:
        super().__init__(failed)
        self._vm = vm
        self._kinds: dict[tuple[int, Registers], int] = {}

    def intr(self) -> End:
        """The processor's INTR pin."""
        wire = lib.vp_native_intr(self._vm)
        return End(address(ffi, wire.set), address(ffi, wire.target), wire.which)

    def clock(self) -> End:
        """Virtual time."""
        clock = lib.vp_native_clock(self._vm)
        return End(address(ffi, clock.now), address(ffi, clock.target))

    def alarm(self, fire: int, target: int) -> End:
        """An alarm that the run loop looks at."""
        alarm = lib.vp_native_alarm(self._vm, ffi.cast("void(*)(void *)", fire), _pointer(target))
        if alarm.at == ffi.NULL:
            raise ConfigError("too many alarms of device models in C: remove a device")
        return End(address(ffi, alarm.at), address(ffi, alarm.target))

    def answer_inta(self, vector: int, target: int) -> None:
        """Let *vector(target)* answer the interrupt acknowledge cycle."""
        lib.vp_native_inta(self._vm, ffi.cast("uint32_t(*)(void *)", vector), _pointer(target))

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a C function; what Python raises meanwhile comes out of `Engine.run`."""
        return function(*args)

    def ports_kind(self, base: int, registers: Registers) -> int:
        """What `cell_kind` of the ports from *base* on is; 0, for Python to answer, where there is no room for more."""
        key = (base, registers)
        if key not in self._kinds:
            c = ffi.new("vp_registers *")
            c.target = _pointer(registers.target)
            setattr(c, "in", ffi.cast(ffi.typeof(getattr(c, "in")), registers.read))
            c.out = ffi.cast(ffi.typeof(c.out), registers.write)
            self._kinds[key] = lib.vp_native_ports(self._vm, base, c[0])
        return self._kinds[key]
