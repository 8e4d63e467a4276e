"""Where the beam is: retrace and blanking as functions of virtual time (IBM VGA, CRT controller registers)."""

from __future__ import annotations

from fractions import Fraction
from typing import Final, NamedTuple

from vpcore_plugins.vga.raster import dots_of
from vpcore_plugins.vga.regs import Crtc, Dispi, Misc, Seq, Status1
from vpcore_plugins.vga.state import VgaState

from vpcore.clock import NS_PER_SECOND

CLOCKS_HZ: Final = (25_175_000, 28_322_000, 25_175_000, 25_175_000)
"""Dot clock by clock select; the two external ones are not fitted."""
H_TOTAL_EXTRA: Final = 5
V_TOTAL_EXTRA: Final = 2
VBE_REFRESH_HZ: Final = 60
BLANK_PART: Final = 20
"""A twentieth of the lines is blank where the registers give no sensible total."""
ACTIVE_PART: Final = Fraction(4, 5)
"""The part of a line that is not blank, where the registers give no sensible total."""
CURSOR_BLINK_FRAMES: Final = 8
TEXT_BLINK_FRAMES: Final = 16


class Timing(NamedTuple):
    """One frame, in ns and lines."""

    line_ns: int
    active_ns: int
    lines: int
    active_lines: int
    retrace: range

    @property
    def frame_ns(self) -> int:
        """Length of a frame."""
        return self.line_ns * self.lines

    def status(self, now: int) -> int:
        """The two bits of input status register 1 at virtual time *now*."""
        line, within = divmod(now % self.frame_ns, self.line_ns)
        if line in self.retrace:
            return Status1.VERTICAL_RETRACE | Status1.BLANKED
        return Status1.BLANKED if line >= self.active_lines or within >= self.active_ns else 0

    def cursor_on(self, now: int) -> bool:
        """The text cursor is in the lit half of its blinking (16 frames)."""
        return not now // self.frame_ns & CURSOR_BLINK_FRAMES

    def text_on(self, now: int) -> bool:
        """Blinking characters are in their lit half (32 frames)."""
        return not now // self.frame_ns & TEXT_BLINK_FRAMES


def timing_of(state: VgaState) -> Timing:
    """The timing that the registers make; always of sensible length."""
    return _vbe(state.dispi[Dispi.YRES]) if state.vbe else _standard(state)


def _vbe(height: int) -> Timing:
    """The Bochs registers know no timing: a usual monitor's."""
    lines = height + height // BLANK_PART + 1
    line_ns = NS_PER_SECOND // (VBE_REFRESH_HZ * lines)
    return Timing(line_ns, int(line_ns * ACTIVE_PART), lines, height, range(height, lines))


def _standard(state: VgaState) -> Timing:
    crtc = state.crtc
    dots = dots_of(state)
    if state.seq[Seq.CLOCKING] & Seq.HALF_DOT_CLOCK:
        dots *= 2
    clock = CLOCKS_HZ[state.misc >> Misc.CLOCK_SHIFT & Misc.CLOCK_MASK]
    active = crtc[Crtc.H_DISPLAY_END] + 1
    total = crtc[Crtc.H_TOTAL] + H_TOTAL_EXTRA
    if total <= active:
        total = int(active / ACTIVE_PART) + 1
    active_lines = state.vertical(Crtc.V_DISPLAY_END, Crtc.OVERFLOW_V_DISPLAY_END) + 1
    lines = state.vertical(Crtc.V_TOTAL, Crtc.OVERFLOW_V_TOTAL) + V_TOTAL_EXTRA
    if lines <= active_lines:
        lines = active_lines + active_lines // BLANK_PART + V_TOTAL_EXTRA
    first = state.vertical(Crtc.V_RETRACE_START, Crtc.OVERFLOW_V_RETRACE_START)
    if not active_lines <= first < lines:
        first = active_lines
    length = (crtc[Crtc.V_RETRACE_END] - first) & Crtc.RETRACE_END_MASK or Crtc.RETRACE_END_MASK + 1
    return Timing(
        total * dots * NS_PER_SECOND // clock,
        active * dots * NS_PER_SECOND // clock,
        lines,
        active_lines,
        range(first, first + length),
    )
