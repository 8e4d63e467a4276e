"""Memory mode `window` of `bt`, and programs whose pages come one by one, as they touch them."""

import gc
import mmap

import pytest
from box import CODE, EDX, HANDLERS, IDT, PAGE, A, D, P, U, W
from box import Box as Processor
from windows import DATA, LIN, libc, mappings, spans, window_box

from vpcore.engine import Exit
from vpcore.engine.engine import probe

PF = 14
ERR_P, ERR_W = 1, 2
MS = 1_000_000

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])


@pytest.fixture(params=["all", "lazy"])
def box(monkeypatch, request):
    """On a host that has all that bt can use, and without userfaultfd()."""
    monkeypatch.setenv("VPCORE_WINDOW_FAIL", request.param)
    gc.collect()  # others' windows
    return window_box(monkeypatch)


HANDLER, WANTED, FAULTS = 0xC000, 0x180000, 0x17F000
MOST = 100_000  # instructions
GP = 13
FLUSHES = {"none": "", "page": "invlpg [eax]", "all": "mov ebx, cr3\nmov cr3, ebx"}


def on_page_fault(box, flush):
    """The system gives the k-th page from LIN on the k-th entry at WANTED, and counts."""
    box.map_32(LIN, 0, 0)
    box.load(
        f"push eax\npush ebx\ninc dword [{FAULTS}]\nmov eax, cr2\n{flush}\nsub eax, {LIN}\nshr eax, 12\n"
        f"mov ebx, [{WANTED} + eax * 4]\nmov [{box.pte(LIN)} + eax * 4], ebx\npop ebx\npop eax\nadd esp, 4\niretd",
        HANDLER,
    )
    box.put(IDT + 8 * PF, HANDLER | 8 << 16 | 0x8E00 << 32, 8)


def gives(box, pages, rights=P | W | U):
    """Which page of memory is the k-th."""
    for k, page in enumerate(pages):
        box.put(WANTED + 4 * k, DATA + page * PAGE | rights)


def store_to_each(pages):
    """Their numbers, from 1 on, twice."""
    return (
        f"mov ebx, {LIN}\nmov edx, 1\neach: mov [ebx], edx\nmov [ebx + 4], edx\nadd ebx, {PAGE}\ninc edx\n"
        f"cmp edx, {pages}\njbe each\nhlt"
    )


RAM_PAGES = {
    "together": range(90),
    "apart": [k * 37 % 90 for k in range(90)],
    "together, then elsewhere": [*range(20), *range(60, 90), *range(20, 40)],
    "from the end": range(89, -1, -1),
    "in pairs": [k ^ 1 for k in range(90)],
    "in runs of ten": [k // 10 * 10 + k % 10 for k in range(90)][::10] + [k for k in range(90) if k % 10],
    "together, one elsewhere": [*range(30), 85, *range(31, 80)],
    "the same ones again": [*range(30), *range(30), *range(10, 40)],
}


@pytest.mark.parametrize("flush", FLUSHES.values(), ids=FLUSHES)
@pytest.mark.parametrize("pages", RAM_PAGES.values(), ids=RAM_PAGES)
def test_pages_that_come_one_by_one_are_the_ones_meant_and_none_comes_unasked(box, pages, flush):
    """SDM 3A 4.7: each first access faults, whatever the window guessed would come next."""
    on_page_fault(box, flush)
    gives(box, pages)
    box.user()

    box.run(store_to_each(len(pages)), budget=MOST)

    assert box.fault == (GP, 0)  # of HLT
    assert box.get(FAULTS) == len(pages)
    last = {page: k + 1 for k, page in enumerate(pages)}
    assert {page: box.get(DATA + page * PAGE, 8) for page in last} == {page: k << 32 | k for page, k in last.items()}


def mapped():
    """Bytes of guest memory in windows."""
    return sum(map(len, spans("guest-ram")))


def test_a_page_that_is_mapped_before_it_comes_faults_until_then_and_may_come_as_another(box):
    """Reads and writes; then it is one that may only be read."""
    on_page_fault(box, "")
    gives(box, range(40))
    box.user()
    before = mapped()
    box.run(store_to_each(12), budget=MOST)
    ahead = mapped() - before - 12 * PAGE
    box.put(WANTED + 4 * 12, DATA + 12 * PAGE | P | U)
    box.put(WANTED + 4 * 14, DATA + 30 * PAGE | P | W | U)
    box.put(DATA + 12 * PAGE, 12)

    box.user()
    box.run(
        f"mov eax, [{LIN + 12 * PAGE}]\nmov edx, [{LIN + 12 * PAGE}]\n"
        f"mov dword [{LIN + 14 * PAGE}], 14\nmov dword [{LIN + 13 * PAGE}], 13\nadd dword [{LIN + 14 * PAGE}], 1\nhlt"
    )
    faults = box.get(FAULTS)
    box.put(IDT + 8 * PF, HANDLERS + 16 * PF | 8 << 16 | 0x8E00 << 32, 8)
    box.user()
    box.run(f"mov dword [{LIN + 12 * PAGE}], 1")

    assert ahead >= 4 * PAGE
    assert faults == 12 + 3
    assert box.cpu.gpr[EDX] == 12
    assert [box.get(DATA + page * PAGE) for page in (12, 13, 14, 30)] == [12, 13, 0, 15]
    assert (box.fault, box.cpu.cr2) == ((PF, ERR_P | ERR_W | 4), LIN + 12 * PAGE)


def test_a_page_that_came_as_another_first_is_the_one_expected_once_it_is_that(box):
    on_page_fault(box, "")
    gives(box, range(12))
    box.user()
    box.run(store_to_each(12), budget=MOST)

    for value, page in ((1, 30), (2, 12)):
        box.put(WANTED + 4 * 12, DATA + page * PAGE | P | W | U)
        box.put(box.pte(LIN + 12 * PAGE), 0)
        box.run(f"invlpg [{LIN + 12 * PAGE}]\nhlt")
        box.user()
        box.run(f"mov dword [{LIN + 12 * PAGE}], 0\nmov dword [{LIN + 12 * PAGE}], {value}\nhlt")

    assert [box.get(DATA + page * PAGE) for page in (12, 30)] == [2, 1]


def test_of_a_system_that_gives_memory_in_blocks_a_block_is_mapped_at_its_first_page(box):
    """Of four pages each, as buddy allocators have them; a block that is not aligned lets nothing be expected."""
    on_page_fault(box, "")
    starts = (40, 60, 20, 80, 13)
    gives(box, [start + k for start in starts for k in range(4)])
    sizes = []
    for pages in range(1, 4 * len(starts) + 1):
        box.user()
        box.run(store_to_each(pages), budget=MOST)
        sizes.append(mapped())

    ahead = [(size - sizes[0]) // PAGE + 1 - k for k, size in enumerate(sizes, 1)]
    assert ahead[8:16] == [3, 2, 1, 0, 3, 2, 1, 0]
    assert ahead[16] == 0
    assert box.get(FAULTS) == 4 * len(starts)


def test_a_run_of_pages_goes_on_behind_one_that_has_gone_elsewhere(box):
    """A system that takes pages for other purposes meanwhile, its page tables for one."""
    on_page_fault(box, "")
    for lin, page in [*enumerate(range(10, 16)), (6, 17), (7, 18), (40, 16)]:
        box.put(WANTED + 4 * lin, DATA + page * PAGE | P | W | U)
    box.user()
    box.run(store_to_each(6), budget=MOST)
    box.user()
    box.run(f"mov dword [{LIN + 40 * PAGE}], 1\nhlt", budget=MOST)
    before = mapped()
    box.user()
    box.run(store_to_each(7), budget=MOST)

    # three pages of the six that were mapped ahead of the run are others now
    assert mapped() - before == (1 + 5 - 3) * PAGE
    assert [box.get(DATA + page * PAGE) for page in (*range(10, 16), 17)] == list(range(1, 8))
    assert box.get(FAULTS) == 8


def test_pages_that_the_host_takes_from_a_mapping_are_given_again(box):
    """As one does that has no memory to spare (madvise(2): MADV_DONTNEED of a mapping leaves the file's pages)."""
    on_page_fault(box, "")
    gives(box, range(40))
    box.user()
    box.run(store_to_each(40), budget=MOST)

    for span in spans("guest-ram"):
        assert libc.madvise(span.start, len(span), mmap.MADV_DONTNEED) == 0
    probes = box.engine.stats().window_probes
    box.user()
    box.run(store_to_each(40).replace("mov [ebx], edx", "add [ebx], edx"), budget=MOST)

    assert [box.get(DATA + k * PAGE) for k in range(40)] == [2 * k for k in range(1, 41)]
    assert box.get(FAULTS) == 40
    assert box.engine.stats().window_probes == probes


def test_pages_mapped_for_nothing_count_as_mappings(monkeypatch):
    """vm.max_map_count: a program lets pages come, has them taken away and others come, for ever."""
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_MAX_MAP_COUNT", str(8192 + 100))
    box = Processor(engine="bt")
    box.page_32()
    on_page_fault(box, "")
    gives(box, range(700))
    box.run("hlt")
    before = mappings()
    most = 0
    stays = "".join(f"mov eax, [{DATA + k * PAGE}]\n" for k in range(0, 8, 2)) * 2

    for start in range(0, 600, 10):
        box.user()
        box.run(stays + store_to_each(8).replace(str(LIN), str(LIN + start * PAGE)), budget=MOST)
        for k in range(start, start + 8):
            box.put(box.pte(LIN + k * PAGE), 0)
        box.run("mov eax, cr3\nmov cr3, eax\nhlt")
        most = max(most, mappings() - before)

    assert box.get(FAULTS) == 60 * 8
    assert most <= 100


# -- where they come: bt/growth.h --

WAIT = 0x9000
"""A system's code, that is not the program's."""
FEW = 16
"""Signals for the instructions at which a program gets its pages, and for its other memory."""


def on_growth(box, pages):
    """Pages come marked, as Linux has them: without a look of its own the window may have them at once."""
    on_page_fault(box, "")
    gives(box, range(pages), P | W | U | A | D)


def test_an_instruction_that_keeps_faulting_soon_does_so_without_signals(box):
    pages = 200
    on_growth(box, pages)
    box.user()

    box.run(store_to_each(pages), budget=MOST)

    stats = box.engine.stats()
    assert box.get(FAULTS) == stats.faults - 1 == pages  # and HLT's
    assert stats.window_probes == 1
    assert stats.window_faults <= FEW
    assert [box.get(DATA + k * PAGE) for k in range(pages)] == list(range(1, pages + 1))


def grow(box, pages, first):
    """The program that is in memory, from its *first* page on."""
    box.user()
    box.run(eip=CODE, budget=0, ebx=LIN + first * PAGE, ecx=pages)


def growing(box, first=""):
    """A program that does, behind that instruction."""
    box.load(f"{first}\nnext: mov [ebx], ecx\nadd ebx, {PAGE}\ndec ecx\njnz next\nhlt")


def test_one_that_has_stopped_to_fault_uses_the_window_again_until_it_faults_again(monkeypatch):
    """That is seen where code is kicked, not where it counts."""
    box = window_box(monkeypatch, clock="realtime")
    on_growth(box, 400)
    growing(box)
    grow(box, 100, 0)
    asked = box.engine.stats().window_probes
    box.load("round: inc eax\njnz round\ndec edx\njnz round\nhlt", WAIT)
    box.user()
    box.engine.set_deadline(box.engine.now() + 100 * MS)
    waited = box.run(eip=WAIT, budget=0, edx=0)
    box.engine.set_deadline(1 << 62)
    faults = box.engine.stats().window_faults

    grow(box, 100, 0)
    unchanged = box.engine.stats()
    grow(box, 300, 100)

    assert waited is Exit.DEADLINE
    assert asked == 1
    assert (unchanged.window_probes, unchanged.window_faults - faults <= 1) == (1, True)
    assert box.engine.stats().window_probes == 2
    assert box.engine.stats().window_faults - faults <= FEW
    assert box.get(FAULTS) == 400


def test_programs_that_take_the_place_of_one_that_grew_fault_where_they_should(box):
    """What is known of its instructions goes with their block."""
    on_growth(box, 300)
    for first in range(0, 300, 30):
        growing(box, "nop" * (first // 30 % 2))
        grow(box, 30, first)

    assert box.get(FAULTS) == 300
    assert [box.get(DATA + k * PAGE) for k in range(300)] == list(range(30, 0, -1)) * 10
    assert box.engine.stats().window_probes == 10


def test_more_places_than_are_kept_fault_where_they_should(box):
    """Each of 50 gets six pages, in turns of one and of six."""
    places, each = 50, 6
    on_growth(box, 2 * places * each)
    code = "\n".join(
        f"mov ecx, {each}\nb{k}: mov [ebx], ecx\nadd ebx, {PAGE}\ndec ecx\njnz b{k}" for k in range(places)
    )
    turns = "".join(f"mov [ebx], ecx\nadd ebx, {PAGE}\n" for _ in range(places))
    box.user()
    box.run(f"mov ebx, {LIN}\n{code}\nmov ecx, {each}\nagain: {turns}dec ecx\njnz near again\nhlt", budget=MOST)

    assert box.fault == (GP, 0)
    assert box.get(FAULTS) == 2 * places * each
    assert [box.get(DATA + k * PAGE) for k in range(2 * places * each)] == [
        *[each - k % each for k in range(places * each)],
        *[each - k // places for k in range(places * each)],
    ]
