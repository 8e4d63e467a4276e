"""Pages that a system gives a user as it touches them: what the instruction finds that is executed again (space_fill_given())."""

import pytest
from box import IDT, PAGE, A, D, G, P, U, W
from box import Box as Processor

from vpcore.engine import Exit
from vpcore.engine.engine import probe

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])

FIRST, PAGES, GIVEN = 0x700000, 40, 0x300000
HANDLER, FAULTS = 0x5000, 0x6000
PF, UD = 14, 6


def given(entry: str, *, engine: str = "bt", access: str = "add [edi], ecx", cr4: int = 0) -> Processor:
    """A user has touched pages, one after the other; each time a handler has made the entry, of the physical page in EAX."""
    box = Processor(engine=engine)
    box.page_32(cr4=cr4)
    for page in range(PAGES):
        box.map_32(FIRST + page * PAGE, 0, 0)
        box.put(GIVEN + page * PAGE, 1000 + page)
    table = box.pte(FIRST)
    code = f"push eax\npush ebx\nmov ebx, cr2\nsub ebx, {FIRST}\nlea eax, [ebx+{GIVEN}]\nand eax, -{PAGE}\nshr ebx, 12\nlea ebx, [{table}+ebx*4]\n{entry}\ninc dword [{FAULTS}]\npop ebx\npop eax\nadd esp, 4\niretd"
    box.load(code, HANDLER)
    box.put(IDT + 8 * PF, HANDLER | 8 << 16 | 0x8E00 << 32, 8)
    box.user()
    box.run(
        f"mov ecx, {PAGES}\nmov edi, {FIRST + 8}\nagain: {access}\nadd edi, {PAGE}\ndec ecx\njnz again\nud2",
        budget=100_000,
    )
    assert box.fault == (UD, None)
    return box


def end(box: Processor) -> tuple:
    state = box.engine.get_state()
    return (
        state["gpr"],
        state["eflags"],
        bytes(box.ram[GIVEN : GIVEN + PAGES * PAGE]),
        [box.get(box.pte(FIRST) + 4 * k) for k in range(PAGES)],
        box.get(FAULTS),
    )


@pytest.fixture(params=["flat", "window"], autouse=True)
def _in_either_mode(request, monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", request.param)


ENTRIES = {
    "all there is to be": f"or eax, {P | W | U | A | D}\nmov [ebx], eax",
    "not yet accessed": f"or eax, {P | W | U}\nmov [ebx], eax",
    "not yet written": f"or eax, {P | W | U | A}\nmov [ebx], eax",
    "global": f"or eax, {P | W | U | A | D | G}\nmov [ebx], eax",
}


@pytest.mark.parametrize("access", ["add [edi], ecx", "mov edx, [edi]", "push dword [edi]\npop dword [edi+4]"])
@pytest.mark.parametrize("name", ENTRIES)
def test_an_access_that_comes_again_does_what_it_does_in_the_interpreter_and_marks_the_entry(name, access):
    assert end(given(ENTRIES[name], engine="interp", access=access)) == end(given(ENTRIES[name], access=access))


def test_a_page_that_is_given_read_only_at_first_faults_once_more():
    """The second time the entry is there, and gets W."""
    entry = f"test byte [ebx], {P}\njz .first\nor dword [ebx], {W}\njmp .done\n.first: or eax, {P | U | A | D}\nmov [ebx], eax\n.done: invlpg [edi]"
    box = given(entry)

    assert box.get(FAULTS) == 2 * PAGES
    assert end(box) == end(given(entry, engine="interp"))


def test_a_page_that_is_given_is_entered_before_the_user_asks_and_not_by_a_walk_for_it():
    filled = {
        name: given(ENTRIES[name]).engine.stats().tlb_fills for name in ("all there is to be", "not yet accessed")
    }

    assert filled["not yet accessed"] - filled["all there is to be"] >= PAGES - 1


def test_the_system_does_not_get_what_only_the_user_was_given():
    """An entry without D that the system writes, with CR0.WP clear, is marked by that write."""
    box = given(f"or eax, {P | W | U | A}\nmov [ebx], eax", access="mov edx, [edi]")
    state = box.engine.get_state()
    state["seg"][1].update(sel=8, attr=0xC9B)
    for seg in (0, 2, 3, 4, 5):
        state["seg"][seg].update(sel=16, attr=0xC93)
    box.engine.set_state(state)

    assert box.run(f"mov dword [{FIRST}], 7\nhlt", esp=0x8000) == Exit.HALT
    assert box.get(GIVEN) == 7
    assert box.get(box.pte(FIRST)) & D


@pytest.mark.parametrize("order", ["upwards", "downwards", "each second"])
@pytest.mark.parametrize("pages", [1, 40, 150])
def test_a_user_sees_other_pages_where_the_system_has_put_and_told_them(pages, order):
    """SDM 3A 4.10.4.1: INVLPG, of a few pages or of more than are kept in mind until the user goes on."""
    box, other, rounds = Processor(engine="bt"), GIVEN + pages * PAGE, 3
    box.page_32()
    for page in range(pages):
        box.map_32(FIRST + page * PAGE, GIVEN + page * PAGE, P | W | U | A | D)
        box.put(GIVEN + page * PAGE, 1)
        box.put(other + page * PAGE, 1000)
    first, step = {
        "upwards": (0, PAGE),
        "downwards": (pages - 1, -PAGE),
        "each second": (0, 2 * PAGE),
    }[order]
    count = (pages + 1) // 2 if order == "each second" else pages
    table = box.pte(FIRST)
    box.load(
        f"pusha\nmov edi, {FIRST + first * PAGE}\nmov ebx, {table + 4 * first}\nmov ecx, {count}\n"
        f"mov eax, [{FAULTS}]\nnext: add [ebx], eax\ninvlpg [edi]\nadd edi, {step}\nadd ebx, {step // PAGE * 4}\ndec ecx\njnz next\n"
        f"neg dword [{FAULTS}]\npopa\niretd",
        HANDLER,
    )
    box.put(FAULTS, other - GIVEN)
    box.put(IDT + 8 * 3, HANDLER | 8 << 16 | 0xEE00 << 32, 8)
    box.user()
    look = f"mov edi, {FIRST}\nmov ecx, {pages}\nlook: add eax, [edi]\ninc dword [edi]\nadd edi, {PAGE}\ndec ecx\njnz look\nint3"
    box.run(f"xor eax, eax\nmov ebp, {2 * rounds}\nagain: {look}\ndec ebp\njnz again\nud2", budget=100_000)

    changed = len(range(0, pages, 2)) if order == "each second" else pages
    kept = pages - changed
    expected = sum(
        changed * (1 + k) + changed * (1000 + k) + kept * (1 + 2 * k) + kept * (2 + 2 * k) for k in range(rounds)
    )
    assert (box.fault, box.cpu.gpr[0]) == ((UD, None), expected)
