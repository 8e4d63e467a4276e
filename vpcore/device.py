"""Device: one state object, one method per register, and `drive()` that sets every wire and timer from the state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import attrs

from vpcore.ports import PortMap

if TYPE_CHECKING:
    from vpcore.board import Board

StateT = TypeVar("StateT")
ConfigT = TypeVar("ConfigT")


class StorageCells(Protocol):
    """Where the storage registers of one mapped device live while the machine runs (see `PortMap.storage`)."""

    def pull(self, state: object) -> None:
        """Copy the cells into the state's fields."""

    def push(self, state: object) -> None:
        """Copy the state's fields into the cells."""


class Device(Generic[StateT]):
    """A model of one chip or card.

    Subclasses declare registers in class attributes of type `PortMap`, take what they need from the outside as
    keyword arguments, and end their constructor with `self.load(State())`.  Reset and restore are the same path.
    """

    ports: ClassVar[PortMap] = PortMap(size=0)
    state: StateT
    cells: StorageCells | None = None

    def reset(self) -> None:
        """Return to the state after power-on; what survives a reset is the subclass's to keep."""
        self.load(type(self.state)())

    def load(self, state: StateT) -> None:
        """Become *state*: the one path of construction, reset and restore."""
        self.state = state
        if self.cells is not None:
            self.cells.push(state)
        self.drive()

    def save(self) -> StateT:
        """Return the state, storage registers included; valid until the guest runs again."""
        if self.cells is not None:
            self.cells.pull(self.state)
        return self.state

    def drive(self) -> None:
        """Set every wire and timer from the state."""

    def close(self) -> None:
        """Let go of host ends (files, sockets); called once, when the machine is closed."""


@attrs.frozen
class DeviceType(Generic[ConfigT]):
    """What a plugin registers: the type's name in TOML, its typed options, and how one is built.

    *config* is an attrs class whose fields are the keys of a `[[device]]` table, made with `option()`; its first field
    is `name`.  *build* makes the device and wires it into the board.  The first line of *help* (default: the docstring
    of *config*) is what `vpcore devices` shows.  *host*, where given, says what the type finds on this host (ROM images,
    say) or what is missing, for `vpcore info`.
    """

    name: str
    config: type[ConfigT]
    build: Callable[[ConfigT, Board], Device[Any]]
    help: str = ""
    host: Callable[[], str] | None = None


def option(default: Any = attrs.NOTHING, help: str = "", *, choices: tuple[Any, ...] = (), **kwargs: Any) -> Any:  # noqa: A002 - reads as the machine file does; a field of any type
    """Declare one option of a device: an attrs field with a default, a help text and, if given, the allowed values."""
    validator = attrs.validators.in_(choices) if choices else None
    return attrs.field(default=default, validator=validator, metadata={"help": help, "choices": choices}, **kwargs)
