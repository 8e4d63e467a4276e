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
        if level is self._level:
            return
        self._level = level
        line = self._line
        if level:
            line.high += 1
            if line.high > 1:
                return
        else:
            line.high -= 1
            if line.high:
                return
        for callback in line.listeners:
            callback(level)

    def pulse(self) -> None:
        """Give one edge: high, then low."""
        self.set(True)
        self.set(False)


class Line:
    """A named wire.  Receivers keep their own edge memory; the line knows its level only."""

    __slots__ = ("high", "inputs", "listeners", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.inputs: list[LineInput] = []
        self.high = 0
        """How many inputs are; theirs to count."""
        self.listeners: list[Callable[[bool], None]] = []

    @property
    def level(self) -> bool:
        """True while any input is high."""
        return self.high > 0

    def input(self, owner: str) -> LineInput:
        """Attach one more driver, low at first."""
        new = LineInput(self, owner)
        self.inputs.append(new)
        return new

    def listen(self, callback: Callable[[bool], None]) -> None:
        """Call *callback(level)* at each change of the wired-OR level, and once now if it is high."""
        self.listeners.append(callback)
        if self.level:
            callback(True)
