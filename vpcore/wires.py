"""The protocols by which devices of different plugins meet: who offers what to whom.

A device offers one with `board.provide(Protocol, object)` and finds one with `board.service(Protocol)`; neither knows
the other's class.  Order in the machine file does not matter: `service` is resolved when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt


class InterruptController(Protocol):
    """The 8259A pair as the processor sees it."""

    def acknowledge(self) -> int:
        """Run the interrupt acknowledge cycle; return the vector."""


class Processor(Protocol):
    """The processor's pins and the reset logic, offered by the machine."""

    def set_intr(self, level: bool) -> None:
        """Drive INTR."""

    def nmi(self) -> None:
        """Give an edge on NMI."""

    def set_ignne(self, level: bool) -> None:
        """Drive IGNNE#: the guest acknowledged an x87 error by port F0h (SDM 1, D.2)."""

    def set_a20(self, open_: bool) -> None:
        """Open or close the A20 gate."""

    def reset_cpu(self) -> None:
        """Pulse INIT: the processor alone starts over (keyboard controller, port 92h)."""


class Power(Protocol):
    """Power button and supply, offered by the machine."""

    def off(self) -> None:
        """Turn the machine off: `run` ends with status 0."""

    def reset(self) -> None:
        """Reset every device and the processor (CF9, triple fault)."""


class PowerButton(Protocol):
    """The button that asks the guest to shut down (ACPI)."""

    def press(self) -> None:
        """Press and release it."""


class DmaChannel(Protocol):
    """One channel of the 8237A pair, as a device sees it.  Counts are bytes."""

    @property
    def ready(self) -> bool:
        """True when the channel is unmasked and its controller enabled."""

    def request(self, level: bool) -> None:
        """Drive DREQ (shows in the status register)."""

    def to_device(self, count: int) -> tuple[bytes, bool]:
        """Move up to *count* bytes from memory; the bytes, and whether terminal count was reached."""

    def from_device(self, data: bytes | memoryview) -> tuple[int, bool]:
        """Move bytes to memory; how many went, and whether terminal count was reached."""

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Call back when the guest unmasks or programs the channel."""


class DmaController(Protocol):
    """The 8237A pair."""

    def channel(self, number: int) -> DmaChannel:
        """Channel 0-3 (8 bit) or 5-7 (16 bit)."""


class Ps2Device(Protocol):
    """A keyboard or mouse at the end of a PS/2 cable."""

    def receive(self, byte: int) -> None:
        """Take a command or data byte from the controller."""

    def next_byte(self) -> int | None:
        """Give the next byte waiting for the controller, or None."""


class Ps2Port(Protocol):
    """A PS/2 connector of the 8042."""

    def attach(self, device: Ps2Device) -> None:
        """Plug the device in."""

    def notify(self) -> None:
        """The device has a byte to give; the controller fetches it with `next_byte` when it can."""


class KeyboardController(Protocol):
    """The 8042, offered for keyboard and mouse."""

    @property
    def keyboard_port(self) -> Ps2Port:
        """The first connector."""

    @property
    def mouse_port(self) -> Ps2Port:
        """The auxiliary connector."""


class FwCfg(Protocol):
    """The firmware configuration device: named files that SeaBIOS reads."""

    def add_file(self, name: str, data: bytes | Callable[[], bytes]) -> None:
        """Offer a file such as `etc/boot-fail-wait` or `vgaroms/x.bin`; at most 55 characters of name."""


class Cmos(Protocol):
    """The battery-backed RAM of the RTC, for those who must leave notes in it (memory size, drive types)."""

    def set_byte(self, index: int, value: int) -> None:
        """Set what CMOS holds at power-on."""


class Speaker(Protocol):
    """What the 8254 and port 61h tell a sound device."""

    def tone(self, frequency: float) -> None:
        """Sound a square wave of that many Hz; 0 is silence."""


class Screen(Protocol):
    """What a display adapter shows, for displays, screenshots and tests."""

    @property
    def generation(self) -> int:
        """A number that changes when the picture may have changed."""

    def text(self) -> list[str]:
        """The lines of the text screen; empty in graphics modes."""

    def cells(self) -> tuple[npt.NDArray[np.uint8], tuple[int, int] | None]:
        """Text screen as (rows, columns, 2) of code page 437 character and attribute, and the cursor (row, column)."""

    def frame(self) -> npt.NDArray[np.uint8]:
        """The picture as (height, width, 3) RGB."""


class Keyboard(Protocol):
    """A keyboard that tests and displays press keys on."""

    def press(self, key: str) -> None:
        """Press a key by name: `a`, `enter`, `left ctrl`, `f1`, ..."""

    def release(self, key: str) -> None:
        """Release it."""

    def type(self, text: str) -> None:
        """Press and release the keys that write *text* on a US keyboard, as fast as the guest takes them."""

    def chord(self, *keys: str) -> None:
        """Press keys together and release them, after what is still being typed.

        Each is the name of a key or a character, which stands for all keys that type it: `chord("left alt", "X")`.
        KeyError where there is no such key.
        """


class Pointer(Protocol):
    """A mouse that tests and displays move."""

    def move(self, dx: int, dy: int, wheel: int = 0) -> None:
        """Move by that many counts, y downwards."""

    def button(self, number: int, down: bool) -> None:
        """Press or release button 0 (left), 1 (right), 2 (middle)."""
