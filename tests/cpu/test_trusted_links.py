"""Jumps of `bt` to other pages, which after a while do not ask any more whether the page is the right one (trust.h)."""

import pytest
from box import CODE, EBP, EDX, IDT, STACK0, STACK3, asm
from box import Box as Processor

from vpcore.engine import Exit
from vpcore.engine.engine import probe

FAR, FIRST, SECOND = 0x300000, 0x200000, 0x210000
BACK = CODE + 0x40
POINTER = 0x6F00
"""Where FAR is kept."""
ROUNDS = 12_000_000
"""Of some ns each: kicks come every 5 ms."""

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])

WAYS = {
    "call": (f"call {FAR}", "add edx, {}\nret"),
    "jump": (f"jmp {FAR}", f"add edx, {{}}\njmp {BACK}"),
    "branch": (f"test ecx, ecx\njnz near {FAR}", f"add edx, {{}}\njmp {BACK}"),
    "no branch": (f"test ecx, ecx\njz near {BACK}\njmp {FAR}", f"add edx, {{}}\njmp {BACK}"),
    "call by memory": (f"call [{POINTER}]", "add edx, {}\nret"),
    "call by register": (f"mov eax, [{POINTER}]\ncall eax", "add edx, {}\nret"),
    "jump by memory": (f"jmp [{POINTER}]", f"add edx, {{}}\njmp {BACK}"),
    "inlined": (f"mov ebx, 0\nmov edi, 0\ncall {FAR}\nshr ebx, 15\nshr edi, 15", "mov {}, [esp]\nret"),
}
"""What leads to the other page, and what is there; a return address shifted right is 1."""

CHANGES = {
    "CR3": "mov cr3, eax",
    "INVLPG": f"mov [esi], ecx\ninvlpg [{FAR}]",
}
"""What makes it another one; EAX is the page directory, ESI the page's entry, ECX what it is to be."""


@pytest.fixture(autouse=True)
def kind(monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_BT_LOOKS", "none")
    monkeypatch.setenv("VPCORE_BT_SETTLE", "0")  # keys are the same from the beginning on


def box_with(way):
    """FAR is FIRST in the first space and SECOND in the other; its code counts to 1 and 2, or to EBX and EDI.  And the
    spaces' page directories.
    """
    made = Processor(engine="bt", clock="realtime")
    directories = []
    for page in (FIRST, SECOND):
        made.page_32()
        made.map_32(FAR, page)
        directories.append(made.directory)
    text = WAYS[way][1]
    for page, value in ((FIRST, 1), (SECOND, 2)):
        text_here = text.format(("ebx", "edi")[value - 1] if way == "inlined" else value)
        made.load(asm(text_here, org=FAR), page)
    made.put(POINTER, FAR)
    return made, directories


def loop(way, change):
    return (
        f"{change}\nmov ecx, {ROUNDS}\nmov edx, 0\nmov ebp, 0\nagain:\n{WAYS[way][0]}\n"
        f"times {BACK} - ($ - $$ + {CODE}) nop\nadd edx, ebx\nadd ebp, edi\ndec ecx\njnz near again\nhlt"
    )


def counted(made, **registers):
    made.set(eip=CODE, halted=0, esp=STACK0, ebx=0, edi=0, **registers)
    assert made.engine.run() is Exit.HALT
    return made.cpu.gpr[EDX], made.cpu.gpr[EBP]


def expected(way, space):
    if way != "inlined":
        return (space + 1) * ROUNDS, 0
    return (0, ROUNDS) if space else (ROUNDS, 0)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("way", WAYS)
def test_it_leads_to_the_page_that_is_there(way, change):
    """SDM 3A 4.10.4: what the page tables say counts from the flush on."""
    made, directories = box_with(way)
    made.load(loop(way, CHANGES[change]))
    entry = made.pte(FAR)

    for space, page in ((0, FIRST), (1, SECOND), (0, FIRST), (1, SECOND)):
        directory = directories[space] if change == "CR3" else made.directory
        found = counted(made, eax=directory, esi=entry, ecx=page | 7)
        assert found == expected(way, space)

    stats = made.engine.stats()
    assert stats.trusted_links >= 3
    assert stats.doubted_links >= 2


@pytest.mark.parametrize("way", [way for way in WAYS if way != "inlined"])
def test_it_leads_to_what_the_page_has_become(way):
    """SDM 3A 11.6: the constant that is added is changed; then the page's beginning moves on."""
    made, _ = box_with(way)
    made.load(loop(way, f"mov [{FAR + 2}], al"))

    counts = [counted(made, eax=value)[0] for value in (1, 5, 3)]

    assert counts == [value * ROUNDS for value in (1, 5, 3)]
    assert made.engine.stats().trusted_links >= 1


@pytest.mark.parametrize("way", ["call by memory", "call by register", "jump by memory"])
def test_it_leads_to_what_memory_says_now(way):
    """SDM 2A, CALL and JMP: on the page that is trusted there is another place, which the same jump leads to in turns."""
    made, _ = box_with(way)
    other, turns = 0x80, 6
    made.load(asm(WAYS[way][1].format(3), org=FAR + other), SECOND + other)
    again = f"xor dword [{POINTER}], {other}\ndec dword [{POINTER + 4}]\njnz near {CODE}"
    made.load(loop(way, "").replace("mov edx, 0\nmov ebp, 0", "").replace("hlt", f"{again}\nhlt"))
    made.put(POINTER + 4, turns)

    made.set(eip=CODE, halted=0, esp=STACK0, ebx=0, edi=0, edx=0, ebp=0)
    assert made.engine.run() is Exit.HALT

    assert made.cpu.gpr[EDX] == turns // 2 * (2 + 3) * ROUNDS
    assert made.engine.stats().trusted_links >= turns // 2


def test_an_inlined_callee_that_becomes_another_is_that():
    """SDM 3A 11.6: mov ebx, [esp] becomes mov edi, [esp]."""
    made, _ = box_with("inlined")
    made.load(loop("inlined", f"mov [{FAR + 1}], al"))
    to_ebx, to_edi = 0x1C, 0x3C

    counts = [counted(made, eax=modrm) for modrm in (to_ebx, to_edi, to_ebx)]

    assert counts == [expected("inlined", space) for space in (0, 1, 0)]
    assert made.engine.stats().trusted_links >= 1


# -- Programs that are new ---------------------------------------------------------------------------------------------

SHORT = 1_000_000
"""Rounds, of a ms or two: seldom does one of the kicks that come every 5 ms fall among them."""
PROGRAMS = 8


def spaces_of(programs):
    made, directories = box_with("call")
    while len(directories) < programs:
        made.page_32()
        made.map_32(FAR, FIRST)
        directories.append(made.directory)
    return made, directories


def test_a_new_program_need_not_wait(monkeypatch):
    """It gets a window when it has run for some time, and is kicked early then; where the host is busy, some are not."""
    monkeypatch.delenv("VPCORE_BT_MODE")
    monkeypatch.delenv("VPCORE_BT_LOOKS")
    made, directories = spaces_of(PROGRAMS)
    program = loop("call", "").replace(str(ROUNDS), str(SHORT))

    found = take_turns(made, program, [(directory, 0) for directory in directories])

    assert [count for count, _ in found] == [SHORT, 2 * SHORT] + [SHORT] * (PROGRAMS - 2)
    assert made.engine.stats().trusted_links > PROGRAMS // 2


SETTLED = 5 << 17
"""Instructions: a program has its window by then, and is settled when it is kicked for the first time."""


def test_a_program_that_settles_need_not_wait_again(monkeypatch):
    """Its key is another one then; it is kicked once more, early, and not with the next of those every 5 ms."""
    monkeypatch.delenv("VPCORE_BT_MODE")
    monkeypatch.delenv("VPCORE_BT_LOOKS")
    monkeypatch.setenv("VPCORE_BT_SETTLE", str(SETTLED))
    made, directories = spaces_of(PROGRAMS)
    program = loop("call", "").replace(str(ROUNDS), str(SHORT))

    found = take_turns(made, program, [(directory, 0) for directory in directories])

    assert [count for count, _ in found] == [SHORT, 2 * SHORT] + [SHORT] * (PROGRAMS - 2)
    assert made.engine.stats().trusted_links > PROGRAMS + PROGRAMS // 2


# -- Programs that take turns ----------------------------------------------------------------------------------------

KERNEL, TURN, TURNS = 0x5000, 0x5800, 0x6000
PROTECTION = 13
WAIT = 200_000
"""Turns of what is the interpreter's, for as long as some kicks."""
MANY = 9
"""One more than there are keys remembered."""


def take_turns(made, program, turns):
    """Run *program*, which ends with HLT, by user code of (page directory, EAX) each; its EDX and EBP each time."""
    made.load(
        f"""mov eax, [{TURN}]
            mov [eax+8], edx
            mov [eax+12], ebp
            add dword [{TURN}], 16
        begin:
            mov esp, {STACK0}
            mov edx, 0x23
            mov ds, dx
            mov es, dx
            mov esi, [{TURN}]
            cmp dword [esi], 0
            je over
            push 0x23
            push {STACK3}
            push 2
            push 0x1b
            push {CODE}
            mov eax, [esi]
            mov cr3, eax
            mov eax, [esi+4]
            mov ebx, 0
            mov edi, 0
            iretd
        over:
            hlt
        times 128 - ($ - $$) nop
            jmp begin""",
        KERNEL,
    )
    made.put(IDT + 8 * PROTECTION, KERNEL | 8 << 16 | 0x8E00 << 32, 8)
    made.load(program)
    made.put(TURN, TURNS)
    for k, (directory, eax) in enumerate(turns):
        made.put(TURNS + 16 * k, directory)
        made.put(TURNS + 16 * k + 4, eax)
    made.put(TURNS + 16 * len(turns), 0)
    made.set(eip=KERNEL + 128, halted=0)
    assert made.engine.run() is Exit.HALT
    return [(made.get(TURNS + 16 * k + 8), made.get(TURNS + 16 * k + 12)) for k in range(len(turns))]


@pytest.mark.parametrize("way", WAYS)
def test_it_leads_to_the_page_of_the_program_whose_turn_it_is(way):
    """SDM 3A 4.10.4.1.  A jump that two programs have is trusted for one, and for the other, again and again."""
    made, directories = box_with(way)
    spaces = (0, 1, 0, 1, 0, 1)

    found = take_turns(made, loop(way, ""), [(directories[space], 0) for space in spaces])

    assert found == [expected(way, space) for space in spaces]
    stats = made.engine.stats()
    assert stats.trusted_links >= len(spaces)
    assert stats.doubted_links >= len(spaces) - 1


def test_it_is_trusted_again_when_many_programs_have_had_their_turns():
    """More than are remembered.  Its callee has changed, when that is found out anew; and is another one's, next."""
    made, (first, second) = box_with("call")
    others = []
    for _ in range(MANY):
        made.page_32()
        others.append(made.directory)
    wait = f"mov ecx, {WAIT}\nturn: str [esp-4]\ndec ecx\njnz turn\n"
    program = f"{wait}test al, al\njz idle\n{loop('call', f'mov [{FAR + 2}], al')}\nidle: hlt"
    turns = [(first, 1), *((other, 0) for other in others), (first, 3), (second, 5)]

    found = take_turns(made, program, turns)

    assert [found[k][0] for k in (0, -2, -1)] == [ROUNDS * value for value in (1, 3, 5)]
    stats = made.engine.stats()
    assert stats.trusted_links >= 3
    assert stats.doubted_links >= 2
