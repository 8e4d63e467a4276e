"""The compiled library: `ffi` and `lib` of the extension module that build.py makes."""

from __future__ import annotations

import importlib
import os
from typing import Any

from vpcore.errors import EngineError

_NAME = "_vp_san" if os.environ.get("VPCORE_SANITIZE") == "1" else "_vp"

try:
    _module = importlib.import_module(f"vpcore.engine.{_NAME}")
except ImportError as error:
    raise EngineError(
        f"the CPU engine is not built ({error}): run `pip install -e .`, or `python vpcore/engine/build.py` in the source tree"
    ) from error

ffi: Any = _module.ffi
lib: Any = _module.lib
