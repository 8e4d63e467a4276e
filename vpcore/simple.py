"""SimpleDevice: a whole device in one class, for those that need no more than ports, options and a few saved values."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import Any, ClassVar, get_type_hints

import attrs

from vpcore.board import Board
from vpcore.device import Device, DeviceType
from vpcore.irq import LineInput
from vpcore.log import DeviceLog

_Option = type(attrs.field())


@attrs.frozen
class Saved:
    """A value that a checkpoint keeps and a reset restores to its default (see `saved`)."""

    default: Any


def saved(default: Any) -> Any:
    """Declare a value of a `SimpleDevice` that a checkpoint keeps; *default* is its value after reset."""
    return Saved(default)


def _forward(part: str, field: str) -> property:
    def read(device: SimpleDevice) -> Any:
        return getattr(getattr(device, part), field)

    def write(device: SimpleDevice, value: Any) -> None:
        setattr(getattr(device, part), field, value)

    return property(read, write if part == "state" else None)


class SimpleDevice(Device[Any]):
    """A device whose options, saved values and registers are declared in one class.

    `option()` class attributes become keys of the machine file, `saved()` ones the state.  An option called `base`
    maps `ports` there, one called `irq` wires `self.line` to that interrupt.  `setup()` runs once, when all is wired.
    """

    declared_options: ClassVar[dict[str, Any]] = {}
    declared_values: ClassVar[dict[str, Saved]] = {}
    """What the class and its bases declare."""
    config_class: ClassVar[type[Any]]
    state_class: ClassVar[type[Any]]
    config: Any
    board: Board
    log: DeviceLog
    line: LineInput | None = None

    def __init_subclass__(cls) -> None:
        """Make the configuration and state classes from the declarations."""
        hints = get_type_hints(cls)
        declared = dict(vars(cls))
        options = dict(getattr(cls, "declared_options", {}))
        options |= {name: value for name, value in declared.items() if isinstance(value, _Option)}
        values = dict(getattr(cls, "declared_values", {}))
        values |= {name: value for name, value in declared.items() if isinstance(value, Saved)}
        cls.declared_options, cls.declared_values = options, values
        for name, value in options.items():
            value.type = hints.get(name, str)
            setattr(cls, name, _forward("config", name))
        for name in values:
            setattr(cls, name, _forward("state", name))
        fields = {"name": attrs.field(type=str), **options}
        cls.config_class = attrs.make_class(f"{cls.__name__}Config", fields, frozen=True)
        cls.config_class.__doc__ = cls.__doc__
        cls.state_class = attrs.make_class(
            f"{cls.__name__}State",
            {
                name: attrs.field(factory=partial(deepcopy, value.default), type=hints.get(name, type(value.default)))
                for name, value in values.items()
            },
        )

    def __init__(self, config: Any, board: Board) -> None:
        self.config, self.board, self.log = config, board, board.log
        if hasattr(config, "irq"):
            self.line = board.line(config.irq)
        self.load(self.state_class())
        if hasattr(config, "base"):
            board.map_ports(config.base, self)
        self.setup()

    def setup(self) -> None:
        """Wire what the options do not say; nothing by default."""

    @classmethod
    def device_type(cls, name: str) -> DeviceType[Any]:
        """The type to register, as hooks and `path.py:Class` need it."""
        return DeviceType(name, cls.config_class, cls)
