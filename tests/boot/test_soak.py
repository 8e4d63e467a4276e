"""A long run: what the engine keeps is bounded, whatever the guest does.

VPCORE_SOAK_SECONDS is how long the guest works once it has warmed up; a day is 86400.
"""

import os
import re
import shutil
import struct
import time
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

pytestmark = [pytest.mark.boot, pytest.mark.timeout(0)]

SECONDS = float(os.environ.get("VPCORE_SOAK_SECONDS", "20"))
WARM_UP = 25.0
"""Seconds in which caches fill and Python's allocator finds its size, before the first measurement."""
PROMPT = "debian-mini:.*# "
CACHE = 4 << 20
TOLERANCE = 4 << 20
"""Bytes: how full the caches are, and Python's heap."""
MAPPINGS = 60_000
"""Of a process; windows take as many as they need below that (csrc/bt/window.c)."""
MAPPINGS_MORE = 50
"""Without windows: Python's heap."""
SWITCHES = 100
"""Slices between two changes of the engine, on average."""

# mov ecx, 20000; l: inc dword [patched + 1]; patched: mov eax, 0; dec ecx; jnz l; mov eax, 1; xor ebx, ebx; int 80h
AT = 0x08048000
HEADERS = 52 + 32
ENTRY = AT + HEADERS
CODE = (
    b"\xb9\x20\x4e\x00\x00" + b"\xff\x05" + struct.pack("<I", ENTRY + 12) + b"\xb8\x00\x00\x00\x00" + b"\x49\x75\xf2"
    b"\xb8\x01\x00\x00\x00\x31\xdb\xcd\x80"
)  # fmt: skip
RWX = 7
SELF_MODIFYING = (
    b"\x7fELF\x01\x01\x01" + bytes(9)
    + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, ENTRY, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    + struct.pack("<IIIIIIII", 1, 0, AT, AT, HEADERS + len(CODE), HEADERS + len(CODE), RWX, 0x1000)
    + CODE
)  # fmt: skip

WORK = """\
n=0; while :; do n=$((n + 1)); ls /bin | md5sum > /tmp/sum; /tmp/smc || echo BR''OKEN; \
for i in 1 2 3 4 5 6 7 8; do /bin/true; done; modprobe loop; rmmod loop; \
[ $((n % 5)) = 0 ] && echo ROUND $n $(cat /tmp/sum); done
"""


def kilobytes(file, name):
    return int(re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self", file).read_text(), re.MULTILINE)[1])


def resident():
    """Bytes of memory of this process. Guest pages and translated code are mapped in several places and count once (Pss), but pages
    of libraries count in full: by Pss, whoever else uses them comes and goes with 5 MB.
    """
    return (
        sum(kilobytes("smaps_rollup", f"Pss_{kind}") for kind in ("Anon", "Shmem")) + kilobytes("status", "RssFile")
    ) << 10


def mappings():
    return Path("/proc/self/maps").read_text().count("\n")


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def octal(data):
    """For the guest's printf."""
    return "".join(f"\\{byte:03o}" for byte in data)


class Held(NamedTuple):
    """What the process has."""

    resident: int
    mappings: int
    descriptors: int

    @classmethod
    def now(cls):
        return cls(resident(), mappings(), descriptors())


def work(machine, seconds, change):
    """Let the guest go on, with *change* between slices."""
    end = time.monotonic() + seconds

    def over():
        change()
        return time.monotonic() >= end

    machine.run(over)


def soak(machine, seconds, rng):
    """Half the time on engines that change at random, half on one `bt`: what is held by its end, and once `bt` is given up. One is
    6 MB more than the other: only like is compared with like.
    """

    def change():
        if rng.randrange(SWITCHES) == 0:
            machine.engine.select(rng.choice(("interp", "bt", "bt", "bt")))

    work(machine, seconds / 2, change)
    machine.engine.select("bt")
    work(machine, seconds / 2, lambda: None)
    full, stats = Held.now(), machine.engine.stats()
    machine.engine.select("interp")
    return full, Held.now(), stats


@pytest.mark.parametrize("pc", ["bt"], indirect=True)
def test_nothing_grows_while_a_guest_forks_loads_modules_and_changes_its_own_code(pc, debian_image, tmp_path):
    disk = tmp_path / "disk.img"
    shutil.copy(debian_image, disk)
    machine = pc(hda=disk, memory="64M", set={"machine.code_cache": f"{CACHE >> 20}M"})
    for at in range(0, len(machine.engine.ram), 4096):
        machine.engine.ram[at] = machine.engine.ram[at]  # all of it is there from the beginning
    serial = machine.serial[0]
    at = serial.wait_for(PROMPT, timeout=200)
    serial.write(f"printf '{octal(SELF_MODIFYING)}' > /tmp/smc; chmod +x /tmp/smc\n")
    at = serial.wait_for(PROMPT, timeout=30, after=at)
    serial.write(WORK)
    rng = Random(1)

    before = soak(machine, WARM_UP, rng)
    rounds = len(serial.text)
    after = soak(machine, SECONDS, rng)

    full, empty, stats = after
    print(f"\n{before}\n{after}")  # noqa: T201 - for who runs it by hand
    sums = set(re.findall(r"ROUND \d+ ([0-9a-f]{32})", serial.text))
    assert len(serial.text) > rounds, "the guest does not go on"
    assert "BROKEN" not in serial.text
    assert len(sums) == 1
    for was, now in zip(before[:2], after[:2], strict=True):
        assert now.resident <= was.resident + TOLERANCE
        assert now.descriptors <= was.descriptors
    assert full.mappings <= MAPPINGS
    assert empty.mappings <= before[1].mappings + MAPPINGS_MORE
    assert stats.cache_bytes <= CACHE
    assert stats.code_bytes <= stats.code_room <= CACHE
    assert stats.record_bytes <= stats.record_room <= CACHE
    assert machine.engine.stats().window_pages == 0
