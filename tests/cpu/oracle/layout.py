"""The oracle's records as numpy dtypes, derived from layout.h so that they are written down once."""

from pathlib import Path
from typing import Any

import cffi
import numpy as np

HEADER = Path(__file__).with_name("layout.h")

_ffi = cffi.FFI()
_ffi.cdef(HEADER.read_text())


def _dtype(ctype: Any) -> np.dtype[Any]:
    """The numpy dtype with the members, offsets and size of a C type."""
    if ctype.kind == "struct":
        return np.dtype(
            {
                "names": [name for name, _ in ctype.fields],
                "formats": [_dtype(field.type) for _, field in ctype.fields],
                "offsets": [field.offset for _, field in ctype.fields],
                "itemsize": _ffi.sizeof(ctype),
            }
        )
    if ctype.kind == "array":
        return np.dtype((_dtype(ctype.item), (ctype.length,)))
    sign = "i" if ctype.cname.startswith("int") else "u"
    return np.dtype(f"<{sign}{_ffi.sizeof(ctype)}")


def _enum(name: str) -> dict[str, int]:
    """The constants of an enum, without their ORACLE_ prefix."""
    relements: dict[str, int] = _ffi.typeof(f"enum {name}").relements
    return {constant.removeprefix("ORACLE_"): value for constant, value in relements.items()}


def _struct(name: str) -> np.dtype[Any]:
    return _dtype(_ffi.typeof(f"struct {name}"))


CASE = _struct("oracle_case")
RESULT = _struct("oracle_result")
PATCH = _struct("oracle_patch")
CHANGE = _struct("oracle_change")
SEGMENT = _struct("oracle_segment")
SHARED = _struct("oracle_shared")

_SIZE = _enum("oracle_size")
CODE_BASE = _SIZE["CODE_BASE"]
CODE_ENTRY = _SIZE["CODE_ENTRY"]
CODE_MAX = _SIZE["CODE_MAX"]
WINDOW_BASE = _SIZE["WINDOW_BASE"]
WINDOW_SIZE = _SIZE["WINDOW_SIZE"]
FX_SIZE = _SIZE["FX_SIZE"]
PATCH_MAX = _SIZE["PATCH_MAX"]

_STATUS = _enum("oracle_status")
DONE = _STATUS["DONE"]
TRAP = _STATUS["TRAP"]
TIMEOUT = _STATUS["TIMEOUT"]
REFUSED = _STATUS["REFUSED"]
CRASHED = _STATUS["CRASHED"]

_OPTION = _enum("oracle_option")
FX_IN = _OPTION["FX_IN"]
FX_OUT = _OPTION["FX_OUT"]

NO_VECTOR = _enum("oracle_trapno")["NO_VECTOR"]

for _member, _record, _capacity in (
    ("cases", CASE, "CASES"),
    ("results", RESULT, "CASES"),
    ("patches", PATCH, "PATCHES"),
    ("changes", CHANGE, "CHANGES"),
    ("segments", SEGMENT, "SEGMENTS"),
):
    assert SHARED[_member] == np.dtype((_record, (_SIZE[_capacity],))), f"layout.h: {_member}"
