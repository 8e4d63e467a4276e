"""`vpcore image`: guest images and test media."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click
import rich.console
import rich.table

from vpcore.errors import ImageError
from vpcore.images import debian_mini, media
from vpcore.images.steps import Steps

IMAGES: Final = {debian_mini.NAME: debian_mini}
UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_size(text: str) -> int:
    """The bytes that *text*, such as `128M`, means; ImageError if it means none."""
    match = re.fullmatch(r"(\d{1,12})([KMG]?)", text.strip().upper())
    if match is None:
        raise ImageError(f"size must be a number with K, M or G, such as 128M (got {text!r})")
    return int(match[1]) * UNITS[match[2]]


@click.group()
def image() -> None:
    """Make guest images and get test media, from Debian's packages."""


@image.command()
@click.argument("name", type=click.Choice(sorted(IMAGES)))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--size", default="128M", show_default=True, help="size of the disk; the file is sparse")
@click.option("--append", default="", metavar="TEXT", help="more options for the kernel's command line")
def build(name: str, out: Path, size: str, append: str) -> None:
    """Build the disk image NAME as the file OUT."""
    steps = Steps()
    IMAGES[name].build(out, size=parse_size(size), append=append, steps=steps)
    steps.say(f"{out} is ready")


@image.command()
@click.argument("names", metavar="[NAME...]", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="all media that `vpcore image list` shows")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="copy them to this folder")
def fetch(names: tuple[str, ...], everything: bool, to: Path | None) -> None:
    """Get the test media NAME... and print where they are."""
    wanted = tuple(media.MEDIA) if everything else names
    if not wanted:
        raise ImageError("name at least one medium, or --all: `vpcore image list` shows them")
    steps = Steps()
    for name in wanted:
        path = media.path(name, steps=steps)
        click.echo(media.copy(path, to) if to else path)


@image.command("list")
def list_command() -> None:
    """List the images that can be built and the media that can be fetched."""
    table = rich.table.Table("name", "how", "what it is", "here")
    for name, module in IMAGES.items():
        table.add_row(name, "build", module.HELP, "")
    for medium in media.MEDIA.values():
        table.add_row(medium.name, "fetch", medium.help, "yes" if media.cached(medium).exists() else "")
    rich.console.Console().print(table)
