"""The compiled library: `ffi` and `lib` of the extension module that build.py makes."""

from __future__ import annotations

from vpcore.native import load_module

ffi, lib = load_module("vpcore.engine", "_vp", "vpcore/engine/build.py")
