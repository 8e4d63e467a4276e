"""Where windows of `bt` lie: holes in the process's address space, which nothing else may come to be in (csrc/bt/place.c)."""

import ctypes
import gc
import os
import resource
import shutil
import subprocess
import sys

import pytest
from box import PAGE, A, D, P, W
from box import Box as Processor
from windows import BEHIND, DATA, GUARD, LIN, ROUNDS, loop, map_at, spans, window_box

from vpcore.engine import Exit
from vpcore.engine.engine import probe

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])


@pytest.fixture
def box(monkeypatch):
    gc.collect()  # machines that nobody holds any more, and their windows
    return window_box(monkeypatch)


def window_of(page):
    """Base of the window that the guest's page is mapped in, the only one of the process's holes."""
    return max(span.stop for span in spans(" ---p ") if span.stop <= page)


def test_a_window_is_a_hole_between_guards_with_nothing_in_it_but_guest_memory(box):
    before = len(spans(" "))
    box.run(loop(f"inc dword [{DATA}]"), budget=0)

    others = len(spans(" ")) - len(spans("guest-ram"))

    assert len(spans("guest-ram")) > 0
    assert others - before <= 2
    assert {len(span) for span in spans(" ---p ")} == {GUARD, BEHIND}


def test_each_machine_has_holes_of_its_own_and_leaves_nothing_there(monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    gc.collect()
    before = spans(" ")
    boxes = [Processor(engine="bt") for _ in range(3)]
    places = []
    for k, box in enumerate(boxes):
        had = set(spans("guest-ram"))
        box.page_32()
        box.run(loop(f"inc dword [{DATA + 4 * k}]"), budget=0)
        places.append({span.start >> 32 for span in spans("guest-ram") if span not in had})

    assert all(places)
    assert len(set().union(*places)) == sum(map(len, places))
    assert [box.get(DATA + 4 * k) for k, box in enumerate(boxes)] == [ROUNDS] * 3
    del box, boxes
    gc.collect()
    assert spans(" ") == before


def mapped_by_another(at):
    """A page of somebody who asks for this address, with something in it."""
    unmap = map_at(at, PAGE)
    ctypes.memset(at, 0x5A, PAGE)
    return unmap


def test_where_somebody_else_turns_up_in_a_window_all_are_given_up_and_what_is_theirs_stays(box, caplog):
    pages = 16
    for k in range(pages):
        box.map_32(LIN + k * PAGE, DATA + k * PAGE, P | W | A | D)
    box.run(loop(f"inc dword [{DATA}]"), budget=0)
    theirs = window_of(spans("guest-ram")[0].start) + LIN + 5 * PAGE
    unmap = mapped_by_another(theirs)

    end = box.run(loop(f"inc dword [{LIN + 2 * PAGE}]\nadd dword [{LIN + 5 * PAGE}], 2"), budget=0)

    assert end == Exit.HALT
    assert [box.get(DATA + k * PAGE) for k in (0, 2, 5)] == [ROUNDS, ROUNDS, 2 * ROUNDS]
    assert box.engine.stats().window_pages == 0
    assert spans("guest-ram") == []
    assert [record.message for record in caplog.records] == [
        "engine bt: windows are given up, for somebody else in this process has mapped memory there"
    ]
    box.engine.close()
    assert ctypes.string_at(theirs, PAGE) == b"\x5a" * PAGE
    unmap()


LAYOUT = """
import sys
sys.path.insert(0, {tests!r})
from box import Box
box = Box(engine="bt")
box.page_32()
box.run(b"\\xb9\\x40\\x00\\x00\\x00\\xff\\x05\\x00\\x00\\x20\\x00\\x49\\x75\\xf7\\xf4")
print(box.get(0x200000), box.engine.stats().window_fills > 0, box.engine.lacks)
"""


@pytest.mark.parametrize(
    ("way", "lacks"),
    [
        ((), ""),
        (("setarch", "-L"), ""),
        (
            ("prlimit", f"--stack={100 << 40}:unlimited"),
            "windows cost more: the host gives no addresses that it is asked for",
        ),
    ],
    ids=["the usual one", "the older one", "low addresses"],
)
def test_holes_are_where_the_host_gives_no_addresses_of_itself(way, lacks):
    """Linux 6.18 mm/util.c, mmap_base(): what may become stack is left free; in the older layout all goes upwards."""
    if way and not shutil.which(way[0]):
        pytest.skip(f"no {way[0]}")
    if way[:1] == ("prlimit",) and resource.getrlimit(resource.RLIMIT_STACK)[1] != resource.RLIM_INFINITY:
        pytest.skip("the limit of the stack cannot be raised")
    alone = {"OPENBLAS_NUM_THREADS": "1"}  # threads get stacks of the limit's size
    environment = {**os.environ, **alone, "VPCORE_BT_MODE": "window", "VPCORE_BT_WARM": "1"}
    script = LAYOUT.format(tests=os.path.dirname(__file__))

    done = subprocess.run(
        [*way, sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout == f"64 True {lacks}\n", done.stderr
