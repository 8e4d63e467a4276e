"""Firmware: SeaBIOS in ROM, the fw_cfg device that it reads, and direct boot of a kernel."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final

import attrs
from vpcore_plugins.firmware import bootrom, smbios
from vpcore_plugins.firmware.boot import BootLoader, read_kernel
from vpcore_plugins.firmware.fw_cfg import FwCfgDevice
from vpcore_plugins.firmware.regs import E820, CmosBoot, Key, Reg, SystemStates

from vpcore.board import Board
from vpcore.device import DeviceType, option
from vpcore.errors import ConfigError
from vpcore.hookspecs import hookimpl
from vpcore.wires import Cmos, FwCfg

PLACES: Final = (
    "/usr/share/seabios/bios-256k.bin",
    "/usr/share/qemu/bios-256k.bin",
    "/usr/share/seabios/bios.bin",
    "/usr/share/seabios-bin/bios-256k.bin",
)
"""Where distributions install SeaBIOS."""
TOP: Final = 1 << 32
LOW_ALIAS: Final = 128 << 10
LOW_END: Final = 1 << 20
ROM_SIZES: Final = (64 << 10, 128 << 10, 256 << 10)
BOOT_ROM: Final = "vpcore-kernel.bin"


@attrs.frozen
class FirmwareConfig:
    """SeaBIOS, the configuration it reads (fw_cfg), and direct boot of a kernel."""

    name: str
    rom: str = option("", "BIOS image of 64, 128 or 256 KB; by default SeaBIOS where distributions install it")
    boot_menu: bool = option(default=False, help="let SeaBIOS offer its boot menu (and wait for it)")
    kernel: str = option("", "boot this Linux bzImage or multiboot kernel instead of a disk")
    initrd: str = option("", "initial RAM disk, or multiboot module, for `kernel`")
    append: str = option("", "command line for `kernel`")


def found() -> str:
    """Which BIOS a machine starts with that names none."""
    place = next((place for place in PLACES if Path(place).is_file()), None)
    return f"SeaBIOS: {place or 'not found: install the package `seabios`'}"


def _find_rom(config: FirmwareConfig, board: Board) -> bytes:
    place, data = board.firmware(config.rom, PLACES, "BIOS")
    if len(data) not in ROM_SIZES:
        raise ConfigError(f"{place}: a BIOS image must be 64, 128 or 256 KB (got {len(data)} bytes)")
    return data


def _map_rom(rom: bytes, board: Board) -> None:
    """ROM at the top of the address space, its last 128 KB again below 1 MB (440FX data sheet 4.1)."""
    high = board.window(len(rom), readonly=True)
    high.data[:] = rom
    high.map(TOP - len(rom))
    alias = min(len(rom), LOW_ALIAS)
    low = board.window_of(high.data[len(rom) - alias :], readonly=True)
    low.map(LOW_END - alias)


def _add_machine(device: FwCfgDevice, config: FirmwareConfig, board: Board) -> None:
    ram = board.memory.size
    device.add_item(Key.NB_CPUS, struct.pack("<H", 1))
    device.add_item(Key.MAX_CPUS, struct.pack("<H", 1))
    device.add_item(Key.BOOT_MENU, struct.pack("<H", config.boot_menu))
    device.add_file("etc/show-boot-menu", struct.pack("<Q", config.boot_menu))
    device.add_file("etc/e820", struct.pack(E820.FORMAT, 0, ram, E820.RAM))
    states = bytes(
        SystemStates.OFFERED | SystemStates.PIIX4[state] if state in SystemStates.PIIX4 else 0
        for state in range(SystemStates.COUNT)
    )
    device.add_file("etc/system-states", states)
    structures = smbios.structures(board.info.name, ram)
    device.add_file("etc/smbios/smbios-tables", b"".join(structures))
    device.add_file("etc/smbios/smbios-anchor", smbios.anchor(structures))


def _set_boot_order(order: str, board: Board) -> None:
    """Leave the order where SeaBIOS looks: three nibbles of CMOS (boot.c of SeaBIOS, boot_init)."""
    unknown = set(order) - set(CmosBoot.CODES)
    if unknown:
        raise ConfigError(f"machine.boot must be made of the letters a, c, d, n (got {order!r})")
    codes = [CmosBoot.CODES[letter] for letter in order[:3]] + [0, 0, 0]
    cmos = board.service(Cmos)  # type: ignore[type-abstract]
    cmos.set_byte(CmosBoot.FLAG2, codes[0] | codes[1] << 4)
    cmos.set_byte(CmosBoot.FLAG1, codes[2] << 4 | CmosBoot.SKIP_FLOPPY_CHECK)


def build(config: FirmwareConfig, board: Board) -> FwCfgDevice:
    """Map the BIOS and wire fw_cfg into *board*."""
    _map_rom(_find_rom(config, board), board)
    loader: BootLoader | None = None
    if config.kernel:
        initrd = board.find(config.initrd) if config.initrd else None
        kernel = read_kernel(board.find(config.kernel), initrd, config.append)
        loader = BootLoader(kernel, board.memory, board.log)
    elif config.initrd or config.append:
        raise ConfigError("initrd and append need a kernel: give --kernel too")

    def ring() -> None:
        if loader is not None:
            loader.load()

    device = FwCfgDevice(memory=board.memory, ring=ring)
    _add_machine(device, config, board)
    if loader is not None:
        device.add_file(f"genroms/{BOOT_ROM}", bootrom.image())
        device.add_file("bootorder", f"/rom@genroms/{BOOT_ROM}\n".encode() + b"\0")
    board.map_ports(Reg.BASE, device)
    board.provide(FwCfg, device)  # type: ignore[type-abstract]
    board.when_built(lambda: _set_boot_order(board.info.boot, board))
    return device


@hookimpl
def vpcore_device_types() -> list[DeviceType[Any]]:
    """The firmware."""
    return [DeviceType("firmware", FirmwareConfig, build, host=found)]
