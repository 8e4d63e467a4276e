"""Every hook of vpcore.  A plugin is a module (or object) with some of these, named by an entry point of the group
`vpcore.plugins`; hooks run while machines are built, started and stopped, never on a guest's access.
"""

from __future__ import annotations

from typing import Any

import pluggy

from vpcore.device import DeviceType

API_VERSION = 1
"""Raised when a plugin written for an older one may break."""

hookspec = pluggy.HookspecMarker("vpcore")
hookimpl = pluggy.HookimplMarker("vpcore")


@hookspec
def vpcore_device_types() -> list[DeviceType[Any]]:  # type: ignore[empty-body]
    """Return the device types that this plugin offers."""
