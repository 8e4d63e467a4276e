"""Line: an interrupt or signal wire, high while any of its inputs is (wired-OR)."""

from __future__ import annotations

from collections.abc import Callable


class LineInput:
    """One driver of a line.  Setting the level it already has costs nothing and tells nobody."""

    __slots__ = ("_level", "_line", "owner")

    def __init__(self, line: Line, owner: str) -> None:
        self._line = line
        self.owner = owner
        self._level = False

    @property
    def level(self) -> bool:
        """What this input drives."""
        return self._level

    def set(self, level: bool) -> None:
        """Drive the line high or let go of it."""
        if level is not self._level:
            self._level = level
            self._line.changed(level)

    def pulse(self) -> None:
        """Give one edge: high, then low."""
        self.set(True)
        self.set(False)


class Line:
    """A named wire.  Receivers keep their own edge memory; the line knows its level only."""

    __slots__ = ("_high", "_listeners", "inputs", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.inputs: list[LineInput] = []
        self._high = 0
        self._listeners: list[Callable[[bool], None]] = []

    @property
    def level(self) -> bool:
        """True while any input is high."""
        return self._high > 0

    def input(self, owner: str) -> LineInput:
        """Attach one more driver, low at first."""
        new = LineInput(self, owner)
        self.inputs.append(new)
        return new

    def listen(self, callback: Callable[[bool], None]) -> None:
        """Call *callback(level)* at each change of the wired-OR level, and once now if it is high."""
        self._listeners.append(callback)
        if self.level:
            callback(True)

    def changed(self, rising: bool) -> None:
        """Count an input's change; for LineInput only."""
        before = self._high
        self._high += 1 if rising else -1
        if (before == 0) is rising and (before == 0 or self._high == 0):
            for callback in self._listeners:
                callback(rising)
