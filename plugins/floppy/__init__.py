"""Floppy: an 82077AA controller with two drives and raw images of every PC size."""

from __future__ import annotations

from typing import Any

import attrs
from vpcore_plugins.floppy.device import FloppyController
from vpcore_plugins.floppy.drive import FloppyDrive
from vpcore_plugins.floppy.regs import CMOS_FLOPPY, DMA_CHANNEL, DRIVES, IRQ, DriveType, Reg

from vpcore.board import Board
from vpcore.device import DeviceType, option
from vpcore.hookspecs import hookimpl
from vpcore.wires import Cmos


@attrs.frozen
class FloppyConfig:
    """An 82077AA floppy controller with two drives, which are of the kind that their disks need (1.44 MB when empty)."""

    name: str
    a: str = option("", "image in drive A, 160 KB to 2.88 MB; empty for none")
    b: str = option("", "image in drive B")
    readonly: bool = option(default=False, help="images are write-protected")


def _set_cmos(drives: list[FloppyDrive], board: Board) -> None:
    """Tell the BIOS the drive types: A in the upper half; without a disk at the start there is no drive B."""
    second = drives[1].format.drive_type if drives[1].disk is not None else DriveType.NONE
    for cmos in board.services(Cmos):  # type: ignore[type-abstract]
        cmos.set_byte(CMOS_FLOPPY, drives[0].format.drive_type << 4 | second)


def build(config: FloppyConfig, board: Board) -> FloppyController:
    """Wire the controller and its drives into *board*."""
    drives = [FloppyDrive() for _ in range(DRIVES)]
    for drive, path in zip(drives, (config.a, config.b), strict=True):
        if path:
            drive.insert(board.disk(path, readonly=config.readonly))
    device = FloppyController(
        drives=drives, irq=board.line(IRQ), dma=lambda: board.dma(DMA_CHANNEL), clock=board.clock, log=board.log
    )
    board.map_ports(Reg.BASE, device)
    board.when_built(lambda: _set_cmos(drives, board))
    return device


@hookimpl
def vpcore_device_types() -> list[DeviceType[Any]]:
    """The controller."""
    return [DeviceType("floppy", FloppyConfig, build)]
