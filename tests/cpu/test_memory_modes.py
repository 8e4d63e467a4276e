"""Memory mode `window` of `bt`: what the guest's page tables say holds there too, and hosts and signals of all kinds."""

import math
import os
import signal
import struct
import subprocess
import sys
import textwrap

import pytest
from box import CODE, EBP, EBX, EDX, ESI, IDT, PAGE, PGE, PS, PSE, A, D, G, P, U, W
from box import Box as Processor
from windows import DATA, LIN, ROUNDS, loop, mappings, window_box

from vpcore.engine import Exit
from vpcore.engine.engine import probe

OTHER = DATA + PAGE
PF, CALL = 14, 19
HANDLER = 0x5000
ERR_P, ERR_W = 1, 2
OSFXSR = 1 << 9

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])


@pytest.fixture
def box(monkeypatch):
    return window_box(monkeypatch)


def test_a_page_is_mapped_once_and_then_costs_no_fault(box):
    assert box.run(loop(f"inc dword [{DATA}]"), budget=0) == Exit.HALT

    stats = box.engine.stats()
    assert box.get(DATA) == ROUNDS
    assert stats.window_pages > 0
    assert stats.window_faults <= 2
    assert stats.window_probes == 0


@pytest.mark.parametrize("flush", ["invlpg [ebx]", "mov eax, cr3\nmov cr3, eax"], ids=["invlpg", "cr3"])
def test_another_page_at_the_same_address_is_seen_after_a_flush(box, flush):
    """SDM 3A 4.10.4: the entry is changed to and fro between two pages, each of which counts."""
    box.map_32(LIN, DATA)
    pte = box.pte(LIN)
    code = loop(f"inc dword [ebx]\nxor dword [{pte}], {DATA ^ OTHER}\n{flush}")

    assert box.run(code, budget=0, ebx=LIN) == Exit.HALT

    assert (box.get(DATA), box.get(OTHER)) == (ROUNDS // 2, ROUNDS // 2)


def test_a_page_made_read_only_faults_and_is_written_again_when_it_is_not(box):
    """SDM 3A 4.10.4 and 4.7; the first store has to fill the window."""
    box.map_32(LIN, DATA)
    entry = box.get(box.pte(LIN))
    store = f"mov dword [{LIN}], eax\nmov dword [{LIN}], eax\nhlt"
    box.run(store, eax=1)

    box.put(box.pte(LIN), entry & ~W)
    box.run("mov eax, cr3\nmov cr3, eax\n" + store, eax=2)
    refused = box.fault, box.get(DATA)
    box.put(box.pte(LIN), entry)
    box.run("mov eax, cr3\nmov cr3, eax\nmov eax, 3\n" + store)

    assert refused == ((PF, ERR_P | ERR_W), 1)
    assert (box.fault, box.get(DATA)) == (None, 3)


SPACES = 36
"""More than windows are kept for."""


def test_each_address_space_sees_its_own_page(box):
    """Round and round."""
    spaces = []
    for k in range(SPACES):
        box.page_32()
        box.map_32(LIN, DATA + k * PAGE)
        box.map_32(LIN + PAGE, DATA + k * PAGE, P | U)
        spaces.append(box.directory)
    switches = "\n".join(f"mov eax, {at}\nmov cr3, eax\ninc dword [{LIN}]\nadd edx, [{LIN + PAGE}]" for at in spaces)

    assert box.run(loop(switches, 20), budget=0, edx=0) == Exit.HALT

    assert [box.get(DATA + k * PAGE) for k in range(SPACES)] == [20] * SPACES
    assert box.cpu.gpr[EDX] == SPACES * sum(range(1, 21))


@pytest.mark.parametrize("distance", [8, 0x40, 0x7FFF, 0x8000, 0x8001, 0x7FFFFFFF])
@pytest.mark.parametrize(("sign", "lin"), [(1, 4), (-1, 2**32 - 4)], ids=["over 4 GB", "below 0"])
def test_addresses_wrap_around(box, distance, sign, lin):
    """SDM 1, 3.3.7: an effective address is the sum's lower 32 bits; a host's has more."""
    box.map_32(0, DATA)
    box.map_32(2**32 - PAGE, DATA)
    code = loop(f"inc dword [ebx {sign * distance:+}]")

    assert box.run(code, budget=0, ebx=(lin - sign * distance) % 2**32) == Exit.HALT

    assert box.get(DATA + lin % PAGE) == ROUNDS


def test_what_runs_over_the_end_of_all_addresses_goes_on_at_0(box):
    """SDM 1, 3.3.7.1, as processors without a limit in the way do it."""
    box.map_32(0, DATA)
    box.map_32(2**32 - PAGE, OTHER)

    assert box.run(loop("add dword [ebx + 2], 0x10001"), budget=0, ebx=2**32 - 4) == Exit.HALT

    assert (box.get(OTHER + PAGE - 4) >> 16, box.get(DATA) & 0xFFFF) == (ROUNDS, ROUNDS)


MANY = 96
CHANGES = {
    "all": range(MANY),
    "none": (),
    "one": (40,),
    "every second": range(0, MANY, 2),
    "a stretch": range(30, 60),
    "the ends": (*range(20), *range(MANY - 20, MANY)),
    "all but one": tuple(k for k in range(MANY) if k != 50),
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("gone", [False, True], ids=["remapped", "unmapped"])
def test_of_pages_changed_while_their_space_was_away_none_is_seen_as_it_was(box, changed, gone):
    """SDM 3A 4.10.4.1: each page that has not changed stays as it is mapped, whatever goes beside it."""
    away = box.another_directory()
    for k in range(MANY):
        box.map_32(LIN + k * PAGE, DATA + k * PAGE)
    new = {k: 0 if gone else DATA + (MANY + k) * PAGE + P + W for k in changed}
    touch = f"mov ebx, {LIN}\n{{0}}: inc dword [ebx]\nadd ebx, {PAGE}\ncmp ebx, {LIN + MANY * PAGE}\njb {{0}}\n"
    remap = "\n".join(f"mov dword [{box.pte(LIN + k * PAGE)}], {entry}" for k, entry in new.items())
    box.run(f"{touch.format('a')}mov eax, {away}\nmov cr3, eax\n{remap}\nhlt", budget=0)
    fills = box.engine.stats().window_fills

    box.run(f"mov eax, {box.directory}\nmov cr3, eax\n{touch.format('b')}hlt", budget=0)

    first = min(changed, default=MANY) if gone else MANY
    assert (box.fault is None, box.cpu.cr2 if box.fault else None) == (
        first == MANY,
        LIN + first * PAGE if first < MANY else None,
    )
    once = {DATA + k * PAGE for k in range(MANY) if k in new or k > first}
    assert [box.get(DATA + k * PAGE) for k in range(MANY)] == [1 if DATA + k * PAGE in once else 2 for k in range(MANY)]
    if not gone:
        assert [box.get(DATA + (MANY + k) * PAGE) for k in changed] == [1] * len(changed)
        assert box.engine.stats().window_fills - fills <= len(changed) + MANY // 16


def test_a_store_through_the_window_into_code_takes_effect(box):
    """SDM 3A 11.6: the page was data, written through the window, before its code was made."""
    # mov eax, imm32; ret
    box.load(b"\xb8\x00\x00\x00\x00\xc3", DATA)
    code = loop(f"mov [{DATA + 1}], ecx\ncall ebx\nadd edx, eax")

    end = box.run(f"mov dword [{DATA + 64}], 1\nmov dword [{DATA + 64}], 2\n" + code, budget=0, ebx=DATA, edx=0)

    assert end == Exit.HALT
    assert box.cpu.gpr[EDX] == sum(range(1, ROUNDS + 1))
    assert box.get(DATA + 64) == 2


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_page_written_at_several_addresses_that_becomes_code_is_written_by_none_unseen(box, first):
    """SDM 3A 11.6: the constant of a function changes by way of each of the addresses in turn."""
    places = [DATA, LIN, LIN + PAGE]
    for lin in places[1:]:
        box.map_32(lin, DATA)
    writes = "\n".join(f"mov [{lin + PAGE // 2}], ecx" for lin in places)
    changes = "\n".join(f"inc dword [{lin + 1}]\nmov esi, {DATA}\ncall esi" for lin in places)
    box.load(b"\xb8\x00\x00\x00\x00\x01\xc2\xc3", DATA)  # mov eax, 0; add edx, eax; ret

    box.run(
        f"{writes}\nmov [{places[first] + PAGE // 2}], ecx\nmov edx, 0\nmov esi, {DATA}\ncall esi\n{loop(changes, 50)}",
        budget=0,
    )

    assert box.cpu.gpr[EDX] == sum(range(3 * 50 + 1))


def test_pages_beside_one_that_becomes_code_are_dropped_with_it_and_written_again_as_code_or_data(monkeypatch):
    """SDM 3A 11.6: functions of a system's, side by side: each is changed through the window when it has run."""
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    box = Processor(engine="bt")
    box.page_32(P | W | U | G, cr4=PGE)
    pages = [DATA + k * PAGE for k in range(64)]
    for at in pages:
        box.load(b"\xb8\x00\x00\x00\x00\x01\xc2\xc3", at)  # mov eax, 0; add edx, eax; ret
    writes = "".join(f"inc dword [{at + PAGE // 2}]\n" for at in pages)
    box.run(f"{writes * 3}hlt")
    before = box.engine.stats().window_pages

    box.run(f"mov esi, {pages[3]}\ncall esi\nhlt")
    dropped = before - box.engine.stats().window_pages
    changes = "".join(f"inc dword [{at + 1}]\nmov esi, {at}\ncall esi\n" for at in pages)
    box.run(f"mov edx, 0\n{loop(changes + writes, 50)}", budget=0)

    assert len(pages) / 2 <= dropped <= 64
    assert box.cpu.gpr[EDX] == len(pages) * sum(range(51))
    assert [box.get(at + PAGE // 2) for at in pages] == [53] * len(pages)


def test_data_beside_code_costs_a_few_faults_not_one_an_access(box):
    """The counter lies on the page of the loop: windows cannot have it writable."""
    assert box.run(loop(f"inc dword [{CODE + 0x800}]\nadd [{CODE + 0x900}], ecx"), budget=0) == Exit.HALT

    stats = box.engine.stats()
    assert box.get(CODE + 0x800) == ROUNDS
    assert box.get(CODE + 0x900) == sum(range(1, ROUNDS + 1))
    assert stats.window_probes == 2
    assert stats.window_faults < 20


def test_a_devices_memory_is_accessed_each_time_without_faults(box):
    box.engine.map(DATA, PAGE, None, None)
    box.bus.answers[DATA + 8] = 5

    assert box.run(loop(f"mov [{DATA}], ecx\nadd ebx, [{DATA + 8}]", 100), budget=0, ebx=0) == Exit.HALT

    writes = [entry[3] for entry in box.bus.log if entry[0] == "write"]
    assert writes == list(range(100, 0, -1))
    assert box.cpu.gpr[EBX] == 500
    assert box.engine.stats().window_faults < 20


def test_a_block_that_dies_while_its_first_instruction_is_under_way_goes_on(monkeypatch):
    """Memory that no window has turns out as such in the block behind a branch, which is in the place of a jump to it."""
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_BT_WARM", "10")
    box = Processor(engine="bt")
    box.page_32()
    frame = bytearray((5).to_bytes(4, "little")) + bytearray(PAGE - 4)
    box.engine.map(DATA, PAGE, memoryview(frame), memoryview(frame))

    end = box.run(loop("test cl, 7\njz most\nmov eax, [ebx]\nadd edx, eax\nmost:", 80), budget=0, ebx=DATA, edx=0)

    assert end == Exit.HALT
    assert box.cpu.gpr[EDX] == 5 * 70


def test_memory_that_is_not_the_guests_ram_is_reached_without_faults(box):
    """A frame buffer is memory of its own."""
    frame = bytearray(PAGE)
    box.engine.map(DATA, PAGE, memoryview(frame), memoryview(frame))

    assert box.run(loop(f"inc dword [{DATA + 4}]"), budget=0) == Exit.HALT

    assert int.from_bytes(frame[4:8], "little") == ROUNDS
    assert box.engine.stats().window_faults < 10


def test_dirty_tracking_sees_writes_through_a_window(box):
    """VP_MAP_DIRTY: each clear is followed by one fault, not by silence."""
    window = memoryview(box.ram)[DATA : DATA + PAGE]
    box.engine.map(DATA, PAGE, window, window, 1)
    store = f"mov [{DATA}], ecx\nmov [{DATA}], ecx\nhlt"

    seen = []
    for _ in range(4):
        box.run(store)
        seen.append((box.engine.dirty(DATA, PAGE, clear=True), box.engine.dirty(DATA, PAGE, clear=True)))

    assert seen == [(b"\x01", b"\x00")] * 4


@pytest.mark.parametrize("at", [LIN + PAGE - 2, 0xFFFFFFFE, LIN + 2 * PAGE - 3])
def test_accesses_that_cross_pages_or_the_end_of_the_address_space_are_whole(box, at):
    box.map_32(LIN, DATA)
    box.map_32(LIN + PAGE, OTHER + 2 * PAGE)
    box.map_32(LIN + 2 * PAGE, OTHER)
    box.map_32(0xFFFFF000, DATA)
    box.map_32(0, OTHER)

    end = box.run(loop(f"mov [{at}], ecx\nadd edx, [{at}]\ninc word [{at + 2 & 0xFFFFFFFF}]"), budget=0, edx=0)

    assert end == Exit.HALT
    assert box.cpu.gpr[EDX] == sum(range(1, ROUNDS + 1))


def test_two_processors_in_turn_and_one_within_a_call_of_the_other_keep_their_windows(box):
    inner = Processor(engine="bt")
    inner.page_32()
    inner.load(loop(f"inc dword [{DATA}]", 50))

    def hook(*_entry):
        inner.run(eip=CODE, budget=0)

    box.bus.hook = hook
    body = f"inc dword [{DATA}]\nout 0x80, al\ninc dword [{DATA}]"

    assert box.run(loop(body, 30), budget=0) == Exit.HALT

    assert (box.get(DATA), inner.get(DATA)) == (60, 30 * 50)


def test_one_fault_maps_what_a_program_has_used_around_it_and_nothing_else(box):
    """SDM 3A 4.8: the accessed bit of what it has not used stays clear, as no access was made."""
    pages, unused = 128, range(3, 128, 5)
    for k in range(pages):
        box.map_32(LIN + k * PAGE, DATA + (k ^ 1) * PAGE, P | W | U | (0 if k in unused else A | D))
    used = [k for k in range(pages) if k not in unused]
    box.user()

    box.run("\n".join(f"mov byte [{LIN + k * PAGE}], {k}" for k in used) + "\nhlt", budget=100_000)

    stats = box.engine.stats()
    assert [box.get(DATA + (k ^ 1) * PAGE, 1) for k in used] == used
    assert [box.get(box.pte(LIN + k * PAGE)) & A for k in unused] == [0] * len(unused)
    assert stats.window_faults <= 4
    assert stats.window_fills >= len(used)


@pytest.mark.parametrize("order", ["upwards", "downwards"])
def test_a_systems_memory_is_mapped_by_sixteen_pages_in_whatever_order_it_is_used(monkeypatch, order):
    """As of Linux, all of RAM in a row, in global pages."""
    box = window_box(monkeypatch)
    box.set(cr4=box.cpu.cr4 | PGE)
    pages = 128
    for k in range(-1, pages + 1):
        box.map_32(LIN + k * PAGE, DATA + k * PAGE, P | W | A | D | G)
    first, step = (LIN, PAGE) if order == "upwards" else (LIN + (pages - 1) * PAGE, -PAGE)

    box.run(f"mov edi, {first}\n" + loop(f"mov [edi], ecx\nadd edi, {step}", pages), budget=0)

    values = [box.get(DATA + k * PAGE) for k in range(pages)]
    assert values == list(range(pages, 0, -1) if order == "upwards" else range(1, pages + 1))
    assert box.engine.stats().window_faults <= pages // 16 + 2


@pytest.mark.parametrize("step", ["none", "sigreturn"])
def test_a_fault_leaves_all_registers_flags_and_vectors_as_they_were(monkeypatch, step):
    """ADC takes the carry over a store to a page not mapped yet; x87 and SSE hold what was loaded before."""
    monkeypatch.setenv("VPCORE_WINDOW_FAIL", step)
    box = window_box(monkeypatch)
    box.set(cr4=box.cpu.cr4 | OSFXSR)
    pages = 64
    for k in range(pages):
        box.map_32(LIN + k * PAGE, DATA + k * 7 % pages * PAGE)
    values = {"ebx": 0x11223344, "esi": 0x99AABBCC, "ebp": 0x12345678}
    numbers = "".join(f"mov {name}, {value}\n" for name, value in values.items())

    box.run(
        f"{numbers}mov edx, 41\ncvtsi2ss xmm7, edx\nfninit\nfldpi\nfld1\nmov edi, {LIN}\n"
        + loop(f"stc\nmov [edi], ecx\nadc edx, 0\nlea edi, [edi + {PAGE}]", pages).replace("hlt", "")
        + f"movss [{LIN}], xmm7\nfaddp\nfstp qword [{LIN + 8}]\nhlt",
        budget=0,
    )

    assert box.engine.stats().window_faults > pages // 2
    assert [box.cpu.gpr[n] for n in (EBX, ESI, EBP)] == list(values.values())
    assert box.cpu.gpr[EDX] == 41 + pages
    assert [box.get(DATA + k * 7 % pages * PAGE) for k in range(1, pages)] == list(range(pages - 1, 0, -1))
    stored = box.get(DATA).to_bytes(4, "little") + box.get(DATA + 8, 8).to_bytes(8, "little")
    assert struct.unpack("<fd", stored) == (41, math.pi + 1)


# -- hosts with little to give --


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("reserve", "no windows: the host gives no 4 GB of addresses"),
        ("memfd", "no windows: guest memory is no file"),
        ("fsgsbase", "windows cost more: the host has no FSGSBASE"),
        ("hole", "windows cost more: the host gives no addresses that it is asked for"),
        ("sigreturn", ""),
    ],
)
def test_what_a_host_lacks_is_told_and_code_runs_all_the_same(monkeypatch, step, reason):
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_WINDOW_FAIL", step)
    box = Processor(engine="bt")
    box.page_32()

    assert box.run(loop(f"inc dword [{DATA}]"), budget=0) == Exit.HALT

    assert box.engine.lacks == reason
    assert box.get(DATA) == ROUNDS
    assert (box.engine.stats().window_fills > 0) == (step in {"fsgsbase", "hole", "sigreturn"})


def test_a_host_that_maps_nothing_runs_all_code_by_probes(monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_WINDOW_FAIL", "map")
    box = Processor(engine="bt")
    box.page_32()

    assert box.run(loop(f"inc dword [{DATA}]"), budget=0) == Exit.HALT

    assert box.get(DATA) == ROUNDS
    assert box.engine.stats().window_pages == 0
    assert box.engine.stats().window_faults < 10


def test_few_mappings_are_shared_out_among_many_pages(monkeypatch):
    """vm.max_map_count: when all that may be had are mapped, they all go."""
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_MAX_MAP_COUNT", str(8192 + 2 * 20))
    box = Processor(engine="bt")
    box.page_32()
    for page in range(256):
        box.map_32(LIN + page * PAGE, DATA + (page ^ 1) * PAGE)

    walk = f"mov ebx, {LIN}\nnext: inc dword [ebx]\nadd ebx, 4096\ncmp ebx, {LIN + 256 * PAGE}\njb next"

    assert box.run(loop(walk, 10), budget=0) == Exit.HALT

    assert [box.get(DATA + page * PAGE) for page in range(256)] == [10] * 256
    assert 0 < box.engine.stats().window_pages <= 20


def test_what_another_process_had_mapped_is_unmapped_while_the_guest_idles(monkeypatch):
    """The next process has the same CR3 and other pages: it does not wait for that."""
    box = window_box(monkeypatch)
    pages, processes = 200, 3
    touch = f"mov ebx, {LIN}\nnext: inc dword [ebx]\nadd ebx, 4096\ncmp ebx, {LIN + pages * PAGE}\njb next\nhlt"
    memory = [[DATA + (process * pages + (page ^ 1)) * PAGE for page in range(pages)] for process in range(processes)]
    for process in memory:
        for page, phys in enumerate(process):
            box.map_32(LIN + page * PAGE, phys, P | W | A | D)
        box.run(f"mov eax, cr3\nmov cr3, eax\n{touch}", budget=0)

    had = box.engine.stats().window_pages
    for _ in range(processes * pages):
        box.run("hlt", budget=0)

    assert [box.get(phys) for process in memory for phys in process] == [1] * processes * pages
    assert had >= (processes - 1) * pages
    assert pages <= box.engine.stats().window_pages < pages + 20


def test_what_was_used_the_longest_ago_gives_way_when_mappings_run_out(monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_MAX_MAP_COUNT", str(8192 + 2 * 60))
    box = Processor(engine="bt")
    pages, spaces = 24, []
    for _ in range(3):
        box.page_32()
        for page in range(pages):
            box.map_32(LIN + page * PAGE, DATA + (page ^ 1) * PAGE)
        spaces.append(box.directory)

    switches = "\n".join(f"mov eax, {at}\nmov cr3, eax\ncall touch" for at in spaces)
    touch = f"touch: mov ebx, {LIN}\nnext: inc dword [ebx]\nadd ebx, 4096\ncmp ebx, {LIN + pages * PAGE}\njb next\nret"
    assert box.run(f"{switches}\nhlt\n{touch}", budget=0) == Exit.HALT

    assert [box.get(DATA + page * PAGE) for page in range(pages)] == [3] * pages
    assert 2 * pages <= box.engine.stats().window_pages <= 60


def test_windows_have_no_more_mappings_than_they_may_however_they_are_torn(monkeypatch):
    """vm.max_map_count: pages next to each other are one mapping, until others between them go."""
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_MAX_MAP_COUNT", str(8192 + 100))
    box = Processor(engine="bt")
    box.page_32()
    pages = 512
    for page in range(pages):
        box.map_32(LIN + page * PAGE, DATA + page * PAGE, P | W | A | D)
    end = LIN + pages * PAGE
    box.run("hlt", budget=0)
    before = mappings()

    touch = f"mov ebx, {LIN}\n{{0}}: inc dword [ebx]\nadd ebx, {{1}}\ncmp ebx, {end}\njb {{0}}\n"
    tear = f"mov ebx, {LIN}\ntear: invlpg [ebx]\nadd ebx, {2 * PAGE}\ncmp ebx, {end}\njb tear\n"
    box.run(f"{touch.format('all', PAGE)}hlt", budget=0)
    whole, many = mappings(), box.engine.stats().window_pages
    box.run(f"{tear}{touch.format('some', 2 * PAGE)}hlt", budget=0)

    assert many >= pages
    assert whole - before < pages // 16
    assert mappings() - before <= 100
    assert [box.get(DATA + page * PAGE) for page in range(pages)] == [2, 1] * (pages // 2)


def test_a_host_without_mappings_to_spare_has_no_windows(monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_MAX_MAP_COUNT", "8192")

    box = Processor(engine="bt")

    assert box.engine.lacks == "no windows: /proc/sys/vm/max_map_count is too small"


# -- the choice --


def test_code_that_stays_on_its_pages_gets_a_window(monkeypatch):
    monkeypatch.delenv("VPCORE_BT_MODE", raising=False)
    box = Processor(engine="bt")
    box.page_32()

    box.run(loop(f"inc dword [{DATA}]", 1_000_000), budget=0)

    assert [(change.cr3, change.user, change.window) for change in box.engine.mode_changes()] == [
        (box.directory, False, True)
    ]
    assert box.engine.stats().window_pages > 0


def test_code_that_touches_new_pages_all_the_time_gets_none(monkeypatch):
    """Each round uses an address for the first time since a flush."""
    monkeypatch.delenv("VPCORE_BT_MODE", raising=False)
    box = Processor(engine="bt")
    box.page_32()

    body = "mov eax, ecx\nshl eax, 12\nand eax, 0x1ff000\ninvlpg [eax + 0x200000]\nmov edx, [eax + 0x200000]"
    box.run(loop(body, 1_000_000), budget=0)

    assert box.engine.mode_changes() == []


def test_a_window_that_does_not_pay_is_given_up(monkeypatch):
    monkeypatch.delenv("VPCORE_BT_MODE", raising=False)
    box = Processor(engine="bt")
    box.page_32()
    steady = f"mov ecx, 1000000\na: inc dword [{DATA}]\ndec ecx\njnz a"
    body = "mov eax, ecx\nshl eax, 12\nand eax, 0x1ff000\ninvlpg [eax + 0x200000]\nmov edx, [eax + 0x200000]"

    box.run(steady + "\n" + loop(body, 100_000), budget=0)

    assert [change.window for change in box.engine.mode_changes()][:2] == [True, False]


def test_a_burst_of_new_pages_takes_no_window_away(monkeypatch):
    monkeypatch.delenv("VPCORE_BT_MODE", raising=False)
    box = Processor(engine="bt")
    box.page_32()
    steady = loop(f"inc dword [{DATA}]", 1_000_000).removesuffix("hlt")
    burst = f"mov ebx, {DATA}\nnext: inc dword [ebx]\nadd ebx, 4096\ncmp ebx, {DATA + 400 * PAGE}\njb next\n"

    box.run(steady + burst + steady.replace("again", "once_more") + "hlt", budget=0)

    assert [change.window for change in box.engine.mode_changes()] == [True]


def test_a_system_that_clears_new_pages_keeps_its_window(monkeypatch):
    """As Linux does for programs: where that is a repeated store, which goes by the flat tables, nothing is mapped."""
    monkeypatch.delenv("VPCORE_BT_MODE", raising=False)
    box = Processor(engine="bt")
    box.page_32(cr4=PSE | PGE)
    at, free, count = 0x40000000, 4 << 20, 4 << 10
    for k in range(0, count, 1024):
        box.put(box.pde(at + k * PAGE), free | P | W | PS | G)
    steady = loop(f"inc dword [{DATA}]", 1_000_000).removesuffix("hlt")
    clear = f"mov edi, {at}\nclear: mov ecx, 64\nrep stosd\nadd edi, 4096 - 256\ncmp edi, {at + count * PAGE}\njb clear\nhlt"

    box.run(steady + clear, budget=0)

    assert [change.window for change in box.engine.mode_changes()] == [True]


@pytest.mark.parametrize(("length", "calls", "windows"), [(1500, 1000, {True}), (50, 30_000, set())])
def test_a_user_who_calls_the_system_all_the_time_gets_no_window(monkeypatch, length, calls, windows):
    """To enter one, and to be kicked there, costs more than it saves: the same instructions with fewer calls get one."""
    monkeypatch.delenv("VPCORE_BT_MODE", raising=False)
    box = Processor(engine="bt")
    box.page_32()
    box.load("dec esi\njz .end\niretd\n.end: hlt", HANDLER)
    box.put(IDT + 8 * CALL, HANDLER | 8 << 16 | 0xEE00 << 32, 8)
    box.user()

    box.run(f"mov esi, {calls}\nstart: mov ecx, {length}\nagain: dec ecx\njnz again\nint {CALL}\njmp start", budget=0)

    assert {change.window for change in box.engine.mode_changes() if change.user} == windows


TOUCH = f"touch: mov ebx, {DATA}\nnext: inc dword [ebx]\nadd ebx, 4096\ncmp ebx, {DATA + 300 * PAGE}\njb next\nret"
"""More pages than the flat tables keep of an address space that is left."""


def test_two_address_spaces_that_alternate_get_a_window_each_and_keep_it(monkeypatch):
    monkeypatch.delenv("VPCORE_BT_MODE", raising=False)
    box = Processor(engine="bt")
    spaces = []
    for _ in range(2):
        box.page_32()
        spaces.append(box.directory)
    switches = "\n".join(f"mov eax, {at}\nmov cr3, eax\ncall touch" for at in spaces)

    box.run(loop(switches, 3000) + "\n" + TOUCH, budget=0)

    changes = [(change.cr3, change.window) for change in box.engine.mode_changes()]
    assert sorted(changes) == [(at, True) for at in spaces]
    assert box.get(DATA + 299 * PAGE) == 2 * 3000


def test_an_address_space_whose_pages_change_at_each_load_of_cr3_gets_no_window(monkeypatch):
    """SDM 3A 4.10.4: each entry is changed to and fro between two pages."""
    monkeypatch.delenv("VPCORE_BT_MODE", raising=False)
    box = Processor(engine="bt")
    box.page_32()
    first = box.pte(DATA)
    change = f"mov ebx, {first}\nto_and_fro: xor dword [ebx], {0x100 * PAGE}\nadd ebx, 4\ncmp ebx, {first + 4 * 32}\njb to_and_fro"
    few = TOUCH.replace(str(DATA + 300 * PAGE), str(DATA + 32 * PAGE))

    box.run(loop(f"{change}\nmov eax, cr3\nmov cr3, eax\ncall touch", 10_000) + "\n" + few, budget=0)

    assert box.engine.mode_changes() == []
    assert box.get(DATA) == box.get(DATA ^ 0x100 * PAGE) == 10_000 // 2


def test_an_address_space_that_goes_round_more_pages_than_are_remembered_gets_no_window(monkeypatch):
    monkeypatch.delenv("VPCORE_BT_MODE", raising=False)
    box = Processor(engine="bt")
    box.page_32(cr4=PSE)
    first, count = 0x40000000, 64
    for k in range(count):
        box.put(box.pde(first + (k << 22)), P | W | U | PS)
    far = f"mov ebx, {first}\nnext: mov eax, [ebx]\nadd ebx, 4096\ncmp ebx, {first + (count << 22)}\njb next"

    box.run(loop(far, 40), budget=0)

    assert box.engine.mode_changes() == []


# -- signals that are not ours --

CHILD = """
import ctypes, faulthandler, os, sys
sys.path.insert(0, {tests!r})
os.environ["VPCORE_BT_MODE"] = "window"
os.environ["VPCORE_BT_WARM"] = "1"
from box import Box
def run():
    box = Box(engine="bt")
    box.page_32()
    box.run(b"\\xb9\\x40\\x00\\x00\\x00\\xff\\x05\\x00\\x00\\x20\\x00\\x49\\x75\\xf7\\xf4")
    assert box.get(0x200000) == 64, box.get(0x200000)
    assert box.engine.stats().window_fills
    return box
{order}
print("still here", flush=True)
ctypes.string_at(8)
"""


@pytest.mark.parametrize(
    "order",
    ["faulthandler.enable()\nbox = run()", "box = run()\nfaulthandler.enable()\nbox = run()", "box = run()"],
    ids=["enabled before", "enabled after", "not enabled"],
)
def test_a_fault_of_python_goes_to_faulthandler_and_ends_the_process(order):
    tests = os.path.dirname(__file__)
    script = textwrap.dedent(CHILD).format(tests=tests, order=order)

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "still here\n", done.stderr
    # AddressSanitizer, where it has had the signal first, may end the process in its own way
    ways = {-signal.SIGSEGV, 1} if "libasan" in os.environ.get("LD_PRELOAD", "") else {-signal.SIGSEGV}
    assert done.returncode in ways
    assert ("Fatal Python error: Segmentation fault" in done.stderr) == ("faulthandler" in order)
