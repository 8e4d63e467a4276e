"""Calls of `mov reg, [esp]; ret`, whose instructions `bt` puts in place of the call: guests that change, move or hide
the callee, step through it, or have no stack for it, must not see that.
"""

from random import Random

import pytest
from box import CODE, PAGE, U, W, asm
from box import Box as Processor
from compare import outcome

from vpcore.engine.engine import probe

SEED, PROGRAMS, SLICES, LONGEST = 20261121, 12, 60, 70
REGISTERS = ("eax", "ecx", "edx", "ebx", "ebp", "esi", "edi")
FAR, PHYS, OTHER = 0x500000, 0x300000, 0x340000
"""A page of callees, where it is, and where it may be as well."""
STACK, STACK_PHYS = 0x600000, 0x380000
"""The end of the stack's page; the one before it is not there."""
ROUNDS, BUDGET = 60, 20_000
CHANGES = {
    "another register": bytes.fromhex("8b1424c3"),  # mov edx, [esp]
    "another place": bytes.fromhex("8b5c2404c3"),  # mov ebx, [esp+4]
    "another instruction": bytes.fromhex("31db90c3"),  # xor ebx, ebx; nop; ret
    "none at all": bytes.fromhex("0f0b"),  # ud2
}
PLACES = {"another page": FAR, "the same page": "near_by"}
HALT = CODE + 0x800

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])


@pytest.fixture(autouse=True)
def _callees_are_known(monkeypatch):
    """A caller is translated the second time it runs: its callee has been decoded then."""
    monkeypatch.setenv("VPCORE_BT_WARM", "2")


def thunk(register):
    return asm(f"mov {register}, [esp]\nret")


def make(engine, clock="icount"):
    box = Processor(engine=engine, icount_ns=1, clock=clock)
    box.page_32()
    box.map_32(FAR, PHYS)
    box.map_32(STACK - PAGE, STACK_PHYS)
    box.load(thunk("ebx"), PHYS)
    box.load(thunk("ecx"), OTHER)
    return box


def loop(meanwhile="", callee=FAR, *, always=False):
    """Rounds that call; one of them, or each, does something first."""
    return f"""
        mov edi, {ROUNDS}
    again:
        cmp edi, {ROUNDS // 2}
        {"nop" if always else "jne usual"}
        {meanwhile}
    usual:
        xor ebx, ebx
        xor ecx, ecx
        xor edx, edx
        stc
        call {callee}
        rcl eax, 1
        add eax, ebx
        xor eax, ecx
        add eax, edx
        xor eax, [esp-4]
        dec edi
        jnz again
        hlt
    near_by:
        mov ebx, [esp]
        ret"""


def state(box, end):
    return outcome(box, end, ((STACK_PHYS, PAGE),))


def ends(run, *, user=False, clock="icount"):
    """What `run(box)` says that a program ends with, by engine."""
    found = []
    for engine in ("interp", "bt"):
        box = make(engine, clock)
        if user:
            box.user()
        box.set(eip=CODE, esp=STACK)
        found.append(run(box))
        box.engine.close()
    return found


def to_the_end(program):
    def run(box):
        box.load(program)
        return state(box, box.engine.run(BUDGET))

    return run


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("callee", PLACES.values(), ids=PLACES)
def test_a_callee_that_the_guest_changes_is_the_changed_one(callee, change):
    writes = "\n".join(f"mov byte [{callee}+{at}], {byte}" for at, byte in enumerate(CHANGES[change]))

    interp, bt = ends(to_the_end(loop(writes, callee)))

    assert interp == bt


@pytest.mark.parametrize("callee", PLACES.values(), ids=PLACES)
def test_a_callee_that_changes_in_every_round_is_the_changed_one(callee):
    interp, bt = ends(to_the_end(loop(f"xor byte [{callee}+1], 0x10", callee, always=True)))

    assert interp == bt


@pytest.mark.parametrize("callee", PLACES.values(), ids=PLACES)
def test_a_callee_that_the_return_address_is_written_over_is_the_changed_one(callee):
    """The push of the call itself is what changes it."""
    aside = f"push dword [{callee}]\npop edx\nxchg esp, edx\nmov esp, {callee}+4\njmp over\nover:"
    back = loop(aside, callee).replace("rcl eax, 1", f"mov esp, {STACK}\nrcl eax, 1")

    interp, bt = ends(to_the_end(back))

    assert interp == bt


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("callee", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
def test_code_that_does_not_count_calls_the_changed_callee_too(user, callee, change, monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_BT_LOOKS", "none")
    writes = "\n".join(f"mov byte [{callee}+{at}], {byte}" for at, byte in enumerate(CHANGES[change]))

    def run(box):
        box.load(loop(writes, callee).replace("hlt", "ud2"))
        return state(box, box.engine.run())

    interp, bt = ends(run, user=user, clock="realtime")

    assert interp == bt


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
def test_a_callee_that_a_device_changes_is_the_changed_one(user, change):
    def run(box):
        box.load(loop())
        box.engine.run(ROUNDS * 5)
        box.load(CHANGES[change], PHYS)
        return state(box, box.engine.run(BUDGET))

    interp, bt = ends(run, user=user)

    assert interp == bt


@pytest.mark.parametrize("flush", ["invlpg [{page}]", "mov eax, cr3\nmov cr3, eax"], ids=["INVLPG", "CR3"])
@pytest.mark.parametrize("always", [False, True], ids=["once", "in each round"])
def test_a_callee_that_is_remapped_is_the_one_that_is_there(always, flush):
    def run(box):
        swap = f"xor dword [{box.pte(FAR)}], {PHYS ^ OTHER}\n{flush.format(page=FAR)}"
        return to_the_end(loop(swap, always=always))(box)

    interp, bt = ends(run)

    assert interp == bt


@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
@pytest.mark.parametrize("there", [PHYS, OTHER, None], ids=["the same", "another", "none"])
def test_in_another_address_space_the_callee_is_what_that_has(there, user):
    """Two spaces in turn, without and with the callee of the other."""

    def run(box):
        away = box.another_directory()
        table = box.table()
        box.put(away + 4 * (FAR >> 22), table | 7)
        box.ram[table : table + PAGE] = box.ram[box.pte(FAR) & ~0xFFF : (box.pte(FAR) & ~0xFFF) + PAGE]
        box.put(table + 4 * (FAR >> 12 & 1023), there | 7 if there else 0)
        box.load(loop())
        found = []
        for turn in range(12):
            box.set(cr3=(box.directory, away)[turn % 3 > 0])
            found.append(state(box, box.engine.run(53)))
        return found

    interp, bt = ends(run, user=user)

    assert interp == bt


@pytest.mark.parametrize("callee", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("top", [STACK - PAGE, STACK - PAGE + 2, 3], ids=["absent", "half absent", "wraps around"])
def test_a_call_without_a_stack_faults_where_it_is(top, callee):
    interp, bt = ends(to_the_end(loop(f"mov esp, {top}", callee)))

    assert interp == bt


def test_a_call_onto_a_stack_that_may_not_be_written_faults_where_it_is():
    def run(box):
        box.put(box.pte(STACK - PAGE), STACK_PHYS | 5)
        box.put(box.pte(STACK), 0x390000 | U | W | 1)
        return to_the_end(loop(f"mov esp, {STACK}").replace("again:", f"mov esp, {STACK + 0x100}\nagain:", 1))(box)

    interp, bt = ends(run, user=True)

    assert interp == bt


@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
def test_breakpoints_on_the_callee_stop_there(user):
    def run(box):
        box.load(loop())
        box.engine.run(ROUNDS * 5)
        box.engine.set_breakpoint(FAR)
        return [state(box, box.engine.run(BUDGET)) for _ in range(4)]

    interp, bt = ends(run, user=user)

    assert interp == bt


@pytest.mark.parametrize(
    "meanwhile", ["pushf\nor dword [esp], 0x100\npopf", f"mov eax, {FAR}\nmov dr0, eax\nmov eax, 2\nmov dr7, eax"]
)
def test_the_guest_that_traces_the_callee_is_told(meanwhile):
    interp, bt = ends(to_the_end(loop(meanwhile)))

    assert interp == bt


@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
def test_random_programs_of_such_calls_are_the_same_after_any_number_of_instructions(user):
    rng = Random(SEED)
    for _ in range(PROGRAMS):
        program = random_program(rng)
        lengths = [rng.randrange(1, LONGEST) for _ in range(SLICES)]

        def run(box, program=program, lengths=lengths):
            for n, register in enumerate(REGISTERS):
                box.load(thunk(register), PHYS + 16 * n)
            box.load(program)
            return [state(box, box.engine.run(length)) for length in lengths]

        interp, bt = ends(run, user=user)

        assert interp == bt, program


def random_program(rng):
    """Straight lines of calls, with flags and ESP to be kept, that change a callee now and then."""
    lines = ["again:"]
    for _ in range(12):
        n, near = rng.randrange(len(REGISTERS)), rng.randrange(3)
        other = rng.randrange(len(REGISTERS))
        lines.append(
            rng.choice(
                (
                    f"call {FAR + 16 * n}",
                    f"call {FAR + 16 * n}",
                    f"call near_{near}",
                    f"push eax\ncall {FAR + 16 * n}\npop edx",
                    f"call {FAR + 16 * n}\nadc ebx, 77",
                    "cmp ecx, edx",
                    "xchg ecx, edx\n" * 20,  # where nothing is looked at for as long as may be
                    f"mov ebp, {FAR + 16 * n}\ncall ebp",
                    f"mov byte [{FAR + 16 * n}+1], {0x04 | other << 3}" if other != 4 else "nop",
                )
            )
        )
    lines.append("jmp again")
    lines += [f"near_{k}: mov {rng.choice(REGISTERS)}, [esp]\nret" for k in range(3)]
    return "\n".join(lines)


def test_a_callee_that_is_there_in_two_spaces_is_not_called_by_either(monkeypatch):
    """Where its page is in the table of neither's data any more, too: of 600 pages, not all are kept."""
    enter, insns, calls, pages = 0x4060, 200_000, 400, 600
    monkeypatch.delenv("VPCORE_BT_LOOKS", raising=False)  # the reserve would be the interpreter's
    box = make("bt")
    away = box.another_directory()
    turn_to_the_other = f"mov eax, cr3\nxor eax, {box.directory ^ away}\nmov cr3, eax"
    box.load(f"push eax\n{turn_to_the_other}\npop eax\nadd dword [esp], 2\niret", enter)
    box.user()
    box.load(
        f"""
        turn:
            call one
            mov edx, {0x400000 - PAGE * pages}
        touch:
            mov eax, [edx]
            add edx, {PAGE}
            cmp edx, 0x400000
            jne touch
            ud2
            ud2
            mov esi, {calls}
        again:
            call two
            dec esi
            jnz again
            ud2
            call two
            ud2
            jmp turn
        one:
            call {FAR}
            ret
        two:
            call {FAR}
            ret"""
    )
    box.set(eip=CODE, esp=STACK)
    box.engine.run(50_000)
    before = box.engine.stats().blocks_run

    box.engine.run(insns)

    made = insns // (6 * calls + 4 * pages) * calls
    assert box.engine.stats().blocks_run - before < made / 3
