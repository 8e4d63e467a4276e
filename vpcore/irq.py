"""Line: an interrupt or signal wire, high while any of its inputs is (wired-OR)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class End(NamedTuple):
    """A C function and its first argument, by address, and what the function calls the wire (docs/native.md)."""

    function: int
    target: int
    which: int = 0


class LineInput:
    """One driver of a line.  Setting the level it already has costs nothing and tells nobody."""

    __slots__ = ("_level", "_line", "_read", "owner")

    def __init__(self, line: Line, owner: str) -> None:
        self._line = line
        self.owner = owner
        self._level = False
        self._read: Callable[[], bool] | None = None

    @property
    def level(self) -> bool:
        """What this input drives."""
        return self._level if self._read is None else self._read()

    def hand_over(self, read: Callable[[], bool]) -> End | None:
        """Let a device model in C drive the line in place of `set`: the far end, where *read* tells the level.

        None, and nothing has changed, where the line has another input or a listener that is not in C.
        """
        line = self._line
        if len(line.inputs) != 1 or len(line.listeners) != 1 or line.end is None:
            return None
        self._read = read
        return line.end

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

    __slots__ = ("end", "high", "inputs", "listeners", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.inputs: list[LineInput] = []
        self.high = 0
        """How many inputs are; theirs to count."""
        self.listeners: list[Callable[[bool], None]] = []
        self.end: End | None = None
        """The last listener's, where that is a device model in C."""

    @property
    def level(self) -> bool:
        """True while any input is high."""
        return any(each.level for each in self.inputs)

    def input(self, owner: str) -> LineInput:
        """Attach one more driver, low at first."""
        new = LineInput(self, owner)
        self.inputs.append(new)
        return new

    def listen(self, callback: Callable[[bool], None], end: End | None = None) -> None:
        """Call *callback(level)* at each change of the wired-OR level, and once now if it is high.

        A listener in C says with *end* how it is told without Python (`LineInput.hand_over`).
        """
        self.listeners.append(callback)
        self.end = end
        if self.level:
            callback(True)
