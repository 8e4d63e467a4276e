"""The chipset's device models in C: `ffi` and `lib` of the module that build.py makes of csrc/."""

from __future__ import annotations

from vpcore.native import address, load_module

ffi, lib = load_module("vpcore_plugins.chipset", "_chips", "plugins/chipset/build.py")


def function(name: str) -> int:
    """The address of one of its functions."""
    return address(ffi, ffi.addressof(lib, name))
