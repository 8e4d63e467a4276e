"""System-level behaviour of every engine, by small programs.

Each tests/cpu/asm/*.asm states in its head what it shows (`title`), by which manual (`manual`), on what machine, and
what must hold at its HLT (`expect`).  NASM assembles it once; each engine that can run here executes it.

    ; cpu: 486                 the processor model (pentium3)
    ; a20: closed              the A20 gate (open)
    ; intr: 40                 a device requests interrupt 40h (hexadecimal) when the program writes to port E0h
    ; nmi: 1                   ... and an NMI when it writes to port E1h
    ; exit: shutdown           how the run ends (halt)
    ; expect: eax = 0x600d     a register, or [address] for 32 bits of memory
"""

import re
import shutil
import subprocess
from pathlib import Path

import attrs
import pytest

from vpcore.engine.engine import Engine, EngineConfig, Exit, probe

SOURCES = Path(__file__).parent / "asm"
PROGRAMS = sorted(SOURCES.glob("*.asm"))
ORIGIN = 0x1000
STACK = 0x1000
BUDGET = 2_000_000
REGISTERS = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
PORT_INTR, PORT_NMI = 0xE0, 0xE1


@attrs.define
class Head:
    """What the comment lines at the top of a program say."""

    settings: dict[str, str]
    expectations: list[tuple[str, int]]

    @classmethod
    def read(cls, path: Path) -> "Head":
        lines = re.findall(r"^; (\w+): (.*?)\s*$", path.read_text().split("%include")[0], re.MULTILINE)
        expected = [text.split(" = ") for key, text in lines if key == "expect"]
        return cls(dict(lines), [(what, int(value, 0)) for what, value in expected])


@attrs.define
class Board:
    """Ports: every one reads all ones, but two that raise interrupts when written."""

    vector: int = 0
    engine: Engine | None = None
    outs: list[tuple[int, int, int]] = attrs.field(factory=list)

    def port_in(self, port, size):
        return (1 << 8 * size) - 1

    def port_out(self, port, size, value):
        self.outs.append((port, size, value))
        if port == PORT_INTR:
            self.engine.set_intr(True)
        elif port == PORT_NMI:
            self.engine.nmi()

    def port_in_block(self, port, size, buffer):
        return 0

    def port_out_block(self, port, size, buffer):
        return 0

    def mmio_read(self, addr, size):
        return (1 << 8 * size) - 1

    def mmio_write(self, addr, size, value):
        pass

    def acknowledge(self):
        self.engine.set_intr(False)
        return self.vector


@pytest.fixture(scope="session")
def assemble(tmp_path_factory):
    """Binaries of the programs, made once."""
    nasm = shutil.which("nasm")
    if nasm is None:
        pytest.skip("nasm is not installed: apt-get install nasm")
    folder = tmp_path_factory.mktemp("asm")

    def make(path: Path) -> bytes:
        target = folder / f"{path.stem}.bin"
        if not target.exists():
            command = [nasm, "-f", "bin", "-Werror", f"-I{SOURCES}/", "-o", str(target), str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        return target.read_bytes()

    return make


def run_program(name, head, code):
    """The engine after the program, and how it ended."""
    board = Board(vector=int(head.settings.get("intr", "0"), 16))
    config = EngineConfig(cpu=head.settings.get("cpu", "pentium3"), clock="icount", engine=name)
    engine = Engine(config, board, board.acknowledge)
    board.engine = engine
    engine.ram[ORIGIN : ORIGIN + len(code)] = code
    engine.invalidate(ORIGIN, len(code))
    engine.set_a20(head.settings.get("a20", "open") == "open")
    cpu = engine.cpu
    cpu.seg[1].sel, cpu.seg[1].base, cpu.eip = 0, 0, ORIGIN
    for index in range(8):
        cpu.gpr[index] = 0
    cpu.gpr[4] = STACK
    engine.cpu_changed()
    return engine, engine.run(BUDGET)


def observe(engine, what):
    """The value of a register or of `[address]`."""
    if what.startswith("["):
        at = int(what.strip("[]"), 0)
        return int.from_bytes(engine.ram[at : at + 4], "little")
    if what in REGISTERS:
        return engine.cpu.gpr[REGISTERS.index(what)]
    return getattr(engine.cpu, what)


def describe(engine):
    """Registers for a failure's message: EBX is the line of the check that failed."""
    state = " ".join(f"{name}={engine.cpu.gpr[index]:08x}" for index, name in enumerate(REGISTERS))
    return f"line {engine.cpu.gpr[3]} got {engine.cpu.gpr[1]:#x} wanted {engine.cpu.gpr[2]:#x}; {state} eip={engine.cpu.eip:08x}"


@pytest.mark.parametrize("engine_name", probe())
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program_ends_as_its_head_says(path, engine_name, assemble):
    reason = probe()[engine_name]
    if reason:
        pytest.skip(f"engine {engine_name}: {reason}")
    head = Head.read(path)

    engine, end = run_program(engine_name, head, assemble(path))

    assert end == Exit[head.settings.get("exit", "halt").upper()], describe(engine)
    for what, value in head.expectations:
        assert observe(engine, what) == value, f"{what}: {describe(engine)}"


def test_every_program_names_its_manual_and_expectation():
    incomplete = [
        path.name
        for path in PROGRAMS
        if not (head := Head.read(path)).expectations or not {"title", "manual"} <= head.settings.keys()
    ]

    assert incomplete == []
