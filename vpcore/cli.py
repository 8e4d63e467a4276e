"""The command line: `vpcore run`, `profile`, `check`, `devices`, `info`, `new-device`, `image`.

What a command needs beyond options is imported when it runs: the time from `vpcore run` to the guest's first instruction
is mostly imports.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from vpcore import config as configs
from vpcore.errors import ConfigError, VpcoreError

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

FAILED: Final = 1
STANDARD_FDS: Final = (0, 1, 2)

MAIN_EXAMPLES: Final = """\b
Examples:
  vpcore run machines/pc99.toml --cdrom debian.iso                  its screen in this terminal
  vpcore run machines/pc99.toml --hda disk.img --display none       its serial port in this terminal
  vpcore devices serial                                             the keys of a device type
  vpcore info                                                       what can run here
"""
RUN_EXAMPLES: Final = """\b
Examples:
  vpcore run machines/pc99.toml --cdrom debian.iso
  vpcore run machines/pc99.toml --hda disk.img --serial stdio --display none
  vpcore run machines/pc99.toml --kernel vmlinuz --initrd initrd.gz --append console=ttyS0
  vpcore run machines/pc99.toml --fda dos.img --boot a --set machine.memory=16M --set vga.slot=5
  vpcore run machines/pc99.toml --hda disk.img --trace pit --trace com1 2>trace.txt
\b
Exit status: 0 the guest powered off, or you ended the machine; 1 an error, in one line; 2 wrong usage.
"""
PROFILE_EXAMPLES: Final = """\b
Examples:
  vpcore profile machines/pc99.toml --cdrom debian.iso --seconds 20
  vpcore profile machines/pc99.toml --hda disk.img --json profile.json
"""
CHECK_EXAMPLES: Final = """\b
Examples:
  vpcore check machines/pc99.toml
  vpcore check my-machine.toml --hda disk.img --set com1.base=0x3E8
"""
DEVICES_EXAMPLES: Final = """\b
Examples:
  vpcore devices
  vpcore devices serial
  vpcore devices path/to/latch.py:Latch
  vpcore devices --machine my-machine.toml
"""
NEW_DEVICE_EXAMPLES: Final = """\b
Examples:
  vpcore new-device latch          writes latch.py and test_latch.py
  vpcore devices latch.py:Latch
"""


class Group(click.Group):
    """Shows an error as one line and exits with status 1; imports subcommands in *later* (`module:name`) on use."""

    later: Final = {"image": "vpcore.images.cli:image"}

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line."""
        keep_standard_fds()
        os.environ.setdefault(
            "OPENBLAS_NUM_THREADS", "1"
        )  # else numpy starts a thread a core, for algebra we do not do
        try:
            return super().main(*args, **kwargs)
        except Exception as error:
            logging.getLogger("vpcore").debug("the calls that led to the error:", exc_info=error)
            click.echo(f"vpcore: {one_line(error)}", err=True)
            sys.exit(FAILED)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, alphabetically."""
        return sorted([*super().list_commands(ctx), *self.later])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name in self.later:
            module, _, name = self.later[cmd_name].partition(":")
            command: click.Command = getattr(importlib.import_module(module), name)
            return command
        return super().get_command(ctx, cmd_name)


def keep_standard_fds() -> None:
    """Where a standard stream is closed, put /dev/null: else the next file opened, a disk image, would take its place."""
    for fd in STANDARD_FDS:
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def one_line(error: Exception) -> str:
    """What went wrong, for the user."""
    if isinstance(error, VpcoreError):
        return " ".join(str(error).split())
    from vpcore.blame import fault, refusal  # noqa: PLC0415

    if isinstance(error, OSError):
        return refusal(error)
    return f"internal error: {fault(error)}: please report it; `-vv` shows the calls"


@click.group(
    cls=Group, epilog=MAIN_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="vpcore")
def main() -> None:
    """A PC virtual machine made of plugins.

    A machine is a TOML file; `machines/pc99.toml` is a whole PC of 1999.
    """


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
                "--serial",
                metavar="END",
                help="first serial port: stdio, pty, file:F, tcp:H:P, tcp-listen:H:P, none, /dev/ttyS0",
            ),
            click.option(
                "--net",
                type=click.Choice(["none"]),
                help="where the network card leads; there is no card yet, so: none",
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
        overrides[key] = configs.parse_value(value)
    return overrides


@main.command(epilog=RUN_EXAMPLES, short_help="Run a machine file until the guest powers off.")
@click.argument("machine", type=click.Path(path_type=Path))
@_machine_flags
@click.option(
    "--display",
    type=click.Choice(["terminal", "none"]),
    help="where the screen is shown; by default this terminal if it is one, else nowhere: the serial port is on"
    " standard output",
)
@click.option("-v", "--verbose", count=True, help="say more (twice: what the firmware says, too)")
@click.option("--trace", multiple=True, metavar="DEVICE", help="log each guest access of a device")
def run(
    machine: Path, settings: tuple[str, ...], display: str | None, verbose: int, trace: tuple[str, ...], **flags: Any
) -> None:
    """Run the MACHINE file until the guest powers off.

    Ctrl-C, SIGTERM, SIGHUP and Ctrl-] end the machine as its power switch would, after flushing its disks.  The screen
    and a serial port in this terminal give Ctrl-C to the guest: leave with Ctrl-].
    """
    from vpcore import session  # noqa: PLC0415

    session.start_logging(verbose, tracing=bool(trace))
    session.run(machine, _overrides(machine, settings, flags), display, trace)


@main.command(epilog=PROFILE_EXAMPLES, short_help="Run a machine file and tell where its time goes.")
@click.argument("machine", type=click.Path(path_type=Path))
@_machine_flags
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="end the machine after so long")
@click.option("--most", type=click.IntRange(min=1), default=20, show_default=True, help="rows of a table at most")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="write everything to this file, too")
def profile(
    machine: Path, settings: tuple[str, ...], seconds: float | None, most: int, json_file: Path | None, **flags: Any
) -> None:
    """Run the MACHINE file without its screen, and print where the time went when it ends.

    Hot blocks of guest code, instructions that translated code leaves to the interpreter, each device's accesses and timers,
    time halted, and the engine's counters.  It ends as `vpcore run` does (the guest powers off, Ctrl-C), or after --seconds.
    """
    from vpcore import report, session  # noqa: PLC0415

    session.start_logging(0, tracing=False)
    result = session.profile(machine, _overrides(machine, settings, flags), seconds)
    report.profile(result, most)
    if json_file is not None:
        report.profile_json(result, json_file)


@main.command(epilog=CHECK_EXAMPLES, short_help="Build a machine without running it; print its devices.")
@click.argument("machine", type=click.Path(path_type=Path))
@_machine_flags
def check(machine: Path, settings: tuple[str, ...], **flags: Any) -> None:
    """Check the MACHINE file: build it without running it, and print what is in it."""
    from vpcore import report  # noqa: PLC0415

    report.machine(configs.load(machine, _overrides(machine, settings, flags)))


@main.command(epilog=DEVICES_EXAMPLES, short_help="List the device types, or the keys of one.")
@click.argument("name", metavar="[TYPE]", required=False)
@click.option(
    "--machine", type=click.Path(path_type=Path), help="list the types too that this machine file has in files"
)
def devices(name: str | None, machine: Path | None) -> None:
    """List the device types, or the keys of one TYPE (a name, or path/to/file.py:Class)."""
    from vpcore import report  # noqa: PLC0415

    report.devices(name, machine)


@main.command(short_help="Show engines, firmware, plugins and the keys of [machine].")
def info() -> None:
    """Show the engines that can run here, the firmware found, the plugins, and the keys of `[machine]`."""
    from vpcore import report  # noqa: PLC0415

    report.info()


@main.command("new-device", epilog=NEW_DEVICE_EXAMPLES, short_help="Write a device of your own to start from.")
@click.argument("name")
@click.option(
    "--to", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="folder, by default this one"
)
def new_device(name: str, to: Path) -> None:
    """Write a device of your own to start from: NAME.py, and its test."""
    from vpcore import scaffold  # noqa: PLC0415

    for path in scaffold.write(name, to):
        click.echo(path)
