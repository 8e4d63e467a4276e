"""Repeated string instructions of `bt` against `interp`: over pages that are read-only, absent, a device's, of code, the same memory
twice, and around the end of the linear addresses (SDM 2, REP; SDM 3A 4.7, page faults in the middle).

What is done, what is left, how many instructions count and when a device is asked must be the same.
"""

from random import Random

import pytest
from box import CODE, ECX, PAGE, WP, P, U, W
from box import Box as Processor
from compare import check_ends, check_slices, outcome

from vpcore.engine.engine import probe

SEED, ROUNDS, LENGTH, BUDGET = 386, 60, 5, 3000
AREA, PAGES, POOL, POOL_PAGES = 0x40000, 16, 0x200000, 12
HIGH = 0xFFFFE000
"""Two pages below 4 GB, followed by page 0."""
CODE_PAGE, DEVICE = 0x300000, 0x8000000
KINDS = ("plain",) * 28 + ("read-only", "absent", "device", "code")
MOVS, CMPS, STOS, LODS, SCAS = 0xA4, 0xA6, 0xAA, 0xAC, 0xAE
OPERAND_SIZE, REPNE, REPE, SEGMENT_FS = 0x66, 0xF2, 0xF3, 0x64
STATUS, DF = 0x8D5, 0x400
COUNTS = (0, 1, 7, 8, 9, 40, 300, 1024, 1025, 4095, 4096, 4097, 9000, 12288)
COMPARED = ((0x7000, 0x2000), (CODE, PAGE), (POOL, POOL_PAGES * PAGE), (CODE_PAGE, PAGE))

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])


def make(engine, *, user):
    box = Processor(engine=engine, icount_ns=1)
    box.table()
    box.page_32(P | W | U)
    for page in range(1, 4):
        box.map_32(page * PAGE, page * PAGE, P | U)  # descriptor tables: moves that wrap around come here
    box.set(cr0=box.cpu.cr0 | WP)
    if user:
        box.user()
    box.bus.hook = lambda *_: box.bus.log.append(box.engine.insns)
    return box


def lay_out(box, rng):
    """Pages in the area and at both ends of the linear addresses, of random kinds."""
    lines = [AREA + page * PAGE for page in range(PAGES)] + [HIGH, HIGH + PAGE, 0]
    for lin in lines:
        kind = rng.choice(KINDS)
        phys = POOL + rng.randrange(POOL_PAGES) * PAGE
        flags = {"plain": P | W | U, "read-only": P | U, "absent": 0}.get(kind, P | W | U)
        box.map_32(lin, {"device": DEVICE, "code": CODE_PAGE}.get(kind, phys), flags)
    box.engine.cpu_changed()


def string(rng):
    """A string instruction with its registers: mostly moves and stores, repeated, upwards."""
    op, size = rng.choice((MOVS, MOVS, MOVS, STOS, STOS, CMPS, CMPS, SCAS, SCAS, LODS)), rng.choice((1, 2, 4, 4))
    count = rng.choice(COUNTS) if rng.random() < 0.7 else rng.randrange(5000)
    places = [rng.choice((AREA, AREA, AREA, HIGH)) for _ in range(2)]
    esi, edi = (at + rng.randrange(2 * PAGE if at == HIGH else PAGES * PAGE // 2) for at in places)
    if rng.random() < 0.5:
        esi, edi = esi & ~3, edi & ~3
    if rng.random() < 0.25:
        edi = esi + rng.choice((1, 2, 3, 4, 8, 64, PAGE, -1, -4)) & 0xFFFFFFFF
    code = b"".join(
        bytes([0xB8 | reg]) + value.to_bytes(4, "little") for reg, value in ((1, count), (6, esi), (7, edi))
    )
    code += b"\xb0" + rng.choice((b"\0", b"\1", b"\xff")) if op == SCAS else b""
    code += rng.choice((b"", b"", b"\xf9", b"\x83\xc0\x01", b"\xfd")) + (
        bytes([SEGMENT_FS]) if rng.random() < 0.1 else b""
    )
    prefix = rng.choice((REPE, REPE, REPE, REPNE)) if rng.random() < 0.9 else None
    code += (
        (bytes([prefix]) if prefix else b"") + (bytes([OPERAND_SIZE]) if size == 2 else b"") + bytes([op | (size > 1)])
    )
    return code + (b"\xfc" if rng.random() < 0.9 else b"")


def program(rng):
    """Strings between a call to the code page, which makes it one, and HLT; three times, so that all is warm."""
    code = b"".join(string(rng) for _ in range(LENGTH))
    call = b"\xe8" + (CODE_PAGE - (CODE + 5) & 0xFFFFFFFF).to_bytes(4, "little")
    again = b"\xff\x0d" + (0x7000).to_bytes(4, "little") + b"\x0f\x85"
    back = -(len(call) + len(code) + len(again) + 4)
    return call + code + again + back.to_bytes(4, "little", signed=True) + b"\xf4"


def prepare(box, seed, state):
    rng = Random(seed)
    lay_out(box, rng)
    code = program(rng)
    box.engine.set_state(state)
    kinds = rng.choice((256, 2, 1))
    box.ram[POOL : POOL + POOL_PAGES * PAGE] = bytes(rng.randrange(kinds) for _ in range(PAGE)) * POOL_PAGES
    box.ram[0x7000:0x9000] = bytes(0x2000)
    box.put(0x7000, 3)
    box.ram[CODE_PAGE : CODE_PAGE + PAGE] = b"\xc3" + bytes(PAGE - 1)
    box.engine.invalidate(CODE_PAGE, PAGE)
    box.engine.invalidate(POOL, POOL_PAGES * PAGE)
    box.ram[CODE : CODE + PAGE] = bytes(PAGE)
    box.load(code)
    box.bus.log.clear()
    box.set(eip=CODE, halted=0, eax=rng.getrandbits(32), eflags=2 | rng.getrandbits(12) & STATUS)
    return code


def result(box, end, began):
    log = [entry - began if isinstance(entry, int) else entry for entry in box.bus.log]
    return outcome(box, (end, box.engine.insns - began, log), COMPARED)


@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
def test_random_strings_end_the_same(user):
    boxes = [make(name, user=user) for name in ("interp", "bt")]

    check_ends(boxes, prepare, result, range(SEED, SEED + ROUNDS), BUDGET)


def test_slices_of_any_length_leave_no_trace():
    """Runs end within repeated instructions too, between any two of the parts of them that count."""
    boxes = [make("interp", user=False) for _ in range(2)]

    check_slices(boxes, prepare, result, range(ROUNDS), slices=12, longest=20, rng=Random(SEED))


def test_a_run_ends_in_the_middle_of_a_long_move():
    """After as many parts of it as instructions were left."""
    box = make("bt", user=False)
    box.load("cld\nmov ecx, 0x40000\nmov esi, 0x200000\nmov edi, 0x100000\nrep movsd\nhlt")
    began = box.engine.insns

    box.run(budget=20, eip=CODE)

    assert 20 == box.engine.insns - began
    assert 0x40000 - 16 * 4096 == box.cpu.gpr[ECX]
