"""Input: a PS/2 keyboard and a PS/2 mouse for the 8042's two connectors."""

from __future__ import annotations

from typing import Any

import attrs
from vpcore_plugins.input.keyboard import Ps2Keyboard
from vpcore_plugins.input.mouse import Ps2Mouse

from vpcore.board import Board
from vpcore.device import DeviceType
from vpcore.hookspecs import hookimpl
from vpcore.wires import Keyboard, KeyboardController, Pointer


@attrs.frozen
class KeyboardConfig:
    """A PS/2 keyboard with 102 keys."""

    name: str


@attrs.frozen
class MouseConfig:
    """A PS/2 mouse with three buttons and a wheel."""

    name: str


def build_keyboard(_config: KeyboardConfig, board: Board) -> Ps2Keyboard:
    """Plug a keyboard into the controller's first connector."""

    def controller() -> KeyboardController:
        return board.service(KeyboardController)  # type: ignore[type-abstract]

    keyboard = Ps2Keyboard(port=lambda: controller().keyboard_port, clock=board.clock, log=board.log)
    board.provide(Keyboard, keyboard)  # type: ignore[type-abstract]

    def power_on() -> None:
        controller().keyboard_port.attach(keyboard)
        keyboard.reset()

    board.when_built(power_on)
    return keyboard


def build_mouse(_config: MouseConfig, board: Board) -> Ps2Mouse:
    """Plug a mouse into the controller's auxiliary connector."""

    def controller() -> KeyboardController:
        return board.service(KeyboardController)  # type: ignore[type-abstract]

    mouse = Ps2Mouse(port=lambda: controller().mouse_port, log=board.log)
    board.provide(Pointer, mouse)  # type: ignore[type-abstract]
    board.when_built(lambda: controller().mouse_port.attach(mouse))
    return mouse


@hookimpl
def vpcore_device_types() -> list[DeviceType[Any]]:
    """Keyboard and mouse."""
    return [DeviceType("keyboard", KeyboardConfig, build_keyboard), DeviceType("mouse", MouseConfig, build_mouse)]
