"""The host's register for ESP points into the window (bt/front_esp.c): by whatever ESP is changed or read, and wherever it wraps
around, accesses by it go where the interpreter's go.
"""

import pytest
from windows import LEFT, OTHER, TOP_PAGES, end

from vpcore.engine.engine import probe
from vpcore.engine.isa.table import rows

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])

CHANGES = {
    "mov": "mov esp, ebx",
    "mov the other way": "mov ebp, esp\npush ebp\nmov esp, ebp",
    "mov from memory": f"mov [{LEFT}], ebx\nmov esp, [{LEFT}]",
    "mov imm": f"mov esp, {OTHER}",
    "mov of 16 bits": "mov sp, bx",
    "mov imm of 16 bits": "mov sp, 0x1800",
    "add": "add esp, 16",
    "add to itself": "shr esp, 1\nadd esp, esp",
    "add of a register": "add esp, edx",
    "add from memory": f"mov [{LEFT}], edx\nadd esp, [{LEFT}]",
    "add of 16 bits": "add sp, 16",
    "add of much": "add esp, 0x12345\nsub esp, 0x12345",
    "adds in a row": "add esp, 8\nadd esp, 8\npush eax\nsub esp, 12\nadd esp, 0x1000\nsub esp, 0x1000",
    "sub": "sub esp, 64",
    "sub with pushes before it": "push eax\npush ebx\nsub esp, 64\npushfd",
    "sub and add": "sub esp, 64\nmov [esp+60], eax\nadd esp, 64",
    "sub that borrows": "mov ebp, esp\nmov esp, 8\nsub esp, 16\npushfd\nmov esp, ebp",
    "add that carries": "mov ebp, esp\nmov esp, 0xfffffff0\nadd esp, 0x20\nsetc al\nmov esp, ebp",
    "adc": "stc\nadc esp, 15",
    "sbb": "stc\nsbb esp, 15",
    "and": "and esp, -64",
    "and of 16 bits": "and sp, 0xffc0",
    "or": "or esp, 64",
    "xor": "xor esp, 64",
    "inc": "inc esp\ndec esp\ninc esp",
    "dec of 16 bits": "dec sp",
    "not": "not esp\nnot esp",
    "neg": "neg esp\nneg esp",
    "shift": "shl esp, 1\nshr esp, 1",
    "shift by cl": "mov cl, 1\nshl esp, cl\nshr esp, cl",
    "rotate": "ror esp, 3\nrol esp, 3",
    "shld": "shld esp, eax, 0",
    "imul": "imul esp, esp, 1",
    "imul of registers": "mov ebp, 1\nimul esp, ebp",
    "lea": "lea esp, [esp-64]",
    "lea of another": "lea esp, [ebx+edx*2+4]",
    "lea of 16 bits": "lea sp, [esp-64]",
    "xchg": "xchg esp, ebx",
    "xchg the other way": "xchg ebx, esp",
    "xchg eax": "xchg eax, ebx\nxchg eax, esp",
    "xchg with memory": f"mov [{LEFT}], ebx\nxchg [{LEFT}], esp",
    "xadd": "xadd esp, edx",
    "xadd as the source": f"mov [{LEFT}], ebx\nxadd [{LEFT}], esp",
    "cmpxchg that changes it": "mov eax, esp\ncmpxchg esp, ebx",
    "cmpxchg that does not": "xor eax, eax\ncmpxchg esp, ebx",
    "cmov": "cmp eax, eax\ncmove esp, ebx",
    "cmov that does not": "cmp eax, eax\ncmovne esp, ebx",
    "bts": "bts esp, 6",
    "bsf": "mov ebp, esp\nbsf esp, ebx\nmov esp, ebp",
    "bsf of 0": "xor ebp, ebp\nbsf esp, ebp",
    "bswap": "bswap esp\nbswap esp",
    "movzx": "mov ebp, esp\nmovzx esp, bx\nor esp, 0x240000",
    "movsx": "mov ebp, esp\nmovsx esp, bl\nmov esp, ebp",
    "movd": "movd mm0, ebx\nmovd esp, mm0\nemms",
    "movd of XMM": "movd xmm0, ebx\nmovd esp, xmm0",
    "pop": "push ebx\npop esp",
    "push": "push esp\npop esp",
    "push of 16 bits": "push bx\npop bp",
    "pusha": "pusha\npopa",
    "leave": "mov ebp, ebx\nmov [ebp], ebx\nleave",
    "leave of 16 bits": "mov ebp, ebx\nmov [ebp], ebx\no16 leave",
    "enter": "enter 32, 0",
    "test": "test esp, esp\nsetnz al",
    "cmp": "cmp esp, ebx\nsetb al",
    "call": "call f\njmp g\nf: mov eax, esp\nret\ng: nop",
    "call by memory": f"mov dword [{LEFT}], f\ncall [{LEFT}]\njmp g\nf: mov eax, esp\nret 4\ng: nop",
    "scaled": "mov eax, [esp+edx*4]\nmov [esp+edx*4], ebx",
    "far away": "mov eax, [esp+0x9000]\nmov [esp-0x9000], edx",
    "x87": "fild dword [esp]\nfistp dword [esp+8]",
}

WRAPS = {
    "pushes": "mov esp, 4\npush ecx\npush edx\npush ebx\nmov eax, [esp+4]",
    "pops": "mov esp, 0xfffffff8\npop eax\npop edx\nmov esi, [esp+8]\nmov [esp+16], edi\npop ebx",
    "pushes of 16 bits": "mov esp, 2\npush cx\npush dx\nmov eax, [esp]",
    "pusha": "mov esp, 8\npusha\npopa",
    "calls": "mov esp, 4\ncall f\njmp g\nf: call h\nret\nh: mov eax, [esp+4]\nret\ng: nop",
    "ret": "mov esp, 0xfffffff0\nmov dword [esp], f\nret 0xfffc\nf: mov eax, [esp]\npush edx\nmov [esp+0x7fff], ebx",
    "rets": "mov esp, 0xfffffff0\nmov dword [esp], f\nret 0xfffc\nf: mov dword [esp], g\nret 0xfffc\ng: mov [esp+0x7000], ebx",
    "sub": "mov esp, 8\nsub esp, 0x4000\nmov [esp+4], ecx\nmov eax, [esp+0x4000]\npush edx",
    "add": "mov esp, 0xffffffe0\nadd esp, 0x4000\nmov [esp+4], ecx\nmov eax, [esp-0x3ff8]\npop edx",
    "sub and no access, again and again": "mov esp, 0x1000\nmov ecx, 0x40\nl: sub esp, 0x1ffc\ndec ecx\njnz l\nmov [esp+4], edx\nmov eax, [esp+4]\npush ebx",
    "add and no access, again and again": "mov esp, 0xffff0000\nmov ecx, 0x40100\nl: add esp, 0x3ffc\ndec ecx\njnz l\nand esp, 0x1ffffc\nmov [esp+4], edx\nmov eax, [esp+4]\npush ebx",
    "add, 4 GB": "mov esp, 0x240000\nmov ecx, 0x40050\nl: add esp, 0x4000\ndec ecx\njnz l\nmov [esp+4], edx\npush ebx",
    "sub, 4 GB": "mov esp, 0x380000\nmov ecx, 0x40050\nl: sub esp, 0x4000\ndec ecx\njnz l\nmov [esp+4], edx\npush ebx",
    "pushes on and on": f"mov esp, 0x1000\nmov ecx, {TOP_PAGES * 1000}\nl: push ecx\ndec ecx\njnz l\nmov eax, [esp+8]\nmov [esp+4], edx",
    "pops on and on": "mov esp, 0xfff80000\nmov ecx, 0x30000\nl: pop eax\nadd edx, eax\ndec ecx\njnz l\nmov eax, [esp+8]\nmov [esp+4], edx",
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_changes_or_reads_esp_accesses_behind_it_go_where_it_says(name, monkeypatch):
    assert end("interp", CHANGES[name], monkeypatch) == end("bt", CHANGES[name], monkeypatch)


@pytest.mark.parametrize("name", WRAPS)
def test_esp_wraps_around_at_4_gb(name, monkeypatch):
    """SDM 1 6.2.3 (addresses of the stack are cut to the stack's size) in a segment of 4 GB."""
    assert end("interp", WRAPS[name], monkeypatch, rounds=3) == end("bt", WRAPS[name], monkeypatch, rounds=3)


def test_pushes_that_ask_the_flat_table_do_not_take_esp_out_of_the_window(monkeypatch):
    """Their page has code, so they fault until they no longer go by the window; then they go on below 0 for longer than a guard."""
    pushes = (
        f"mov esp, edge+64\nmov ecx, 12\na: call push_it\ndec ecx\njnz a\nmov esp, 0x1000\nmov ecx, {TOP_PAGES * 1000}"
    )
    code = f"{pushes}\nb: call push_it\ndec ecx\njnz b\nmov eax, [esp+8]\nmov [esp+4], edx\npush ebx\njmp done\n"
    code += "push_it: pop esi\npush ecx\njmp esi\nalign 64\nedge: times 80 nop\ndone: nop"

    assert end("interp", code, monkeypatch, rounds=2) == end("bt", code, monkeypatch, rounds=2)


def test_general_registers_are_written_as_first_operands_of_known_kinds():
    """f_may_write() (bt/front_align.c) knows no others; an instruction that it missed would leave ESP without the window's base."""
    kinds = {"Ed", "Ev", "Ew", "Gd", "Gv", "Gw", "Rd", "Rv", "Zv"}
    exchanges = {"XCHG_Ev_Gv", "XADD_Ev_Gv"}

    written = [
        (row.id, place, operand)
        for row in rows()
        for place, (operand, access) in enumerate(zip(row.operands, row.access, strict=True))
        if access in "wx" and operand[0] in "EGRZ" and operand[1] not in "bs"
    ]

    assert {operand for _, _, operand in written} <= kinds
    assert {name for name, place, _ in written if place} == exchanges
