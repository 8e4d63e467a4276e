"""Finding plugins: entry points of installed packages, and `path/to/file.py:Class` from a machine file."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final, cast

import attrs
import pluggy

from vpcore import hookspecs
from vpcore.device import DeviceType
from vpcore.errors import ConfigError, PluginError
from vpcore.simple import SimpleDevice

GROUP: Final = "vpcore.plugins"


@attrs.frozen
class Registered:
    """A device type and where it came from."""

    type: DeviceType[Any]
    plugin: str


def make_plugin_manager() -> pluggy.PluginManager:
    """Load every installed plugin.  Raises `PluginError` naming the one that cannot be loaded, and why."""
    manager = pluggy.PluginManager("vpcore")
    manager.add_hookspecs(hookspecs)
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if manager.get_plugin(point.name) is None:
            manager.register(_load(point), point.name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        name = getattr(error.plugin, "__name__", error.plugin)
        raise PluginError(f"plugin {name!r}: {str(error).partition(' in plugin')[0]}: there is none such") from error
    return manager


def _load(point: EntryPoint) -> ModuleType:
    try:
        module: ModuleType = point.load()
    except Exception as error:
        where = point.dist.name if point.dist else point.value
        raise PluginError(
            f"plugin {point.name!r} of package {where!r} cannot be loaded: {error}: repair or uninstall it"
        ) from error
    return module


def packages() -> dict[str, str]:
    """Every installed plugin's package with its version."""
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return {point.name: f"{point.dist.name} {point.dist.version}" if point.dist else point.value for point in points}


def device_types(manager: pluggy.PluginManager) -> dict[str, Registered]:
    """Every registered device type by name.  Raises `PluginError` where two plugins offer the same name."""
    found: dict[str, Registered] = {}
    for implementation in manager.hook.vpcore_device_types.get_hookimpls():
        plugin = implementation.plugin_name
        for kind in _offered(plugin, implementation.function):
            if not isinstance(kind, DeviceType):
                raise PluginError(
                    f"plugin {plugin!r}: vpcore_device_types must return DeviceType objects (got {kind!r})"
                )
            if kind.name in found:
                raise PluginError(
                    f"device type {kind.name!r} is offered by plugins {found[kind.name].plugin!r} and {plugin!r}:"
                    " uninstall one of them"
                )
            found[kind.name] = Registered(kind, plugin)
    return dict(sorted(found.items()))


def _offered(plugin: str, hook: Callable[[], object]) -> list[object]:
    try:
        return list(cast("list[object]", hook()))
    except Exception as error:
        raise PluginError(f"plugin {plugin!r}: vpcore_device_types failed: {type(error).__name__}: {error}") from error


def load_file_type(spec: str, base: Path) -> Registered:
    """Load `path/to/file.py:Class`, the path relative to *base*; Class is a SimpleDevice or a DeviceType object."""
    file, _, attribute = spec.rpartition(":")
    path = (base / file).resolve()
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such file: device type {spec!r} must be an installed type or path/to/file.py:Class"
        )
    module_spec = importlib.util.spec_from_file_location(f"vpcore_file_{path.stem}", path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise PluginError(f"{path}: cannot be loaded: {type(error).__name__}: {error}") from error
    thing = getattr(module, attribute, None)
    if isinstance(thing, DeviceType):
        return Registered(thing, str(path))
    if inspect.isclass(thing) and issubclass(thing, SimpleDevice):
        return Registered(thing.device_type(spec), str(path))
    raise PluginError(f"{path}: {attribute!r} must be a SimpleDevice class or a DeviceType (got {thing!r})")
