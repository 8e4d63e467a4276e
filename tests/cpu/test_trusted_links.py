"""Jumps of `bt` to other pages, which after a while do not ask any more whether the page is the right one (trust.h)."""

import pytest
from box import CODE, EBP, EDX, STACK0
from box import Box as Processor

from vpcore.engine import Exit
from vpcore.engine.engine import probe

FAR, FIRST, SECOND = 0x300000, 0x200000, 0x210000
BACK = CODE + 0x40
ROUNDS = 4_000_000
"""Of some ns each: kicks come every 2 ms."""

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])

WAYS = {
    "call": (f"call {FAR}", "add edx, {}\nret"),
    "jump": (f"jmp {FAR}", f"add edx, {{}}\njmp {BACK}"),
    "branch": (f"test ecx, ecx\njnz near {FAR}", f"add edx, {{}}\njmp {BACK}"),
    "no branch": (f"test ecx, ecx\njz near {BACK}\njmp {FAR}", f"add edx, {{}}\njmp {BACK}"),
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
        made.load(assembled(made, text_here), page)
    return made, directories


def assembled(made, text):
    """As it is to be at FAR."""
    made.load(text, FAR)
    code = bytes(made.ram[FAR : FAR + 32])
    made.load(bytes(32), FAR)
    return code


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


@pytest.mark.parametrize("way", ["call", "jump", "branch", "no branch"])
def test_it_leads_to_what_the_page_has_become(way):
    """SDM 3A 11.6: the constant that is added is changed; then the page's beginning moves on."""
    made, _ = box_with(way)
    made.load(loop(way, f"mov [{FAR + 2}], al"))

    counts = [counted(made, eax=value)[0] for value in (1, 5, 3)]

    assert counts == [value * ROUNDS for value in (1, 5, 3)]
    assert made.engine.stats().trusted_links >= 1


def test_an_inlined_callee_that_becomes_another_is_that():
    """SDM 3A 11.6: mov ebx, [esp] becomes mov edi, [esp]."""
    made, _ = box_with("inlined")
    made.load(loop("inlined", f"mov [{FAR + 1}], al"))
    to_ebx, to_edi = 0x1C, 0x3C

    counts = [counted(made, eax=modrm) for modrm in (to_ebx, to_edi, to_ebx)]

    assert counts == [expected("inlined", space) for space in (0, 1, 0)]
    assert made.engine.stats().trusted_links >= 1
