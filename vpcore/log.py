"""Logging: one standard logger a device, and per-device trace switches.

`log.warn_once(offset, ...)` is for what a guest does wrong: one line per device and offset, never a flood.
`log.trace` is off unless the machine's `trace` names the device; test `log.tracing` before building arguments on a
hot path.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable
from typing import Final

TRACE: Final = 5
"""Level below DEBUG: each guest access of a traced device."""

logging.addLevelName(TRACE, "TRACE")


class DeviceLog:
    """The logger of one device: event names are short constants, details are keyword values (ints shown in hex)."""

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger("vpcore").getChild(name)
        self._seen: set[Hashable] = set()
        self.tracing = False

    def set_tracing(self, on: bool) -> None:
        """Turn the trace of this device on or off."""
        self.tracing = on
        self._log.setLevel(TRACE if on else logging.NOTSET)

    def trace(self, event: str, **details: object) -> None:
        """Record a guest access, when this device is traced."""
        if self.tracing:
            self._emit(TRACE, event, details)

    def debug(self, event: str, **details: object) -> None:
        """Record something for developers."""
        self._emit(logging.DEBUG, event, details)

    def info(self, event: str, **details: object) -> None:
        """Record something a user may want to know."""
        self._emit(logging.INFO, event, details)

    def warning(self, event: str, **details: object) -> None:
        """Record something that is probably wrong."""
        self._emit(logging.WARNING, event, details)

    def warn_once(self, key: Hashable, event: str, **details: object) -> None:
        """Warn about a guest's mistake, once for each *key* (usually the offset)."""
        if key not in self._seen and len(self._seen) < _MOST_KEYS:
            self._seen.add(key)
            self._emit(logging.WARNING, event, details)

    def _emit(self, level: int, event: str, details: dict[str, object]) -> None:
        if self._log.isEnabledFor(level):
            self._log.log(level, "%s%s", event, "".join(f" {key}={_show(value)}" for key, value in details.items()))


_MOST_KEYS: Final = 4096


def _show(value: object) -> str:
    return f"{value:#x}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
