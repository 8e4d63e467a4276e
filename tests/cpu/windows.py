"""What tests of memory mode `window` of `bt` share: a machine in it, loops to run there, and where that is in the host."""

import ctypes
import mmap
from functools import partial

from box import WP, Box

DATA, LIN = 0x200000, 0x500000
ROUNDS = 1000
PLACES = range(0x2000_0000_0000, 0x2200_0000_0000)
"""csrc/bt/place.c: Linux gives these addresses to no one who does not ask for them."""
GUARD = 0x40000
FIXED_NOREPLACE = 0x100000
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def window_box(monkeypatch, **config):
    """A machine with 32-bit paging, and CR0.WP, whose code has windows from the beginning."""
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    made = Box(engine="bt", **config)
    made.page_32()
    made.set(cr0=made.cpu.cr0 | WP)
    return made


def loop(body, rounds=ROUNDS):
    """*body*, so many times; ECX counts."""
    return f"mov ecx, {rounds}\nagain:\n{body}\ndec ecx\njnz near again\nhlt"


def mappings():
    with open("/proc/self/maps", encoding="ascii") as lines:
        return len(lines.readlines())


def spans(kind):
    """Addresses of the mappings of this process whose line in maps has these words, in PLACES."""
    with open("/proc/self/maps", encoding="ascii") as lines:
        found = [[int(end, 16) for end in line.split()[0].split("-")] for line in lines if kind in line]
    return [range(*ends) for ends in found if ends[0] in PLACES]


def map_at(at, size):
    """Memory of somebody who asks for this address; a call gives it back."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | FIXED_NOREPLACE
    assert libc.mmap(at, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0) == at
    return partial(libc.munmap, at, size)
