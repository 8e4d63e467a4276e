"""Machine files: TOML to typed configuration, or one error that names file, table and key.

`load()` reads a file with its includes, applies overrides (`--set NAME.KEY=VALUE` and the media flags) and gives a
`MachineConfig`; `device_config()` turns one `[[device]]` table into its type's attrs class.
"""

from __future__ import annotations

import re
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from vpcore.errors import ConfigError

Table = dict[str, Any]

SIZE_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
MIN_RAM: Final = 1 << 20
MAX_RAM: Final = 3584 << 20


def parse_size(text: str | int) -> int:
    """Bytes of `128M`, `64K`, `1G` or a plain number.  Raises `ConfigError`."""
    match = re.fullmatch(r"(\d+)\s*([KMG]?)i?B?", str(text).strip(), re.IGNORECASE)
    if match is None:
        raise ConfigError(f"must be a number with K, M or G behind it, such as 128M (got {text!r})")
    return int(match[1]) * SIZE_UNITS[match[2].upper()]


class FileText(str):
    """A string of a machine file, which knows the file's *folder*: a relative path in it starts there."""

    __slots__ = ("folder",)
    folder: Path

    @classmethod
    def of(cls, text: str, file: Path) -> FileText:
        """*text* as it stands in *file*."""
        made = cls(text)
        made.folder = file.parent
        return made


def _ram(text: str | int) -> int:
    size = parse_size(text)
    if not MIN_RAM <= size <= MAX_RAM or size % MIN_RAM:
        raise ConfigError(f"must be whole megabytes from 1M to 3584M (got {text!r})")
    return size


def _setting(
    default: Any, help_: str, choices: tuple[Any, ...] = (), converter: Any = None, least: int | None = None
) -> Any:
    validator = attrs.validators.in_(choices) if choices else None if least is None else attrs.validators.ge(least)
    return attrs.field(
        default=default,
        validator=validator,
        converter=converter,
        metadata={"help": help_, "choices": choices, "sized": converter is not None},
    )


@attrs.frozen
class MachineTable:
    """The keys of `[machine]`."""

    name: str = _setting("machine", "name in messages and window titles")
    cpu: str = _setting("pentium3", "processor model", ("486", "pentium", "pentium3", "host"))
    memory: int = _setting("128M", "RAM, 1M to 3584M", converter=_ram)
    clock: str = _setting("realtime", "virtual time follows the host, or counted instructions", ("realtime", "icount"))
    icount_ns: int = _setting(10, "virtual ns an instruction with clock = icount", least=1)
    boot: str = _setting("acd", "boot order: a floppy, c disk, d CD-ROM, n network")
    engine: str = _setting("auto", "what executes guest code; see `vpcore info`")
    code_cache: int = _setting("64M", "memory for decoded or translated guest code", converter=parse_size)


@attrs.define
class DeviceTable:
    """One `[[device]]` table, not yet checked against its type."""

    type: str
    name: str
    keys: Table
    source: Path


@attrs.define
class MachineConfig:
    """A machine file with everything it includes."""

    path: Path
    machine: MachineTable
    devices: list[DeviceTable]
    media: dict[str, str]
    """Short names of device keys: `hda` to `ide.hda`, for the flags of the command line."""

    def device(self, name: str) -> DeviceTable:
        """The device of that name.  Raises `ConfigError` listing the names there are."""
        for device in self.devices:
            if device.name == name:
                return device
        names = ", ".join(device.name for device in self.devices)
        raise ConfigError(f"{self.path}: no device is named {name!r}; there are {names}")


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> MachineConfig:
    """Read a machine file and apply *overrides* (`machine.memory`, `com1.backend` to a value)."""
    raw = _read(path, ())
    machine = dict(raw.machine)
    config = MachineConfig(path, MachineTable(), raw.devices, raw.media)
    for key, value in (overrides or {}).items():
        name, dot, option = key.partition(".")
        if not dot or not option:
            raise ConfigError(f"--set must be NAME.KEY=VALUE (got {key!r})")
        if name == "machine":
            machine[option] = value
        else:
            config.device(name).keys[option] = value
    config.machine = structure(MachineTable, machine, f"{path}: [machine]")
    return config


@attrs.define
class _Raw:
    machine: Table
    devices: list[DeviceTable]
    media: dict[str, str]


def _read(path: Path, including: tuple[Path, ...]) -> _Raw:
    if path.resolve() in including:
        raise ConfigError(f"{path}: includes itself: remove the include")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        by = f", which {including[-1]} includes" if including else ""
        raise ConfigError(f"{path}: no such machine file{by}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    unknown = set(data) - {"machine", "device", "include", "remove", "media"}
    if unknown:
        raise ConfigError(
            f"{path}: unknown key {min(unknown)!r}; allowed: include, remove, [machine], [media], [[device]]"
        )
    raw = _Raw({}, [], {})
    include = data.get("include")
    if include is not None:
        _expect(isinstance(include, str), path, "include", "a path", include)
        raw = _read(path.parent / include, (*including, path.resolve()))
    machine, media = data.get("machine", {}), data.get("media", {})
    _expect(isinstance(machine, dict), path, "[machine]", "a table", machine)
    _expect(isinstance(media, dict), path, "[media]", "a table", media)
    raw.machine.update(machine)
    for flag, target in media.items():
        good = isinstance(target, str) and "." in target
        _expect(good, path, f"[media] {flag}", '"DEVICE.KEY"', target)
    raw.media.update(media)
    _remove(raw, data.get("remove", []), path)
    tables = data.get("device", [])
    _expect(isinstance(tables, list), path, "[[device]]", "written with two brackets", tables)
    for table in tables:
        _add(raw, table, path)
    return raw


def _expect(good: bool, path: Path, what: str, wanted: str, got: object) -> None:
    if not good:
        raise ConfigError(f"{path}: {what} must be {wanted} (got {got!r})")


def _remove(raw: _Raw, names: Any, path: Path) -> None:
    _expect(isinstance(names, list), path, "remove", "a list of device names", names)
    for name in names:
        if all(device.name != name for device in raw.devices):
            raise ConfigError(f"{path}: remove: no included device is named {name!r}")
        raw.devices = [device for device in raw.devices if device.name != name]


def _add(raw: _Raw, table: Any, path: Path) -> None:
    """Add one `[[device]]` table; one with the name of an included device changes that device's keys."""
    _expect(isinstance(table, dict), path, "[[device]]", "a table", table)
    keys = {key: FileText.of(value, path) if isinstance(value, str) else value for key, value in table.items()}
    kind = keys.pop("type", None)
    name = keys.pop("name", None)
    if name is None:
        name = _class_name(kind) if isinstance(kind, str) else kind
    good = isinstance(name, str) and NAME.fullmatch(name) is not None
    _expect(good, path, "[[device]] name", "letters, digits, - and _", name)
    known = next((device for device in raw.devices if device.name == name), None)
    if known is not None:
        if known.source == path or kind not in (None, known.type):
            raise ConfigError(f"{path}: two devices are named {name!r}: give each a name of its own")
        known.keys.update(keys)
        return
    _expect(isinstance(kind, str), path, f"type of device {name!r}", "the name of a device type", kind)
    raw.devices.append(DeviceTable(str(kind), str(name), keys, path))


def _class_name(kind: str) -> str:
    """The name of a device that has none: its type, or the class of `path/to/file.py:Class` in small letters."""
    return kind.rpartition(":")[2].lower() if ":" in kind else kind


def structure(kind: type[Any], table: Table, where: str) -> Any:
    """Make an attrs object of *kind* from a TOML table, or raise `ConfigError` naming *where* and the key."""
    fields = {field.name: field for field in attrs.fields(kind)}
    hints = type_hints(kind)
    for key in table:
        if key not in fields:
            allowed = ", ".join(name for name in fields if name != "name" or kind is MachineTable)
            raise ConfigError(f"{where}: unknown key {key!r}; allowed: {allowed or 'none'}")
    for field in fields.values():
        if field.name not in table and field.default is attrs.NOTHING:
            raise ConfigError(
                f"{where}: key {field.name!r} is missing: {field.metadata.get('help', 'it has no default')}"
            )
    values = {key: _value(value, fields[key], hints[key], f"{where}: {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except (ConfigError, ValueError, TypeError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _value(value: Any, field: Any, hint: Any, where: str) -> Any:
    """A TOML value as the field wants it, or `ConfigError` naming *where*."""
    sized = field.metadata.get("sized")
    _check(value, str | int if sized else hint, where)
    choices = field.metadata.get("choices")
    if choices and value not in choices:
        raise ConfigError(f"{where} must be one of {', '.join(map(str, choices))} (got {value!r})")
    if sized:
        try:
            field.converter(value)
        except ConfigError as error:
            raise ConfigError(f"{where} {error}") from None
    return tuple(value) if isinstance(value, list) and typing.get_origin(hint) is tuple else value


_NAMES: Final = {int: "an integer", str: "a string", bool: "true or false", float: "a number", list: "a list"}

_PLURALS: Final = {int: "integers", str: "strings", float: "numbers"}


def type_hints(kind: type[Any]) -> dict[str, Any]:
    """The types of an attrs class's fields, resolved."""
    attrs.resolve_types(kind)
    return {field.name: field.type for field in attrs.fields(kind)}


def type_name(hint: Any) -> str:
    """What a key of this type must be, in words."""
    origin = typing.get_origin(hint)
    if origin in (list, tuple):
        return f"a list of {_PLURALS.get(typing.get_args(hint)[0], 'values')}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_name(part) for part in typing.get_args(hint) if part is not type(None))
    return _NAMES.get(hint, getattr(hint, "__name__", str(hint)))


def _check(value: Any, hint: Any, where: str) -> None:
    """Check a TOML value against a type, without coercion (an integer may stand for a float)."""
    if not _fits(value, hint):
        raise ConfigError(f"{where} must be {type_name(hint)} (got {value!r})")


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in typing.get_args(hint))
    if origin in (list, tuple):
        element = typing.get_args(hint)[0] if typing.get_args(hint) else Any
        return isinstance(value, (list, tuple)) and all(_fits(item, element) for item in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def device_config(table: DeviceTable, kind: type[Any]) -> Any:
    """The typed configuration of one device."""
    where = f"{table.source}: device {table.name!r}"
    return structure(kind, {"name": table.name, **table.keys}, where)


def parse_value(text: str) -> Any:
    """A value given on the command line: TOML where it is (`0x3F8`, `true`, `"x"`), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


FLAG_KEYS: Final = {
    "memory": "machine.memory",
    "boot": "machine.boot",
    "cpu": "machine.cpu",
    "engine": "machine.engine",
}
"""Flags of the command line that are keys of `[machine]`; all others are looked up in the file's `[media]` table."""
PATH_FLAGS: Final = frozenset({"hda", "hdb", "hdc", "hdd", "cdrom", "fda", "fdb", "kernel", "initrd"})


NO_NETWORK: Final = "none"
"""The one value of the flag `net` while no machine has a network card."""


def flag_overrides(path: Path, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Translate flags (`cdrom="x.iso"`) into overrides; None values are flags that were not given.

    Paths of flags are relative to the working directory, not to the machine file.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if given.pop("net", NO_NETWORK) != NO_NETWORK:
        raise ConfigError(f"net must be {NO_NETWORK!r}: there is no network card yet (got {flags['net']!r})")
    media = _read(path, ()).media if set(given) - set(FLAG_KEYS) else {}
    overrides: dict[str, Any] = {}
    for flag, value in given.items():
        key = FLAG_KEYS.get(flag) or media.get(flag)
        if key is None:
            known = ", ".join(sorted([*FLAG_KEYS, *media]))
            raise ConfigError(
                f'{path}: has no [media] entry for {flag!r}: add one such as {flag} = "DEVICE.KEY"; known: {known}'
            )
        overrides[key] = str(Path(value).absolute()) if flag in PATH_FLAGS and value else value
    return overrides


def unknown_type(table: DeviceTable, known: Mapping[str, object]) -> ConfigError:
    """The error for a device type that nobody registered."""
    return ConfigError(
        f"{table.source}: device {table.name!r}: no plugin offers type {table.type!r}; there are {', '.join(known)},"
        " or path/to/file.py:Class"
    )
