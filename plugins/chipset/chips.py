"""The chipset's device models in C: `ffi` and `lib` of the module that build.py makes of csrc/."""

from __future__ import annotations

from vpcore.native import load_module

ffi, lib = load_module("vpcore_plugins.chipset", "_chips", "plugins/chipset/build.py")
