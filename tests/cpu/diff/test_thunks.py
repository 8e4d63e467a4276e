"""Calls of `mov reg, [esp]; ret` and of `mov [esp], reg; ret`, whose instructions `bt` puts in place of the call: guests
that change, move or hide the callee, step through it, or have no stack for it, must not see that.
"""

from random import Random

import attrs
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
PLACES = {"another page": FAR, "the same page": "near_by"}
HALT = CODE + 0x800

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])


@pytest.fixture(autouse=True)
def _callees_are_known(monkeypatch):
    """A caller is translated the second time it runs: its callee has been decoded then."""
    monkeypatch.setenv("VPCORE_BT_WARM", "2")


@attrs.frozen
class Callees:
    """What callees do, beside `ret`: by which register, and by another one."""

    move: str
    call: str
    register: str
    another: str
    flips: int
    """The bits of its ModR/M byte that make `register` the other one and back."""
    sample: str
    """A call that comes back behind itself, for a random program: of `callee`, by `register`, the `k`-th."""

    def thunk(self, register):
        return asm(self.move.format(register) + "\nret")

    def change(self, name):
        """The bytes of a callee that is another one in that respect."""
        return {
            "another register": self.thunk("edx"),
            "another place": asm(self.move.format(self.register).replace("[esp]", "[esp+4]") + "\nret"),
            "another instruction": asm(f"xor {self.another}, {self.another}\nnop\nret"),
            "none at all": asm("ud2"),
        }[name]

    def make(self, engine, clock="icount"):
        box = Processor(engine=engine, icount_ns=1, clock=clock)
        box.page_32()
        box.map_32(FAR, PHYS)
        box.map_32(STACK - PAGE, STACK_PHYS)
        box.load(self.thunk(self.register), PHYS)
        box.load(self.thunk(self.another), OTHER)
        return box

    def loop(self, meanwhile="", callee=FAR, *, always=False):
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
            {self.call.format(callee)}
            rcl eax, 1
            add eax, ebx
            xor eax, ecx
            add eax, edx
            xor eax, [esp-4]
            dec edi
            jnz again
            hlt
        near_by:
            {self.move.format(self.register)}
            ret"""


CALLEES = {
    "says where": Callees("mov {}, [esp]", "call {}", "ebx", "ecx", 0x10, "call {callee}"),
    "jumps": Callees(
        "mov [esp], {}",
        """lea ebp, [behind]
            lea esi, [elsewhere]
            lea edx, [farther]
            call {}
            lea ebx, [ebx+8]
        farther:
            lea ebx, [ebx+4]
        elsewhere:
            lea ebx, [ebx+2]
        behind:""",
        "ebp",
        "esi",
        0x18,
        "lea {register}, [to_{k}]\ncall {callee}\nnot eax\nto_{k}:",
    ),
}
CHANGES = ("another register", "another place", "another instruction", "none at all")


@pytest.fixture(params=CALLEES.values(), ids=CALLEES)
def callees(request):
    return request.param


def state(box, end):
    return outcome(box, end, ((STACK_PHYS, PAGE),))


def ends(callees, run, *, user=False, clock="icount"):
    """What `run(box)` says that a program ends with, by engine."""
    found = []
    for engine in ("interp", "bt"):
        box = callees.make(engine, clock)
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
def test_a_callee_that_the_guest_changes_is_the_changed_one(callees, callee, change):
    writes = "\n".join(f"mov byte [{callee}+{at}], {byte}" for at, byte in enumerate(callees.change(change)))

    interp, bt = ends(callees, to_the_end(callees.loop(writes, callee)))

    assert interp == bt


@pytest.mark.parametrize("callee", PLACES.values(), ids=PLACES)
def test_a_callee_that_changes_in_every_round_is_the_changed_one(callees, callee):
    interp, bt = ends(callees, to_the_end(callees.loop(f"xor byte [{callee}+1], {callees.flips}", callee, always=True)))

    assert interp == bt


@pytest.mark.parametrize("callee", PLACES.values(), ids=PLACES)
def test_a_callee_that_the_return_address_is_written_over_is_the_changed_one(callees, callee):
    """The push of the call itself is what changes it."""
    aside = f"push dword [{callee}]\npop edx\nxchg esp, edx\nmov esp, {callee}+4\njmp over\nover:"
    back = callees.loop(aside, callee).replace("rcl eax, 1", f"mov esp, {STACK}\nrcl eax, 1")

    interp, bt = ends(callees, to_the_end(back))

    assert interp == bt


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("callee", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
def test_code_that_does_not_count_calls_the_changed_callee_too(callees, user, callee, change, monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_BT_LOOKS", "none")
    writes = "\n".join(f"mov byte [{callee}+{at}], {byte}" for at, byte in enumerate(callees.change(change)))

    def run(box):
        box.load(callees.loop(writes, callee).replace("hlt", "ud2"))
        return state(box, box.engine.run())

    interp, bt = ends(callees, run, user=user, clock="realtime")

    assert interp == bt


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
def test_a_callee_that_a_device_changes_is_the_changed_one(callees, user, change):
    def run(box):
        box.load(callees.loop())
        box.engine.run(ROUNDS * 5)
        box.load(callees.change(change), PHYS)
        return state(box, box.engine.run(BUDGET))

    interp, bt = ends(callees, run, user=user)

    assert interp == bt


@pytest.mark.parametrize("flush", ["invlpg [{page}]", "mov eax, cr3\nmov cr3, eax"], ids=["INVLPG", "CR3"])
@pytest.mark.parametrize("always", [False, True], ids=["once", "in each round"])
def test_a_callee_that_is_remapped_is_the_one_that_is_there(callees, always, flush):
    def run(box):
        swap = f"xor dword [{box.pte(FAR)}], {PHYS ^ OTHER}\n{flush.format(page=FAR)}"
        return to_the_end(callees.loop(swap, always=always))(box)

    interp, bt = ends(callees, run)

    assert interp == bt


@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
@pytest.mark.parametrize("there", [PHYS, OTHER, None], ids=["the same", "another", "none"])
def test_in_another_address_space_the_callee_is_what_that_has(callees, there, user):
    """Two spaces in turn, without and with the callee of the other."""

    def run(box):
        away = box.another_directory()
        table = box.table()
        box.put(away + 4 * (FAR >> 22), table | 7)
        box.ram[table : table + PAGE] = box.ram[box.pte(FAR) & ~0xFFF : (box.pte(FAR) & ~0xFFF) + PAGE]
        box.put(table + 4 * (FAR >> 12 & 1023), there | 7 if there else 0)
        box.load(callees.loop())
        found = []
        for turn in range(12):
            box.set(cr3=(box.directory, away)[turn % 3 > 0])
            found.append(state(box, box.engine.run(53)))
        return found

    interp, bt = ends(callees, run, user=user)

    assert interp == bt


@pytest.mark.parametrize("callee", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("top", [STACK - PAGE, STACK - PAGE + 2, 3], ids=["absent", "half absent", "wraps around"])
def test_a_call_without_a_stack_faults_where_it_is(callees, top, callee):
    interp, bt = ends(callees, to_the_end(callees.loop(f"mov esp, {top}", callee)))

    assert interp == bt


def test_a_call_onto_a_stack_that_may_not_be_written_faults_where_it_is(callees):
    def run(box):
        box.put(box.pte(STACK - PAGE), STACK_PHYS | 5)
        box.put(box.pte(STACK), 0x390000 | U | W | 1)
        program = callees.loop(f"mov esp, {STACK}").replace("again:", f"mov esp, {STACK + 0x100}\nagain:", 1)
        return to_the_end(program)(box)

    interp, bt = ends(callees, run, user=True)

    assert interp == bt


@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
def test_breakpoints_on_the_callee_stop_there(callees, user):
    def run(box):
        box.load(callees.loop())
        box.engine.run(ROUNDS * 5)
        box.engine.set_breakpoint(FAR)
        return [state(box, box.engine.run(BUDGET)) for _ in range(4)]

    interp, bt = ends(callees, run, user=user)

    assert interp == bt


@pytest.mark.parametrize(
    "meanwhile", ["pushf\nor dword [esp], 0x100\npopf", f"mov eax, {FAR}\nmov dr0, eax\nmov eax, 2\nmov dr7, eax"]
)
def test_the_guest_that_traces_the_callee_is_told(callees, meanwhile):
    interp, bt = ends(callees, to_the_end(callees.loop(meanwhile)))

    assert interp == bt


@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
def test_random_programs_of_such_calls_are_the_same_after_any_number_of_instructions(callees, user):
    rng = Random(SEED)
    for _ in range(PROGRAMS):
        program = random_program(callees, rng)
        lengths = [rng.randrange(1, LONGEST) for _ in range(SLICES)]

        def run(box, program=program, lengths=lengths):
            for n, register in enumerate(REGISTERS):
                box.load(callees.thunk(register), PHYS + 16 * n)
            box.load(program)
            return [state(box, box.engine.run(length)) for length in lengths]

        interp, bt = ends(callees, run, user=user)

        assert interp == bt, program


def random_program(callees, rng):
    """Straight lines of calls, with flags and ESP to be kept, that change a callee now and then, and change it back."""
    near = [rng.choice(REGISTERS) for _ in range(3)]
    lines = ["again:"]
    for k in range(12):
        n, other, which = rng.randrange(len(REGISTERS)), rng.randrange(len(REGISTERS)), rng.randrange(len(near))
        by = REGISTERS[(n + 1) % len(REGISTERS)]

        def call(callee, register, k=k):
            return callees.sample.format(callee=callee, register=register, k=k)

        def becomes(register, n=n):
            modrm = callees.thunk(register)[1]
            return f"mov byte [{FAR + 16 * n}+1], {modrm}"

        far = call(FAR + 16 * n, REGISTERS[n])
        lines.append(
            rng.choice(
                (
                    far,
                    far,
                    call(f"near_{which}", near[which]),
                    f"push eax\n{far}\npop edx",
                    f"{far}\nadc ebx, 77",
                    "cmp ecx, edx",
                    "xchg ecx, edx\n" * 20,  # where nothing is looked at for as long as may be
                    f"mov {by}, {FAR + 16 * n}\n{call(by, REGISTERS[n])}",
                    f"{becomes(REGISTERS[other])}\n{call(FAR + 16 * n, REGISTERS[other])}\n{becomes(REGISTERS[n])}",
                    f"call next_{k}\nnext_{k}: pop ecx\nadc ebx, ecx",
                    f"call next_{k}\nnext_{k}: add dword [esp], after_{k} - next_{k}\nret\nnot eax\nafter_{k}:",
                )
            )
        )
    lines.append("jmp again")
    lines += [f"near_{k}: {callees.move.format(register)}\nret" for k, register in enumerate(near)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "top", [STACK, STACK - PAGE, STACK - PAGE + 2, 3], ids=["there", "absent", "half absent", "wraps"]
)
@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
def test_a_call_of_what_lies_behind_it_is_a_push(user, top):
    """SDM 2A, CALL.  What calls such code, and has it return, is returned to."""
    program = f"""
        mov edi, {ROUNDS}
        xor ebx, ebx
    again:
        stc
        call f
        adc eax, ecx
        dec edi
        jnz again
        mov esp, {top}
        call last
    last:
        hlt
    f:  call g
        rcr edx, 1
        ret
    g:  push ebx
        call here
    here:
        pop ecx
        pop ebx
        ret"""

    interp, bt = ends(CALLEES["says where"], to_the_end(program), user=user)

    assert interp == bt


def test_a_callee_that_is_there_in_two_spaces_is_not_called_by_either(monkeypatch):
    """Where its page is in the table of neither's data any more, too: of 600 pages, not all are kept."""
    enter, insns, calls, pages = 0x4060, 200_000, 400, 600
    monkeypatch.delenv("VPCORE_BT_LOOKS", raising=False)  # the reserve would be the interpreter's
    box = CALLEES["says where"].make("bt")
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
