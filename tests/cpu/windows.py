"""What tests of memory mode `window` of `bt` share: a machine in it, loops to run there, and where that is in the host."""

import ctypes
import mmap
from functools import partial
from itertools import pairwise

from box import PAGE, STACK0, WP, Box

from vpcore.engine import Exit

DATA, LIN = 0x200000, 0x500000
ROUNDS = 1000
STACK, OTHER = 0x240800, 0x241800
TOP, TOP_PAGES = 0x300000, 160
"""What is mapped below 4 GB, 64 pages again and again: more than the guard before a window is wide."""
LEFT, COUNTER = 0x5000, 0x6000
"""What a program leaves, and its counter."""
GB, MB = 1 << 30, 1 << 20
PLACES = range(0x1200_0000_0000, 0x2200_0000_0000)
"""csrc/bt/place.c: Linux gives these addresses to no one who does not ask for them."""
GUARD, BEHIND = 0x40000, 9 << 32
"""What is reserved before a window and behind it."""
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


class Surroundings:
    """Memory around windows, where addresses would lie that have left one: behind the guards, and 4 GB away."""

    def __init__(self):
        guards = spans(" ---p ")
        bases = [below.stop for below, above in pairwise(guards) if above.start - below.stop == 4 * GB]
        near = ((GUARD - 4 * GB, 8 * MB), (-2 * MB, 2 * MB - GUARD), (4 * GB + BEHIND, GUARD))
        self.places = sorted({(base + at, size) for base in bases for at, size in near})
        self.give_back = [map_at(*place) for place in self.places]
        assert self.places != []

    def untouched(self):
        """Nothing has been written there; they are given back."""
        clean = all(ctypes.string_at(at, size).count(0) == size for at, size in self.places)
        for give_back in self.give_back:
            give_back()
        return clean


def end(engine, code, monkeypatch, rounds=6):
    """All that the code leaves, executed again and again in a window, by code that relies on kicks."""
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_BT_LOOKS", "none")
    box = Box(engine=engine, clock="realtime")
    box.page_32()
    for page in range(TOP_PAGES):
        box.map_32((1 << 32) - (page + 1) * PAGE, TOP + (page & 63) * PAGE)
    box.set(cr4=0x200)
    box.ram[0x230000:0x260000] = bytes(k * 7 & 255 for k in range(0x30000))
    start = f"mov esp, {STACK}\nmov ebx, {OTHER}\nmov edx, 16\nmov eax, 0x1234\nmov edi, 0x9abcdef0"
    use = "push edi\nmov eax, [esp+4]\nmov [esp-8], eax\nadd [esp+12], edx\npop edi\npushfd"
    program = f"mov dword [{COUNTER}], {rounds}\nagain: {start}\n{code}\n{use}\nmov esp, {STACK0}\ndec dword [{COUNTER}]\njnz again\nhlt"
    assert box.run("push eax\nhlt", budget=0) == Exit.HALT
    around = Surroundings() if engine == "bt" else None
    assert box.run(program, budget=0) == Exit.HALT
    assert not around or around.untouched()
    memory = [bytes(box.ram[at : at + size]) for at, size in ((0, 0x8000), (0x230000, 0x30000), (TOP, 256 * PAGE))]
    left = list(box.cpu.gpr), box.cpu.eflags, box.fault, memory
    box.engine.close()
    return left
