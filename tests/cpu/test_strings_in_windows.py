"""Repeated MOVS and STOS of users' code in windows (bt/front_string.c, emit_whole()): one REP of the host's over all pages, which
leaves what the interpreter does wherever it ends.
"""

import threading

import pytest
from box import CODE, ECX, EDI, ESI, PAGE, PS, PSE, WP, P, U, W
from box import Box as Processor

from vpcore.engine import Exit
from vpcore.engine.engine import probe

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])

FROM, TO, COUNT = 0x240000, 0x280000, 0x5000
"""Where elements come from and go to; how many pages there are of each, in bytes."""
COUNTER, ROUNDS = 0x6000, 12
"""A program's counter, and how often it goes round."""
HOLE, READ_ONLY, DEVICE = 0x340000, 0x360000, 0x380000
"""Linear addresses of pages that are not there, may not be written, or are a device's."""
REGISTERS, TOP = 0xE0000000, 0x390000
"""Physical ones of the device, and of what lies below 4 GB."""
USED, END = 0x230000, 0x3A0000

INSTRUCTIONS = ("movsb", "movsw", "movsd", "stosb", "stosw", "stosd")
PLACES = {
    "on pages' beginnings": (FROM, TO),
    "on no boundary": (FROM + 0x123, TO + 0x7FD),
    "onto what comes from the page before": (FROM, FROM + PAGE),
    "onto what comes from the element before": (FROM + 8, FROM + 9),
    "downwards over itself": (FROM + 0x2001, FROM),
    "where nothing is mapped, from half way on": (FROM, HOLE - COUNT // 2),
    "from where nothing is mapped, from half way on": (HOLE - COUNT // 2, TO),
    "where nothing may be written, from half way on": (FROM, READ_ONLY - COUNT // 2 + 3),
    "to a device, from half way on": (FROM, DEVICE - COUNT // 2),
    "from a device, from half way on": (DEVICE - COUNT // 2, TO),
    "around 4 GB": (FROM, (1 << 32) - COUNT // 2 - 1),
    "from around 4 GB": ((1 << 32) - COUNT // 2, TO),
}


def end(engine, instruction, places, monkeypatch):
    """All that the instruction leaves, and how many faults of host code there were."""
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_BT_LOOKS", "none")
    box = Processor(engine=engine, clock="realtime")
    box.page_32()
    box.ram[USED:END] = bytes(k * 7 % 251 for k in range(END - USED))
    for page in range(4):
        box.map_32(HOLE + page * PAGE, 0, 0)
        box.map_32(READ_ONLY + page * PAGE, READ_ONLY + page * PAGE, P | U)
        box.map_32(DEVICE + page * PAGE, REGISTERS + page * PAGE)
        box.map_32((1 << 32) - (page + 1) * PAGE, TOP + page * PAGE)
    box.set(cr0=box.cpu.cr0 | WP)
    source, target = places
    count = COUNT >> "bwd".index(instruction[-1])
    program = (
        f"mov dword [{COUNTER}], {ROUNDS}\nagain: mov esi, {source}\nmov edi, {target}\nmov ecx, {count}\nmov eax, 0x12345678\n"
        f"sub ebx, 0x7fffffff\nrep {instruction}\npushfd\npop edx\ndec dword [{COUNTER}]\njnz again\nhlt"
    )
    assert box.run("mov ecx, 20\na: dec ecx\njnz a\nhlt", budget=0) == Exit.HALT
    assert box.run(program, budget=0) == Exit.HALT
    faults = box.engine.stats().window_faults
    left = list(box.cpu.gpr), box.cpu.eflags, box.cpu.cr2, box.fault, bytes(box.ram[USED:END]), box.bus.log
    box.engine.close()
    return left, faults


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("instruction", INSTRUCTIONS)
def test_a_repetition_over_pages_leaves_what_it_does_in_the_interpreter(instruction, place, monkeypatch):
    """SDM 2, REP: registers say how far it has got when an element faults."""
    expected, _ = end("interp", instruction, PLACES[place], monkeypatch)
    left, faults = end("bt", instruction, PLACES[place], monkeypatch)

    assert expected == left
    assert faults > 0


def test_one_that_takes_long_ends_when_it_is_told_to_and_goes_on(monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_BT_LOOKS", "none")
    first, size = 0x400000, 0x70000000
    box = Processor(engine="bt", clock="realtime")
    box.page_32(cr4=PSE)
    for at in range(first, first + size, 0x400000):
        box.put(box.pde(at), 0x800000 | P | W | U | PS)
    box.load(f"mov edi, {first}\nmov ecx, {size}\nmov al, 7\nrep stosb\nhlt")
    box.set(eip=CODE)
    stops = 0
    while True:
        timer = threading.Timer(0.02, box.engine.stop)
        timer.start()
        ended = box.engine.run()
        timer.cancel()
        timer.join()
        assert box.cpu.gpr[EDI] + box.cpu.gpr[ECX] == first + size
        if ended is Exit.HALT:
            break
        stops += box.cpu.gpr[ECX] != 0

    assert stops > 0
    assert box.cpu.gpr[ECX] == 0
    assert set(box.ram[0x800000:0xC00000]) == {7}


def test_a_program_that_does_little_but_move_memory_gets_a_window(monkeypatch):
    monkeypatch.delenv("VPCORE_BT_MODE", raising=False)
    box = Processor(engine="bt")
    box.page_32()
    move = f"mov esi, {FROM}\nmov edi, {TO}\nmov ecx, 0x4000\nrep movsd"

    box.run(f"mov ebx, 2000\nagain: {move}\ndec ebx\njnz again\nhlt", budget=0)

    assert [change.window for change in box.engine.mode_changes()] == [True]
    assert (box.cpu.gpr[ESI], box.cpu.gpr[EDI]) == (FROM + 0x10000, TO + 0x10000)
