"""Serial ports (16550A) and the debug ports that firmware writes to."""

from __future__ import annotations

from typing import Any

import attrs
from vpcore_plugins.serial.debug import BOCHS_PORT, POST_PORT, SEABIOS_PORT, DebugPorts
from vpcore_plugins.serial.uart import Uart

from vpcore.board import Board
from vpcore.device import DeviceType, option
from vpcore.hookspecs import hookimpl

BACKENDS = "none, buffer, stdio, pty, file:PATH, tcp:HOST:PORT, tcp-listen:HOST:PORT, or a host port such as /dev/ttyS0"


@attrs.frozen
class SerialConfig:
    """A serial port with a 16550A UART."""

    name: str
    base: int = option(0x3F8, "first port: 3F8 COM1, 2F8 COM2, 3E8 COM3, 2E8 COM4")
    irq: int = option(4, "interrupt: 4 for COM1 and COM3, 3 for COM2 and COM4")
    backend: str = option("none", BACKENDS)
    line_speed: bool = option(default=False, help="take as long to send as the line would at its baud rate")


@attrs.frozen
class DebugConfig:
    """Character ports 402h and E9h, where SeaBIOS and Bochs-aware systems write, and POST codes at 80h."""

    name: str
    backend: str = option("none", BACKENDS)


def build_serial(config: SerialConfig, board: Board) -> Uart:
    """Wire one UART into *board*."""
    end = board.char(config.backend)
    uart = Uart(irq=board.line(config.irq), clock=board.clock, end=end, line_speed=config.line_speed)
    board.map_ports(config.base, uart)
    return uart


def build_debug(config: DebugConfig, board: Board) -> DebugPorts:
    """Wire the debug ports into *board*."""
    device = DebugPorts(board.char(config.backend))
    for base in (SEABIOS_PORT, BOCHS_PORT):
        board.map_ports(base, device)
    board.map_ports(POST_PORT, device, DebugPorts.post)
    return device


@hookimpl
def vpcore_device_types() -> list[DeviceType[Any]]:
    """UART and debug ports."""
    return [DeviceType("serial", SerialConfig, build_serial), DeviceType("debug", DebugConfig, build_debug)]
