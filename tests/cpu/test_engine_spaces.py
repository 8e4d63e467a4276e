"""Address spaces: what a load of CR3 may keep, SDM 3A 4.10.

A processor forgets at MOV to CR3 what it knows of pages that are not global.  The engine may take up again what the page
tables still say; guests that switch to and fro must see every change made meanwhile.
"""

import pytest
from box import EAX, EBX, EDI, PAGE, PGE, WP, A, Box, D, G, P, U, W

LIN = 0x00500000  # mapped in the first space only
PHYS, OTHER = 0x00200000, 0x00280000
PF = 14
ERR_P, ERR_W = 1, 2
ROUNDS = 100
BUDGET = 100_000
RETURNS_1, RETURNS_2 = b"\xb8\x01\x00\x00\x00\xc3", b"\xb8\x02\x00\x00\x00\xc3"  # mov eax, n; ret


@pytest.fixture
def box():
    """Two spaces: the present one with a page at LIN, and `away`, which shares all other tables."""
    made = Box()
    made.page_32()
    made.away = made.another_directory()
    made.map_32(LIN, PHYS)
    made.put(PHYS, 1)
    made.put(OTHER, 2)
    return made


def there_and_back(box, meanwhile=""):
    return f"mov ecx, {box.away}\nmov cr3, ecx\n{meanwhile}\nmov ecx, {box.directory}\nmov cr3, ecx\n"


def test_data_of_a_page_that_was_remapped_while_its_space_was_away_is_the_new_page_s(box):
    remap = f"mov dword [{box.pte(LIN)}], {OTHER | P | W | A | D}"

    box.run(f"mov eax, [{LIN}]\n{there_and_back(box, remap)}mov ebx, [{LIN}]\nhlt")

    assert (box.cpu.gpr[EAX], box.cpu.gpr[EBX]) == (1, 2)


def test_a_page_is_not_seen_in_a_space_that_does_not_map_it(box):
    box.run(f"mov eax, [{LIN}]\nmov ecx, {box.away}\nmov cr3, ecx\nmov ebx, [{LIN}]\nhlt")

    assert (box.fault, box.cpu.cr2) == ((PF, 0), LIN)


@pytest.mark.parametrize("cr4", [0, PGE])
def test_code_that_is_remapped_in_each_round_is_the_new_page_s_in_each(box, cr4):
    """Blocks are warm and chained by then."""
    box.load(RETURNS_1, PHYS)
    box.load(RETURNS_2, OTHER)
    swap = f"xor dword [{box.pte(LIN)}], {PHYS ^ OTHER}"

    box.run(
        f"xor ebx, ebx\nmov edi, {ROUNDS}\nagain:\nmov edx, {LIN}\ncall edx\nadd ebx, eax\n"
        f"{there_and_back(box, swap)}dec edi\njnz again\nhlt",
        BUDGET,
        cr4=cr4,
    )

    assert box.cpu.gpr[EBX] == ROUNDS // 2 * (1 + 2)


def test_code_remapped_and_mapped_back_between_loads_is_not_mixed_up(box):
    """While it is stale an entry may be used or not; after a load of CR3 it may not."""
    box.load(RETURNS_1, PHYS)
    box.load(RETURNS_2, OTHER)
    swap = f"xor dword [{box.pte(LIN)}], {PHYS ^ OTHER}\n"

    box.run(
        f"xor ebx, ebx\nmov edi, {ROUNDS}\nagain:\n{swap}mov edx, {LIN}\ncall edx\n{swap}{there_and_back(box)}"
        f"mov edx, {LIN}\ncall edx\nadd ebx, eax\n{there_and_back(box)}dec edi\njnz again\nhlt",
        BUDGET,
    )

    assert box.cpu.gpr[EBX] == ROUNDS


@pytest.mark.parametrize("level", ["pde", "pte"])
def test_accessed_bits_cleared_while_a_space_was_away_are_set_by_its_next_access(box, level):
    """SDM 3A 4.8: systems that look for unused pages rely on it."""
    entry = getattr(box, level)(LIN)

    box.run(f"mov eax, [{LIN}]\n{there_and_back(box, f'and dword [{entry}], {~A & 0xFFFFFFFF}')}mov eax, [{LIN}]\nhlt")

    assert box.get(entry) & A


def test_an_accessed_bit_cleared_while_code_s_space_was_away_is_set_when_it_runs_again(box):
    box.load(RETURNS_1, PHYS)
    clear = f"and dword [{box.pte(LIN)}], {~A & 0xFFFFFFFF}"

    box.run(f"mov edx, {LIN}\ncall edx\n{there_and_back(box, clear)}mov edx, {LIN}\ncall edx\nhlt")

    assert box.get(box.pte(LIN)) & A


def test_a_dirty_bit_cleared_while_a_space_was_away_is_set_by_its_next_write(box):
    clear = f"and dword [{box.pte(LIN)}], {~D & 0xFFFFFFFF}"

    box.run(f"mov dword [{LIN}], 1\n{there_and_back(box, clear)}mov dword [{LIN}], 2\nhlt")

    assert box.get(box.pte(LIN)) & D


def test_a_page_write_protected_while_its_space_was_away_faults(box):
    """As fork() does it."""
    protect = f"and dword [{box.pte(LIN)}], {~W & 0xFFFFFFFF}"

    box.cpu.cr0 |= WP
    box.run(f"mov dword [{LIN}], 1\n{there_and_back(box, protect)}mov dword [{LIN}], 2\nhlt")

    assert (box.fault, box.cpu.cr2, box.get(PHYS)) == ((PF, ERR_P | ERR_W), LIN, 1)


def test_what_has_not_changed_is_not_walked_for_again(box):
    before = box.engine.stats().tlb_fills

    box.run(
        f"mov edi, {ROUNDS}\nagain:\nmov eax, [{LIN}]\nmov [{LIN}], eax\n{there_and_back(box)}dec edi\njnz again\nhlt",
        BUDGET,
    )

    assert box.engine.stats().tlb_fills - before < ROUNDS // 4


def test_a_program_of_more_memory_than_processors_remember_is_walked_for_once(box):
    """24 MB, page by page, and again: nearly all of it is remembered while its space stays."""
    pages, first, rounds = 6 * 1024, 0x10000000, 4
    for k in range(pages):
        box.map_32(first + PAGE * k, PHYS)
    before = box.engine.stats().tlb_fills

    box.run(
        f"mov edi, {rounds}\nround:\nmov esi, {first}\nmov ecx, {pages}\nagain:\nmov eax, [esi]\nadd esi, {PAGE}\n"
        "dec ecx\njnz again\ndec edi\njnz round\nhlt",
        BUDGET,
    )

    assert not box.cpu.gpr[EDI]
    assert pages <= box.engine.stats().tlb_fills - before < pages + pages // 100


def test_more_spaces_than_are_remembered_each_keep_their_own_mapping(box):
    """Each has its own page at LIN; code of all runs at the same address."""
    count, directories = 40, []
    for k in range(count):
        page, table, directory = box.table(), box.table(), box.another_directory()
        box.load(b"\xb8" + k.to_bytes(4, "little") + b"\xc3", page)
        box.put(table + 4 * (LIN >> 12 & 1023), page | P | W | U)
        box.put(directory + 4 * (LIN >> 22), table | P | W | U)
        directories.append(directory)
    visits = "".join(f"mov ecx, {at}\nmov cr3, ecx\nmov edx, {LIN}\ncall edx\nadd ebx, eax\n" for at in directories)

    box.run(f"xor ebx, ebx\nmov edi, {ROUNDS}\nagain:\n{visits}dec edi\njnz near again\nhlt", BUDGET)

    assert box.cpu.gpr[EBX] == ROUNDS * sum(range(count))


def test_a_global_page_may_be_used_in_all_spaces_and_invlpg_forgets_it_in_all(box):
    box.put(box.away + 4 * (LIN >> 22), box.get(box.pde(LIN)))
    box.put(box.pte(LIN), PHYS | P | W | G)
    remap = f"mov dword [{box.pte(LIN)}], {OTHER | P | W | G}\ninvlpg [{LIN}]\nmov ebx, [{LIN}]"

    box.run(f"mov eax, [{LIN}]\n{there_and_back(box, remap)}mov edx, [{LIN}]\nhlt", cr4=PGE)

    assert (box.cpu.gpr[EAX], box.cpu.gpr[EBX], box.cpu.gpr[2]) == (1, 2, 2)
