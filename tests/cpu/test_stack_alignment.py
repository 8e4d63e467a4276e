"""Accesses by ESP and EBP that `bt` takes to be multiples of 4, once an access has shown it (bt/front_align.c): each instruction
that makes them something else is followed by an access over the end of a page.
"""

import pytest
from box import PAGE, STACK0
from box import Box as Processor

from vpcore.engine import Exit
from vpcore.engine.engine import probe

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])

EDGE = 0x301000
FIRST, SECOND = 0x240000, 0x220000
"""Where the pages before and behind EDGE lie."""

MOVES = {
    "sub": "push eax\nsub esp, 2",
    "add": "push eax\nadd esp, -1",
    "lea": "push eax\nlea esp, [esp-3]",
    "a push of 16 bits": "push eax\npush cx",
    "a pop of 16 bits": "sub esp, 4\npush eax\npop cx",
    "pop esp": "push ebx\npop esp",
    "mov": "push eax\nmov esp, ebx",
    "mov of 16 bits": "push eax\nmov sp, bx",
    "xchg": "push eax\nxchg esp, ebx",
    "xchg the other way": "push eax\nxchg ebx, esp",
    "and": "push eax\nsub esp, 4\nand esp, ebx",
    "or": "push eax\nsub esp, 4\nor esp, 1",
    "inc": "push eax\nsub esp, 4\ninc esp",
    "dec of 16 bits": "push eax\nsub esp, 4\ndec sp\ndec sp",
    "leave": "push eax\nsub ebp, 6\npush edx\nleave\nsub esp, 4",
    "ebp sub": "mov [ebp-8], eax\nsub ebp, 9\nmov [ebp], ecx",
    "ebp lea": "mov [ebp-8], eax\nlea ebp, [ebp-9]\nmov [ebp], ecx",
    "ebp scaled": "mov [ebp-8], eax\nlea ebp, [ebp+edx*2]\nmov [ebp], ecx",
    "ebp pop": "mov [ebp-8], eax\npush ebx\npop ebp\nmov [ebp], ecx",
    "ebp mov": "mov [ebp-8], eax\nmov ebp, ebx\nmov [ebp], ecx",
    "ebp mov of 16 bits": "mov [ebp-8], eax\nmov bp, bx\nmov [ebp], ecx",
    "ebp mov imm": "mov [ebp-8], eax\nmov ebp, 0x300ffe\nmov [ebp], ecx",
    "ebp load": "push ebx\nmov [ebp-8], eax\nmov ebp, [esp]\nmov [ebp], ecx",
    "ebp xadd": "mov [ebp-8], eax\nxadd ebp, edx\nmov [ebp], ecx",
    "ebp xadd as the source": "mov [ebp-8], eax\nxadd ebx, ebp\nmov [ebp], ecx",
    "ebp xchg eax": "mov [ebp-8], eax\nmov eax, ebx\nxchg eax, ebp\nmov [ebp], ecx",
    "ebp cmov": "mov [ebp-8], eax\ncmp eax, eax\ncmove ebp, ebx\nmov [ebp], ecx",
    "ebp imul": "mov [ebp-8], eax\nimul ebp, ebx, 1\nmov [ebp], ecx",
    "ebp shift": "mov [ebp-8], eax\nmov ebp, 0x601ffc\nshr ebp, 1\nmov [ebp], ecx",
    "ebp popa": "mov [ebp-8], eax\npush eax\npush eax\npush ebx\nsub esp, 20\nsub esp, 0x10\nadd esp, 0x10\nmov [esp+8], ebx\npopa\nmov [ebp], ecx",
    "ebp leave": "mov [ebp-8], ebx\nsub ebp, 8\nleave\nmov [ebp], ecx",
    "ebp xor": "mov [ebp-8], eax\nsub ebp, 8\nxor ebp, 0x1ffe\nmov [ebp], ecx",
}


def end(engine: str, code: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> tuple:
    """All that the code leaves."""
    monkeypatch.setenv("VPCORE_BT_MODE", mode)
    box = Processor(engine=engine)
    box.page_32()
    box.map_32(EDGE - PAGE, FIRST)
    box.map_32(EDGE, SECOND)
    for page in (FIRST, SECOND):
        box.ram[page - PAGE : page + 2 * PAGE] = bytes(range(256)) * 48
    body = f"mov esp, {EDGE + 4}\nmov ebp, {EDGE + 4}\nmov ebx, {EDGE - 2}\nmov edx, -7\n{code}\nmov [esp], edi\npush edi\nmov eax, [esp+8]"
    loop = f"mov dword [0x5000], 5\nagain: mov ecx, 0x12345678\nmov edi, 0x9abcdef0\n{body}\nmov esp, {STACK0}\ndec dword [0x5000]\njnz again\nhlt"
    assert box.run(loop, budget=0) == Exit.HALT
    memory = [bytes(box.ram[page - PAGE : page + 2 * PAGE]) for page in (FIRST, SECOND)]
    return list(box.cpu.gpr), box.cpu.eflags, memory


@pytest.mark.parametrize("name", MOVES)
def test_a_stack_register_that_is_no_multiple_of_4_any_more_is_seen_to_cross_pages(name, monkeypatch):
    assert end("interp", MOVES[name], "flat", monkeypatch) == end("bt", MOVES[name], "flat", monkeypatch)


def test_a_stack_that_was_never_aligned_is_right_and_soon_faults_no_more(monkeypatch):
    code = f"mov esp, {EDGE + 2}\nmov ebp, {EDGE + 1}\npush eax\nmov [ebp-4], ecx\npop edx"

    assert end("interp", code, "flat", monkeypatch) == end("bt", code, "flat", monkeypatch)
