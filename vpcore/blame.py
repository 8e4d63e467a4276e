"""Which device raised: an exception out of a model, told as a user needs it."""

from __future__ import annotations

import traceback
from collections.abc import Mapping as Table
from pathlib import Path
from types import FrameType
from typing import Any

from vpcore.bus import Mapping
from vpcore.device import Device
from vpcore.errors import DeviceError


def fault(error: BaseException) -> str:
    """An exception that nobody expected, with the line that raised it."""
    what = " ".join(f"{type(error).__name__}: {error}".split())
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return what
    return f"{what} (at {Path(frames[-1].filename).name}:{frames[-1].lineno})"


def refusal(error: OSError) -> str:
    """What the host's system refused, without its number."""
    what = error.strerror or str(error)
    return what if error.filename is None else f"{error.filename}: {what}"


def device_error(
    error: Exception, devices: Table[str, Device[Any]], ports: Table[int, Mapping], port: int = -1
) -> DeviceError:
    """Wrap an exception that came out of a running machine.

    *ports* tells who answers which port, *port* is the one that the guest accessed, where that is known.
    """
    names = {id(device): name for name, device in devices.items()}
    name = ports[port].owner if port in ports else None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        name = names.get(id(frame.f_locals.get("self"))) or _port_owner(frame, ports) or name
    whose = "the machine" if name is None else f"device {name!r}"
    return DeviceError(f"{whose} failed: {fault(error)}: this is a mistake in its code; `-vv` shows the calls")


def _port_owner(frame: FrameType, ports: Table[int, Mapping]) -> str | None:
    """The bus's own frames say which port the guest accessed."""
    if frame.f_globals.get("__name__") != "vpcore.bus":
        return None
    mapping = ports.get(frame.f_locals.get("port", -1))
    return None if mapping is None else mapping.owner
