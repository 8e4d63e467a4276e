"""What `bt` needs of the host, and how it does with little room."""

import pytest
from box import CODE, DESCRIPTORS, ECX, GDT, PAGE
from box import Box as Processor

from vpcore.engine import Exit
from vpcore.engine.engine import probe
from vpcore.errors import EngineError

COUNT = 2000
TABLE = 0x9000


@pytest.mark.parametrize("step", ["memfd", "write", "exec"])
def test_a_host_without_executable_memory_has_no_bt_and_says_why(monkeypatch, step):
    monkeypatch.setenv("VPCORE_CODEMEM_FAIL", step)

    reason = probe()["bt"]

    assert "executable memory" in reason
    with pytest.raises(EngineError, match="executable memory"):
        Processor(engine="bt")


def test_blocks_that_do_not_fit_the_cache_drop_it_and_run_on():
    """More code than the least cache holds, twice: every block adds its own number."""
    box = Processor(engine="bt", cache_size=1 << 20)
    at, blocks = 0x100000, 6000
    box.load_adders(at, blocks, 256)

    ends = [box.run(eip=at, ebx=0x9000, budget=0) for _ in range(2)]

    assert ends == [Exit.HALT] * 2
    assert box.cpu.gpr[0] == blocks * (blocks - 1)
    assert box.engine.stats().cache_flushes > 1


LOOPS = {
    "indirect jumps": """
        mov esi, table
    again: mov eax, ecx
        and eax, 3
        jmp [esi + eax * 4]
        align 64
    a:  inc ebx
        jmp next
    b:  add ebx, 2
        jmp next
    c:  add ebx, 3
        jmp next
    d:  add ebx, 4
    next: mov edx, again
        dec ecx
        jz end
        jmp edx
    end: hlt
        align 4
    table: dd a, b, c, d""",
    "calls and returns": """
        mov esi, 0x20000
        mov dword [esi], near_one
        mov dword [esi + 4], far_one
    again: mov eax, ecx
        and eax, 1
        call [esi + eax * 4]
        call near_one
        call far_one
        dec ecx
        jnz again
        hlt
    near_one: add ebx, 1
        ret
        times 5000 db 0x90
    far_one: add ebx, 1
        ret""",
    "direct jumps between pages": """
    again: inc ebx
        jmp far_one
        times 5000 db 0x90
    far_one: dec ecx
        jnz again
        hlt""",
}


@pytest.mark.parametrize("mode", ["flat", "window"])
@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_jumps_stay_in_translated_code_once_they_have_been_everywhere(monkeypatch, loop, mode):
    """Under whatever lead back to the run loop: what a jump costs there is a hundred of what it does here."""
    monkeypatch.setenv("VPCORE_BT_MODE", mode)
    box = Processor(engine="bt")
    box.page_32()
    box.run(loop, ecx=COUNT)
    before = box.engine.stats()

    box.run(eip=CODE, ecx=100 * COUNT, budget=0)

    now = box.engine.stats()
    assert now.exits_direct - before.exits_direct < COUNT // 10
    assert now.exits_indirect - before.exits_indirect < COUNT // 10
    assert now.blocks_run - before.blocks_run < COUNT


@pytest.mark.parametrize(
    ("loop", "kind"), [("indirect jumps", "exits_indirect"), ("direct jumps between pages", "exits_direct")]
)
def test_the_first_jump_to_a_place_leaves_translated_code_and_counts(loop, kind):
    box = Processor(engine="bt")
    box.page_32()
    before = getattr(box.engine.stats(), kind)

    box.run(LOOPS[loop], ecx=COUNT)

    assert getattr(box.engine.stats(), kind) > before


def test_translated_code_is_found_by_indirect_jumps_after_its_page_moved():
    """The same linear address leads to other memory after MOV CR3: SDM 3A 4.10.4."""
    box = Processor(engine="bt")
    box.page_32()
    first = box.directory
    for phys, value in ((0x300000, 1), (0x301000, 2)):
        # mov eax, value; ret
        box.load(b"\xb8" + value.to_bytes(4, "little") + b"\xc3", phys)
    box.map_32(0x302000, 0x300000)
    program = "mov ecx, 6\nmov edx, 0x302000\nagain: call edx\nadd esi, eax\nshl esi, 1\nmov ebx, {}\nmov [ebx], edi\n"
    program += "xor edi, {}\nmov eax, cr3\nmov cr3, eax\ndec ecx\njnz again\nhlt"
    entries = 0x300007, 0x301007

    box.run(program.format(box.pte(0x302000), entries[0] ^ entries[1]), edi=entries[1], budget=0)

    assert box.directory == first
    assert box.cpu.gpr[6] == sum(
        value << shift for value, shift in zip((1, 2, 1, 2, 1, 2), range(6, 0, -1), strict=True)
    )


def test_two_targets_of_indirect_jumps_that_share_a_place_of_the_table_are_both_found_in_host_code():
    """The table is indexed by the lower half of EIP."""
    box = Processor(engine="bt")
    first, rounds = 0x300000, 20_000
    for target in (first, first + 0x10000):
        box.load(b"\x01\xca\xc3", target)  # add edx, ecx; ret
    calls = "\n".join(f"mov eax, {target}\ncall eax" for target in (first, first + 0x10000))
    before = box.engine.stats().blocks_run

    end = box.run(f"xor edx, edx\nmov ecx, {rounds}\nagain:\n{calls}\ndec ecx\njnz again\nhlt", budget=0)

    assert end is Exit.HALT
    assert box.cpu.gpr[2] == rounds * (rounds + 1)
    assert box.engine.stats().blocks_run - before < rounds // 10


@pytest.mark.parametrize("host", ["with PEXT", "without"])
def test_flat_tables_are_asked_on_any_host_and_accesses_across_pages_fault_only_at_first(monkeypatch, host):
    """BMI2 and a fast PEXT ask without flags, and see an access over a page's end by a fault of the host's."""
    monkeypatch.setenv("VPCORE_BT_MODE", "flat")
    if host == "without":
        monkeypatch.setenv("VPCORE_BT_NO_PEXT", "1")
    box = Processor(engine="bt")
    box.page_32()
    for page in range(3):
        box.map_32(0x300000 + page * PAGE, 0x200000 + (2 - page) * PAGE)
    lines = "cmp ecx, 20\nmov [ebx], ecx\nadc eax, [ebx+2]\nadd edx, [ebx+4]\n"
    program = f"mov ecx, 40\nxor eax, eax\nxor edx, edx\nagain: mov ebx, 0x300ffd\n{lines}mov ebx, 0x301ffd\n{lines}"

    end = box.run(f"{program}dec ecx\njnz again\nhlt", budget=0)

    assert end == Exit.HALT
    # the higher bytes of what was written stay 0: [ebx+2] has bytes 2 and 3 of it, and of [ebx+4] nothing is ever written
    below = 19  # rounds in which ECX is under 20, twice each
    assert (box.cpu.gpr[0], box.cpu.gpr[2]) == (2 * below, 0)
    assert ("PEXT" in box.engine.lacks) == (host == "without")
    assert box.engine.stats().window_faults <= (0 if host == "without" else 30)


@pytest.mark.parametrize("mode", ["flat", "window"])
def test_a_segment_that_was_4_gb_when_code_was_translated_is_checked_when_it_is_smaller(monkeypatch, mode):
    """SDM 3A 5.3: an offset beyond the limit is #GP; below it the base counts as before."""
    monkeypatch.setenv("VPCORE_BT_MODE", mode)
    box = Processor(engine="bt")
    box.page_32()
    wide, narrow = len(DESCRIPTORS) * 8, (len(DESCRIPTORS) + 1) * 8
    box.put(GDT + wide, 0x00CF93200000FFFF, 8)  # base 0x200000, limit 4 GB
    box.put(GDT + narrow, 0x0040932100000013, 8)  # base 0x210000, limit 0x13
    box.set(gdtr_limit=narrow + 7)
    own = "mov ecx, 9\nagain: cmp ecx, 5\nadc dword [fs:16], 1\nadc dword [fs:0x80000000], 0\ndec ecx\njnz again\n"
    program = f"mov edi, ebx\nround: mov fs, di\n{own}xchg edi, esi\njmp round"
    box.map_32(0x80200000, 0x220000)

    end = box.run(program, ebx=wide, esi=narrow, budget=0)

    assert end == Exit.HALT
    assert box.fault[0] == 13
    assert [box.get(at) for at in (0x200010, 0x210010, 0x220000)] == [9 + 4, 1, 0]


def test_code_mapped_at_more_places_than_are_kept_is_right_at_each():
    """A shared library's page: what it pushes is its own address there."""
    box = Processor(engine="bt")
    box.page_32()
    # call +0; pop ebx; add edx, ebx; ret
    box.load(b"\xe8\x00\x00\x00\x00\x5b\x01\xda\xc3", 0x300000)
    places = [0x310000 + 0x2000 * k for k in range(7)]
    for place in places:
        box.map_32(place, 0x300000)
    calls = "\n".join(f"mov eax, {place}\ncall eax" for place in (*places, *reversed(places)))

    end = box.run(f"xor edx, edx\nmov ecx, 5\nagain:\n{calls}\ndec ecx\njnz near again\nhlt", budget=0)

    assert end == Exit.HALT
    assert box.cpu.gpr[2] == 5 * 2 * sum(place + 5 for place in places)


def test_the_block_behind_a_call_lies_where_the_jump_to_it_would_be(monkeypatch, tmp_path):
    """The callee is what came after the call each time, and is of no use there."""
    jump = 5
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_BT_WARM", "10")
    monkeypatch.setenv("VPCORE_BT_MAP", str(tmp_path / "map"))
    box = Processor(engine="bt")
    box.page_32()

    box.run("mov ecx, 30\nagain: dec ecx\njz near out\ncall f\ninc ebx\njmp again\nout: hlt\nf: ret", budget=0)

    box.engine.close()
    lines = [line.split() for line in (tmp_path / "map").read_text().splitlines() if line[0] != "#"]
    blocks = {line[2]: (int(line[0], 16), int(line[1], 16)) for line in reversed(lines) if len(line) == 3}
    call = CODE + 5 + 1 + 6
    behind = call + 5
    at, size = blocks[f"guest_{call:x}_window"]
    assert blocks[f"guest_{behind:x}_window"][0] == at + size - jump


@pytest.mark.parametrize("another", [True, False])
@pytest.mark.parametrize("mode", ["flat", "window"])
def test_systems_code_that_a_second_process_comes_by_is_translated(monkeypatch, mode, another):
    """It will be executed for each; for one process alone it has to be as often as other code is."""
    monkeypatch.setenv("VPCORE_BT_MODE", mode)
    monkeypatch.setenv("VPCORE_BT_WARM", "10")
    box = Processor(engine="bt")
    box.page_32()
    spaces = [box.directory, box.another_directory() if another else box.directory] * 2
    for k, space in enumerate(spaces):
        box.put(TABLE + 4 * k, space)
    before = box.engine.stats().code_bytes

    box.run("again: mov eax, [esi]\nmov cr3, eax\nadd esi, 4\ndec ecx\njnz again\nhlt", esi=TABLE, ecx=len(spaces))

    assert box.cpu.gpr[ECX] == 0
    assert (box.engine.stats().code_bytes > before) == another
