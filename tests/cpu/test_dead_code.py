"""Host code that is dead and lies where a jump to it was: that jump is written over its first bytes (front.c, f_leave_room()), and
what is still patched of the dead code must not lie there.
"""

import pytest
from box import CODE, EBX, EDX
from box import Box as Processor

from vpcore.engine import Exit
from vpcore.engine.engine import probe

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])

PAGE_OF_STORES, FAR = 0x210000, 0x220000
ROUNDS, TIMES = 200, 6

MIDDLES = {
    "jump": "jmp near last",
    "far jump": f"jmp {FAR}",
    "branch": "jz near last\nhlt",
    "far branch": f"jz near {FAR}\nhlt",
    "call": "call near last_called\njmp near last",
    "far call": f"call {FAR + 0x100}\njmp near last",
    "jump by register": "jmp esi",
}
"""Short blocks that end with a jump; ZF is set."""


@pytest.fixture(autouse=True, params=["flat", "window"])
def mode(request, monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", request.param)
    monkeypatch.setenv("VPCORE_BT_LOOKS", "none")
    monkeypatch.setenv("VPCORE_BT_WARM", "10")


def end(engine, middle, order):
    """All registers after rounds of code between which one of its blocks dies and is made again, by stores from another page."""
    box = Processor(engine=engine, clock="realtime")
    box.page_32()
    code = (
        "last: add edx, 3\ndec ecx\njnz near first\nret\nalign 64\nfirst: add ebx, 5\ncmp eax, eax\njmp near middle\nalign 64\n"
        f"middle: {middle}\nalign 64\nlast_called: add edi, 7\nret\n"
    )
    far = f"jmp {CODE}\ntimes 0x100-($-$$) nop\nadd edi, 7\nret"
    stores = {"middle": CODE + 128, "last": CODE, "called": CODE + 192, "far": FAR, "far called": FAR + 0x100}
    touch = "".join(
        f"mov eax, [{stores[name]}]\nmov [{stores[name]}], eax\nmov ecx, {ROUNDS}\ncall {CODE + 64}\n" for name in order
    )
    box.load(far, FAR)
    box.load(code)
    box.load(
        f"mov ebp, {TIMES}\nmov esi, {CODE}\nmov ecx, {ROUNDS}\ncall {CODE + 64}\nagain: {touch}dec ebp\njnz near again\nhlt",
        PAGE_OF_STORES,
    )
    box.set(eip=PAGE_OF_STORES, halted=0)
    assert box.engine.run() is Exit.HALT
    return list(box.cpu.gpr), box.cpu.eflags


@pytest.mark.parametrize(
    "order", [("middle", "last", "far"), ("last", "middle", "called"), ("middle", "far called", "last")]
)
@pytest.mark.parametrize("name", MIDDLES)
def test_what_leads_to_code_that_has_died_leads_to_what_is_there_now(name, order):
    found = end("bt", MIDDLES[name], order)

    assert found == end("interp", MIDDLES[name], order)
    assert found[0][EBX] == 5 * ROUNDS * (1 + TIMES * len(order))
    assert found[0][EDX] == 3 * ROUNDS * (1 + TIMES * len(order))
