"""The 8259A pair and the 8254 on a whole machine, where C answers the guest: by itself, and as Python would."""

import ctypes
import os
import signal
import threading
import time

import pytest

from vpcore.engine import Exit
from vpcore.errors import DeviceError
from vpcore.machine import Machine

MACHINE = """
[machine]
name = "ticking"
memory = "1M"
clock = "{clock}"
[[device]]
type = "pic"
name = "pic"
[[device]]
type = "pit"
name = "pit"
"""
ENTRY = 0x1000
TICKS = 0x500
"""Where the guest counts."""
ENOUGH = 20
# Real mode; IRQ 0 is vector 8 (8259A data sheet, ICW2), 8254 counter 0 in mode 4, programmed anew by the handler.
GUEST = bytes.fromhex(
    "fa 31c0 8ed8 8ed0 bc0080"  # cli; ds = ss = 0; sp = 8000h
    "c70620004010 c70622000000"  # vector 8 at 0:1040h
    "b011 e620 b008 e621 b004 e621 b001 e621 b0fe e621"  # ICW1 to ICW4, all but IRQ 0 masked
    "b038 e643 b0e8 e640 b003 e640"  # both bytes, mode 4, 1000
    "fb f4 ebfd"  # sti; halt for ever
)
HANDLER = bytes.fromhex(
    "ff060005"  # count
    "e421 0c01 e621 b060 e620"  # mask, specific end of interrupt
    "b0e8 e640 b003 e640"  # again
    "e421 24fe e621 cf"  # unmask, return
)
HANDLER_AT = 0x1040


def place(machine):
    """The guest in memory, about to begin."""
    machine.engine.ram[ENTRY : ENTRY + len(GUEST)] = GUEST
    machine.engine.ram[HANDLER_AT : HANDLER_AT + len(HANDLER)] = HANDLER
    state = machine.engine.get_state()
    state["eip"] = ENTRY
    state["seg"][1] |= {"sel": 0, "base": 0}
    machine.engine.set_state(state)


@pytest.fixture
def make(tmp_path):
    """Make a machine that is about to run GUEST, by its clock."""
    made = []

    def build(clock, engine="interp"):
        path = tmp_path / "m.toml"
        path.write_text(MACHINE.format(clock=clock))
        machine = Machine.load(path, engine=engine)
        made.append(machine)
        place(machine)
        return machine

    yield build
    for machine in made:
        machine.close()


def ticks(machine):
    return int.from_bytes(machine.engine.ram[TICKS : TICKS + 2], "little")


@pytest.mark.parametrize("engine", ["interp", "bt"])
@pytest.mark.parametrize("clock", ["icount", "realtime"])
def test_a_guest_ticks_without_python(make, clock, engine):
    """Every Python handler of the two chips is taken away once the guest has set them up."""
    machine = make(clock, engine)
    machine.run(until=lambda: ticks(machine) >= 1, timeout=20)
    ports = machine.bus.ports

    def never(*_args):
        raise AssertionError("Python was called")

    for port in (0x20, 0x21, 0xA0, 0xA1, 0x40):
        assert ports.reads[1][port] is not None
        ports.reads[1][port] = ports.writes[1][port] = never
    machine.engine.connect(never)

    assert machine.run(until=lambda: ticks(machine) >= ENOUGH, timeout=20)


@pytest.mark.parametrize("name", ["pic", "pit"])
def test_a_traced_chip_is_answered_by_python_to_the_same_effect(make, name, caplog):
    """Under the icount clock all of it is one function of the program: the same instructions, the same time."""
    ends = []
    for traced in (False, True):
        machine = make("icount")
        if traced:
            machine.trace(name)
        machine.run(until=lambda machine=machine: ticks(machine) >= ENOUGH, timeout=20)
        engine = machine.engine
        ends.append((engine.insns, engine.now(), engine.get_state(), machine.devices["pit"].save()))

    assert ends[0] == ends[1]
    assert any(name in record.name or name in record.getMessage() for record in caplog.records)


PIECE, FAR = 10_000_000, 20_000_000_000
"""ns of guest time."""


def live(machine, within, piece=PIECE):
    """Let it run until Python has something to do, for *within* ns at most."""
    machine.engine.pause(False)
    return machine.engine.live(machine.loop.fd, machine.engine.now() + within, piece)


def test_an_idle_guest_lets_the_machine_sleep_until_python_has_something_to_do(make):
    """`Engine.live` goes through ticks by itself: one call, many of them."""
    machine = make("realtime")
    machine.run(until=lambda: ticks(machine) >= 1, timeout=20)
    before = ticks(machine)

    assert live(machine, 10 * PIECE) is None
    assert ticks(machine) >= before + 10


@pytest.mark.parametrize("engine", ["interp", "bt"])
def test_a_busy_guest_is_left_when_python_has_something_to_do_and_not_before(make, engine):
    """Pieces of guest time pass meanwhile, at whose ends the host's side is looked at without Python."""
    machine = make("realtime", engine)
    machine.engine.ram[ENTRY : ENTRY + 2] = b"\xeb\xfe"  # jmp to itself
    before = machine.engine.now()

    assert live(machine, 5 * PIECE) is None
    assert machine.engine.now() - before >= 5 * PIECE
    threading.Timer(0.03, machine.loop.post, [bool]).start()
    assert live(machine, FAR) is None
    assert machine.engine.now() - before < FAR


@pytest.mark.parametrize("engine", ["interp", "bt"])
def test_the_host_is_looked_at_before_its_time_where_a_tick_comes(make, engine):
    """Half of a piece has to be over: then users' code that was made to leave for a tick is not for that alone."""
    long = 1_000_000_000
    machine = make("realtime", engine)
    halt = GUEST.index(b"\xf4")
    machine.engine.ram[ENTRY + halt : ENTRY + halt + 1] = b"\x90"  # goes round and is interrupted
    machine.loop.post(bool)
    before = machine.engine.now()

    assert live(machine, FAR, long) is None
    assert long // 2 <= machine.engine.now() - before < long
    assert ticks(machine) >= ENOUGH


def test_a_stop_ends_it(make):
    machine = make("realtime")
    machine.engine.ram[ENTRY : ENTRY + 2] = b"\xeb\xfe"
    threading.Timer(0.03, machine.engine.stop).start()

    assert live(machine, FAR) is Exit.STOP


@pytest.mark.parametrize("engine", ["interp", "bt"])
def test_ticks_go_on_while_another_thread_holds_the_interpreter_lock(make, engine):
    """Nothing of Python is called in them; now and then a run takes the lock all the same, so there are several tries."""
    machine = make("realtime", engine)
    machine.run(until=lambda: ticks(machine) >= 1, timeout=20)
    holding = ctypes.PyDLL(None)
    most = []

    def hold():
        for _ in range(100):
            before = ticks(machine)
            holding.usleep(20_000)
            most.append(ticks(machine) - before)
            if most[-1] > ENOUGH // 4:
                break
        machine.loop.post(bool)

    thread = threading.Thread(target=hold)
    thread.start()
    assert live(machine, FAR) is None
    thread.join()
    assert max(most) > ENOUGH // 4


@pytest.mark.parametrize("engine", ["interp", "bt"])
@pytest.mark.parametrize("busy", [False, True])
def test_a_signal_gets_its_handler_though_python_has_nothing_to_do(make, engine, busy):
    machine = make("realtime", engine)
    if busy:
        machine.engine.ram[ENTRY : ENTRY + 2] = b"\xeb\xfe"
    old = signal.signal(signal.SIGUSR1, lambda _number, _frame: machine.engine.stop())
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()

    try:
        ends = [live(machine, FAR)]
        if ends == [None]:  # it came in the guest's sleep, which it ended, and was seen behind that
            ends.append(live(machine, FAR))
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert ends[-1] is Exit.STOP


def test_a_signal_that_somebody_takes_from_the_engine_is_taken_back_while_python_has_nothing_to_do(make):
    machine = make("realtime", "bt")
    if machine.engine.lacks:
        pytest.skip(machine.engine.lacks)
    machine.run(until=lambda: ticks(machine) >= 1, timeout=20)
    taking = ctypes.CDLL(None).signal
    taking.restype = ctypes.c_size_t
    found = []

    def ignore():
        """Whose the signal was."""
        return taking(signal.SIGURG, int(signal.SIG_IGN))

    def take():
        found.append(ignore())
        for _ in range(1000):
            time.sleep(0.01)
            found.append(ignore())
            if found[-1] == found[0]:
                break
        machine.loop.post(bool)

    thread = threading.Thread(target=take)
    thread.start()
    assert live(machine, FAR) is None
    thread.join()
    assert found[0] not in {int(signal.SIG_DFL), int(signal.SIG_IGN)}
    assert found[-1] == found[0]


def test_a_deadline_that_python_sets_in_a_tick_ends_the_sleep(make):
    """One beyond the piece of guest time in which it was set: the machine must look in time, not when it would have."""
    machine = make("realtime")
    machine.run(until=lambda: ticks(machine) >= 1, timeout=20)
    engine, ports = machine.engine, machine.bus.ports
    mask, timer = ports.reads[1][0x21], machine.clock.timer(bool)

    def handler():
        if timer.deadline is None:
            timer.after(4 * PIECE)
        return mask()

    ports.reads[1][0x21] = handler
    ports.cell_kind[0x21] = 0  # Python's to answer
    before = engine.now()

    assert live(machine, FAR) is None
    assert timer.deadline is not None
    assert engine.now() - before < FAR


def test_a_device_that_posts_wakes_it(make):
    machine = make("realtime")
    machine.run(until=lambda: ticks(machine) >= 1, timeout=20)
    heard = []
    machine.loop.post(lambda: heard.append(True))

    assert live(machine, FAR) is None
    machine.loop.poll()
    assert heard == [True]


def test_a_listener_in_python_keeps_the_line_in_python(tmp_path):
    """Somebody who watches IRQ 0 sees each edge; what it raises ends the run with a line that names no C."""
    path = tmp_path / "m.toml"
    (tmp_path / "watch.py").write_text(
        "from vpcore import SimpleDevice\n"
        "class Watch(SimpleDevice):\n"
        '    """Watches IRQ 0."""\n'
        "    def setup(self) -> None:\n"
        "        self.edges = 0\n"
        "        self.board.lines[0].listen(self.heard)\n"
        "    def heard(self, level: bool) -> None:\n"
        "        self.edges += level\n"
        "        if self.edges == 5:\n"
        "            raise ValueError('five')\n"
    )
    path.write_text(MACHINE.format(clock="icount") + '[[device]]\ntype = "watch.py:Watch"\nname = "watch"\n')
    with Machine.load(path) as machine:
        place(machine)
        with pytest.raises(DeviceError, match="'watch' failed: ValueError: five"):
            machine.run(timeout=20)

        assert machine.devices["watch"].edges == 5
