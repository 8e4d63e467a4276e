"""Jumps of `bt` by tables of the guest's, which it foresees by the index (cases.h): they lead where the table says."""

import pytest
from box import CODE, EDX, STACK0, asm
from box import Box as Processor

from vpcore.engine import Exit
from vpcore.engine.engine import probe

TABLE, OTHER, TARGETS = 0x7000, 0x7800, 0x200000
BACK = CODE + 0x80
EACH = 32
"""Bytes of a target."""
CASES = 8
ROUNDS = 40_000

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])

WAYS = {
    "by memory": (f"jmp [{TABLE} + esi * 4]", 0),
    "by register": (f"mov eax, [{TABLE} + esi * 4]\njmp eax", 0),
    "by what was the index": (f"mov eax, esi\nmov eax, [{TABLE} + eax * 4]\njmp eax", 0),
    "from the table on": (f"mov ebx, {TABLE}\nadd ebx, [ebx + esi * 4]\njmp ebx", TABLE),
    "added": (f"mov ebx, {TABLE}\nmov eax, [ebx + esi * 4]\nadd eax, ebx\njmp eax", TABLE),
    "with an index that goes on": (f"mov ebx, [{TABLE} + esi * 4]\nadd esi, 1\njmp ebx", 0),
}
"""Jumps, and what their table's entries are counted from."""


@pytest.fixture(autouse=True)
def kind(monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_BT_LOOKS", "none")


def target(number):
    return TARGETS + number * EACH


def box_with(cases=CASES):
    """Each target makes EDX three times as much plus its number, which is on from 1."""
    made = Processor(engine="bt", clock="realtime")
    made.page_32()
    for case in range(cases):
        made.load(asm(f"lea edx, [edx + edx * 2 + {case + 1}]\njmp {BACK}", org=target(case)), target(case))
    return made


def put_table(made, order, base=0, at=TABLE):
    for index, case in enumerate(order):
        made.put(at + index * 4, (target(case) - base) & 0xFFFFFFFF)


def program(*jumps, mask=CASES - 1, before="nop"):
    """Each of *jumps* in turn, by an index that takes all values to *mask*."""
    ways = "".join(f"test ecx, {mask + 1 << k}\njz near way{k}\n" for k in range(len(jumps) - 1))
    places = "".join(f"way{k}:\n{jump}\n" for k, jump in enumerate(jumps))
    text = f"mov ecx, {ROUNDS}\nagain:\n{before}\nlea esi, [esi + esi * 4 + 3]\nand esi, {mask}\n{ways}"
    text += f"jmp near way{len(jumps) - 1}\n{places}times {BACK} - ($ - $$ + {CODE}) nop\ndec ecx\njnz near again\nhlt"
    return text


def run(made, **registers):
    made.set(eip=CODE, halted=0, esp=STACK0, edx=0, esi=0, **registers)
    assert made.engine.run() is Exit.HALT
    return made.cpu.gpr[EDX]


def expected(order_at, mask=CASES - 1, step=0):
    """EDX, where *order_at*(round) is the order of the targets then."""
    edx = esi = 0
    for count in range(ROUNDS):
        esi = (esi * 5 + 3) & mask
        edx = (edx * 3 + order_at(count)[esi] + 1) & 0xFFFFFFFF
        esi += step
    return edx


@pytest.mark.parametrize("way", WAYS)
def test_it_leads_where_the_table_says(way):
    """SDM 2A, JMP."""
    made = box_with()
    jump, base = WAYS[way]
    orders = [list(range(CASES)), [5, 3, 1, 7, 0, 2, 6, 4]]
    made.load(program(jump))

    for order in orders:
        put_table(made, order, base)
        assert run(made) == expected(lambda _, order=order: order, step="goes on" in way)

    assert made.engine.stats().exits_indirect < 30 * CASES


def test_the_table_may_change_each_time():
    """By the guest itself: the first two entries are exchanged in each round."""
    made = box_with()
    first, second = list(range(CASES)), [1, 0, *range(2, CASES)]
    put_table(made, first)
    exchange = f"mov eax, [{TABLE}]\nxchg eax, [{TABLE + 4}]\nmov [{TABLE}], eax"
    made.load(program(WAYS["by memory"][0], before=exchange))

    assert run(made) == expected(lambda count: first if count % 2 else second)
    assert made.engine.stats().exits_indirect < ROUNDS // 10


def test_indices_may_have_the_same_lowest_byte():
    made = box_with(cases=512)
    order = [(case * 7 + 1) % 512 for case in range(512)]
    put_table(made, order)
    made.load(program(WAYS["by register"][0], mask=511))

    assert run(made) == expected(lambda _: order, mask=511)
    assert made.engine.stats().exits_indirect < ROUNDS // 10


def test_two_tables_may_have_one_jump():
    """What is foreseen by the index is wrong each time: it is not for long."""
    made = box_with()
    first, second = list(range(CASES)), list(reversed(range(CASES)))
    put_table(made, first)
    put_table(made, second, at=OTHER)
    made.load(program("mov eax, [ebx + esi * 4]\njmp eax", before=f"xor ebx, {TABLE ^ OTHER}"))

    assert run(made, ebx=TABLE) == expected(lambda count: first if count % 2 else second)
    assert made.engine.stats().exits_indirect < ROUNDS // 10


@pytest.mark.parametrize("jumps", [1, 2])
def test_targets_may_become_others(jumps):
    """SDM 3A 11.6: the program changes the constants that are added, where one jump leads there and where two do."""
    made = box_with()
    put_table(made, range(CASES))
    displacement, again = 3, 2
    change = "".join(f"add byte [{target(case) + displacement}], 8\n" for case in range(CASES))
    ways = [WAYS[way][0] for way in ("by memory", "by register")[:jumps]]
    text = program(*ways).removesuffix("hlt")
    made.load(f"{text}dec ebp\njz end\n{change}mov edx, 0\nmov esi, 0\njmp {CODE}\nend:\nhlt")

    for turns in range(1, again + 2):
        found = run(made, ebp=turns)
        first = sum(range(turns)) * 8
        assert found == expected(lambda _, first=first: range(first, first + CASES))


def test_targets_may_lie_on_another_page():
    """SDM 3A 4.10.4: the page of the targets becomes another one, with the load of CR3."""
    made = box_with()
    other = TARGETS + 0x100000
    put_table(made, range(CASES))
    for case in range(CASES):
        code = asm(f"lea edx, [edx + edx * 2 + {case + 21}]\njmp {BACK}", org=target(case))
        made.load(code, target(case) - TARGETS + other)
    spaces = [made.directory]
    made.page_32()
    made.map_32(TARGETS, other)
    spaces.append(made.directory)
    made.load("mov cr3, eax\n" + program(WAYS["by memory"][0]))

    for space, first in ((0, 0), (1, 20), (0, 0), (1, 20)):
        assert run(made, eax=spaces[space]) == expected(lambda _, first=first: range(first, first + CASES))
