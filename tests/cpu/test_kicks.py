"""Translated code that does not look at its budget leaves all the same: for a deadline, vp_stop() and Ctrl-C, wherever it goes
round; and none of that leaves a trace.

The clock is `realtime`: under `icount` budgets are looked at.
"""

import contextlib
import os
import signal
import threading
from pathlib import Path
from random import Random

import pytest
from box import CODE, EAX, EBX, ESP, PAGE, STACK0, WP, P, U, W
from box import Box as Processor
from diff.blocks import WINDOW, WINDOW_SIZE, Writer, lay_out, loop
from diff.compare import differences, listing, odd_modes, outcome
from native import library

from vpcore.engine import Exit
from vpcore.engine.engine import probe
from vpcore.engine.library import ffi, lib

OSFXSR = 0x200
MS = 1_000_000
SOON = 5 * MS
ENDLESS = {
    "itself": "jmp $",
    "two blocks": "a: inc eax\njz b\nnop\nb: jmp a",
    "two pages": "a: jmp b\ntimes 0x2000 nop\nb: jmp a",
    "into the next page": "a: times 0x1100 nop\njmp a",
    "recursion": f"f: mov esp, {STACK0}\ncall f",
    "mutual recursion": f"f: mov esp, {STACK0}\ncall g\ng: mov esp, {STACK0}\ncall f",
    "calls that return": "a: call f\njmp a\nf: ret",
    "calls alone": "mov ecx, 60\ncall f\nhlt\nf: dec ecx\njs done\ncall f\ncall f\ndone: inc ecx\nret",
    "a call with its callee in place": "mov edx, f\ncall edx\na: call f\njmp a\nf: mov ebx, [esp]\nret",
    "a callee that jumps in its place": "mov edx, f\nmov ebx, out\ncall edx\nout: mov ebx, a\na: call f\nhlt\nf: mov [esp], ebx\nret",
    "call and pop": "a: call b\nb: pop eax\njmp a",
    "indirect": "mov eax, a\na: jmp eax",
    "indirect calls": f"mov eax, a\na: mov esp, {STACK0}\ncall eax",
    "a return": "a: push a\nret",
    "two returns": "a: push b\nret\nb: push a\nret",
    "LOOP": "a: mov ecx, 0\nb: loop b\njmp a",
    "JECXZ": "xor ecx, ecx\na: jecxz a",
    "XMM registers": "xor eax, eax\na: addps xmm0, xmm1\ntest eax, eax\njz a",
    "16-bit": "a: o16 jmp short a",
    "STI": "a: sti\nnop\njmp a",
    "strings": "a: mov ecx, 50\nmov edi, 0x200000\nrep stosd\njmp a",
    "long strings": "a: mov ecx, 0x70000\nmov edi, 0x200000\nrep stosd\njmp a",
    "x87 registers": "fninit\nfld1\nxor eax, eax\na: fadd st0, st0\ntest eax, eax\njz a",
    "the interpreter's": "a: str ax\njmp a",
}
"""Each way to go round."""

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])


@pytest.fixture(autouse=True, params=["in place", "sliding"])
def kind(request, monkeypatch):
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_BT_LOOKS", "none")
    if request.param == "sliding":
        monkeypatch.setenv("VPCORE_BT_SLIDE", "1")


@pytest.fixture(scope="module")
def storms():
    here = Path(__file__).parent
    cdef = "uintptr_t storm_begin(uintptr_t stop, uintptr_t vm, unsigned times, unsigned gap);void storm_end(uintptr_t storm);"
    _, native = library(here / "storm.c", cdef, [])
    stop = int(ffi.cast("uintptr_t", ffi.addressof(lib, "vp_stop")))

    @contextlib.contextmanager
    def storm(box, times, gap):
        """vp_stop() that many times, less than *gap* us apart, from a thread that needs no lock of Python's."""
        handle = native.storm_begin(stop, int(ffi.cast("uintptr_t", box.engine._vm)), times, gap)
        yield
        native.storm_end(handle)

    return storm


def make(where="kernel", **config):
    box = Processor(engine="bt", clock="realtime", **config)
    if where != "unpaged":
        box.page_32()
    if where == "user":
        box.user()
    box.set(cr4=box.cpu.cr4 | OSFXSR)
    assert box.engine.lacks == ""
    return box


def begin(box, program):
    box.load(program)
    box.set(eip=CODE, halted=0, esp=STACK0)


@pytest.mark.parametrize("where", ["unpaged", "kernel", "user"])
@pytest.mark.parametrize("program", ENDLESS)
def test_a_deadline_ends_what_goes_round_for_ever(program, where):
    box = make(where)
    begin(box, ENDLESS[program] if where != "user" else ENDLESS[program].replace("sti", "nop"))

    for _ in range(3):
        began, insns = box.engine.now(), box.engine.insns
        box.engine.set_deadline(began + SOON)
        end = box.engine.run()

        assert end is Exit.DEADLINE
        assert box.engine.now() >= began + SOON
        assert box.engine.insns > insns


def test_a_loop_that_ends_where_it_was_entered_counts():
    """Its ticks, though nothing is left behind but the time that it took: a process of such loops settles too."""
    turns, many = 50, 10_000
    box = make("user")
    begin(box, ENDLESS["itself"])
    for _ in range(turns):
        box.engine.set_deadline(box.engine.now() + SOON)
        box.engine.run()

    assert box.engine.insns > many


@pytest.mark.parametrize("program", ENDLESS)
def test_a_stop_by_another_thread_ends_what_goes_round_for_ever(program, storms):
    box = make()
    begin(box, ENDLESS[program])

    for gap in (0, 50, 3000):
        with storms(box, 1, gap):
            end = box.engine.run()
            assert end is Exit.STOP


def test_a_thread_of_python_gets_its_turn_to_stop_the_guest():
    box = make()
    begin(box, "jmp $")
    threading.Timer(0.01, box.engine.stop).start()

    assert box.engine.run() is Exit.STOP


class RungError(Exception):
    """An alarm of the host."""


def test_ctrl_c_ends_what_goes_round_for_ever():
    def ring(*_):
        raise RungError

    box = make()
    begin(box, "jmp $")
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(RungError):
            box.engine.run()
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_deadline_that_is_always_over_does_not_keep_the_guest_from_going_on():
    box = make()
    begin(box, "mov ecx, 100000\na: dec ecx\njnz a\nhlt")
    box.engine.set_deadline(0)

    ends = []
    while not ends or ends[-1] is Exit.DEADLINE:
        ends.append(box.engine.run())

    assert ends[-1] is Exit.HALT


@pytest.mark.parametrize("call", ["call f", "mov edx, f\ncall edx"], ids=["direct", "indirect"])
def test_calls_deeper_than_the_stack_of_host_code_return_all_the_same(call):
    depth = 300_000
    box = make()
    program = f"call f\nhlt\nf: add ebx, 3\ndec ecx\njz out\n{call}\nout: inc eax\nret"

    box.load(program)
    box.set(eip=CODE, halted=0, esp=0x300000, eax=0, ebx=0, ecx=depth)

    for _ in range(2):
        box.set(eip=CODE, halted=0, esp=0x300000, eax=0, ebx=0, ecx=depth)
        assert box.engine.run() is Exit.HALT
        assert (box.cpu.gpr[EAX], box.cpu.gpr[EBX], box.cpu.gpr[ESP]) == (depth, 3 * depth, 0x300000)


# -- comparisons --

COMPARED = ((0x7000, 0x2000), (CODE, 0x1000), (WINDOW, WINDOW_SIZE))
REPEATS, LENGTH, BUDGET = 400, 12, 60_000


def program(rng):
    """A random body, in up to three blocks, repeated."""
    return loop(b"".join(Writer(rng).block(LENGTH // 3) + b"\x72\x00" for _ in range(3)))  # jc on


def prepare(box, code, rng, state):
    box.engine.set_state(odd_modes(rng, state))
    lay_out(box, code, rng, state, REPEATS)
    box.set(eip=CODE, halted=0)


def setting(box, user):
    box.page_32(P | W | U)
    box.map_32(WINDOW - PAGE, WINDOW - PAGE, 0)
    box.map_32(WINDOW + WINDOW_SIZE, WINDOW + WINDOW_SIZE, 0)
    box.set(cr0=box.cpu.cr0 | WP)
    if user:
        box.user()
    return box.engine.get_state()


@pytest.mark.parametrize("user", [False, True], ids=["kernel", "user"])
@pytest.mark.parametrize("part", range(3))
def test_stops_and_deadlines_at_any_time_change_nothing(part, user, storms):
    """Until it halts, as `interp` does under icount; max_insns ends some runs.  Users' code in windows does not count."""
    judge = Processor(engine="interp", icount_ns=1)
    box = Processor(engine="bt", clock="realtime")
    state, mine = setting(judge, user), setting(box, user)
    rng = Random(part)
    compared = 0
    with storms(box, 1_000_000, 100):
        for number in range(100):
            seed = part * 1000 + number
            code = program(Random(seed))
            prepare(judge, code, Random(seed), state)
            end = judge.engine.run(BUDGET)
            if end is not Exit.HALT:
                continue
            expected = outcome(judge, end, COMPARED)

            prepare(box, code, Random(seed), mine)
            end = Exit.STOP
            while end is not Exit.HALT:
                box.engine.set_deadline(box.engine.now() + rng.randrange(60_000))
                end = box.engine.run(rng.choice((0, 0, 0, rng.randrange(1, 5000))))
            compared += 1
            found = outcome(box, end, COMPARED)
            assert {} == differences(expected, found), f"seed {seed}\n{listing(code)}"
    assert compared > 50


# -- whose signal it is, and where it goes --


def ends_soon(box):
    began = box.engine.now()
    box.engine.set_deadline(began + SOON)
    return box.engine.run() is Exit.DEADLINE


def test_the_thread_that_runs_a_vm_may_change():
    box = make()
    begin(box, "jmp $")
    ended = [ends_soon(box)]
    for _ in range(3):
        thread = threading.Thread(target=lambda: ended.append(ends_soon(box)))
        thread.start()
        thread.join()
    ended.append(ends_soon(box))

    assert ended == [True] * 5


def test_the_child_of_a_fork_goes_on():
    box = make()
    begin(box, "jmp $")
    assert ends_soon(box)
    child = os.fork()
    if not child:
        signal.alarm(20)
        os._exit(0 if ends_soon(box) and ends_soon(box) else 1)

    assert os.waitpid(child, 0)[1] == 0
    assert ends_soon(box)


def test_a_thread_that_holds_signals_back_leaves_all_the_same():
    box = make()
    begin(box, "jmp $")
    ended = []

    def run():
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {signal.SIGSEGV, signal.SIGBUS})
        ended.append(ends_soon(box))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert ended == [True]


def test_vms_take_turns_and_run_inside_each_other():
    """The timer is the thread's: the inner one uses it up, and the outer one ends for its deadline all the same."""
    inner = make()
    begin(inner, "jmp $")
    outer = make()
    begin(outer, "out 0x80, al\njmp $")
    seen = []
    outer.bus.hook = lambda *_: seen.append(ends_soon(inner))
    outer.engine.set_deadline(outer.engine.now() + 3 * SOON)

    assert outer.engine.run() is Exit.DEADLINE
    assert seen == [True]
    assert [ends_soon(box) for box in (inner, outer, inner, outer)] == [True] * 4


@pytest.mark.parametrize("later", [False, True], ids=["before", "after"])
def test_a_signal_of_others_goes_to_whoever_had_it(later):
    came = []
    box = make()
    begin(box, "jmp $")
    if later:
        assert ends_soon(box)
    before = signal.signal(signal.SIGURG, lambda *_: came.append(1))
    try:
        ended = [ends_soon(box)]
        signal.raise_signal(signal.SIGURG)
        ended.append(ends_soon(box))
    finally:
        signal.signal(signal.SIGURG, before)

    assert (came, ended) == ([1], [True, True])


def test_a_host_without_timers_has_its_budgets_looked_at(monkeypatch):
    monkeypatch.delenv("VPCORE_BT_LOOKS")
    monkeypatch.setenv("VPCORE_WINDOW_FAIL", "timer")
    box = Processor(engine="bt", clock="realtime")
    box.page_32()
    begin(box, "jmp $")

    assert ends_soon(box)
    assert box.engine.lacks == "loops cost more: the host gives no timer"
