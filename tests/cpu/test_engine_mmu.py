"""Paging: SDM 3A chapter 4, as the guest and the page tables in memory see it."""

import pytest
from box import AM, CODE, EAX, PAE, PAGE, PGE, PS, PSE, WP, A, Box, D, G, P, U, W

from vpcore.engine import Exit

LIN = 0x00500000  # a page that page_32() does not map
PHYS = 0x00200000
GP, PF, AC = 13, 14, 17
ERR_P, ERR_W, ERR_U, ERR_RSVD = 1, 2, 4, 8
LOAD = f"mov eax, [{LIN}]\nhlt"
STORE = f"mov dword [{LIN}], 1\nhlt"


@pytest.fixture
def box():
    made = Box()
    made.page_32()
    made.put(PHYS, 0x12345678)
    return made


def test_a_mapped_page_is_read_at_its_physical_address(box):
    """SDM 3A 4.3, table 4-6."""
    box.map_32(LIN, PHYS)

    assert box.run(LOAD) == Exit.HALT

    assert box.cpu.gpr[EAX] == 0x12345678


@pytest.mark.parametrize(
    ("pde", "pte", "wp", "user", "code", "error"),
    [
        # SDM 3A 4.6.1 and 4.7: None means that the access is allowed
        (P | W | U, 0, 0, False, LOAD, 0),
        (P | W | U, 0, 0, False, STORE, ERR_W),
        (P | W | U, 0, 0, True, LOAD, ERR_U),
        (P | W | U, 0, 0, True, STORE, ERR_U | ERR_W),
        (0, P | W | U, 0, True, LOAD, ERR_U),
        (P | W | U, P, 0, False, LOAD, None),
        (P | W | U, P, 0, False, STORE, None),
        (P | W | U, P, WP, False, STORE, ERR_P | ERR_W),
        (P | U, P | W | U, WP, False, STORE, ERR_P | ERR_W),
        (P | U, P | W | U, 0, False, STORE, None),
        (P | W | U, P | W, 0, True, LOAD, ERR_P | ERR_U),
        (P | W, P | W | U, 0, True, LOAD, ERR_P | ERR_U),
        (P | W | U, P | U, 0, True, LOAD, None),
        (P | W | U, P | U, 0, True, STORE, ERR_P | ERR_U | ERR_W),
        (P | U, P | W | U, 0, True, STORE, ERR_P | ERR_U | ERR_W),
        (P | W | U, P | W | U, WP, True, STORE, None),
    ],
)
def test_rights_of_both_levels_decide_and_the_error_code_says_why(box, pde, pte, wp, user, code, error):
    box.map_32(LIN, PHYS, pte)
    box.put(box.pde(LIN), (box.get(box.pde(LIN)) & ~0xFFF) | pde)
    if user:
        box.user()
        code = code.replace("hlt", "int3")
    box.cpu.cr0 |= wp

    box.run(code)

    if error is None:
        assert box.fault == ((GP, 3 * 8 + 2) if user else None)  # INT3 through a gate of DPL 0 ends user code
    else:
        assert box.fault == (PF, error)
        assert box.cpu.cr2 == LIN
        assert box.fault_eip == CODE


def test_a_read_sets_accessed_bits_and_no_dirty_bit(box):
    """SDM 3A 4.8."""
    box.map_32(LIN, PHYS)

    box.run(LOAD)

    assert box.get(box.pde(LIN)) & (A | D) == A
    assert box.get(box.pte(LIN)) & (A | D) == A


def test_a_write_sets_dirty_in_the_last_level_only(box):
    """SDM 3A 4.8."""
    box.map_32(LIN, PHYS)

    box.run(STORE)

    assert box.get(box.pde(LIN)) & (A | D) == A
    assert box.get(box.pte(LIN)) & (A | D) == A | D


def test_a_write_after_a_read_still_sets_dirty(box):
    """SDM 3A 4.8: the TLB may have the page already."""
    box.map_32(LIN, PHYS)

    box.run(f"mov eax, [{LIN}]\nmov [{LIN}], eax\nhlt")

    assert box.get(box.pte(LIN)) & D


def test_a_refused_access_sets_no_bits(box):
    box.map_32(LIN, PHYS, P | W)
    box.user()

    box.run(LOAD)

    assert box.fault == (PF, ERR_P | ERR_U)
    assert not box.get(box.pte(LIN)) & A


def test_a_changed_entry_takes_effect_at_invlpg(box):
    """SDM 3A 4.10.4.1."""
    box.map_32(LIN, PHYS)
    box.put(PHYS + PAGE, 2)

    box.run(
        f"""
        mov eax, [{LIN}]
        mov dword [{box.pte(LIN)}], {PHYS + PAGE | P | W}
        invlpg [{LIN}]
        mov ebx, [{LIN}]
        hlt"""
    )

    assert box.cpu.gpr[3] == 2


def test_global_pages_survive_a_load_of_cr3_and_not_a_change_of_pge(box):
    """SDM 3A 4.10.4.1: MOV to CR3 spares global entries, MOV to CR4 that changes PGE does not."""
    box.map_32(LIN, PHYS, P | W | G)
    box.put(PHYS, 1)
    box.put(PHYS + PAGE, 2)

    box.run(
        f"""
        mov eax, [{LIN}]
        mov dword [{box.pte(LIN)}], {PHYS + PAGE | P | W | G}
        mov ecx, cr3
        mov cr3, ecx
        mov ebx, [{LIN}]
        mov ecx, cr4
        and ecx, {~PGE & 0xFFFFFFFF}
        mov cr4, ecx
        mov esi, [{LIN}]
        hlt""",
        cr4=PGE,
    )

    assert (box.cpu.gpr[3], box.cpu.gpr[6]) == (1, 2)


def test_entries_that_are_not_global_go_with_cr3(box):
    """SDM 3A 4.10.4.1."""
    box.map_32(LIN, PHYS)
    box.put(PHYS + PAGE, 2)

    box.run(
        f"""
        mov eax, [{LIN}]
        mov dword [{box.pte(LIN)}], {PHYS + PAGE | P | W}
        mov ecx, cr3
        mov cr3, ecx
        mov ebx, [{LIN}]
        hlt"""
    )

    assert box.cpu.gpr[3] == 2


def test_a_4_mb_page_maps_its_whole_range(box):
    """SDM 3A table 4-4."""
    box.put(0x800000 + 0x123456, 0xABCD)
    box.put(box.directory + 4 * 5, 0x800000 | P | W | PS)

    box.run(f"mov eax, [{5 << 22 | 0x123456}]\nmov [{5 << 22 | 8}], eax\nhlt", cr4=PSE)

    assert box.cpu.gpr[EAX] == 0xABCD
    assert box.get(0x800008) == 0xABCD
    assert box.get(box.directory + 4 * 5) & (A | D) == A | D


def test_without_pse_the_ps_bit_means_nothing(box):
    """SDM 3A table 4-5: bit 7 is ignored where CR4.PSE = 0."""
    box.map_32(LIN, PHYS)
    box.put(box.pde(LIN), box.get(box.pde(LIN)) | PS)

    assert box.run(LOAD) == Exit.HALT

    assert box.cpu.gpr[EAX] == 0x12345678


@pytest.mark.parametrize(("bit", "reserved"), [(13, False), (16, False), (17, True), (21, True)])
def test_reserved_bits_of_a_4_mb_page_fault(box, bit, reserved):
    """SDM 3A table 4-4: with PSE-36 and 36 address bits, 21:17 are reserved; 16:13 are address bits 35:32."""
    box.put(box.directory + 4 * 5, 0x800000 | P | W | PS | 1 << bit)

    box.run(f"mov eax, [{5 << 22}]\nhlt", cr4=PSE)

    if reserved:
        assert box.fault == (PF, ERR_P | ERR_RSVD)
    else:
        assert box.bus.log == [("read", 0x800000 | 1 << bit + 19, 4)]


def test_invlpg_of_any_address_in_a_large_page_drops_it(box):
    """SDM 3A 4.10.4.1."""
    box.put(0x800000, 1)
    box.put(0xC00000, 2)
    box.put(box.directory + 4 * 5, 0x800000 | P | W | PS)

    box.run(
        f"""
        mov eax, [{5 << 22}]
        mov dword [{box.directory + 4 * 5}], {0xC00000 | P | W | PS}
        invlpg [{5 << 22 | 0x345000}]
        mov ebx, [{5 << 22}]
        hlt""",
        cr4=PSE,
    )

    assert (box.cpu.gpr[EAX], box.cpu.gpr[3]) == (1, 2)


@pytest.fixture
def pae():
    """PAE paging that maps the first 2 MB onto themselves by 4 KB pages; `tables` are PDPT, PD and PT."""
    made = Box()
    pdpt, directory, table = (made.table() for _ in range(3))
    made.put(pdpt, directory | P, 8)
    made.put(directory, table | P | W | U, 8)
    for page in range(512):
        made.put(table + 8 * page, page * PAGE | P | W | U, 8)
    made.load("mov cr3, eax\nmov cr0, ebx\nnop\nhlt")
    assert made.run(eip=CODE, cr4=PAE | PSE, eax=pdpt, ebx=made.cpu.cr0 | 1 << 31) == Exit.HALT
    return made, (pdpt, directory, table)


def test_pae_walks_three_levels_and_sets_bits_in_two(pae):
    """SDM 3A 4.4.2, tables 4-9 and 4-11."""
    box, (_, directory, table) = pae
    box.put(0x123000, 77)

    box.run("mov eax, [0x123000]\nmov [0x123004], eax\nhlt", eip=CODE)

    assert box.cpu.gpr[EAX] == 77
    assert box.get(directory, 8) & (A | D) == A
    assert box.get(table + 8 * 0x123, 8) & (A | D) == A | D


def test_a_2_mb_page_maps_its_whole_range(pae):
    """SDM 3A table 4-10."""
    box, (_, directory, _) = pae
    box.put(directory + 8 * 5, 0x400000 | P | W | PS, 8)
    box.put(0x400000 + 0x12345C, 99)

    box.run(f"mov eax, [{5 << 21 | 0x12345C}]\nhlt", eip=CODE)

    assert box.cpu.gpr[EAX] == 99


@pytest.mark.parametrize("bit", [36, 51, 63])
def test_address_bits_that_the_processor_lacks_are_reserved_under_pae(pae, bit):
    """SDM 3A table 4-11; bit 63 because there is no NXE."""
    box, (_, _, table) = pae
    box.put(table + 8 * 0x123, 0x123000 | P | W | 1 << bit, 8)

    box.run("mov eax, [0x123000]\nhlt", eip=CODE)

    assert box.fault == (PF, ERR_P | ERR_RSVD)


def test_pages_above_4_gb_are_the_bus_s(pae):
    """36 address bits reach further than this machine's memory: open bus."""
    box, (_, _, table) = pae
    box.put(table + 8 * 0x123, 0x3_0000_0000 | P | W, 8)

    box.run("mov eax, [0x123010]\nhlt", eip=CODE)

    assert box.bus.log == [("read", 0x3_0000_0010, 4)]
    assert box.cpu.gpr[EAX] == 0xFFFFFFFF


def test_the_pdpte_is_read_when_cr3_is_loaded(pae):
    """SDM 3A 4.4.1: a change in memory shows at the next MOV to CR3."""
    box, (pdpt, directory, _) = pae
    box.put(directory + 8 * 3, 0x400000 | P | W | PS, 8)
    box.put(pdpt + 8, directory | P, 8)

    box.run(f"mov eax, [{1 << 30 | 3 << 21}]\nhlt", eip=CODE)
    before = box.fault
    box.run(f"mov ecx, cr3\nmov cr3, ecx\nmov eax, [{1 << 30 | 3 << 21}]\nhlt", eip=CODE)

    assert before == (PF, 0)
    assert box.fault is None


def test_a_store_across_pages_changes_nothing_when_the_second_page_faults(box):
    """SDM 3A 6.5: a fault leaves the instruction restartable."""
    box.map_32(LIN, PHYS)
    box.put(PHYS + PAGE - 4, 0)

    box.run(f"mov dword [{LIN + PAGE - 2}], 0xffffffff\nhlt")

    assert box.fault == (PF, ERR_W)
    assert box.cpu.cr2 == LIN + PAGE
    assert box.get(PHYS + PAGE - 4) == 0


def test_accesses_across_pages_meet_both(box):
    box.map_32(LIN, PHYS)
    box.map_32(LIN + PAGE, PHYS + 7 * PAGE)
    box.ram[PHYS + PAGE - 1] = 0x11
    box.ram[PHYS + 7 * PAGE : PHYS + 7 * PAGE + 3] = b"\x22\x33\x44"

    box.run(f"mov eax, [{LIN + PAGE - 1}]\nmov dword [{LIN + PAGE - 3}], 0xddccbbaa\nhlt")

    assert box.cpu.gpr[EAX] == 0x44332211
    assert bytes(box.ram[PHYS + PAGE - 3 : PHYS + PAGE]) == b"\xaa\xbb\xcc"
    assert box.ram[PHYS + 7 * PAGE] == 0xDD


def test_a_read_modify_write_of_a_read_only_page_faults_as_a_write(box):
    """SDM 3A 4.7: W/R tells the access that caused it; ADD may not read first and fault later."""
    box.map_32(LIN, PHYS, P)

    box.run(f"add dword [{LIN}], 1\nhlt", cr0=box.cpu.cr0 | WP)

    assert box.fault == (PF, ERR_P | ERR_W)


def test_fetches_fault_like_reads(box):
    """SDM 3A 4.7."""
    box.run(f"jmp {LIN}", eip=CODE)

    assert box.fault == (PF, 0)
    assert (box.cpu.cr2, box.fault_eip) == (LIN, LIN)


def test_an_instruction_across_pages_faults_at_its_second_page(box):
    """EIP is the instruction's, CR2 the missing byte's."""
    box.map_32(LIN, PHYS)
    box.ram[PHYS + PAGE - 2 : PHYS + PAGE] = b"\xb8\x01"

    box.run(f"jmp {LIN + PAGE - 2}")

    assert box.fault == (PF, 0)
    assert (box.cpu.cr2, box.fault_eip) == (LIN + PAGE, LIN + PAGE - 2)


def test_a_user_page_that_becomes_supervisor_only_stops_user_code_after_a_flush(box):
    box.map_32(LIN, PHYS)
    box.ram[PHYS : PHYS + 2] = b"\xeb\xfe"
    box.user()
    box.run(eip=LIN, budget=100)
    box.map_32(LIN, PHYS, P | W)

    box.run(eip=LIN, budget=100)

    assert box.fault == (PF, ERR_P | ERR_U)


def test_the_supervisor_s_shortcut_to_code_is_not_the_user_s(box):
    """The same linear address runs at CPL 0 and is refused at CPL 3 right after."""
    box.map_32(LIN, PHYS, P | W)
    box.load(f"call {LIN}\nint3")
    box.ram[PHYS] = 0xC3
    box.run(eip=CODE)

    box.user()
    box.run(f"call {LIN}\nhlt")

    assert box.fault == (PF, ERR_P | ERR_U)


def test_a20_masks_the_address_after_translation():
    """The gate is outside the processor: bit 20 of the physical address is 0."""
    box = Box()
    box.put(0x100000, 0x1111)
    box.put(0x000000, 0x2222)
    box.load("mov eax, [0x100000]\nhlt")
    box.run(eip=CODE)
    opened = box.cpu.gpr[EAX]

    box.engine.set_a20(False)
    box.run(eip=CODE)

    assert (opened, box.cpu.gpr[EAX]) == (0x1111, 0x2222)


def test_mmio_is_read_and_written_with_the_instruction_s_width(box):
    box.map_32(LIN, 0xE0000000)
    box.bus.answers = {0xE0000004: 0xCAFEBABE, 0xE0000009: 0x5A}

    box.run(f"mov eax, [{LIN + 4}]\nmov bl, [{LIN + 9}]\nmov word [{LIN + 2}], 0x1234\nhlt")

    assert box.bus.log == [("read", 0xE0000004, 4), ("read", 0xE0000009, 1), ("write", 0xE0000002, 2, 0x1234)]
    assert (box.cpu.gpr[EAX], box.cpu.gpr[3]) == (0xCAFEBABE, 0x5A)


def test_an_aligned_and_a_misaligned_access_differ_under_alignment_check(box):
    """SDM 3A 6.15, interrupt 17: CR0.AM, EFLAGS.AC and CPL 3."""
    box.user()
    box.set(cr0=box.cpu.cr0 | AM, eflags=1 << 18 | 2)

    box.run("mov eax, [0x9100]\nmov eax, [0x9102]\nnop")

    assert box.fault == (AC, 0)
    assert box.fault_eip == CODE + 5


def test_alignment_is_not_checked_for_the_supervisor(box):
    box.set(cr0=box.cpu.cr0 | AM, eflags=1 << 18 | 2)

    assert box.run("mov eax, [0x9102]\nhlt") == Exit.HALT

    assert box.fault is None


def test_page_tables_in_no_memory_read_as_open_bus():
    """A hostile CR3: entries of all ones have reserved bits only with PSE, and lead to more open bus."""
    box = Box()
    box.page_32()
    box.run(eip=CODE, cr3=0xF0000000, budget=1000)

    assert box.engine.run(1000) in (Exit.SHUTDOWN, Exit.BUDGET, Exit.HALT)


def test_translate_tells_physical_addresses_without_touching_the_tables(box):
    box.map_32(LIN, PHYS)

    assert box.engine.translate(LIN + 5) == PHYS + 5
    assert box.engine.translate(LIN + PAGE) is None
    assert not box.get(box.pte(LIN)) & A


def test_many_pages_keep_their_translations_apart(box):
    """More pages than the TLB has slots, twice."""
    for page in range(3000):
        box.map_32(0x10000000 + page * PAGE, PHYS + (page % 512) * PAGE)
    for page in range(512):
        box.put(PHYS + page * PAGE, page)

    box.run(
        """
        mov edx, 2
    again:
        xor ecx, ecx
    next:
        mov esi, ecx
        shl esi, 12
        mov eax, [esi + 0x10000000]
        mov ebx, ecx
        and ebx, 511
        cmp eax, ebx
        jne wrong
        inc ecx
        cmp ecx, 3000
        jb next
        dec edx
        jnz again
        hlt
    wrong:
        int3""",
        budget=200_000,
    )

    assert box.fault is None
    assert box.cpu.gpr[1] == 3000
