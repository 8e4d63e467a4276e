"""The local descriptor table that cases run with: one definition for the oracle and for whoever imitates it."""

from typing import Any, Final

import numpy as np

from .layout import CODE_BASE, SEGMENT, SHARED, WINDOW_BASE

ES, CS, SS, DS, FS, GS = range(6)
"""Indices in the `seg` member of a record (Intel's numbering of segment registers)."""

_TI_LDT: Final = 1 << 2  # selector: table indicator (SDM 3A, 3.4.2)
_RPL3: Final = 3


class Contents:
    """`contents` of a segment: the kernel's name for bits 10 and 11 of the descriptor (SDM 3A, 3.4.5.1)."""

    DATA: Final = 0
    EXPAND_DOWN: Final = 1
    CODE: Final = 2
    CONFORMING: Final = 3


class Sel:
    """Selectors of the LDT (entry, table indicator 1, RPL 3)."""

    CODE32: Final = 0 << 3 | _TI_LDT | _RPL3  # flat
    DATA32: Final = 1 << 3 | _TI_LDT | _RPL3  # flat
    CODE16: Final = 2 << 3 | _TI_LDT | _RPL3  # the code area, 64 KB
    DATA16: Final = 3 << 3 | _TI_LDT | _RPL3  # the window, 64 KB, 16-bit stack
    SMALL: Final = 4 << 3 | _TI_LDT | _RPL3  # the first 4 KB of the window
    DOWN16: Final = 5 << 3 | _TI_LDT | _RPL3  # expand-down: the window from offset 1000h to FFFFh
    READ_ONLY: Final = 6 << 3 | _TI_LDT | _RPL3  # the window, not writable
    ABSENT: Final = 7 << 3 | _TI_LDT | _RPL3  # the window, not present
    EXEC_ONLY16: Final = 8 << 3 | _TI_LDT | _RPL3  # CODE16, not readable
    STACK32: Final = 9 << 3 | _TI_LDT | _RPL3  # the window, 64 KB, 32-bit stack


_PAGE_LIMIT_4G: Final = 0xFFFFF
_BYTE_LIMIT_64K: Final = 0xFFFF
_BYTE_LIMIT_4K: Final = 0xFFF

_WINDOW: Final = {"base": WINDOW_BASE, "limit": _BYTE_LIMIT_64K}
_CODE: Final = {"base": CODE_BASE, "limit": _BYTE_LIMIT_64K, "contents": Contents.CODE}
_FLAT: Final = {"limit": _PAGE_LIMIT_4G, "limit_in_pages": 1, "is_32bit": 1}

_ENTRIES: Final[dict[int, dict[str, int]]] = {
    Sel.CODE32: _FLAT | {"contents": Contents.CODE},
    Sel.DATA32: _FLAT,
    Sel.CODE16: _CODE,
    Sel.DATA16: _WINDOW,
    Sel.SMALL: _WINDOW | {"limit": _BYTE_LIMIT_4K},
    Sel.DOWN16: _WINDOW | {"limit": _BYTE_LIMIT_4K, "contents": Contents.EXPAND_DOWN},
    Sel.READ_ONLY: _WINDOW | {"read_only": 1},
    Sel.ABSENT: _WINDOW | {"not_present": 1},
    Sel.EXEC_ONLY16: _CODE | {"read_only": 1},
    Sel.STACK32: _WINDOW | {"is_32bit": 1},
}


class Descriptor:
    """Bits of a segment descriptor (SDM 3A, figure 3-8) beside base and limit."""

    ACCESSED: Final = 1 << 40
    WRITABLE: Final = 1 << 41  # of code: readable
    CONTENTS_SHIFT: Final = 42
    S: Final = 1 << 44
    DPL3: Final = 3 << 45
    P: Final = 1 << 47
    AVL: Final = 1 << 52  # modify_ldt's `useable`
    D: Final = 1 << 54
    G: Final = 1 << 55


def _table() -> np.ndarray[Any, Any]:
    table = np.zeros(SHARED["segments"].shape, SEGMENT)
    for selector, members in _ENTRIES.items():
        entry = table[selector >> 3]
        entry["in_use"] = 1
        for name, value in members.items():
            entry[name] = value
    return table


SEGMENTS: Final = _table()
"""The table, of dtype `SEGMENT`, indexed by selector >> 3."""


def descriptor(selector: int) -> int:
    """The 8-byte descriptor that the kernel makes of an entry of `SEGMENTS`; 0 if the entry is unused."""
    entry = SEGMENTS[selector >> 3]
    if not entry["in_use"]:
        return 0
    base, limit = int(entry["base"]), int(entry["limit"])
    value = limit & 0xFFFF | (base & 0xFFFFFF) << 16 | (limit >> 16) << 48 | (base >> 24) << 56
    value |= Descriptor.ACCESSED | Descriptor.S | Descriptor.DPL3 | Descriptor.AVL
    value |= int(entry["contents"]) << Descriptor.CONTENTS_SHIFT
    value |= 0 if entry["read_only"] else Descriptor.WRITABLE
    value |= 0 if entry["not_present"] else Descriptor.P
    value |= Descriptor.D if entry["is_32bit"] else 0
    return value | (Descriptor.G if entry["limit_in_pages"] else 0)
