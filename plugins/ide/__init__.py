"""IDE: the PIIX3's two channels with ATA disks and ATAPI CD-ROM drives."""

from __future__ import annotations

from typing import Any, Final

import attrs
from vpcore_plugins.ide.ata import AtaDisk
from vpcore_plugins.ide.atapi import CdRom
from vpcore_plugins.ide.busmaster import IdeController
from vpcore_plugins.ide.channel import Channel
from vpcore_plugins.ide.disc import check_disc
from vpcore_plugins.ide.drive import Drive
from vpcore_plugins.ide.regs import BusMaster, Channels, Pci

from vpcore.board import Board
from vpcore.device import DeviceType, option
from vpcore.errors import ConfigError
from vpcore.hookspecs import hookimpl
from vpcore.pci import PciId

POSITIONS: Final = ("hda", "hdb", "hdc", "hdd")
CDROM: Final = "cdrom"
HELP: Final = "disk image or host block device; `cdrom` for a CD-ROM drive, empty for none"


@attrs.frozen
class IdeConfig:
    """The PIIX3 IDE controller: two channels with up to two drives each."""

    name: str
    hda: str = option("", f"first channel, master: {HELP}")
    hdb: str = option("", f"first channel, slave: {HELP}")
    hdc: str = option("cdrom", f"second channel, master: {HELP}")
    hdd: str = option("", f"second channel, slave: {HELP}")
    cdrom: str = option("", "ISO image in the first CD-ROM drive")
    readonly: bool = option(default=False, help="open disk images read-only: guests then cannot write")


def _drive(config: IdeConfig, position: str, board: Board) -> Drive | None:
    what = getattr(config, position)
    number = POSITIONS.index(position)
    if not what:
        return None
    if what == CDROM:
        return CdRom(model="VPCORE CD-ROM", serial=f"VPCD{number:04}", log=board.log)
    disk = board.disk(what, readonly=config.readonly)
    return AtaDisk(disk, model="VPCORE HARDDISK", serial=f"VPHD{number:04}", log=board.log)


def build(config: IdeConfig, board: Board) -> IdeController:
    """Wire the controller and its drives into *board*."""
    drives = [_drive(config, position, board) for position in POSITIONS]
    if config.cdrom:
        reader = next((drive for drive in drives if isinstance(drive, CdRom)), None)
        if reader is None:
            raise ConfigError("cdrom needs a CD-ROM drive: set one of hda, hdb, hdc, hdd to `cdrom`")
        disc = board.disk(config.cdrom, readonly=True)
        check_disc(disc)
        reader.insert(disc)
    channels = []
    for index, pair in enumerate((drives[:2], drives[2:])):
        channel = Channel(pair, board.line(Channels.IRQ[index]))
        board.map_ports(Channels.COMMAND[index], channel, Channel.command)
        board.map_ports(Channels.CONTROL[index], channel, Channel.control)
        channels.append(channel)
    function = board.pci(Pci.SLOT, Pci.FUNCTION, PciId(Pci.VENDOR, Pci.DEVICE, Pci.CLASS))
    controller = IdeController(function=function, memory=board.memory, channels=channels)
    mapping = board.map_ports(None, controller)
    function.add_bar(Pci.BAR, BusMaster.SIZE, mapping.move, io=True)
    return controller


@hookimpl
def vpcore_device_types() -> list[DeviceType[Any]]:
    """The controller."""
    return [DeviceType("ide", IdeConfig, build)]
