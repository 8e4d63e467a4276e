"""XMM registers that stay the host's from a block that ends for its length to the one behind it (csrc/bt/front.c, held()).

Blocks have 64 instructions at most: LONG has some of these, all SSE, and rounds of it in a loop.
"""

import random

import pytest
from box import CODE, ECX, PAGE, STACK0
from box import Box as Processor

from vpcore.engine import Exit
from vpcore.engine.engine import probe

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])

BLOCK, BLOCKS, REGISTERS = 64, 4, 8
VALUES, RESULT, AFTER, IMAGE, ABSENT = 0x200000, 0x201000, 0x202000, 0x203000, 0x700000
PAGE_FAULT = 14
OSFXSR = 1 << 9
ROUNDS = 2000
STORES = "".join(f"movdqa [{RESULT} + 16 * {k}], xmm{k}\n" for k in range(REGISTERS)) + "hlt\n"
SUMS = ("paddb", "paddd", "psubw", "pxor", "pmullw", "punpckldq")
WHOLE = (
    "pshufd {0}, {1}, {imm}",
    "movdqa {0}, {1}",
    "movdqa {0}, [{values}]",
    "movups {0}, [{values} + 4]",
    "movd {0}, ebp",
    "movq {0}, {1}",
    "pxor {0}, {0}",
)
"""What writes all of its first operand, of which nothing need be loaded before."""


def sse(random_):
    """An instruction, most often on what the registers have."""
    form = random_.choice(WHOLE) if random_.random() < 0.2 else random_.choice(SUMS) + " {0}, {1}"
    places = [f"xmm{random_.randrange(REGISTERS)}" for _ in range(2)]
    values = VALUES + 16 * random_.randrange(REGISTERS)
    return form.format(*places, imm=random_.randrange(256), values=values)


def long_code(seed, before=lambda k: ""):
    """As many instructions as BLOCKS blocks have, with labels `b1`, `b2`... where they begin."""
    random_ = random.Random(seed)
    return "".join(
        (f"b{k // BLOCK}:\n" if k % BLOCK == 0 else "") + (before(k) or sse(random_)) + "\n"
        for k in range(BLOCK * BLOCKS)
    )


def in_a_loop(code, also=""):
    """Rounds of it, each of which adds all registers to RESULT."""
    loads = "".join(f"movdqa xmm{k}, [{VALUES} + 16 * {k}]\n" for k in range(REGISTERS))
    adds = "".join(
        f"paddd xmm{k}, [{RESULT} + 16 * {k}]\nmovdqa [{RESULT} + 16 * {k}], xmm{k}\n" for k in range(REGISTERS)
    )
    begin = f"{loads}fxsave [{IMAGE}]\nmov ecx, {ROUNDS}\nmov ebp, 0x12345678\nagain:\n"
    return f"{begin}{also}jmp b0\n{code}{adds}dec ecx\njnz near again\nhlt"


def run(engine, text):
    made = Processor(engine=engine, clock="realtime", cpu="host")
    made.page_32()
    made.load(text)
    made.ram[VALUES : VALUES + 256] = random.Random(0).randbytes(256)
    made.put(made.pte(ABSENT), 0)
    made.set(eip=CODE, halted=0, esp=STACK0, cr4=made.cpu.cr4 | OSFXSR)
    assert made.engine.run() is Exit.HALT
    return made


def results(engine, text):
    made = run(engine, text)
    assert made.fault is None
    assert made.cpu.gpr[ECX] == 0
    return bytes(made.ram[RESULT : RESULT + 16 * REGISTERS])


@pytest.fixture(params=["flat", "window", "sliding"], autouse=True)
def mode(request, monkeypatch):
    monkeypatch.setenv("VPCORE_BT_WARM", "10")  # blocks are translated together
    monkeypatch.setenv("VPCORE_BT_MODE", "window" if request.param == "window" else "flat")
    if request.param == "sliding":
        monkeypatch.setenv("VPCORE_BT_SLIDE", "1")


@pytest.mark.parametrize("seed", range(6))
def test_rounds_of_long_code(seed):
    text = in_a_loop(long_code(seed))

    assert results("bt", text) == results("interp", text)


@pytest.mark.parametrize("place", range(1, BLOCKS))
def test_a_jump_to_the_middle_brings_what_registers_have_then(place):
    """Once there is host code, which all is made at once.  FXRSTOR is the interpreter's."""
    turns = f"cmp ecx, {ROUNDS // 2}\nja other\ntest cl, 3\njnz other\nfxrstor [{IMAGE}]\njmp near b{place}\nother:\n"
    text = in_a_loop(long_code(10 + place), turns)

    assert results("bt", text) == results("interp", text)


@pytest.mark.parametrize("place", range(BLOCKS))
def test_a_block_that_is_written_to(place):
    """Its first instruction gets another constant after some hundred rounds: alone, or with the one before."""
    code = long_code(20 + place, lambda k: f"pshufd xmm2, xmm3, {k & 255}" if k % BLOCK == 0 else "")
    changes = f"test ecx, 511\njnz same\nmov [b{place} + 4], cl\nrol byte [b{place} + 4], 3\nsame:\n"
    text = in_a_loop(code, changes)

    assert results("bt", text) == results("interp", text)


@pytest.mark.parametrize("seed", range(40, 43))
def test_blocks_that_are_made_again_together(seed):
    """Each has an access over the end of a page, which a block is made again for; then code that slides is together."""
    crossing = f"movd xmm6, [{VALUES + PAGE - 2}]"
    turns = f"test cl, 3\njnz other\nfxrstor [{IMAGE}]\njmp near b2\nother:\n"
    text = in_a_loop(long_code(seed, lambda k: crossing if k % BLOCK == BLOCK // 2 else ""), turns)

    assert results("bt", text) == results("interp", text)


@pytest.mark.parametrize("place", [BLOCK, BLOCK + 1, 2 * BLOCK - 1, 3 * BLOCK + 7])
def test_a_fault_finds_all_registers_in_memory(place):
    """In the last round an access that was good reaches a page that is absent; its handler halts."""
    load = f"movd xmm4, [{VALUES} + esi]"
    turns = f"xor esi, esi\ncmp ecx, 1\njne good\nmov esi, {ABSENT - VALUES}\ngood:\n"
    text = in_a_loop(long_code(30 + place, lambda k: load if k == place else ""), turns)
    registers = []

    for engine in ("interp", "bt"):
        made = run(engine, text)
        assert made.fault is not None
        assert made.fault[0] == PAGE_FAULT
        assert made.cpu.gpr[ECX] == 1
        made.load(STORES, AFTER)
        assert made.run(eip=AFTER) is Exit.HALT
        registers.append(bytes(made.ram[RESULT : RESULT + 16 * REGISTERS]))
    assert registers[0] == registers[1] != bytes(16 * REGISTERS)
