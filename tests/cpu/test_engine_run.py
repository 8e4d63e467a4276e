"""Running: exits, exact counts, time, callbacks, memory mapping, two engines in one process."""

import os
import select
import threading
import time

import pytest
from box import CODE, EAX, EBX, ECX, PAGE, RAM, Box, Bus, asm

from vpcore.engine import Engine, EngineConfig, Exit, disassemble, probe
from vpcore.errors import EngineError

DISCARD, DIRTY = 2, 1


@pytest.fixture
def box():
    return Box()


SPIN = "again: inc ebx\nadd eax, 2\nlea ecx, [ebx + eax]\njmp again"


# -- counts and exits --


@pytest.mark.parametrize("budget", [1, 2, 3, 4, 5, 63, 64, 65, 1000, 4097])
def test_exactly_max_insns_instructions_retire(box, budget):
    assert box.run(SPIN, budget=budget) == Exit.BUDGET

    assert box.engine.insns == budget
    assert box.cpu.gpr[EBX] == (budget + 3) // 4
    assert box.cpu.gpr[EAX] == (budget + 2) // 4 * 2


def test_single_steps_make_the_same_as_one_run(box):
    code = "mov ecx, 20\nagain: push ecx\npop eax\nadd ebx, eax\ndec ecx\njnz again\nhlt"
    other = Box()
    other.run(code)

    box.load(code)
    box.set(eip=CODE)
    while box.run(budget=1) != Exit.HALT:
        pass

    assert box.engine.get_state() == other.engine.get_state()
    assert box.engine.insns == other.engine.insns


def test_a_faulting_instruction_does_not_retire(box):
    box.page_32()

    box.run("nop\nnop\nmov eax, [0x500000]\nhlt")

    assert box.fault == (14, 0)
    assert box.engine.insns == 3  # two NOPs and the handler's HLT


def test_a_guest_whose_handlers_fault_for_ever_cannot_stop_counted_time(box):
    """#PF whose handler's page is missing, on a stack that wraps around its segment: no instruction ever retires."""
    box.page_32()
    for page in range(0x500, 0x510):
        box.map_32(page << 12, 0x200000)
    box.put(0x2000 + 8 * 14, 8 << 16 | 0x8E00 << 32 | 0x600000 >> 16 << 48, 8)
    state = box.engine.get_state()
    state["seg"][2].update(base=0x500000, limit=0xFFFF, attr=0x93)
    state["gpr"][4] = 0x8000
    box.engine.set_state(state)

    assert box.run("mov eax, [0x600000]", budget=1000) == Exit.BUDGET

    assert box.engine.stats().faults >= 1000


def test_counted_time_stops_the_run_at_its_deadline_exactly():
    box = Box(icount_ns=10)
    box.engine.set_deadline(1_005)
    box.load(SPIN)
    box.set(eip=CODE)

    assert box.engine.run() == Exit.DEADLINE

    assert (box.engine.insns, box.engine.now()) == (101, 1_010)


def test_a_deadline_set_by_a_device_within_a_block_is_met_exactly():
    box = Box(icount_ns=1)
    box.bus.hook = lambda *_: box.engine.set_deadline(box.engine.now() + 3)
    box.load("nop\nmov [0xe0000000], eax\n" + "inc ebx\n" * 40 + "hlt")
    box.set(eip=CODE)

    assert box.engine.run() == Exit.DEADLINE

    assert box.engine.now() == 4  # one before the store, which is the first of the three
    assert box.cpu.gpr[EBX] == 2


def test_a_device_sees_counted_time_within_a_block():
    box = Box(icount_ns=7)
    times = []
    box.bus.hook = lambda *_: times.append(box.engine.now())

    box.run("nop\nnop\nmov [0xe0000000], eax\nnop\nmov [0xe0000000], eax\nhlt")

    assert times == [14, 28]


def test_skipped_time_counts_on_from_there():
    box = Box(icount_ns=10)
    box.run("nop\nhlt")

    box.engine.set_now(5_000)
    box.run("nop\nnop\nhlt")

    assert box.engine.now() == 5_030


def test_real_time_passes_while_running_and_stands_still_when_paused():
    box = Box(clock="realtime")
    box.load(SPIN)
    box.set(eip=CODE)
    start = box.engine.now()
    box.engine.set_deadline(start + 2_000_000)

    assert box.engine.run() == Exit.DEADLINE

    assert box.engine.now() >= start + 2_000_000
    box.engine.pause(True)
    paused = box.engine.now()
    time.sleep(0.002)
    assert box.engine.now() == paused
    box.engine.pause(False)
    assert box.engine.now() >= paused


def test_a_deadline_in_the_past_lets_the_guest_go_on_a_little():
    """Else a machine whose timers are always late would never execute anything."""
    box = Box(clock="realtime")
    box.engine.set_deadline(0)

    assert box.run(SPIN, budget=0) == Exit.DEADLINE

    assert 0 < box.engine.insns < 100_000


def test_stop_from_another_thread_ends_the_run(box):
    timer = threading.Timer(0.05, box.engine.stop)
    timer.start()

    assert box.run(SPIN, budget=0) == Exit.STOP

    timer.join()


def test_hlt_without_interrupts_comes_back_at_once_and_again(box):
    assert box.run("hlt\nnop") == Exit.HALT
    assert box.run() == Exit.HALT

    assert box.engine.insns == 1


def test_a_triple_fault_is_a_shutdown(box):
    box.set(idtr_limit=0)

    assert box.run("ud2") == Exit.SHUTDOWN
    assert box.run() == Exit.SHUTDOWN


def test_an_interrupt_wakes_a_halted_processor(box):
    """SDM 2, HLT; the vector comes from the acknowledge cycle."""
    box.set(idtr_limit=0x7FF)
    box.put(0x2000 + 8 * 0x20, 0x4100 | 8 << 16 | 0x8E00 << 32, 8)
    box.load(b"\xb3\x05\xf4", 0x4100)
    box.run("sti\nhlt")

    box.engine.set_intr(True)

    assert box.run() == Exit.HALT
    assert box.cpu.gpr[EBX] == 5


def test_sti_holds_interrupts_off_for_one_instruction(box):
    """SDM 2, STI: with STI; HLT the interrupt comes after the HLT."""
    box.set(idtr_limit=0x7FF)
    box.put(0x2000 + 8 * 0x20, 0x4100 | 8 << 16 | 0x8E00 << 32, 8)
    box.load(b"\xf4", 0x4100)
    box.engine.set_intr(True)

    box.run("sti\ninc ebx\ninc ebx\nhlt")

    assert box.cpu.gpr[EBX] == 1


def test_breakpoints_stop_before_the_instruction_and_let_go_on(box):
    box.load("nop\nmiddle: inc ebx\njmp middle")
    box.set(eip=CODE)
    box.engine.set_breakpoint(CODE + 1)

    assert box.engine.run(1000) == Exit.BREAK
    first = box.cpu.gpr[EBX]
    assert box.engine.run(1000) == Exit.BREAK
    second = box.cpu.gpr[EBX]
    box.engine.set_breakpoint(CODE + 1, on=False)

    assert (first, second, box.cpu.eip) == (0, 1, CODE + 1)
    assert box.engine.run(1000) == Exit.BUDGET


def test_breakpoints_run_out_with_an_error(box):
    for at in range(16):
        box.engine.set_breakpoint(at)

    with pytest.raises(EngineError, match="no room"):
        box.engine.set_breakpoint(100)


# -- callbacks --


class BrokenDeviceError(Exception):
    pass


@pytest.mark.parametrize(
    "code",
    [
        "in al, 0x10",
        "out 0x10, al",
        "mov eax, [0xe0000000]",
        "mov [0xe0000000], eax",
        "mov dx, 1\nmov ecx, 3\nrep insb",
    ],
)
def test_an_exception_in_a_device_comes_out_of_run(box, code):
    def fail(*_):
        raise BrokenDeviceError(code)

    box.bus.hook = fail

    with pytest.raises(BrokenDeviceError):
        box.run(f"mov edi, 0x30000\n{code}\nmark: inc ebx\njmp mark")

    box.bus.hook = None
    assert box.run(budget=100) == Exit.BUDGET


def test_the_first_of_several_exceptions_is_the_one_raised(box):
    errors = iter([BrokenDeviceError("first"), BrokenDeviceError("second")])

    def fail(*_):
        raise next(errors)

    box.bus.hook = fail

    with pytest.raises(BrokenDeviceError, match="first"):
        box.run("mov eax, [0xe0000ffe]\nhlt")


def test_an_exception_in_the_acknowledge_cycle_comes_out_of_run():
    def inta():
        raise BrokenDeviceError

    engine = Engine(EngineConfig(ram_size=RAM), Bus(), inta)
    engine.ram[0x1000:0x1002] = b"\xfb\x90"
    engine.ram[0x1002:0x1004] = b"\xeb\xfe"
    state = engine.get_state()
    state["seg"][1].update(sel=0, base=0)
    state["eip"] = 0x1000
    engine.set_state(state)
    engine.set_intr(True)

    with pytest.raises(BrokenDeviceError):
        engine.run(1000)


@pytest.mark.parametrize("value", [1 << 70, -5, "text", None, 2.5])
def test_a_device_that_answers_nonsense_does_no_harm(value):
    """A bit pattern is cut to the width; what is no number is an error out of run."""
    bus = Bus()
    bus.port_in = lambda _port, _size: value
    box = Box(bus=bus)

    if isinstance(value, int):
        box.run("in al, 0x10\nhlt")
        assert box.cpu.gpr[EAX] == value & 0xFF
    else:
        with pytest.raises(TypeError):
            box.run("in al, 0x10\nhlt")


def test_a_device_that_runs_the_processor_is_an_error(box):
    box.bus.hook = lambda *_: box.engine.run()

    with pytest.raises(EngineError, match="may not run"):
        box.run("in al, 0x10\nhlt")


def test_other_threads_get_their_turn_while_the_guest_computes(box):
    seen = []
    thread = threading.Thread(target=lambda: (seen.append(1), box.engine.stop()))
    box.load(SPIN)
    box.set(eip=CODE)
    box.bus.hook = lambda *_: thread.start()
    box.load("in al, 0x10\nagain: jmp again")

    assert box.engine.run() == Exit.STOP

    thread.join()
    assert seen == [1]


def test_ports_are_called_with_port_size_and_value(box):
    box.bus.answers = {0x1234: 0xA1B2C3D4}

    box.run("mov dx, 0x1234\nin eax, dx\nout 0x42, ax\nin al, 0x60\nhlt")

    assert box.bus.log == [("in", 0x1234, 4), ("out", 0x42, 2, 0xC3D4), ("in", 0x60, 1)]


def test_cells_are_answered_without_a_call():
    bus = Bus()
    bus.ports = Bus()
    bus.ports.cells, bus.ports.cell_kind = bytearray(65536), bytearray(65536)
    bus.ports.cell_kind[0x70] = 1
    bus.ports.cells[0x70] = 0x5A
    box = Box(bus=bus)

    box.run("in al, 0x70\nmov bl, al\nmov al, 0x77\nout 0x70, al\nhlt")

    assert (box.cpu.gpr[EBX], bus.ports.cells[0x70], bus.log) == (0x5A, 0x77, [])


def handlers(bus, reads=(), writes=()):
    """Give the bus lists of handlers by width and port, each width with these."""
    bus.ports = Bus()
    bus.ports.cells, bus.ports.cell_kind = bytearray(65536), bytearray(65536)
    for name, entries in (("reads", dict(reads)), ("writes", dict(writes))):
        setattr(bus.ports, name, {width: [entries.get(port) for port in range(65536)] for width in (1, 2, 4)})
    return bus


def test_a_handler_of_a_port_is_called_without_the_bus_and_the_bus_where_there_is_none():
    written = []
    bus = handlers(Bus(), reads={0x60: lambda: 0x1_23}, writes={0x61: written.append})
    box = Box(bus=bus)

    box.run("in al, 0x60\nmov bl, al\nmov eax, 0x89ABCDEF\nout 0x61, eax\nout 0x62, al\nhlt")

    assert (box.cpu.gpr[EBX], written, bus.log) == (0x23, [0x89AB_CDEF], [("out", 0x62, 1, 0xEF)])


@pytest.mark.parametrize("code", ["in al, 0x60", "out 0x60, al"])
def test_an_exception_of_a_handler_comes_out_of_run_and_tells_its_port(code):
    def fail(*_args):
        raise BrokenDeviceError

    box = Box(bus=handlers(Bus(), reads={0x60: fail}, writes={0x60: fail}))

    with pytest.raises(BrokenDeviceError) as caught:
        box.run(f"{code}\nhlt")

    assert (box.engine.port_of(caught.value), box.engine.port_of(BrokenDeviceError())) == (0x60, -1)


def test_a_handler_that_unmaps_itself_answers_still():
    bus = handlers(Bus())
    reads = bus.ports.reads[1]

    def once():
        reads[0x60] = None
        return 0x5A

    reads[0x60] = once
    del once
    box = Box(bus=bus)
    box.run("in al, 0x60\nmov bl, al\nin al, 0x60\nhlt")

    assert (box.cpu.gpr[EBX] & 0xFF, bus.log) == (0x5A, [("in", 0x60, 1)])


def test_sleep_ends_at_the_deadline_or_when_a_descriptor_is_readable():
    box = Box(clock="realtime")
    reading, writing = os.pipe()
    deadline = box.engine.now() + 2_000_000
    with select.epoll() as epoll:
        epoll.register(reading, select.EPOLLIN)
        slept = box.engine.sleep(epoll.fileno(), deadline)
        late = box.engine.now() >= deadline
        os.write(writing, b"x")
        woken = box.engine.sleep(epoll.fileno(), 1 << 62)
    os.close(reading)
    os.close(writing)

    assert (slept, late, woken) == (0, True, 1)


# -- memory mapping --


def test_dirty_pages_are_those_the_guest_wrote_since_the_last_clear(box):
    window = bytearray(4 * PAGE)
    box.engine.map(0xE0000000, len(window), memoryview(window), memoryview(window), DIRTY)
    box.engine.dirty(0xE0000000, len(window), clear=True)

    box.run("mov [0xe0001000], eax\nmov eax, [0xe0002000]\nmov [0xe0003ffe], eax\nmov [0xe0001004], eax\nhlt")

    assert box.engine.dirty(0xE0000000, len(window), clear=False) == b"\0\1\0\1"
    assert box.engine.dirty(0xE0000000, len(window), clear=True) == b"\0\1\0\1"
    assert box.engine.dirty(0xE0000000, len(window), clear=True) == b"\0\0\0\0"
    box.run("mov [0xe0001000], eax\nhlt")
    assert box.engine.dirty(0xE0000000, len(window), clear=True) == b"\0\1\0\0"


def test_writes_to_rom_vanish(box):
    rom = bytearray(b"\x11" * PAGE)
    box.engine.map(0xE0000000, PAGE, memoryview(rom), None, DISCARD)

    box.run("mov dword [0xe0000000], 0\nmov eax, [0xe0000000]\nhlt")

    assert (box.cpu.gpr[EAX], box.bus.log) == (0x11111111, [])


def test_reads_and_writes_of_a_page_may_go_to_two_places(box):
    """PAM: read the ROM, write the RAM under it."""
    rom, ram = bytearray(b"\x11" * PAGE), bytearray(PAGE)
    box.engine.map(0xE0000000, PAGE, memoryview(rom), memoryview(ram), 0)

    box.run("mov eax, [0xe0000000]\nmov dword [0xe0000000], 0x22222222\nmov ebx, [0xe0000000]\nhlt")

    assert (box.cpu.gpr[EAX], box.cpu.gpr[EBX], ram[:4]) == (0x11111111, 0x11111111, b"\x22" * 4)


def test_a_mapping_must_be_whole_pages_below_4_gb(box):
    with pytest.raises(EngineError, match="whole pages"):
        box.engine.map(0x1800, PAGE, None, None, 0)
    with pytest.raises(EngineError, match="whole pages"):
        box.engine.map(0xFFFFF000, 2 * PAGE, None, None, 0)
    with pytest.raises(EngineError, match="contiguous buffer"):
        box.engine.map(0x1000, 2 * PAGE, memoryview(bytearray(PAGE)), None, 0)


def test_views_of_ram_outlive_the_engine():
    engine = Engine(EngineConfig(ram_size=1 << 20), Bus(), lambda: 0)
    view = engine.ram[0x1000:0x2000]

    engine.close()
    view[0] = 1

    assert view[0] == 1
    with pytest.raises(TypeError):
        engine.now()


# -- the whole --


def test_two_engines_in_one_process_do_not_meet():
    one, two = Box(), Box()
    for box, port in ((one, 0x10), (two, 0x20)):
        box.load(f"mov ecx, 50\nagain: in al, {port}\ninc ebx\ndec ecx\njnz again\nhlt")
        box.set(eip=CODE)

    while Exit.BUDGET in (one.engine.run(7), two.engine.run(11)):
        pass

    assert set(one.bus.log) == {("in", 0x10, 1)}
    assert set(two.bus.log) == {("in", 0x20, 1)}
    assert (one.cpu.gpr[EBX], two.cpu.gpr[EBX]) == (50, 50)


def test_two_engines_run_in_two_threads():
    boxes = [Box(), Box()]
    threads = []
    for box in boxes:
        box.load("mov ecx, 2000\nagain: in al, 0x10\ninc ebx\ndec ecx\njnz again\nhlt")
        box.set(eip=CODE)
        threads.append(threading.Thread(target=box.engine.run))

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [box.cpu.gpr[EBX] for box in boxes] == [2000, 2000]


def test_state_goes_out_and_in_by_name(box):
    box.run("mov eax, 0x1234\nfld1\ncmp eax, 1\nhlt")
    state = box.engine.get_state()
    other = Box()

    other.engine.set_state(state)

    assert other.engine.get_state() == state
    assert state["gpr"][EAX] == 0x1234
    with pytest.raises(EngineError, match="unknown fields: eaxx"):
        box.engine.set_state({"eaxx": 1})


def test_reset_is_the_state_of_the_manual(box):
    """SDM 3A table 9-1."""
    box.run("mov eax, 5\nhlt")

    box.engine.reset()

    state = box.engine.get_state()
    assert (state["eip"], state["eflags"], state["cr0"], state["cr4"]) == (0xFFF0, 2, 0x60000010, 0)
    assert state["seg"][1] == {"base": 0xFFFF0000, "limit": 0xFFFF, "sel": 0xF000, "attr": 0x93}
    assert (state["gpr"][EAX], state["gpr"][2] >> 8 & 0xF) == (0, 6)
    assert (state["dr"][6], state["dr"][7]) == (0xFFFF0FF0, 0x400)
    assert (state["idtr_base"], state["idtr_limit"]) == (0, 0xFFFF)


def test_configurations_that_cannot_be_are_errors():
    for wrong in ({"ram_size": 5000}, {"cpu": "8086"}, {"engine": "none"}, {"clock": "sundial"}, {"icount_ns": 0}):
        with pytest.raises(EngineError):
            Engine(EngineConfig(**wrong), Bus(), lambda: 0)


def test_interp_runs_everywhere():
    assert probe()["interp"] == ""


def test_disassembly_gives_text_and_length():
    assert disassemble(b"\x90") == ("nop", 1)
    assert disassemble(b"\x66\x90\x90", bits=16) is not None
    assert disassemble(b"\x0f\xff") is None
    assert disassemble(b"\xb8\x01") is None


def test_unclaimed_engine_names_say_what_there_is(box):
    with pytest.raises(EngineError, match=r"engine must be auto or one of interp, .*\(got 'warp'\)"):
        box.engine.select("warp")


def test_retired_instructions_do_not_depend_on_how_the_run_is_cut():
    code = asm("mov ecx, 9000\nagain: rep movsb\nmov ecx, 5\nrep stosb\ndec edx\njnz again\nhlt")
    counts = []
    for step in (1, 3, 0):
        box = Box()
        box.load(code)
        box.set(eip=CODE, edx=20, esi=0x30000, edi=0x40000)
        while box.engine.run(step) == Exit.BUDGET:
            pass
        counts.append((box.engine.insns, box.cpu.gpr[ECX], box.cpu.gpr[6], box.cpu.gpr[7]))

    assert counts[0] == counts[1] == counts[2]
