"""vpcore: a PC virtual machine made of plugins.

The public names are imported when first used: a plugin need not load the engine, nor `vpcore --help` numpy.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from vpcore.board import Board
    from vpcore.device import Device, DeviceType, option
    from vpcore.errors import VpcoreError
    from vpcore.hookspecs import hookimpl
    from vpcore.machine import Machine
    from vpcore.ports import PortMap
    from vpcore.simple import SimpleDevice, saved

__all__ = [
    "Board",
    "Device",
    "DeviceType",
    "Machine",
    "PortMap",
    "SimpleDevice",
    "VpcoreError",
    "hookimpl",
    "option",
    "saved",
]

_HOMES: Final = {
    "Board": "board",
    "Device": "device",
    "DeviceType": "device",
    "Machine": "machine",
    "PortMap": "ports",
    "SimpleDevice": "simple",
    "VpcoreError": "errors",
    "hookimpl": "hookspecs",
    "option": "device",
    "saved": "simple",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
