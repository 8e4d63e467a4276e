"""The aperture at A0000-BFFFF onto video memory, and what each way of reaching it costs.

Video memory is one buffer of 32-bit words: word *a* holds byte *a* of planes 0 to 3, lowest first.  Chain-4 and VBE
modes are then plain linear memory, shown to the guest as a RAM window without a call.  Text and CGA modes (odd/even)
touch planes 0 and 1 alternately; they get a 32 KB RAM window of their own, copied to and from the planes when the
route changes.  Everything else passes through `planar`, byte by byte.

Odd/even and chain-4 addresses are packed (plane address = processor address / 2 or / 4) where an IBM VGA leaves gaps;
the display side packs alike, so only a program that changes the chaining under its own data can tell.
"""

from __future__ import annotations

import sys
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from vpcore_plugins.vga import planar
from vpcore_plugins.vga.regs import APERTURE, Dispi, Gfx, Misc, Seq
from vpcore_plugins.vga.state import VgaState

from vpcore.board import Board

VRAM_SIZE: Final = 16 << 20
TEXT_SIZE: Final = 32 << 10
PLANE_MASK: Final = 0xFFFF
TEXT_MAPS: Final = 0b0011
ALL_MAPS: Final = 0b1111
ODD_EVEN_MAPS: Final = 0b0101
"""The planes that an even address writes; an odd one writes the others."""
OPEN_BUS: Final = 0xFF
SLOW_MODE: Final = Gfx.WRITE_MODE_MASK | Gfx.READ_COMPARE

assert sys.byteorder == "little", "plane 0 is the lowest byte of a word"


class Kind:
    """How the processor's bytes reach the planes."""

    HIDDEN: Final = 0
    TEXT: Final = 1
    LINEAR: Final = 2
    PLANAR: Final = 3
    CHAINED: Final = 4
    ODD_EVEN: Final = 5


class Route(NamedTuple):
    """Which addresses the adapter answers, and how; *offset* is in bytes (LINEAR) or words (PLANAR) of memory."""

    kind: int
    base: int = 0
    size: int = 0
    offset: int = 0


NOWHERE: Final = Route(Kind.HIDDEN)


def route_of(state: VgaState) -> Route:
    """The route that the registers make."""
    if state.vbe:
        bank = state.dispi[Dispi.BANK] * Dispi.BANK_SIZE
        kind = Kind.LINEAR if state.dispi[Dispi.BPP] > 4 else Kind.PLANAR  # noqa: PLR2004 - bits per pixel
        return Route(kind, APERTURE, Dispi.BANK_SIZE, bank)
    if not state.misc & Misc.ENABLE_RAM:
        return NOWHERE
    gfx, seq = state.gfx, state.seq
    base, size = Gfx.MAPS[gfx[Gfx.MISC] >> Gfx.MAP_SHIFT & Gfx.MAP_MASK]
    if seq[Seq.MEMORY_MODE] & Seq.CHAIN4:
        fast = seq[Seq.MAP_MASK] == ALL_MAPS and _plain(gfx)
        return Route(Kind.LINEAR if fast else Kind.CHAINED, base, size)
    if seq[Seq.MEMORY_MODE] & Seq.SEQUENTIAL or not gfx[Gfx.MODE] & Gfx.HOST_ODD_EVEN:
        return Route(Kind.PLANAR, base, size)
    fast = seq[Seq.MAP_MASK] == TEXT_MAPS and size == TEXT_SIZE and gfx[Gfx.READ_MAP] <= 1 and _plain(gfx)
    return Route(Kind.TEXT if fast else Kind.ODD_EVEN, base, size)


def _plain(gfx: bytearray) -> bool:
    """The data path changes nothing on its way."""
    return (
        not gfx[Gfx.MODE] & SLOW_MODE
        and not gfx[Gfx.ENABLE_SET_RESET]
        and not gfx[Gfx.ROTATE]
        and gfx[Gfx.BIT_MASK] == OPEN_BUS
    )


class Aperture:
    """Video memory and the windows onto it."""

    def __init__(self, board: Board) -> None:
        self.lfb = board.window(VRAM_SIZE, track=True)
        self._linear = board.window_of(self.lfb.data, track=True)
        self._text = board.window(TEXT_SIZE, track=True)
        self._words = self.lfb.data.cast("I")
        self.bytes: npt.NDArray[np.uint8] = np.frombuffer(self.lfb.data, dtype=np.uint8)
        self.planes = self.bytes.reshape(-1, 4)
        self.touched = False
        """Memory changed other than through a window."""
        self._state = VgaState()
        self._route = NOWHERE
        self._first = self._size = self._bank = self._mask = 0
        self._planar = False
        self._unit: planar.Unit | None = None

    # -- state --

    def load(self, state: VgaState) -> None:
        """Become the memory and route of *state*."""
        self._text.map(None)
        self._linear.map(None)
        self._route = NOWHERE
        self._state = state
        self.bytes[: len(state.vram)] = np.frombuffer(state.vram, dtype=np.uint8)
        self.bytes[len(state.vram) :] = 0
        self.lfb.written()
        self.touched = True
        self.update()

    def contents(self) -> bytes:
        """Video memory without the zeros at its end."""
        self.sync()
        return bytes(self.lfb.data).rstrip(b"\0")

    def clear(self, size: int) -> None:
        """Zero the first *size* bytes."""
        self.bytes[:size] = 0
        self.lfb.written(0, size)
        self.touched = True

    # -- routing --

    def update(self) -> None:
        """Follow the registers; to be called after each change to what `route_of` looks at."""
        self._unit = None
        route = route_of(self._state)
        if route != self._route:
            self._switch(route)

    def changed(self) -> None:
        """A register of the data path alone changed."""
        self._unit = None

    def sync(self) -> None:
        """Bring the planes up to date with what the guest wrote as text."""
        if self._route.kind == Kind.TEXT:
            text = np.frombuffer(self._text.data, dtype=np.uint8).reshape(-1, 2)
            self.planes[: len(text), :2] = text

    def dirty(self) -> bool:
        """Memory changed since the last call."""
        dirty, self.touched = self.touched, False
        for window in (self.lfb, self._linear, self._text):
            dirty |= bool(window.dirty().any())
        return dirty

    def _switch(self, route: Route) -> None:
        old = self._route.kind
        if old == Kind.TEXT != route.kind:
            self.sync()
        elif route.kind == Kind.TEXT != old:
            np.frombuffer(self._text.data, dtype=np.uint8).reshape(-1, 2)[:] = self.planes[: TEXT_SIZE // 2, :2]
        self._route = route
        self._text.map(route.base if route.kind == Kind.TEXT else None)
        if route.kind == Kind.LINEAR:
            self._linear.map(route.base, offset=route.offset, size=route.size)
        else:
            self._linear.map(None)
        self._planar = route.kind == Kind.PLANAR
        self._bank = route.offset if self._planar else 0
        self._first = route.base - APERTURE
        self._size = route.size if route.kind in (Kind.PLANAR, Kind.CHAINED, Kind.ODD_EVEN) else 0
        self.touched = True

    # -- byte by byte --

    def read(self, offset: int) -> int:
        """Read the byte at A0000 + *offset* through the graphics controller, filling the latches."""
        at = offset - self._first
        if not 0 <= at < self._size:
            return OPEN_BUS
        state = self._state
        if self._planar:
            word = at & PLANE_MASK | self._bank
            plane = state.gfx[Gfx.READ_MAP]
        else:
            word, plane = self._split(at)
        latch = state.latch = self._words[word]
        unit = self._unit or self._refresh()
        return planar.compare(unit, latch) if unit.compare else latch >> 8 * plane & 0xFF

    def write(self, offset: int, value: int) -> None:
        """Write the byte at A0000 + *offset*."""
        at = offset - self._first
        if not 0 <= at < self._size:
            return
        unit = self._unit or self._refresh()
        mask = self._mask
        if self._planar:
            word = at & PLANE_MASK | self._bank
        else:
            word, plane = self._split(at)
            mask &= planar.EXPAND[ODD_EVEN_MAPS << plane % 2 if self._route.kind == Kind.ODD_EVEN else 1 << plane]
        words = self._words
        words[word] = words[word] & ~mask | planar.write(unit, self._state.latch, value) & mask
        self.touched = True

    def _split(self, at: int) -> tuple[int, int]:
        """Word and plane to read, where the low address bits choose the plane."""
        if self._route.kind == Kind.CHAINED:
            return at >> 2, at & 3
        return at >> 1, self._state.gfx[Gfx.READ_MAP] & 2 | at & 1

    def _refresh(self) -> planar.Unit:
        self._mask = planar.EXPAND[self._state.seq[Seq.MAP_MASK]]
        self._unit = unit = planar.unit_of(self._state.gfx)
        return unit
