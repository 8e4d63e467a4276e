"""A board with a keyboard and a mouse at a controller that is only its connectors."""

import pytest
from vpcore_plugins.input import vpcore_device_types

from vpcore.testing import FakeBoard, FakeKeyboardController
from vpcore.wires import KeyboardController

TYPES = {kind.name: kind for kind in vpcore_device_types()}


class Pc(FakeBoard):
    """The controller's side of both cables."""

    def __init__(self):
        super().__init__()
        self.controller = FakeKeyboardController()
        self.provide(KeyboardController, self.controller)
        self.keyboard = self.build(TYPES["keyboard"])
        self.mouse = self.build(TYPES["mouse"])
        self.built()

    def codes(self):
        """What the keyboard has to send."""
        return self.controller.keyboard_port.take()

    def tell_keyboard(self, *data):
        """Send bytes to the keyboard one by one; all that comes back."""
        return self._tell(self.keyboard, self.controller.keyboard_port, data)

    def packets(self):
        """What the mouse has to send."""
        return self.controller.mouse_port.take()

    def tell_mouse(self, *data):
        """Send bytes to the mouse one by one; all that comes back."""
        return self._tell(self.mouse, self.controller.mouse_port, data)

    @staticmethod
    def _tell(device, port, data):
        out = b""
        for byte in data:
            device.receive(byte)
            out += port.take()
        return out


@pytest.fixture
def pc():
    """A machine after the keyboard's self test."""
    pc = Pc()
    assert pc.codes() == b"\xaa"
    return pc
