"""Debug ports: character ports 402h (SeaBIOS) and E9h (Bochs), and the POST code at 80h."""

from __future__ import annotations

import logging
from typing import Final

import attrs

from vpcore.device import Device
from vpcore.host.ends import CharDevice
from vpcore.ports import PortMap

firmware_log = logging.getLogger("vpcore.firmware")

BOCHS_PORT: Final = 0xE9
SEABIOS_PORT: Final = 0x402
POST_PORT: Final = 0x80
PRESENT: Final = 0xE9
"""What both character ports read as where somebody listens."""
LINE_LIMIT: Final = 1024
NEWLINE: Final = 0x0A


@attrs.define
class DebugState:
    """The unfinished line and the last POST code."""

    line: bytearray = attrs.field(factory=bytearray)
    post: int = 0


class DebugPorts(Device[DebugState]):
    """Text goes to *end* byte by byte, and line by line to the log `vpcore.firmware` at level debug."""

    ports = PortMap(size=1)
    post = PortMap(size=1)
    post.storage(0, "post")

    def __init__(self, end: CharDevice) -> None:
        self._end = end
        self.load(DebugState())

    @ports.read(0)
    def _read(self) -> int:
        return PRESENT

    @ports.write(0)
    def _write(self, value: int) -> None:
        self._end.write(bytes((value,)))
        line = self.state.line
        if value != NEWLINE:
            line.append(value)
        if value == NEWLINE or len(line) >= LINE_LIMIT:
            firmware_log.debug("%s", line.decode("latin-1"))
            line.clear()

    @ports.write_block(0)
    def _write_block(self, buffer: memoryview) -> int:
        for value in buffer:
            self._write(value)
        return len(buffer)
