"""Calls and returns that do not match, jumps to pages that move, callers that change under their callees: `bt` keeps
the host's returns beside the guest's, and chained jumps over pages.
"""

from random import Random

import pytest
from box import CODE, PAGE, asm
from box import Box as Processor
from compare import differences, outcome

from vpcore.engine.engine import probe

SEED, PROGRAMS = 60411, 60
FUNCTIONS = 8
FIRST, STEP = 0x500000, 0x1F80
"""Linear addresses of functions: some share a page, one lies across two."""
ALIAS = 0x100000
"""From there to where the same pages are mapped once more, and stay."""
PHYS, OTHER_PHYS = 0x300000, 0x340000
PAGES = FUNCTIONS * STEP // 0x1000 + 1
STACK, OTHER_STACK, SWITCH = 0x9000, 0x3F000, 0x3E000
SLOTS = 0x3D000
"""Pointers to functions, one for each to begin with."""
AGAIN = CODE + 2
"""Behind the first instruction: where returns lead that nobody called for."""
BUDGET = 60_000

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])


def address(function):
    return FIRST + STEP * function


def swap(lin, box, *, whole):
    """Exchange the page's memory for the other copy, and say so."""
    flush = "mov eax, cr3\nmov cr3, eax" if whole else f"invlpg [{lin}]"
    return f"xor dword [{box.pte(lin)}], {PHYS ^ OTHER_PHYS}\n{flush}"


PLAIN = ("add ebx, ecx", "rol ebx, 3", "sub ecx, ebx", "push ecx\npop edx\nadd ebx, edx", "cmp ebx, ecx", "pushf\npopf")
CALLS = (
    "call {callee}",
    "mov edi, {callee}\ncall edi",
    "push {callee}\nadd dword [esp], 0\npop edx\ncall edx",
    "push %%over\npush {callee}\nret",  # a return to what was never called from
    "push dword %%over\njmp {callee}",
    "call [{slot}]",
    "push dword %%over\njmp [{slot}]",
)


def step(rng, box):
    """One thing a function does; ESI is how many calls are left."""
    callee = address(rng.randrange(FUNCTIONS))
    slot = SLOTS + 4 * rng.randrange(FUNCTIONS)
    how = rng.choice((CALLS[0], *CALLS)).format(callee=callee, slot=slot)
    call = f"dec esi\njs %%over\n{how}\n%%over:"
    others = (
        "cmp esp, ebp\njae %%over\nadd esp, 4\n%%over:",  # a frame is left out
        swap(callee & ~0xFFF, box, whole=rng.random() < 0.3),
        f"mov dword [{slot}], {callee}",
        f"inc byte [{callee + 2}]",  # of the function's first instruction; perhaps it waits for this one
        f"xchg esp, [{SWITCH}]" if rng.random() < 0.3 else "nop",
        *(rng.choice(PLAIN) for _ in range(4)),
    )
    return call if rng.random() < 0.6 else rng.choice(others)


def body(rng, box, function):
    steps = "\n".join(step(rng, box).replace("%%", f"l{function}_{k}_") for k in range(rng.randrange(2, 6)))
    return f"add ebx, {rng.randrange(1, 100)}\n{steps}\n{rng.choice(('ret', 'ret', 'ret', 'ret 4'))}"


def write(rng, box):
    """Functions, on two sets of pages of which the second differs in a constant."""
    for function in range(FUNCTIONS):
        at = address(function)
        code = asm(body(rng, box, function), org=at)
        for phys, more in ((PHYS, 0), (OTHER_PHYS, 1)):
            box.load(bytes([code[0], code[1], code[2] + more, *code[3:]]), phys + at - FIRST)
    calls = "\n".join(
        f"mov esi, {rng.randrange(40)}\ncall {address(k % FUNCTIONS) + rng.choice((0, 0, ALIAS))}" for k in range(10)
    )
    box.load(asm(f"mov ebp, esp\nagain:\nmov esp, ebp\n{calls}\njmp again"))


def state(box, end):
    return outcome(box, end, [(top - PAGE, PAGE) for top in (STACK, OTHER_STACK)])


@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
def test_programs_of_calls_end_the_same(user):
    for number in range(PROGRAMS):
        results = []
        for engine in ("interp", "bt"):
            box = Processor(engine=engine, icount_ns=1)
            box.page_32()
            for page in range(PAGES):
                for alias in (0, ALIAS):
                    box.map_32(FIRST + alias + 0x1000 * page, PHYS + 0x1000 * page)
            rng = Random(SEED + number)
            write(rng, box)
            if user:
                box.user()
            for at in (*range(STACK - 0x800, STACK + 0x800, 4), *range(OTHER_STACK - 0x800, OTHER_STACK + 0x800, 4)):
                box.put(at, AGAIN)
            box.put(SWITCH, OTHER_STACK)
            for function in range(FUNCTIONS):
                box.put(SLOTS + 4 * function, address(function))
            end = box.run(budget=BUDGET, eip=CODE, esp=STACK)
            results.append(state(box, end))
            box.engine.close()

        assert differences(*results) == {}, f"program {number}"


@pytest.mark.parametrize("kinds", [1, 2, FUNCTIONS])
def test_a_jump_by_memory_that_leads_to_one_or_to_many_places_ends_the_same(kinds):
    results = []
    for engine in ("interp", "bt"):
        box = Processor(engine=engine, icount_ns=1)
        box.page_32()
        for page in range(PAGES):
            box.map_32(FIRST + 0x1000 * page, PHYS + 0x1000 * page)
        for function in range(FUNCTIONS):
            at = address(function)
            box.load(asm(f"lea ebx, [ebx*4+ebx+{function + 1}]\nret", org=at), PHYS + at - FIRST)
            box.put(SLOTS + 4 * function, address(function % kinds))
        box.load(
            asm(
                f"""mov ecx, 400
                again: mov edx, ecx
                and edx, {FUNCTIONS - 1}
                stc
                call [{SLOTS}+edx*4]
                rcl ebx, 1
                push dword back
                jmp [{SLOTS}+edx*4]
                back: dec ecx
                jnz again
                hlt"""
            )
        )
        end = box.run(budget=BUDGET, eip=CODE, esp=STACK)
        results.append(state(box, end))
        box.engine.close()

    assert results[0] == results[1]


@pytest.mark.parametrize("settle", [0, 40, 1 << 40], ids=["makes room", "slides where there is no room", "slides"])
def test_code_called_at_more_addresses_than_are_kept_ends_the_same(settle, monkeypatch):
    monkeypatch.setenv("VPCORE_BT_SETTLE", str(settle))
    addresses = [FIRST + 0x2000 * k for k in range(10)]
    results = []
    for engine in ("interp", "bt"):
        box = Processor(engine=engine, icount_ns=1)
        box.page_32()
        for at in addresses:
            box.map_32(at, PHYS)
            box.map_32(at + 0x1000, PHYS + 0x1000)
        box.load(asm("call 0x501000\nadd ebx, [esp]\nrol ebx, 3\nret", org=FIRST), PHYS)
        box.load(
            asm("mov edx, [esp]\nlea ebx, [ebx+edx]\njc over\ninc ebx\nover: ret", org=FIRST + 0x1000), PHYS + 0x1000
        )
        calls = "\n".join(f"call {at}" for at in addresses)
        box.load(asm(f"mov ecx, 50\nagain:\n{calls}\ndec ecx\njnz again\nspin: jmp spin"))
        box.user()
        end = box.run(budget=BUDGET // 2, eip=CODE, esp=STACK)
        results.append(state(box, end))
        box.engine.close()

    assert results[0] == results[1]
