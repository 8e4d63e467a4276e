"""VGA: a PCI display adapter with all standard modes, 16 MB and Bochs VBE high resolutions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import attrs
from vpcore_plugins.vga.aperture import VRAM_SIZE, Aperture
from vpcore_plugins.vga.device import Vga
from vpcore_plugins.vga.regs import APERTURE, Dispi, Mmio, Pci, Port
from vpcore_plugins.vga.screen import VgaScreen

from vpcore.board import Board
from vpcore.device import DeviceType, option
from vpcore.errors import ConfigError
from vpcore.hookspecs import hookimpl
from vpcore.memory import Window
from vpcore.pci import PciId
from vpcore.wires import Screen

PLACES: Final = (
    "/usr/share/seabios/vgabios-stdvga.bin",
    "/usr/share/qemu/vgabios-stdvga.bin",
    "/usr/share/seavgabios/vgabios-stdvga.bin",
    "/usr/share/vgabios/vgabios-stdvga.bin",
)
"""Where distributions install SeaBIOS's VGA BIOS."""
SLOT: Final = 2
ROM_SIZE: Final = 64 << 10
ROM_SIGNATURE: Final = b"\x55\xaa"


@attrs.frozen
class VgaConfig:
    """VGA display adapter on PCI with Bochs VBE modes up to 1600x1200 in 32 bits."""

    name: str
    rom: str = option("", "VGA BIOS image of up to 64 KB; by default SeaBIOS's where distributions install it")
    slot: int = option(SLOT, "PCI device number")


def found() -> str:
    """Which VGA BIOS a machine starts with that names none."""
    place = next((place for place in PLACES if Path(place).is_file()), None)
    return f"VGA BIOS: {place or 'not found: install the package `seabios`'}"


def _read_rom(config: VgaConfig, board: Board) -> bytes:
    place, data = board.firmware(config.rom, PLACES, "VGA BIOS")
    if not data.startswith(ROM_SIGNATURE) or len(data) > ROM_SIZE:
        raise ConfigError(f"{place}: not a VGA BIOS: an option ROM of up to 64 KB begins with 55 AA")
    return data


def _rom_window(data: bytes, board: Board) -> Window:
    window = board.window(ROM_SIZE, readonly=True)
    window.data[: len(data)] = data
    return window


def build(config: VgaConfig, board: Board) -> Vga:
    """Wire the adapter into *board*."""
    rom = _rom_window(_read_rom(config, board), board)
    ident = PciId(Pci.VENDOR, Pci.DEVICE, Pci.CLASS, 0, Pci.SUBSYSTEM_VENDOR, Pci.SUBSYSTEM)
    function = board.pci(config.slot, 0, ident)
    aperture = Aperture(board)
    vga = Vga(aperture=aperture, clock=board.clock, function=function)
    board.map_ports(Port.BASE, vga)
    board.map_ports(Dispi.PORT, vga, vga.dispi_ports)
    board.map_mmio(APERTURE, vga, vga.memory)
    registers = board.map_mmio(None, vga, vga.mmio)
    function.add_bar(Pci.LFB_BAR, VRAM_SIZE, aperture.lfb.map, prefetchable=True)
    function.add_bar(Pci.MMIO_BAR, Mmio.SIZE, registers.move)
    function.add_bar(Pci.ROM_BAR, ROM_SIZE, rom.map)
    vga.reset()
    board.provide(Screen, VgaScreen(vga, board.clock))  # type: ignore[type-abstract]
    return vga


@hookimpl
def vpcore_device_types() -> list[DeviceType[Any]]:
    """The adapter."""
    return [DeviceType("vga", VgaConfig, build, host=found)]
