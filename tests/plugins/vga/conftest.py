"""A VGA on a board without a processor."""

import pytest
from vpcore_plugins.vga import vpcore_device_types

from vpcore.wires import Screen

ROM = b"\x55\xaa\x01" + bytes(509)


@pytest.fixture
def rom(tmp_path):
    """A file that passes for a VGA BIOS."""
    path = tmp_path / "vga.bin"
    path.write_bytes(ROM)
    return path


@pytest.fixture
def vga(board, rom):
    """The adapter, just reset."""
    device = board.build(vpcore_device_types()[0], rom=str(rom))
    board.built()
    return device


@pytest.fixture
def screen(board, vga):
    """What the monitor shows."""
    return board.service(Screen)
