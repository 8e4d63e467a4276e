"""VgaScreen: the adapter as a monitor sees it (`vpcore.wires.Screen`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from vpcore_plugins.vga import graphics, text
from vpcore_plugins.vga.device import Vga
from vpcore_plugins.vga.regs import Attr, Seq

from vpcore.clock import Clock


class VgaScreen:
    """What the monitor shows.  Nothing here changes what the guest sees."""

    def __init__(self, vga: Vga, clock: Clock) -> None:
        self._vga = vga
        self._clock = clock
        self._generation = 0
        self._seen: tuple[object, ...] = ()

    @property
    def is_text(self) -> bool:
        """A text mode is on."""
        return not (self._vga.state.vbe or self._vga.state.graphics)

    @property
    def generation(self) -> int:
        """Changes when registers, memory or the phase of blinking have changed since it was last read."""
        seen = (self._vga.changes, *(self._blink() if self.is_text else ()))
        if self._vga.aperture.dirty() or seen != self._seen:
            self._seen = seen
            self._generation += 1
        return self._generation

    def text(self) -> list[str]:
        """The lines of the text screen; empty in graphics modes."""
        return text.lines(self._vga.state, self._planes()) if self.is_text else []

    def cells(self) -> tuple[npt.NDArray[np.uint8], tuple[int, int] | None]:
        """Characters and attributes, and the cursor; no cells in graphics modes."""
        if not self.is_text:
            return np.zeros((0, 0, 2), dtype=np.uint8), None
        return text.cells(self._vga.state, self._planes()), text.cursor(self._vga.state)

    def frame(self) -> npt.NDArray[np.uint8]:
        """The picture as (height, width, 3) RGB; black while the guest has the screen off."""
        picture = self._picture()
        return picture if self._on() else np.zeros_like(picture)

    def _picture(self) -> npt.NDArray[np.uint8]:
        state = self._vga.state
        if state.vbe:
            return graphics.vbe_frame(state, self._vga.aperture.bytes)
        if state.graphics:
            return graphics.frame(state, self._planes())
        cursor_on, text_on = self._blink()
        return text.frame(state, self._planes(), cursor_on=cursor_on, text_on=text_on)

    def _on(self) -> bool:
        state = self._vga.state
        return bool(state.attr_index & Attr.VIDEO_ON) and not state.seq[Seq.CLOCKING] & Seq.SCREEN_OFF

    def _planes(self) -> npt.NDArray[np.uint8]:
        self._vga.aperture.sync()
        return self._vga.aperture.planes

    def _blink(self) -> tuple[bool, bool]:
        now, timing = self._clock.now, self._vga.timing
        return timing.cursor_on(now), timing.text_on(now)
