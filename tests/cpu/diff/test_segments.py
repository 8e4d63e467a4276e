"""`bt` against `interp` where segments are not flat: real and virtual-8086 mode, 16-bit and 32-bit protected mode, stacks of
the other size.  Limits end in the window, bases lie anywhere, and code loads segment registers (SDM 3A 5.3, 3B 20).
"""

from random import Random

import attrs
import pytest
from blocks import WINDOW, WINDOW_SIZE, Writer
from box import (
    CODE,
    CS,
    DPL3,
    DS,
    EBP,
    EBX,
    EDI,
    ES,
    ESI,
    ESP,
    FS,
    GDT,
    GS,
    HANDLERS,
    IDT,
    PAGE,
    SS,
    STACK0,
    STACK3,
    VECTORS,
    WP,
    P,
    U,
    W,
    asm,
)
from box import Box as Processor
from compare import differences, listing, odd_modes, outcome

from vpcore.engine.engine import probe

SEED, ROUNDS, LENGTH, REPEATS, BUDGET = 80286, 220, 12, 3, 5000
NE, VM, STATUS = 0x20, 1 << 17, 0x8D5
VECTORS_AT, COUNTER, RESTORED = 0x2800, 0xF000, 0x60000
FIRST = 6
"""Of the descriptors that the segments have, in the order of their numbers."""
CODE16, DATA16, DATA_DOWN, BIG = 0x9B, 0x93, 0x97, 0x400
FLAT = 0xFFFFFFFF
COMPARED = ((0, 0x10000), (WINDOW - 0xF000, WINDOW_SIZE + 0xF000))
WHERE = 0xD000
"""The window's offset in data segments of 64 KB, whose end it lies across."""

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])


@attrs.frozen
class Mode:
    """A kind of code, and its segments: (base, limit) of CS, SS, DS, ES, FS, GS."""

    bits: int = 16
    protected: bool = True
    v86: bool = False
    user: bool = False
    stack: int = 16
    window: int = WHERE
    cs: tuple[int, int] = (0x9C40, 0xFFFF)
    ss: tuple[int, int] = (0x6000, 0xFFFF)
    ds: tuple[int, int] = (WINDOW - WHERE, 0xFFFF)
    es: tuple[int, int] = (WINDOW - WHERE + 0x800, 0xFFFF)
    fs: tuple[int, int] = (WINDOW - WHERE - 0x10, 0xFFFF)
    gs: tuple[int, int] = (WINDOW - WHERE + 0x20, 0xFFFF)
    es_attr: int = DATA16


MODES = {
    "real": Mode(protected=False),
    "unreal": Mode(protected=False, ds=(WINDOW - WHERE, FLAT), stack=32),
    "v86": Mode(v86=True, user=True),
    "kernel16": Mode(gs=(WINDOW - WHERE, 0xDFFF), es=(WINDOW - WHERE, 0xD7FF), es_attr=DATA_DOWN),
    "user16": Mode(user=True, ds=(WINDOW - WHERE, 0xEFFF)),
    "kernel16, 32-bit stack": Mode(stack=32),
    "kernel32": Mode(bits=32, stack=32, cs=(0x1000, 0xBFFF), ds=(WINDOW - 0x123400, 0x125FFF), window=0x123400),
    "user32": Mode(bits=32, user=True, stack=32, ds=(WINDOW + 0x4000, FLAT), window=-0x4000 & FLAT),
    "kernel32, 16-bit stack": Mode(bits=32, cs=(0, FLAT), ss=(0x6000, FLAT), ds=(0, FLAT), es=(0, FLAT), window=WINDOW),
    "flat16": Mode(stack=32, cs=(0, FLAT), ss=(0, FLAT), ds=(0, FLAT), es=(0, FLAT), window=WINDOW),
}


def segments(mode):
    """What the segment registers hold."""
    dpl = DPL3 if mode.user else 0
    attrs_of = {CS: CODE16 | BIG * (mode.bits == 32), SS: DATA16 | BIG * (mode.stack == 32), ES: mode.es_attr}
    places = {ES: mode.es, CS: mode.cs, SS: mode.ss, DS: mode.ds, FS: mode.fs, GS: mode.gs}
    for number, (base, limit) in places.items():
        attr = attrs_of.get(number, DATA16)
        if mode.v86 or not mode.protected:
            attr = 0xF3 if mode.v86 else DATA16 | attr & BIG
            yield number, {"sel": base >> 4, "base": base & FLAT, "limit": limit, "attr": attr}
        else:
            sel = 8 * (FIRST + number) | (3 if mode.user else 0)
            attr |= dpl | (0x800 if limit > 0xFFFFF else 0)
            yield number, {"sel": sel, "base": base & FLAT, "limit": limit, "attr": attr}


def descriptor(seg):
    base, attr = seg["base"], seg["attr"]
    limit = seg["limit"] >> (12 if attr & 0x800 else 0)
    low = limit & 0xFFFF | (base & 0xFFFFFF) << 16 | (attr & 0xFF) << 40
    return low | (limit >> 16 & 15) << 48 | (attr >> 8 & 15) << 52 | (base >> 24) << 56


def make(engine, mode):
    box = Processor(engine=engine, cpu="host", icount_ns=1)
    if mode.protected:
        box.page_32(P | W | U)
        box.map_32(WINDOW + 0x1000, WINDOW + 0x1000, P | U)
        box.map_32(WINDOW + 0x2000, WINDOW + 0x2000, P | W)
        box.map_32(WINDOW + WINDOW_SIZE, WINDOW + WINDOW_SIZE, 0)
        box.set(cr0=box.cpu.cr0 | WP)
    for vector in range(VECTORS):
        box.put(VECTORS_AT + 4 * vector, (HANDLERS + 16 * vector) & 0xF | (HANDLERS >> 4) + vector << 16)
    state = box.engine.get_state()
    state["cr0"] = state["cr0"] | NE if mode.protected else NE | 0x10
    for number, seg in segments(mode):
        state["seg"][number] = seg
        box.put(GDT + 8 * (FIRST + number), descriptor(seg), 8)
    state["gdtr_limit"] = 8 * (FIRST + 6) - 1
    state["gpr"][ESP] = (STACK3 if mode.user else STACK0) - mode.ss[0]
    if not mode.protected:
        state.update(idtr_base=VECTORS_AT, idtr_limit=0x3FF)
    if mode.v86:
        state["eflags"] |= VM
    assert IDT + 8 * VECTORS <= VECTORS_AT
    box.engine.set_state(state)
    return box


def loop(body, mode):
    """The body, repeated; then HLT."""
    counter = COUNTER - mode.ss[0]
    if mode.bits == 32:
        end = b"\x36\x83\x2d" + counter.to_bytes(4, "little") + b"\x01\x0f\x85"
        return body + end + (-len(body + end) - 4).to_bytes(4, "little", signed=True) + b"\xf4"
    end = b"\x36\x66\x83\x2e" + counter.to_bytes(2, "little") + b"\x01\x0f\x85"
    return body + end + (-len(body + end) - 2).to_bytes(2, "little", signed=True) + b"\xf4"


def prepare(box, mode, code, seed, start):
    """Everything as it was, but for random registers and a random window."""
    state, memory = start
    rng = Random(seed)
    box.engine.set_state(odd_modes(rng, state))
    box.ram[0:RESTORED] = memory
    box.ram[WINDOW : WINDOW + WINDOW_SIZE] = rng.randbytes(WINDOW_SIZE)
    box.engine.invalidate(0, RESTORED)
    box.load(code)
    box.put(COUNTER, REPEATS)
    gpr = [rng.choice((0, 1, FLAT, rng.getrandbits(32))) for _ in range(8)]
    for reg in (EBX, ESI, EDI):
        gpr[reg] = (mode.window + rng.randrange(WINDOW_SIZE - PAGE)) & FLAT
        if mode.bits == 16 and rng.random() < 0.2:
            gpr[reg] |= rng.getrandbits(16) << 16
    gpr[1] &= 0xF
    gpr[ESP] = state["gpr"][ESP]
    if mode.stack == 16 and rng.random() < 0.5:
        gpr[ESP] |= rng.choice((rng.getrandbits(16), 1)) << 16
    if rng.random() < 0.1:  # the stack at an end of its segment
        gpr[ESP] = gpr[ESP] & 0xFFFF0000 | rng.choice((*range(12), *range(0xFFF8, 0x10000)))
    if rng.random() < 0.5:
        gpr[EBP] = gpr[ESP] - rng.randrange(64) & FLAT
    box.cpu.gpr[0:8] = gpr
    box.set(eip=CODE - mode.cs[0], halted=0, eflags=2 | VM * mode.v86 | rng.getrandbits(12) & STATUS)


def boxes(mode):
    """An interpreter and a translator, and how both begin."""
    pair = [make(name, mode) for name in ("interp", "bt")]
    return pair, [(box.engine.get_state(), bytes(box.ram[0:RESTORED])) for box in pair]


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize("part", range(2))
def test_random_blocks_end_the_same(name, part):
    mode = MODES[name]
    pair, starts = boxes(mode)
    for number in range(ROUNDS):
        seed = SEED * 1000 + part * ROUNDS + number
        code = loop(Writer(Random(seed), bits=mode.bits, window=mode.window, segments=True).block(LENGTH), mode)

        results = []
        for box, start in zip(pair, starts, strict=True):
            began = box.engine.insns
            prepare(box, mode, code, seed, start)
            end = box.engine.run(BUDGET)
            results.append(outcome(box, (end, box.engine.insns - began), COMPARED))

        text = listing(code, CODE - mode.cs[0], mode.bits)
        assert {} == differences(*results), f"seed {seed}\n{text}"
    assert pair[1].engine.stats().code_bytes > ROUNDS * LENGTH, "blocks have host code"


def test_slices_of_any_length_leave_no_trace():
    """max_insns ends a run within translated blocks too."""
    rng = Random(SEED)
    for mode in (MODES["real"], MODES["user16"]):
        pair, starts = boxes(mode)
        for number in range(60):
            code = loop(Writer(Random(number), bits=16, window=mode.window, segments=True).block(LENGTH), mode)
            for box, start in zip(pair, starts, strict=True):
                prepare(box, mode, code, number, start)

            for _ in range(10):
                count = rng.randrange(1, 40)
                results = [outcome(box, box.engine.run(count), COMPARED) for box in pair]
                assert {} == differences(*results), f"seed {number}\n{listing(code, CODE - mode.cs[0], 16)}"


FAR_CALLS = """
start:
    mov bp, 3000
again:
    call near recurse
    push word 0x{other:x}
    push word after
    push word 0x{other:x}
    push word offset_of_same
    retf                            ; the same offset as `same`, in another segment
after:
    mov es, [cs:tables]
    add ax, [es:0x10]
    pushf
    pop dx
    int 0x10
    dec bp
    jnz again
    hlt
recurse:
    inc bx
    test bl, 7
    jz .out
    call near recurse
    add ax, bx
.out:
    ret
same:
    rol ax, 1
    retf
offset_of_same equ same
tables: dw 0x1234
"""


def test_equal_offsets_in_different_code_segments_are_different_code():
    """Real mode, far returns: CS:IP alone names code; INT and IRET in between (SDM 3B 20.1.4)."""
    other = 0x3000
    code = asm(FAR_CALLS.format(other=other), 16, 0x100)
    results = []
    for engine in ("interp", "bt"):
        box = make(engine, attrs.evolve(MODES["real"], cs=(CODE - 0x100, 0xFFFF)))
        box.load(code)
        same = code.index(b"\xd1\xc0\xcb")
        box.load(b"\x35\x34\x12\x01\xc0\xcb", 0x30000 + 0x100 + same)  # xor ax, 0x1234; add ax, ax; retf
        after = code.index(b"\x2e\x8e\x06")
        box.load(
            b"\xea" + (0x100 + after).to_bytes(2, "little") + (CODE - 0x100 >> 4).to_bytes(2, "little"),
            0x30000 + 0x100 + after,
        )
        box.load(b"\x43\xcf", 0x5000)  # inc bx; iret
        box.put(VECTORS_AT + 4 * 0x10, 0x500 << 16)
        box.set(eip=0x100, halted=0)
        end = box.run(budget=400_000)
        results.append(outcome(box, (end, box.engine.insns), COMPARED))

    assert {} == differences(*results)
    assert results[0][0]["halted"]


EDGES = {
    "a jump's target is beyond the limit": (MODES["kernel16"], 0x1FFF, "jmp near 0x2000"),
    "a conditional jump's target is beyond the limit": (MODES["kernel16"], 0x1FFF, "stc\njc near 0x2000"),
    "a return's target is beyond the limit": (MODES["kernel16"], 0x1FFF, "push word 0x2000\nret"),
    "a wide return's target is beyond the limit": (MODES["real"], 0xFFFF, "push dword 0x10000\no32 ret"),
    "a call's target is beyond the limit": (MODES["kernel16"], 0x1FFF, "mov cx, 0x2000\ncall cx"),
    "a wide jump's target is beyond the limit": (MODES["real"], 0xFFFF, "mov ecx, 0x12000\njmp ecx"),
    "a loop's target is beyond the limit": (MODES["kernel16"], 0x3C6, "mov cx, 9\njmp near $$\ntimes 9 nop"),
    "IP has 16 bits": (MODES["flat16"], FLAT, "db 0xe9, 0x00, 0x60"),
    "IP has 16 bits in wide code": (MODES["kernel32"], FLAT, "db 0x66, 0xe9, 0x00, 0x60"),
    "a call of 16 bits cuts EIP": (MODES["flat16"], FLAT, "mov ecx, 0x12345678\ncall cx"),
}


@pytest.mark.parametrize("name", EDGES)
def test_targets_of_jumps_are_held_against_the_limit(name):
    """#GP(0) at the jump (SDM 2, JMP, CALL, RET); the same code with other limits first."""
    mode, limit, text = EDGES[name]
    eip = CODE - mode.cs[0]
    code = asm(f"mov ax, cx\n{text}\nhlt", mode.bits, eip)
    results = []
    for engine in ("interp", "bt"):
        box = make(engine, mode)
        box.load(code)
        state = {**box.engine.get_state(), "eip": eip}
        ends = []
        for cut in (state["seg"][CS]["limit"], limit, 0xFFFF, limit):
            state["seg"][CS]["limit"] = cut
            box.engine.set_state(state)
            ends.append(outcome(box, box.engine.run(20), COMPARED))
        results.append(ends)

    for one, other in zip(*results, strict=True):
        assert {} == differences(one, other), listing(code, eip, mode.bits)


BOTH_SIZES = """
    mov ecx, 200
again:
    call 8:target
    add ebx, eax
    db 0x66, 0x9a                   ; a far call with 16-bit operands
    dw target, 0x30
    lea ebx, [ebx + eax * 2]
    dec ecx
    jnz again
    hlt
target:
    db 0xb8, 0, 0, 1, 0xc0, 0xcb    ; mov eax, 0xc0010000; retf.  mov ax, 0; add ax, ax; retf
"""


def test_equal_bytes_are_different_code_by_the_size_of_the_segment():
    """SDM 3A 3.4.5, D/B: flat segments of both sizes, at one EIP."""
    results = []
    for engine in ("interp", "bt"):
        box = Processor(engine=engine, cpu="host", icount_ns=1)
        box.put(GDT + 0x30, 0x008F9B000000FFFF, 8)
        state = box.engine.get_state()
        box.engine.set_state({**state, "gdtr_limit": 0x37})
        box.load(BOTH_SIZES)
        end = box.run(budget=100_000, eip=CODE)
        results.append(outcome(box, (end, box.engine.insns), COMPARED))

    assert {} == differences(*results)
    assert results[0][0]["halted"]


SNIPPETS = {
    "FDS is that of the x87 instruction (SDM 1, 8.1.8)": (
        MODES["real"],
        "fninit\nmov cx, 30\nmov dx, 0x3000\nmov bx, 0x3001\nl: fld dword [si]\nmov ds, dx\nxchg dx, bx\nloop l",
    ),
    "registers pushed at once wrap around (SDM 3A 5.3)": (
        MODES["kernel32, 16-bit stack"],
        "mov ecx, 90\nl: mov sp, cx\npush eax\npusha\npopa\npop eax\nadd edx, [esp - 24]\nloop l",
    ),
    "a far pointer wraps around": (
        MODES["unreal"],
        "mov cx, 30\nl: mov bx, 0xfffe\nmov word [0], 0x3000\nmov word [bx], cx\nles ax, [bx]\nloop l",
    ),
}


@pytest.mark.parametrize("name", SNIPPETS)
def test_snippets_end_the_same(name):
    mode, text = SNIPPETS[name]
    eip = CODE - mode.cs[0]
    code = asm(f"{text}\nhlt", mode.bits, eip)
    results = []
    for engine in ("interp", "bt"):
        box = make(engine, mode)
        box.load(code)
        box.set(eip=eip, esi=mode.window)
        results.append(outcome(box, box.engine.run(1000), COMPARED))

    assert {} == differences(*results), listing(code, eip, mode.bits)
    assert results[0][0]["halted"]
