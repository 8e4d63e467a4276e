"""Instructions that lie on two pages: each part may change, move or go by itself."""

import pytest
from box import EAX, EBX, EDX, PAGE, Box, P, U, W

from vpcore.engine import Exit

LIN, HEAD, TAIL, OTHER_TAIL = 0x500000, 0x300000, 0x310000, 0x320000
HAVE = 3
"""Bytes of the instruction on its first page."""
AT = LIN + PAGE - HAVE
ADD_EAX = b"\x05\x01\x02\x03\x04"
RET = b"\xc3"
PF = 14
ROUNDS = 200


@pytest.fixture
def box():
    """`add eax, 0x04030201; ret`, of which 3 bytes are on one page and the rest on another."""
    made = Box()
    made.page_32()
    made.map_32(LIN, HEAD)
    made.map_32(LIN + PAGE, TAIL)
    made.load(ADD_EAX[:HAVE], HEAD + PAGE - HAVE)
    for tail, value in ((TAIL, ADD_EAX[HAVE:]), (OTHER_TAIL, b"\x00\x05")):
        made.load(value + RET, tail)
    return made


def calls(between, rounds=ROUNDS):
    return f"mov ecx, {rounds}\nagain: call ebx\n{between}\ndec ecx\njnz again\nhlt"


def test_it_executes_over_and_over(box):
    assert box.run(calls(""), budget=0, eax=0, ebx=AT) == Exit.HALT

    assert box.cpu.gpr[EAX] == ROUNDS * 0x04030201 & 0xFFFFFFFF


@pytest.mark.parametrize("part", [AT + 1, LIN + PAGE + 1], ids=["first page", "second page"])
def test_a_store_into_either_part_takes_effect(box, part):
    """SDM 3A 11.6."""
    shift = 0 if part == AT + 1 else 24

    assert box.run(calls(f"mov [{part}], cl"), budget=0, eax=0, ebx=AT) == Exit.HALT

    # the first round has the old byte, the last one that of ECX = 2
    old = 0x04030201 >> shift & 0xFF
    rest = 0x04030201 & ~(0xFF << shift)
    expected = ROUNDS * rest + (old + sum(k & 0xFF for k in range(2, ROUNDS + 1)) << shift)
    assert box.cpu.gpr[EAX] == expected & 0xFFFFFFFF


@pytest.mark.parametrize("part", [HEAD + PAGE - 2, TAIL + 1], ids=["first page", "second page"])
def test_dma_into_either_part_takes_effect(box, part):
    box.run(calls(""), budget=0, ebx=AT)

    box.load(b"\x77", part)
    box.run(calls("", 1), budget=0, eax=0, ebx=AT)

    assert box.cpu.gpr[EAX] == (0x04030277 if part < TAIL else 0x77030201)


@pytest.mark.parametrize("flush", ["invlpg [{page}]", "mov edx, cr3\nmov cr3, edx"], ids=["invlpg", "cr3"])
def test_its_second_page_may_move(box, flush):
    """SDM 3A 4.10.4: the page-table entry is changed to and fro each round."""
    between = f"xor dword [{box.pte(LIN + PAGE)}], {TAIL ^ OTHER_TAIL}\n" + flush.format(page=LIN + PAGE)

    assert box.run(calls(between), budget=0, eax=0, ebx=AT) == Exit.HALT

    assert box.cpu.gpr[EAX] == ROUNDS // 2 * (0x04030201 + 0x05000201) & 0xFFFFFFFF


def test_its_second_page_may_be_gone_though_the_first_is_there(box):
    """SDM 3A 4.7: the page fault is that of the second page, with EIP at the instruction."""
    end = f"mov dword [{box.pte(LIN + PAGE)}], 0\ninvlpg [{LIN + PAGE}]\ncall ebx\nhlt"

    box.run(calls("").replace("hlt", end), budget=0, eax=0, ebx=AT)

    assert (box.fault[0], box.fault_eip, box.cpu.cr2) == (PF, AT, LIN + PAGE)
    assert box.cpu.gpr[EAX] == ROUNDS * 0x04030201 & 0xFFFFFFFF


def test_both_parts_may_lie_on_one_physical_page(box):
    box.map_32(LIN + PAGE, HEAD, P | W | U)
    box.load(ADD_EAX[HAVE:] + RET, HEAD)

    box.run(calls(f"mov [{LIN + 1}], cl"), budget=0, eax=0, ebx=AT)

    tops = 4 + sum(k & 0xFF for k in range(2, ROUNDS + 1))
    assert box.cpu.gpr[EAX] == ROUNDS * 0x00030201 + (tops << 24) & 0xFFFFFFFF


def test_it_may_store_into_its_own_second_part(box):
    """`mov byte [LIN + PAGE + 3], dl` with its displacement on both pages: the byte behind it is a RET, or a HLT."""
    code = b"\x88\x15" + (LIN + PAGE + 3).to_bytes(4, "little")
    box.load(code[:HAVE], HEAD + PAGE - HAVE)
    box.load(code[HAVE:] + b"\xf4", TAIL)

    assert box.run(calls("inc eax", 50), budget=0, eax=0, ebx=AT, edx=0xC3) == Exit.HALT

    assert box.cpu.gpr[EAX] == 50
    assert box.ram[TAIL + 3] == box.cpu.gpr[EDX]


def test_it_is_entered_by_falling_through_and_from_loops_on_its_page(box):
    """INC EDX; [add eax, imm32]; dec ecx; jnz back: the jump leads to the page before."""
    body = b"\x42" + ADD_EAX[:HAVE]
    box.load(body, HEAD + PAGE - len(body))
    box.load(ADD_EAX[HAVE:] + b"\x49\x75" + bytes([0x100 - 9]) + RET, TAIL)

    assert box.run("call ebx\nhlt", budget=0, eax=0, ebx=AT - 1, ecx=ROUNDS, edx=0) == Exit.HALT

    assert (box.cpu.gpr[EAX], box.cpu.gpr[EDX]) == (ROUNDS * 0x04030201 & 0xFFFFFFFF, ROUNDS)
    assert box.cpu.gpr[EBX] == AT - 1
    assert box.engine.insns > 4 * ROUNDS
