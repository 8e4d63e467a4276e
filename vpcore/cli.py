"""The command line: `vpcore run`, `check`, `devices`, `info`, `image`."""

from __future__ import annotations

import logging
import signal
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import click
import rich.console
import rich.table

from vpcore import config as configs
from vpcore.config import MachineTable, parse_value
from vpcore.errors import ConfigError, VpcoreError
from vpcore.log import TRACE
from vpcore.plugins import Registered, device_types, make_plugin_manager

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)
EXAMPLES: Final = """\b
Examples:
  vpcore run machines/pc99.toml --cdrom debian.iso
  vpcore run machines/pc99.toml --hda disk.img --serial stdio --display none
  vpcore run machines/pc99.toml --kernel vmlinuz --initrd initrd.gz --append console=ttyS0
"""


class Group(click.Group):
    """Shows a VpcoreError as one line and exits with status 1."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line."""
        try:
            return super().main(*args, **kwargs)
        except VpcoreError as error:
            click.echo(f"vpcore: {error}", err=True)
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(130)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="vpcore")
def main() -> None:
    """A PC virtual machine made of plugins."""


def _machine_flags(command: CommandT) -> CommandT:
    """The flags that change a machine file; `Machine.load` takes the same names as keywords."""
    path = click.Path(path_type=str)
    for decorate in reversed(
        (
            click.option("--memory", metavar="SIZE", help="RAM, such as 256M"),
            click.option("--engine", metavar="NAME", help="auto, or one that `vpcore info` lists"),
            click.option("--cpu", metavar="MODEL", help="486, pentium, pentium3 or host"),
            click.option("--boot", metavar="ORDER", help="boot order: a floppy, c disk, d CD-ROM, n network"),
            click.option("--hda", type=path, help="disk image of the first IDE drive"),
            click.option("--hdb", type=path, help="disk image of the second IDE drive"),
            click.option("--cdrom", type=path, help="ISO image in the CD-ROM drive"),
            click.option("--fda", type=path, help="image in floppy drive A"),
            click.option("--fdb", type=path, help="image in floppy drive B"),
            click.option("--kernel", type=path, help="boot a Linux bzImage or a multiboot kernel directly"),
            click.option("--initrd", type=path, help="initial RAM disk (or multiboot module) for --kernel"),
            click.option("--append", metavar="TEXT", help="command line for --kernel"),
            click.option(
                "--serial", metavar="END", help="first serial port: stdio, pty, file:F, tcp:H:P, none, /dev/ttyS0"
            ),
            click.option(
                "--set", "settings", multiple=True, metavar="NAME.KEY=VALUE", help="change any key of any device"
            ),
        )
    ):
        command = decorate(command)
    return command


def _overrides(machine: Path, settings: tuple[str, ...], flags: dict[str, Any]) -> dict[str, Any]:
    overrides = configs.flag_overrides(machine, flags)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set must be NAME.KEY=VALUE (got {setting!r})")
        overrides[key] = parse_value(value)
    return overrides


def _start_logging(verbose: int, trace: tuple[str, ...]) -> None:
    logging.basicConfig(
        level=TRACE if trace else LEVELS[min(verbose, len(LEVELS) - 1)],
        format="%(name)s: %(message)s",
        stream=sys.stderr,
    )
    if trace:
        logging.getLogger("vpcore").setLevel(LEVELS[min(verbose, len(LEVELS) - 1)])


@main.command(epilog=EXAMPLES)
@click.argument("machine", type=click.Path(path_type=Path))
@_machine_flags
@click.option(
    "--display",
    type=click.Choice(["terminal", "none"]),
    help="where the screen is shown; by default the terminal if there is one, else only the serial port",
)
@click.option("-v", "--verbose", count=True, help="say more (twice: what the firmware says, too)")
@click.option("--trace", multiple=True, metavar="DEVICE", help="log each guest access of a device")
def run(
    machine: Path, settings: tuple[str, ...], display: str | None, verbose: int, trace: tuple[str, ...], **flags: Any
) -> None:
    """Run the MACHINE file until the guest powers off.

    Ctrl-C and SIGTERM stop the machine as its power switch would, after flushing its disks.  With --serial stdio the
    guest gets Ctrl-C; leave with Ctrl-].
    """
    from vpcore.machine import Machine  # noqa: PLC0415 - the engine is not needed for --help

    _start_logging(verbose, trace)
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    if display is None:
        display = "terminal" if interactive and flags["serial"] != "stdio" else "none"
    if display == "none" and flags["serial"] is None:
        flags["serial"] = "stdio"
    with Machine(configs.load(machine, _overrides(machine, settings, flags))) as vm:
        for name in trace:
            vm.trace(name)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: vm.stop())
        if display == "terminal":
            from vpcore.display.terminal import show  # noqa: PLC0415 - an extra

            show(vm)
        else:
            vm.run()


@main.command()
@click.argument("machine", type=click.Path(path_type=Path))
@_machine_flags
def check(machine: Path, settings: tuple[str, ...], **flags: Any) -> None:
    """Check the MACHINE file: build it without running it, and print what is in it."""
    from vpcore.machine import Machine  # noqa: PLC0415

    with Machine(configs.load(machine, _overrides(machine, settings, flags))) as vm:
        table = rich.table.Table("device", "type", "ports", title=f"{machine}: {vm.config.machine.name}")
        for device in vm.config.devices:
            table.add_row(device.name, device.type, _ranges(vm.bus.ports.owned_by(device.name)))
        rich.console.Console().print(table)


def _ranges(ports: list[int]) -> str:
    """Port numbers as ranges: 60 64 3f8-3ff."""
    runs: list[list[int]] = []
    for port in ports:
        if runs and port == runs[-1][1] + 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return " ".join(f"{first:x}" if first == last else f"{first:x}-{last:x}" for first, last in runs)


@main.command()
@click.argument("name", metavar="[TYPE]", required=False)
def devices(name: str | None) -> None:
    """List the device types, or the keys of one TYPE."""
    known = device_types(make_plugin_manager())
    console = rich.console.Console()
    if name is None:
        table = rich.table.Table("type", "plugin", "what it is")
        for kind, entry in known.items():
            table.add_row(kind, entry.plugin, _summary(entry))
        console.print(table)
        return
    if name not in known:
        raise ConfigError(f"no plugin offers device type {name!r}; there are {', '.join(known)}")
    console.print(_keys(known[name]))


def _summary(entry: Registered) -> str:
    text = entry.type.help or entry.type.config.__doc__ or ""
    return text.strip().split("\n")[0]


def _keys(entry: Registered) -> rich.table.Table:
    table = rich.table.Table("key", "type", "default", "meaning", title=f"{entry.type.name}: {_summary(entry)}")
    hints = configs.type_hints(entry.type.config)
    for field in attrs.fields(entry.type.config):
        if field.name != "name":
            default = "required" if field.default is attrs.NOTHING else _shown(field.default)
            meaning = field.metadata.get("help", "")
            choices = field.metadata.get("choices") or ()
            if choices:
                meaning += f" ({', '.join(map(str, choices))})"
            table.add_row(field.name, configs.type_name(hints[field.name]), default, meaning)
    return table


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:#x}" if isinstance(value, int) and value > 9 else repr(value)  # noqa: PLR2004 - decimal digits


@main.command()
def info() -> None:
    """Show the engines that can run here, the plugins, and the keys of `[machine]`."""
    from vpcore.engine import probe  # noqa: PLC0415

    console = rich.console.Console()
    table = rich.table.Table("engine", "usable", "why not")
    for name, reason in probe().items():
        table.add_row(name, "no" if reason else "yes", reason)
    console.print(table)
    console.print(
        "plugins:", ", ".join(sorted({entry.plugin for entry in device_types(make_plugin_manager()).values()}))
    )
    console.print(
        _keys(
            Registered(types.SimpleNamespace(config=MachineTable, help="the machine as a whole", name="[machine]"), "")
        )
    )  # type: ignore[arg-type]


def _add_image_commands() -> None:
    from vpcore.images.cli import image  # noqa: PLC0415

    main.add_command(image)


_add_image_commands()
