"""RAM that is made present ahead of a guest's first touches (ahead.h): which pages, how many, and that nothing is written there.

mincore(2) tells what is present.
"""

import ctypes
import os
import platform
import time

import pytest
from box import PAGE, RAM, Box

REACH, UNUSED, UNUSED_PART = 64, 1024, 8  # ahead.c
WINDOW_RUN = 16  # pages that bt/window.c maps at once
FIRST = 0x100000
PATIENCE_S = 20
"""Until something that happens beside the guest must have happened."""


def has_populate():
    """MADV_POPULATE_WRITE is Linux's from 5.14 on."""
    return tuple(int(part) for part in platform.release().split(".")[:2]) >= (5, 14)


pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2 or not has_populate(), reason="needs a second processor and Linux 5.14"
)


def touches(first, step, times, after=""):
    """A guest's writes, *step* bytes apart."""
    return f"""
        mov edi, {first}
        mov ecx, {times}
    again: mov byte [edi], 1
        add edi, {step}
        dec ecx
        jnz again
        {after}"""


def present(box):
    """Addresses of the pages of RAM that the host has."""
    start = ctypes.addressof(ctypes.c_char.from_buffer(box.engine.ram))
    pages = (ctypes.c_ubyte * (RAM // PAGE))()
    assert ctypes.CDLL(None, use_errno=True).mincore(ctypes.c_void_p(start), ctypes.c_size_t(RAM), pages) == 0
    return {page * PAGE for page, there in enumerate(pages) if there & 1}


def wait_until_present(box, wanted):
    end = time.monotonic() + PATIENCE_S
    while not wanted <= (now := present(box)) and time.monotonic() < end:
        time.sleep(0.01)
    return now


def pages(first, count):
    return {first + k * PAGE for k in range(count)}


def test_where_fresh_pages_come_into_use_one_behind_the_other_the_next_ones_become_present():
    box = Box()
    ahead = pages(FIRST + 48 * PAGE, 24)

    box.run(touches(FIRST, PAGE, 40) + "\nhlt")

    assert ahead <= wait_until_present(box, ahead)
    assert bytes(box.engine.ram[FIRST + 48 * PAGE : FIRST + (48 + REACH) * PAGE]) == bytes(REACH * PAGE)


def test_pages_here_and_there_stay_by_themselves():
    box = Box()
    run = FIRST + 0x600000
    sparse = touches(FIRST, 64 * PAGE, 16)
    code = sparse + touches(run, PAGE, 40).replace("again", "run") + "\nhlt"

    box.run(code)
    now = wait_until_present(box, pages(run + 48 * PAGE, 24))  # what would have been asked before is done

    offsets = {(page - FIRST) // PAGE % 64 for page in now if FIRST <= page < FIRST + 0x400000}
    assert 0 in offsets
    assert max(offsets) < WINDOW_RUN


def test_what_is_present_and_not_in_use_is_bounded():
    box = Box()
    runs = 28
    code = f"""
        mov edi, {FIRST}
        mov edx, {runs}
    next: mov ecx, 8
    again: mov byte [edi], 1
        add edi, {PAGE}
        dec ecx
        jnz again
        add edi, {120 * PAGE}
        dec edx
        jnz next
        hlt"""
    before = len(present(box))

    box.run(code)
    time.sleep(0.2)  # more would come meanwhile

    assert len(present(box)) <= before + runs * WINDOW_RUN + UNUSED + RAM // PAGE // UNUSED_PART


def test_it_can_be_turned_off(monkeypatch):
    monkeypatch.setenv("VPCORE_AHEAD", "off")
    box = Box()

    box.run(touches(FIRST, PAGE, 64) + "\nhlt")

    assert present(box) & pages(FIRST + 80 * PAGE, REACH) == set()


def test_an_engine_goes_while_pages_are_under_way():
    for _ in range(20):
        box = Box()
        box.run(touches(FIRST, PAGE, 64) + "\nhlt")
        box.engine.close()
