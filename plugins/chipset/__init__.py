"""The chipset of a PC: interrupt, timer, clock, DMA and keyboard controllers, 440FX host bridge, PIIX south bridge."""

from __future__ import annotations

from typing import Any

from vpcore.device import DeviceType
from vpcore.hookspecs import hookimpl

from . import dma, i440fx, kbc, pic, piix3, piix4pm, pit, port92, rtc


@hookimpl
def vpcore_device_types() -> list[DeviceType[Any]]:
    """Return the devices of the chipset."""
    return [module.TYPE for module in (pic, pit, rtc, dma, kbc, port92, i440fx, piix3, piix4pm)]
