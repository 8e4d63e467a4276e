"""Device models in C behind the declarations of a Python class (docs/native.md, csrc/native.h).

The model is a struct of a plugin's own cffi module.  `NativeDevice` keeps a state class and that struct in step, `plug`
wires the struct to what `NativeMachine` offers.  Functions and structs go by their addresses, so that modules of
different plugins and the engine's need not know each other's types.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, get_args, get_origin

import attrs

from vpcore.device import Device
from vpcore.errors import EngineError
from vpcore.irq import End

StateT = TypeVar("StateT")


@attrs.frozen
class Registers:
    """Byte registers that C functions answer (`vp_registers`, by address), at these offsets of a mapping."""

    read: int
    write: int
    target: int
    offsets: range


class NativeMachine(Protocol):
    """What device models in C are wired to: the engine, or on a board without a processor Python."""

    def intr(self) -> End:
        """The processor's INTR pin: a `vp_wire`."""

    def clock(self) -> End:
        """Virtual time: a `vp_clock`."""

    def alarm(self, fire: int, target: int) -> End:
        """A `vp_alarm` that calls back *fire(target)*; `ConfigError` where there are too many."""

    def wire(self, call: Callable[[bool], object]) -> End:
        """A `vp_wire` to what is not C: *call* is told the level."""

    def answer_inta(self, vector: int, target: int) -> None:
        """Let *vector(target)* answer the interrupt acknowledge cycle."""

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a C function; raises what Python raised when it was called back, where there is no machine to tell."""


def load_module(package: str, name: str, recipe: str) -> tuple[Any, Any]:
    """`ffi` and `lib` of the C module *name*, the sanitized one where VPCORE_SANITIZE is 1; *recipe* is what builds it."""
    name += "_san" if os.environ.get("VPCORE_SANITIZE") == "1" else ""
    try:
        module = importlib.import_module(f"{package}.{name}")
    except ImportError as error:
        raise EngineError(
            f"C code is not built ({error}): run `pip install -e .`, or `python {recipe}` in the source tree"
        ) from error
    return module.ffi, module.lib


def address(ffi: Any, what: Any) -> int:
    """The address of a struct of a cffi module, or with `ffi.addressof(lib, name)` of a function."""
    return int(ffi.cast("uintptr_t", what))


def plug(ffi: Any, socket: Any, end: End) -> None:
    """Fill a `vp_wire`, `vp_clock` or `vp_alarm` of a model."""
    kind = ffi.typeof(socket)
    for (name, field), value in zip(kind.fields, end, strict=False):
        setattr(socket, name, ffi.cast(field.type, value))


class NativeDevice(Device[StateT]):
    """A device whose state lives in *model*, a struct with fields named as those of its state class.

    Fields that the struct does not have stay in `state`; nested attrs classes are nested structs, lists are arrays.
    """

    model: Any

    def load(self, state: StateT) -> None:
        """Become *state*."""
        push(self.model, state)
        super().load(state)

    def save(self) -> StateT:
        """Bring `state` up to date and return it."""
        pull(self.model, self.state)
        return super().save()


def _fields(state: Any, model: Any) -> list[tuple[str, Any, Any]]:
    kind = attrs.resolve_types(type(state))
    have = set(dir(model))
    return [(field.name, field.type, getattr(state, field.name)) for field in attrs.fields(kind) if field.name in have]


def push(model: Any, state: Any) -> None:
    """Set the fields of a struct from those of an attrs object."""
    for name, kind, value in _fields(state, model):
        if attrs.has(kind):
            push(getattr(model, name), value)
        elif get_origin(kind) is list:
            for item, part in zip(getattr(model, name), value, strict=True):
                push(item, part)
        else:
            setattr(model, name, value)


def pull(model: Any, state: Any) -> None:
    """Set the fields of an attrs object from those of a struct."""
    for name, kind, value in _fields(state, model):
        found = getattr(model, name)
        if attrs.has(kind):
            pull(found, value)
        elif get_origin(kind) is list:
            assert attrs.has(get_args(kind)[0])
            for item, part in zip(found, value, strict=True):
                pull(item, part)
        else:
            setattr(state, name, kind(found))
