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

import pytest

pytestmark = [pytest.mark.boot, pytest.mark.timeout(0)]

SECONDS = float(os.environ.get("VPCORE_SOAK_SECONDS", "20"))
WARM_UP = 25.0
"""Seconds in which caches fill and Python's allocator finds its size."""
PROMPT = "debian-mini:.*# "
CACHE = 4 << 20
TOLERANCE = 8 << 20
MAPPINGS = 60_000
"""Of a process; windows take as many as they need below that (csrc/bt/window.c)."""
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


def resident():
    """Bytes of memory of this process; guest pages that are mapped in several places count once (Pss)."""
    return int(re.search(r"^Pss:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)[1]) << 10


def mappings():
    return Path("/proc/self/maps").read_text().count("\n")


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def octal(data):
    """For the guest's printf."""
    return "".join(f"\\{byte:03o}" for byte in data)


def work(machine, seconds, rng):
    """Let the guest go on, on engines that change at random."""
    end = time.monotonic() + seconds

    def over():
        if rng.randrange(SWITCHES) == 0:
            machine.engine.select(rng.choice(("interp", "bt", "bt", "bt")))
        return time.monotonic() >= end

    machine.run(over)


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

    work(machine, WARM_UP, rng)
    before = resident(), mappings(), descriptors()
    rounds = len(serial.text)
    work(machine, SECONDS, rng)
    after = resident(), mappings(), descriptors()

    machine.engine.select("bt")
    stats = machine.engine.stats()
    print(f"\nresident {before[0] >> 20} to {after[0] >> 20} MB, mappings {before[1]} to {after[1]}, {stats}")  # noqa: T201 - for who runs it by hand
    sums = set(re.findall(r"ROUND \d+ ([0-9a-f]{32})", serial.text))
    assert len(serial.text) > rounds, "the guest does not go on"
    assert "BROKEN" not in serial.text
    assert len(sums) == 1
    assert after[0] <= before[0] + TOLERANCE
    assert after[1] <= MAPPINGS
    assert after[2] <= before[2]
    assert stats.cache_bytes <= CACHE
    assert stats.code_bytes <= stats.code_room <= CACHE
    assert stats.record_bytes <= stats.record_room <= CACHE
    machine.engine.select("interp")
    assert machine.engine.stats().window_pages == 0
