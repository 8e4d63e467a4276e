"""Debug ports: SeaBIOS's 402h (src/output.c), Bochs's E9h, POST codes at 80h (IBM AT BIOS)."""

import logging

import pytest
from vpcore_plugins.serial import vpcore_device_types

from vpcore.testing import FakeBoard

TYPES = {kind.name: kind for kind in vpcore_device_types()}


@pytest.fixture
def debug():
    """A board with the debug ports."""
    board = FakeBoard()
    board.device = board.build(TYPES["debug"])
    return board


@pytest.mark.parametrize("port", [0x402, 0xE9])
def test_a_present_port_reads_e9(debug, port):
    """SeaBIOS writes to 402h only where it reads E9h."""
    assert debug.inp(port) == 0xE9


@pytest.mark.parametrize("port", [0x402, 0xE9])
def test_characters_reach_the_host(debug, port):
    """Byte by byte and in blocks."""
    debug.out(port, ord("a"))
    debug.bus.port_out_block(port, 1, memoryview(b"bc\n"))

    assert debug.backends.chars["debug"].sent == b"abc\n"


def test_lines_are_logged(debug, caplog):
    """At level debug, under `vpcore.firmware`."""
    with caplog.at_level(logging.DEBUG, "vpcore.firmware"):
        for byte in b"SeaBIOS (version 1.16)\nrest":
            debug.out(0x402, byte)

    assert ["SeaBIOS (version 1.16)"] == [record.message for record in caplog.records]


def test_endless_lines_are_cut_and_lose_nothing(debug, caplog):
    """A guest that never ends its line cannot fill the memory."""
    with caplog.at_level(logging.DEBUG, "vpcore.firmware"):
        debug.bus.port_out_block(0x402, 1, memoryview(b"x" * 5000))

    assert ["x" * 1024] * 4 == [record.message for record in caplog.records]
    assert bytes(debug.device.save().line) == b"x" * (5000 - 4096)


def test_the_post_code_is_kept(debug):
    """Port 80h reads back; delay loops write it."""
    debug.out(0x80, 0x5A)

    assert debug.inp(0x80) == 0x5A
    assert debug.device.save().post == 0x5A
