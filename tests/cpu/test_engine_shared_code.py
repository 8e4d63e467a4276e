"""User code at one address in two address spaces, on the same page or on different ones: CR3 decides which runs."""

import pytest
from box import CODE, EBP, EBX, ESI, IDT, PAGE, STACK3, A, Box, P, U, W, asm

HERE, THERE, END, ELSEWHERE, LIBRARY = 0x300000, 0x301000, 0x302000, 0x303000, 0x400000
ROUNDS = 400
SYSTEM_CALL = 0x13
KERNEL = f"""
    mov ecx, {ROUNDS}
    mov eax, 0x23
    mov ds, eax
    mov es, eax
again:
    push dword 0x23
    push dword {STACK3}
    push dword 0x202
    push dword 0x1b
    push dword {HERE}
    iretd
    add esp, 20
    mov eax, cr3
    xor eax, edi
    mov cr3, eax
    dec ecx
    jnz again
    hlt
"""
PAGES = {
    HERE: f"inc esi\ncall {THERE}\ncall edx\njmp {END}",
    THERE: "inc ebx\nret",
    END: f"int {SYSTEM_CALL}",
}
OTHERS = {
    HERE: f"add esi, 3\ncall {THERE}\ncall edx\njmp {END}",
    THERE: "add ebx, 3\nret",
    END: f"inc ebp\nint {SYSTEM_CALL}",
}


def other_space(box, moved):
    """A second page directory, like the first one but for *moved*, which lies ELSEWHERE there."""
    directory, table = box.another_directory(), box.table()
    first = box.get(box.pde(HERE)) & ~(PAGE - 1)
    box.ram[table : table + PAGE] = box.ram[first : first + PAGE]
    box.put(directory + 4 * (HERE >> 22), table | P | W | U)
    if moved is not None:
        box.put(table + 4 * (moved >> 12 & 1023), ELSEWHERE | P | W | U | A)
        code = asm(OTHERS[moved], 32, moved)
        box.ram[ELSEWHERE : ELSEWHERE + len(code)] = code
    return directory


@pytest.mark.parametrize("moved", [None, HERE, THERE, END], ids=["none", "caller", "callee", "end"])
def test_each_address_space_runs_its_own_page(moved):
    """SDM 3A 4.10.4.1: after MOV CR3 nothing of the old tables is used, but for global pages."""
    box = Box()
    box.page_32()
    box.load(KERNEL)
    for at, code in PAGES.items():
        box.load(code, at)
    behind_iret = CODE + asm(KERNEL).index(b"\xcf") + 1
    box.put(IDT + 8 * SYSTEM_CALL, behind_iret | 8 << 16 | 0xEE00 << 32, 8)
    change = box.directory ^ other_space(box, moved)

    box.run(budget=0, eip=CODE, edx=THERE, edi=change)

    assert box.fault is None
    assert box.cpu.gpr[ESI] == ROUNDS * (2 if moved == HERE else 1)
    assert box.cpu.gpr[EBX] == 2 * ROUNDS * (2 if moved == THERE else 1)
    assert box.cpu.gpr[EBP] == ROUNDS // 2 * (moved == END)


@pytest.mark.parametrize("settled", [True, False], ids=["settled", "sliding"])
def test_code_that_was_warm_elsewhere_warms_up_again_only_where_it_is_to_be_for_one_address(monkeypatch, settled):
    """A shared library's page in a process that has run long: a third of it is seldom executed there. What slides serves all
    processes, and is made at once.
    """
    few = 8
    monkeypatch.setenv("VPCORE_BT_WARM", str(few + 2))
    monkeypatch.setenv("VPCORE_BT_SETTLE", "0" if settled else str(1 << 40))
    box = Box(engine="bt")
    box.page_32()
    box.map_32(ELSEWHERE, HERE)
    box.load("inc ebx\nret", HERE)
    box.load("again: call edi\ndec ecx\njnz again\nhlt")

    def records_after(at, times):
        box.user()
        box.run(budget=0, eip=CODE, edi=at, ecx=times)
        return box.engine.stats().record_bytes

    records_after(HERE, 100)
    there = records_after(HERE, 100)  # and the system's code has come twice
    seldom = records_after(ELSEWHERE, few)
    often = records_after(ELSEWHERE, 2)

    assert settled == (seldom == there)
    assert settled == (often > seldom)
    assert box.cpu.gpr[EBX] == 2 * 100 + few + 2


def test_two_dozen_processes_that_run_long_have_code_of_their_own_and_what_slides_serves_others(monkeypatch):
    """PLACES of csrc/bt/bt.h: translations that a block keeps, until the oldest has become old."""
    few, many, addresses, times, long = 20, 24, 40, 100, 1 << 19
    monkeypatch.setenv("VPCORE_BT_SETTLE", str(long))
    box = Box(engine="bt")
    box.page_32()
    box.load("inc ebx\nret", HERE)
    box.load("again: call edi\ndec ecx\njnz again\nhlt")

    def code_after(at, calls=times):
        box.user()
        box.run(budget=0, eip=CODE, edi=at, ecx=calls)
        return box.engine.stats().code_bytes

    code_after(HERE, long)
    more = []
    for at in range(LIBRARY, LIBRARY + addresses * PAGE, PAGE):
        box.map_32(at, HERE)
        before = code_after(HERE)
        there, again = code_after(at), code_after(at)
        more.append(there - before > again - there)

    assert all(more[:few])
    assert not any(more[many:])
    assert box.cpu.gpr[EBX] == long + 3 * addresses * times
