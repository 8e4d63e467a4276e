"""What host code of `bt` has C do (bt/help.h): segment registers, descriptors and the time-stamp counter, against `interp`; while
descriptors change in memory, and where a help has to refuse.
"""

from random import Random

import pytest
from box import CODE, GDT, IDT, LDTR, STACK0, STACK3
from box import Box as Processor

from vpcore.engine import Exit
from vpcore.engine.engine import probe

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])

SEED, PROGRAMS, STEPS, ROUNDS = 3405, 60, 24, 6
FIRST, COUNT = 5, 6
"""Descriptors of the GDT that programs load and change."""
ATTRIBUTES = (0x93, 0x92, 0xF3, 0x91, 0x97, 0x9B, 0xFB, 0x9F, 0x13, 0x89, 0xF2)
"""Data that has been accessed or not, for everyone or the system; read-only, expand-down, code, conforming; absent; a TSS."""
DATA, BASES = 0x6000, (0, 0x10, 0x100000)
TSD = 4
LDT, COPY = 0xC000, 0xD000
HANDLER, BACK, RESUME, FAULTS = 0x5000, 0x5100, 0x6020, 0x6024
BREAKPOINT = 3
HANDLED = (11, 12, 13)


def descriptor(rng: Random) -> int:
    """SDM 3A 3.4.5; mostly flat."""
    base, limit = (0, 0xFFFFF) if rng.random() < 0.6 else (rng.choice(BASES), rng.choice((0xFFFFF, 0, 0x6008)))
    granular = rng.choice((0xC, 0xC, 0x4))
    attributes = rng.choice(ATTRIBUTES)
    return limit & 0xFFFF | base << 16 | attributes << 40 | (limit >> 16) << 48 | granular << 52


def selector(rng: Random) -> int:
    """Of the GDT, with any privilege, or of the LDT; null, or beyond the table."""
    if rng.random() < 0.1:
        return rng.choice((0, 3, 4, 0xFFF8, 8))
    return rng.randrange(FIRST, FIRST + COUNT) << 3 | rng.choice((0, 0, 0, 3, 4))


def step(rng: Random, *, user: bool) -> str:
    """A load, a look, or a change of a descriptor."""
    seg = rng.choice(("ds", "es", "fs", "gs", "fs", "gs"))
    value = selector(rng)
    changed = GDT + 8 * rng.randrange(FIRST, FIRST + COUNT)
    bits = descriptor(rng)
    return rng.choice(
        (
            f"mov ax, {value}\nmov {seg}, ax",
            f"mov word [ss:{DATA}], {value}\nmov {seg}, [ss:{DATA}]",
            f"push dword {value}\npop {seg}",
            f"push word {value}\no16 pop {seg}\npush {seg}\npop ecx",
            f"mov cx, {value}\ncmp ebx, ecx\n{rng.choice(('verr', 'verw'))} cx\npushf\npop eax\nadd esi, eax",
            f"mov word [ss:{DATA}], {value}\nverw [ss:{DATA}]\nlahf\nadc esi, eax",
            f"mov edx, [{seg}:{DATA + 4}]\nadd esi, edx",
            f"mov dword [ss:{changed}], {bits & 0xFFFFFFFF}\nmov dword [ss:{changed + 4}], {bits >> 32}",
            "nop" if user else "mov eax, cr0\nadd esi, eax\nmov edi, cr2\nmov ecx, cr3\nmov edx, cr4",
            f"fninit\nfld1\nfstp dword [{seg}:0x6010]\nmov ax, ss\nmov {seg}, ax",
        )
    )


def program(rng: Random, *, user: bool) -> str:
    """A loop that begins with the same descriptors each time, and flat segments, which host code is told of by a change
    of privilege.  A fault leads to the next step.
    """
    flat = 0x23 if user else 0x10
    copy = f"mov esi, {COPY}\nmov edi, {GDT + 8 * FIRST}\nmov ecx, {2 * COUNT}\nrep movsd"
    steps = [f"mov dword [ss:{RESUME}], .{k}\n{step(rng, user=user)}\n.{k}:" for k in range(STEPS)]
    begin = f"mov ebp, {ROUNDS}\nagain:\nmov ax, {flat}\nmov ds, ax\nmov es, ax\nint3\npush esi\n{copy}\npop esi"
    return "\n".join((begin, *steps, "mov esp, ebx\ndec ebp\njnz near again\nud2"))


def end(engine: str, code: str, seed: int, *, user: bool) -> tuple:
    """All that the code leaves."""
    box, rng = Processor(engine=engine), Random(seed)
    box.page_32()
    for index in range(FIRST, FIRST + COUNT):
        box.put(COPY + 8 * (index - FIRST), descriptor(rng), 8)
        box.put(LDT + 8 * index, descriptor(rng), 8)
    state = box.engine.get_state()
    state["gdtr_limit"] = 8 * (FIRST + COUNT) - 1
    state["seg"][LDTR] = {"sel": 0x48, "base": LDT, "limit": 8 * (FIRST + COUNT) - 1, "attr": 0x82}
    box.engine.set_state(state)
    box.load(
        f"inc dword [ss:{FAULTS}]\nadd esp, 4\npush eax\nmov eax, [ss:{RESUME}]\nmov [ss:esp+4], eax\npop eax\niretd",
        HANDLER,
    )
    box.load("iretd", BACK)
    box.put(IDT + 8 * BREAKPOINT, BACK | 8 << 16 | 0xEE00 << 32, 8)
    for base in BASES:
        box.put(base + DATA + 4, 0x1234 + base)
    for vector in HANDLED:
        box.put(IDT + 8 * vector, HANDLER | 8 << 16 | 0x8E00 << 32, 8)
    if user:
        box.user()
    box.run(code, ebx=STACK3 if user else STACK0)
    after = box.engine.get_state()
    after.pop("tsc_offset")
    return after, bytes(box.ram[:0x1F000])


@pytest.mark.parametrize("user", [False, True], ids=["system", "user"])
@pytest.mark.parametrize("mode", ["flat", "window"])
def test_loads_and_looks_leave_what_they_do_in_the_interpreter_whatever_the_descriptors_become(mode, user, monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", mode)
    faults = 0
    for seed in range(SEED, SEED + PROGRAMS):
        code = program(Random(seed), user=user)
        expected = end("interp", code, seed, user=user)
        assert expected == end("bt", code, seed, user=user), f"{seed}\n{code}"
        faults += int.from_bytes(expected[1][FAULTS : FAULTS + 4], "little")
    assert PROGRAMS * ROUNDS < faults < PROGRAMS * ROUNDS * STEPS / 2


def turns(code: str, **config: object) -> dict:
    """How often the interpreter has had its turn in a loop of that, by mnemonic."""
    box = Processor(engine="bt", **config)
    box.page_32()
    box.put(GDT + 8 * FIRST, 0x00CFF3000000FFFF, 8)
    state = box.engine.get_state()
    state["gdtr_limit"] = 8 * (FIRST + 1) - 1
    box.engine.set_state(state)
    box.engine.profile(on=True)
    assert box.run(f"mov ecx, 1000\nagain: {code}\ndec ecx\njnz near again\nhlt", budget=0) == Exit.HALT
    return {name: sum(count) for name, count in box.engine.exits().items()}


def test_loads_that_are_known_to_be_right_are_not_the_interpreters(monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    code = f"mov eax, {FIRST * 8}\nmov ds, ax\npush ds\npop es\nxor edx, edx\nmov fs, dx\nmov gs, [0x6000]"

    counts = turns(code)

    assert sum(counts.get(name, 0) for name in ("mov", "pop")) < 50


def test_looks_at_descriptors_and_control_registers_are_not_the_interpreters(monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    counts = turns(f"mov eax, {FIRST * 8}\nverw ax\nverr ax\nmov eax, cr2\nmov eax, cr3")

    assert sum(counts.get(name, 0) for name in ("verr", "verw", "mov")) < 50


def test_the_time_stamp_counter_is_read_without_the_interpreter_and_does_not_go_back(monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", "flat")
    code = "mov esi, eax\nmov edi, edx\nrdtsc\ncmp eax, esi\nmov ebx, edx\nsbb ebx, edi\njnc fine\nhlt\nfine:"

    counts = turns(f"{code}", clock="realtime", tsc_hz=3_000_000_000)

    assert counts.get("rdtsc", 0) < 50


def test_a_user_whom_cr4_forbids_the_time_stamp_counter_gets_a_general_protection_fault(monkeypatch):
    """SDM 3A 2.5, CR4.TSD."""
    monkeypatch.setenv("VPCORE_BT_MODE", "flat")
    box = Processor(engine="bt", clock="realtime")
    box.page_32()
    box.user()
    box.run("mov ecx, 100\nagain: rdtsc\ndec ecx\njnz again\nhlt")
    allowed = box.fault

    box.user()
    box.run("mov ecx, 100\nagain: rdtsc\ndec ecx\njnz again\nhlt", cr4=TSD)

    assert (allowed, box.fault_eip) == ((13, 0), CODE + 5)
