"""An idle guest's ticks are noted and their memory is fetched (docs/engines.md), which no guest can tell.

A tick is what lies between an NMI and the next HLT (SDM 3A 6.7, SDM 2 "HLT"); virtual time is set, so that none takes any.
"""

import pytest
from box import EAX, EBX, EDI, HANDLERS, PAGE, TABLES
from box import Box as Processor

from vpcore.engine import Exit
from vpcore.engine.engine import probe

LIKE, LONG, FRESH = 32, 256, 4096
"""Ticks before a guest is taken for idle, and its code is moved; that a list is good for."""
MS = 1_000_000
NMI_HANDLER = HANDLERS + 2 * 16
DATA = 0x20_0000
TICK = f"""
again: hlt
    mov ecx, 20
each: add ebx, [{DATA} + ecx * 4]
    lea esi, [{DATA + 0x1000} + ecx * 4]
    add [esi], ebx
    push ebx
    mov edx, f
    call edx
    pop edi
    loop each
    jmp again
f:  imul ebx, ebx, 3
    add eax, 1
    ret
"""
pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])


@pytest.fixture(autouse=True, params=["flat", "window"])
def memory_mode(request, monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", request.param)


def idle_box(engine="bt", code=TICK, clock="realtime"):
    box = Processor(engine=engine, clock=clock)
    box.load("iretd", NMI_HANDLER)
    for at in range(0, 2 * PAGE, 4):
        box.put(DATA + at, at * 0x9E3779B1 & 0xFFFFFFFF)
    box.load(code)
    assert box.engine.run() is Exit.HALT
    return box


def tick(box, count, slept=2 * MS):
    for _ in range(count):
        box.engine.set_now(box.engine.now() + slept)
        box.engine.nmi()
        assert box.engine.run() is Exit.HALT


def state(box):
    return list(box.cpu.gpr), box.cpu.eip, bytes(box.ram[: TABLES + PAGE]), bytes(box.ram[DATA : DATA + 2 * PAGE])


def rehearsals(box):
    return box.engine.stats().rehearsals


def test_ticks_do_what_they_did_before_they_were_noted():
    box, judge = idle_box(), idle_box("interp")

    for count in (LIKE - 1, 1, 1, 1, 1, 20):
        tick(box, count)
        tick(judge, count)
        assert state(box) == state(judge)

    assert rehearsals(box) == 1


def test_a_list_is_made_again_when_it_is_old():
    box = idle_box()

    tick(box, FRESH)
    before = rehearsals(box)
    tick(box, 2 * LIKE)

    assert (before, rehearsals(box)) == (1, 2)


PARTS = 24
SPREAD = "\n".join(
    [
        *(f"call part{k}\ncall filler{k}" for k in range(PARTS)),
        "again: hlt",
        *(f"call part{k}" for k in range(PARTS)),
        "jmp again",
        *(
            f"part{k}: add ebx, {k + 1}\nimul ebx, ebx, 5\nret\nfiller{k}: times 150 add dword [{DATA} + {k}], 1\nret"
            for k in range(PARTS)
        ),
    ]
)
"""What a tick calls is translated with something long behind each part."""


def test_the_code_of_a_tick_that_lies_far_apart_is_put_together_once(monkeypatch):
    monkeypatch.setenv("VPCORE_BT_WARM", "1")
    box, judge = idle_box(code=SPREAD), idle_box("interp", code=SPREAD)

    tick(box, LONG)
    before = box.engine.stats().moved_blocks, rehearsals(box)
    for _ in range(3):
        tick(box, LONG)
    tick(judge, 4 * LONG)

    assert before == (0, 1)
    assert PARTS <= box.engine.stats().moved_blocks <= 3 * PARTS
    assert rehearsals(box) == 2
    assert state(box) == state(judge)


def test_code_that_lies_together_stays_there():
    box = idle_box()

    tick(box, 2 * LONG)

    assert box.engine.stats().moved_blocks == 0


def test_a_guest_that_has_work_is_to_show_that_it_idles_again():
    box = idle_box(code=TICK.replace("hlt", "hlt\nmov ecx, ebp\nwork: dec ecx\njns work\nmov ebp, 0"))
    tick(box, LIKE + 2)

    box.set(ebp=300_000)
    tick(box, LIKE)
    before = rehearsals(box)
    tick(box, 2)

    assert (before, rehearsals(box)) == (1, 2)


@pytest.mark.parametrize(("slept", "clock"), [(MS // 100, "realtime"), (2 * MS, "icount")])
def test_nothing_is_noted_where_nothing_is_forgotten(slept, clock):
    box = idle_box(clock=clock)

    tick(box, 3 * LIKE, slept)

    assert rehearsals(box) == 0


def test_code_that_has_become_another_since_is_what_runs():
    """SDM 3A 11.6."""
    box = idle_box()
    tick(box, LIKE + 5)
    box.load(TICK.replace("add eax, 1", "add eax, 2"))
    before = box.cpu.gpr[EAX]

    tick(box, 3)

    assert box.cpu.gpr[EAX] == before + 3 * 20 * 2


def test_code_that_changes_in_the_rehearsal_is_what_runs_next():
    box = idle_box(code="mov ebx, 0\nagain: hlt\ninc dword [change + 1]\nchange: mov eax, 0\nadd ebx, eax\njmp again")

    tick(box, LIKE + 10)

    ticks = range(1, LIKE + 11)
    assert (box.cpu.gpr[EAX], box.cpu.gpr[EBX]) == (LIKE + 10, sum(ticks))
    assert rehearsals(box) == 1


def test_a_tick_that_touches_all_it_can_is_noted_in_part():
    pages = 2000
    box = idle_box(
        code=f"again: hlt\nmov edi, {DATA}\nmov ecx, {pages}\n"
        f"each: mov eax, [edi]\nadd ebx, eax\nmov [edi + 64], ebx\nadd edi, {PAGE}\nloop each\njmp again"
    )

    tick(box, LIKE + 10)

    assert box.cpu.gpr[EDI] == DATA + pages * PAGE
    assert rehearsals(box) == 1


def test_a_rehearsal_that_gets_long_goes_on_in_host_code():
    """Blocks that the run loop enters are the interpreter's."""
    box = idle_box(code=TICK.replace("hlt", "hlt\nmov ecx, ebp\nwork: dec ecx\njns work"))
    tick(box, LIKE)
    box.set(ebp=20_000_000)
    before = box.engine.stats().blocks_run

    tick(box, 1)

    assert rehearsals(box) == 1
    assert box.engine.stats().blocks_run - before < 1_000_000


def test_a_fault_in_the_rehearsal_is_the_guests():
    """The handler of #UD steps over it (SDM 2 "UD2")."""
    box = idle_box(code="again: hlt\ninc ebx\nud2\ninc eax\njmp again")
    box.load("add dword [esp], 2\niretd", HANDLERS + 6 * 16)

    tick(box, LIKE + 5)

    assert (box.cpu.gpr[EAX], box.cpu.gpr[EBX]) == (LIKE + 5, LIKE + 5)
    assert rehearsals(box) == 1
