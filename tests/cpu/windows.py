"""What tests of memory mode `window` of `bt` share: a machine in it, and loops to run there."""

from box import WP, Box

DATA, LIN = 0x200000, 0x500000
ROUNDS = 1000


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
