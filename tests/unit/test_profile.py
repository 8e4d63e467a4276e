"""Profile: what is measured of a small machine, and that nothing of it stays."""

import json

import pytest
from click.testing import CliRunner

from vpcore import session
from vpcore.cli import main
from vpcore.engine import Engine, EngineConfig, Exit
from vpcore.engine.engine import Stats, probe
from vpcore.engine.library import ffi
from vpcore.machine import Machine
from vpcore.profile import NOBODY, SIZES, Profiler

ENGINES = [name for name, reason in probe().items() if not reason]
LOOK_EVERY = 32768
"""Instructions at most between two looks at the clock (csrc/interp/loop.c)."""
TURNS = 1_000_000
# mov ecx, N; l: in al, 80h; dec ecx; jnz l; cli; hlt
FEW_TURNS = 1000
PORTS = b"\x66\xb9" + FEW_TURNS.to_bytes(4, "little") + b"\xe4\x80\x66\x49\x75\xfa\xfa\xf4"
# mov ecx, N; l: dec ecx; jnz l; out 81h, al; hlt
LOOP = b"\x66\xb9" + TURNS.to_bytes(4, "little") + b"\x66\x49\x75\xfc\xe6\x81\xf4"

DEVICES = """
from vpcore import PortMap, SimpleDevice, option

class Card(SimpleDevice):
    "Answers port 80h; a write to port 81h turns the power off."
    ports = PortMap(size=2)
    base: int = option(0x80, "first port")
    def setup(self):
        self.board.clock.at(0, self.tick)
    def tick(self): pass
    @ports.read(0)
    def read(self) -> int: return 1
    @ports.write(1)
    def off(self, value: int) -> None:
        from vpcore.wires import Power
        self.board.service(Power).off()
"""


class Silent:
    """A bus on which nothing answers."""

    def port_in(self, port, size):
        return 0

    port_out = port_in_block = port_out_block = mmio_read = mmio_write = None


def start(engine, code):
    """Let the engine begin with *code* at 0:1000h."""
    engine.ram[0x1000 : 0x1000 + len(code)] = code
    state = engine.get_state()
    state["eip"] = 0x1000
    state["seg"][1].update(sel=0, base=0)
    engine.set_state(state)


@pytest.fixture
def machine(tmp_path):
    """A function that makes a machine with Card, about to execute *code*."""
    (tmp_path / "card.py").write_text(DEVICES)
    path = tmp_path / "m.toml"
    path.write_text('[machine]\nname = "m"\nmemory = "1M"\n[[device]]\ntype = "card.py:Card"\nname = "card"\n')

    def make(code, engine="interp"):
        made = Machine.load(path, engine=engine)
        start(made.engine, code)
        return made

    return make


@pytest.mark.parametrize("name", ENGINES)
def test_places_show_the_loop_that_takes_the_time(name):
    engine = Engine(EngineConfig(ram_size=1 << 20, engine=name), Silent(), lambda: 0)
    start(engine, LOOP[:-3] + b"\xf4")
    engine.profile(on=True)

    assert engine.run() is Exit.HALT

    places, others = engine.places()
    hottest = max(places, key=lambda place: place.ns)
    assert 0x1006 <= hottest.linear < 0x100A
    assert (hottest.cpl, hottest.bits, hottest.protected, others) == (0, 16, False, 0)
    assert LOOP.startswith(hottest.code[:2], hottest.linear - 0x1000)
    assert sum(place.looks for place in places) >= 2 * TURNS // LOOK_EVERY - 1
    engine.close()


@pytest.mark.skipif("bt" not in ENGINES, reason="no bt here")
def test_exits_are_counted_by_mnemonic_and_reason(monkeypatch):
    """Flat 32-bit code in which every turn leaves host code once: IN is the interpreter's."""
    monkeypatch.setenv("VPCORE_BT_WARM", "1")
    engine = Engine(EngineConfig(ram_size=1 << 20, engine="bt"), Silent(), lambda: 0)
    start(engine, b"\xb9" + FEW_TURNS.to_bytes(4, "little") + b"\xec\x49\x75\xfc\xf4")
    state = engine.get_state()
    state["seg"][1] = {"sel": 8, "base": 0, "limit": 0xFFFFFFFF, "attr": 0xC9B}
    for seg in (0, 2, 3, 4, 5):
        state["seg"][seg] = {"sel": 16, "base": 0, "limit": 0xFFFFFFFF, "attr": 0xC93}
    state["cr0"] = 0x11
    engine.set_state(state)
    engine.profile(on=True)

    assert engine.run() is Exit.HALT

    times, refused = engine.exits()["in"]
    assert FEW_TURNS - 2 <= times <= FEW_TURNS
    assert refused == 0
    engine.close()


def test_nothing_is_measured_unless_asked_and_it_begins_anew():
    engine = Engine(EngineConfig(ram_size=1 << 20), Silent(), lambda: 0)
    start(engine, LOOP[:-3] + b"\xf4")

    engine.run()
    assert engine.places() == ([], 0)
    assert engine.exits() == {}

    engine.profile(on=True)
    engine.cpu.halted = 0
    start(engine, LOOP[:-3] + b"\xf4")
    engine.run()
    assert engine.places()[0]
    engine.profile(on=True)
    assert engine.places() == ([], 0)
    engine.close()


def test_devices_are_counted_and_timed_by_name(machine):
    with machine(PORTS[:-2] + b"\xe4\x90\xe6\x81\xf4") as vm, Profiler(vm) as profiler:
        vm.run(timeout=20)

    result = profiler.result
    found = {device.name: device for device in result.devices}
    assert found["card"].accesses == FEW_TURNS + 1
    assert found["card"].timers == 1
    assert found[NOBODY].accesses == 1
    assert result.counters["port_calls"] == FEW_TURNS + 2
    assert 0 < found["card"].seconds < result.seconds


def test_every_counter_of_the_engine_is_shown():
    assert Stats._fields == tuple(name for name, _ in ffi.typeof("vp_stats").fields)
    assert set(SIZES) < set(Stats._fields)


def test_the_parts_are_the_whole(machine):
    with machine(LOOP) as vm, Profiler(vm) as profiler:
        vm.run(timeout=20)

    result = profiler.result
    assert result.parts["guest"] > 0
    assert sum(result.parts.values()) + result.rest == pytest.approx(result.seconds)


def test_a_machine_is_as_before_when_the_measurement_is_over(machine):
    with machine(LOOP) as vm:
        with Profiler(vm):
            pass

        assert "run" not in vars(vm.engine)
        assert "run_due" not in vars(vm.clock)
        assert not {"wait", "poll"} & vars(vm.loop).keys()
        assert vm.run(timeout=20)


def test_the_command_prints_tables_and_writes_json(machine, tmp_path, monkeypatch):
    vm = machine(LOOP)
    monkeypatch.setattr(session, "Machine", lambda _config: vm)
    monkeypatch.setattr(session.configs, "load", lambda *_arguments: vm.config)
    out = tmp_path / "profile.json"

    shown = CliRunner().invoke(main, ["profile", str(tmp_path / "m.toml"), "--json", str(out)])

    assert shown.exit_code == 0, shown.output
    for title in (
        "guest code",
        "memory mode decisions",
        "hot blocks",
        "left to the interpreter",
        "devices",
        "the engine's counters",
        "jne 0x1006",
    ):
        assert title in shown.output
    assert json.loads(out.read_text())["counters"]["insns"] > 2 * TURNS


def test_the_command_ends_after_the_seconds_asked_for(machine, tmp_path):
    vm = machine(b"\xeb\xfe")
    vm.close()

    shown = CliRunner().invoke(main, ["profile", str(tmp_path / "m.toml"), "--seconds", "0.2"])

    assert shown.exit_code == 0, shown.output
