"""What `vpcore check`, `devices` and `info` print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import attrs
import rich.console
import rich.table
import rich.text

from vpcore import config as configs
from vpcore.bus import Bus
from vpcore.config import MachineConfig, MachineTable
from vpcore.device import DeviceType
from vpcore.engine import Engine, EngineConfig, probe
from vpcore.engine.engine import best_first
from vpcore.errors import ConfigError
from vpcore.machine import Machine
from vpcore.plugins import Registered, device_types, load_file_type, make_plugin_manager, packages
from vpcore.profile import Profile

PIPE_WIDTH: Final = 200
"""Columns where the output is not a terminal: nothing is cut for a program that reads it."""


def machine(config: MachineConfig) -> None:
    """Build a machine, close it, and print what was in it."""
    with Machine(config) as vm:
        table = _table("device", "type", "ports", title=f"{config.path}: {config.machine.name}")
        for device in config.devices:
            _row(table, device.name, device.type, _ranges(vm.bus.ports.owned_by(device.name)))
    _print(table)


def devices(name: str | None, machine: Path | None = None) -> None:
    """Print all device types, and those that the file *machine* has in files; or the keys of one type."""
    if name is not None and ":" in name:
        _print(_keys(load_file_type(name, Path.cwd()).type))
        return
    known = device_types(make_plugin_manager())
    if name is None:
        table = _table("type", "plugin", "what it is")
        for kind, entry in known.items():
            _row(table, kind, entry.plugin, _summary(entry.type))
        for kind, entry in _of_files(machine):
            _row(table, kind, entry.plugin, _summary(entry.type))
        _print(table)
        return
    if name not in known:
        raise ConfigError(
            f"no plugin offers device type {name!r}; there are {', '.join(known)}, or path/to/file.py:Class"
        )
    _print(_keys(known[name].type))


def _of_files(machine: Path | None) -> list[tuple[str, Registered]]:
    """The types `path.py:Class` of a machine file, each once."""
    tables = () if machine is None else configs.load(machine).devices
    types = {table.type: load_file_type(table.type, table.source.parent) for table in tables if ":" in table.type}
    return list(types.items())


def info() -> None:
    """Print what can run here, with what, and the keys of `[machine]`."""
    known = device_types(make_plugin_manager())
    _print(_engines(), _found(known), _plugins(known), _keys(_machine_type()))


def profile(result: Profile, most: int) -> None:
    """Print a profile, *most* rows a table at most."""
    whole = result.seconds or 1.0
    parts = _table("part", "seconds", "share", title=f"engine {result.engine}, {result.seconds:.2f} s")
    for name, seconds in [
        *((PART_NAMES[part], spent) for part, spent in result.parts.items()),
        ("machine", result.rest),
    ]:
        _row(parts, name, f"{seconds:.3f}", f"{seconds / whole:.1%}")
    devices = _table("device", "accesses", "timers", "seconds", "share", title="devices")
    for device in result.devices[:most]:
        share = f"{device.seconds / whole:.1%}"
        _row(devices, device.name, str(device.accesses), str(device.timers), f"{device.seconds:.3f}", share)
    blocks = _table(
        "address", "mode", "seconds", "share", "begins with", title="hot blocks, with the devices they call"
    )
    for block in result.blocks[:most]:
        share = f"{block.seconds / whole:.1%}"
        _row(blocks, f"{block.address:08x}", block.mode, f"{block.seconds:.3f}", share, block.code)
    exits = _table("instruction", "times", "by a window's fault", title="left to the interpreter by translated code")
    for name, (times, refused) in list(result.exits.items())[:most]:
        _row(exits, name, str(times + refused), str(refused))
    counters = _table("counter", "value", title="the engine's counters")
    for name, value in result.counters.items():
        _row(counters, name, str(value))
    _print(parts, devices, blocks, exits, _decisions(result, most), counters)


def _decisions(result: Profile, most: int) -> rich.table.Table:
    """Of the memory mode."""
    title = f"memory mode decisions, the last of {len(result.modes)}"
    if result.lacks:
        title += f" ({result.lacks})"
    table = _table("after instructions", "CR3", "ring", "mode", "because it ran", "and touched new pages", title=title)
    for change in result.modes[-most:]:
        ring, mode = "user" if change.user else "kernel", "window" if change.window else "flat"
        _row(table, str(change.insns), f"{change.cr3:08x}", ring, mode, str(change.ran), str(change.pages))
    return table


def profile_json(result: Profile, path: Path) -> None:
    """Write all of a profile to a file."""
    path.write_text(json.dumps(attrs.asdict(result), indent=1) + "\n")


PART_NAMES: Final = {
    "guest": "guest code",
    "devices": "devices, accesses",
    "timers": "devices, timers",
    "halted": "halted",
    "host": "host ends",
}


def _engines() -> rich.table.Table:
    reasons = probe()
    order = best_first()
    chosen = next(name for name in order if not reasons[name])
    why = f"the first that is usable here of {', '.join(order)}"
    table = _table("engine", "usable", "why not, or what it lacks", title=f"--engine auto takes {chosen}: {why}")
    for name, reason in reasons.items():
        _row(table, name, "no" if reason else "yes", reason or _lacks(name))
    return table


def _lacks(name: str) -> str:
    """What an engine has to do without on this host."""
    engine = Engine(EngineConfig(engine=name), Bus(), int)
    try:
        return engine.lacks
    finally:
        engine.close()


def _found(known: dict[str, Registered]) -> rich.table.Table:
    table = _table("device type", "found on this host")
    for name, entry in known.items():
        if entry.type.host is not None:
            _row(table, name, entry.type.host())
    return table


def _plugins(known: dict[str, Registered]) -> rich.table.Table:
    table = _table("plugin", "package", "device types")
    for plugin, package in packages().items():
        types = (name for name, entry in known.items() if entry.plugin == plugin)
        _row(table, plugin, package, ", ".join(types))
    return table


def _machine_type() -> DeviceType[Any]:
    def build(_config: Any, _board: Any) -> Any:
        raise NotImplementedError

    return DeviceType("[machine]", MachineTable, build, help="the machine as a whole")


def _keys(kind: DeviceType[Any]) -> rich.table.Table:
    table = _table("key", "type", "default", "meaning", title=f"{kind.name}: {_summary(kind)}")
    hints = configs.type_hints(kind.config)
    for field in attrs.fields(kind.config):
        if field.name == "name" and kind.config is not MachineTable:
            continue
        default = "required" if field.default is attrs.NOTHING else _shown(field.default)
        meaning = field.metadata.get("help", "")
        choices = field.metadata.get("choices") or ()
        if choices:
            meaning += f" ({', '.join(map(str, choices))})"
        name = "a size" if field.metadata.get("sized") else configs.type_name(hints[field.name])
        _row(table, field.name, name, default, meaning)
    return table


def _summary(kind: DeviceType[Any]) -> str:
    text = kind.help or kind.config.__doc__ or ""
    return text.strip().split("\n")[0]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:#x}" if isinstance(value, int) and value > 9 else repr(value)  # noqa: PLR2004 - decimal digits


def _ranges(ports: list[int]) -> str:
    """Port numbers as ranges: 60 64 3f8-3ff."""
    runs: list[list[int]] = []
    for port in ports:
        if runs and port == runs[-1][1] + 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return " ".join(f"{first:x}" if first == last else f"{first:x}-{last:x}" for first, last in runs)


def _table(*columns: str, title: str | None = None) -> rich.table.Table:
    return rich.table.Table(*columns, title=None if title is None else rich.text.Text(title), title_justify="left")


def _row(table: rich.table.Table, *cells: str) -> None:
    """Add a row of plain text, whatever is in it."""
    table.add_row(*map(rich.text.Text, cells))


def _print(*tables: rich.table.Table) -> None:
    console = rich.console.Console()
    if not console.is_terminal:
        console = rich.console.Console(width=PIPE_WIDTH)
    console.print(*tables)
