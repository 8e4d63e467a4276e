"""What one access, block or interrupt costs on an engine: guest programs of a few instructions, in flat 32-bit code."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Final

from vpcore.bus import Bus
from vpcore.device import Device
from vpcore.engine import Engine, EngineConfig, Exit
from vpcore.ports import PortMap

PORT: Final = 0x300
ROUNDS: Final = 5
ACCESSES: Final = 200_000
SECTORS: Final = 5_000
SECTOR_WORDS: Final = 256
INTERRUPTS: Final = 2_000
PERIOD_NS: Final = 100_000
RAM: Final = 1 << 20
CODE: Final = 0x1000
HANDLER: Final = 0x1800
STACK: Final = 0x8000
GDT: Final = 0x5000
IDT: Final = 0x6000
VECTOR: Final = 0x20
BUFFER: Final = 0x2000
CODE_SEGMENT: Final = {"sel": 8, "base": 0, "limit": 0xFFFFFFFF, "attr": 0xC9B}
DATA_SEGMENT: Final = {"sel": 16, "base": 0, "limit": 0xFFFFFFFF, "attr": 0xC93}
FLAT_GDT: Final = bytes(8) + bytes.fromhex("ffff0000009bcf00") + bytes.fromhex("ffff00000093cf00")
INTERRUPT_GATE: Final = 0x8E00
EFLAGS_IF: Final = 0x200


class Probe(Device[None]):
    """A data port as a disk's, words one by one or in blocks; and one that tells when it is written."""

    ports = PortMap(size=4)

    def __init__(self) -> None:
        self.written: Callable[[], None] = lambda: None

    @ports.read(0)
    def _read(self) -> int:
        return 0x5A

    @ports.write(0)
    def _write(self, value: int) -> None:
        self.written()

    @ports.read(2, width=2)
    def _word(self) -> int:
        return 0x5A5A

    @ports.read_block(2, width=2)
    def _block(self, buffer: memoryview) -> int:
        buffer[:] = bytes(len(buffer))
        return len(buffer)


def little(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "little")


def flat(name: str, code: bytes, inta: Callable[[], int] = lambda: 0) -> tuple[Engine, Probe]:
    """An engine about to execute *code*, and the device at PORT."""
    bus, device = Bus(), Probe()
    bus.map_ports(PORT, device, "probe", Probe.ports)
    engine = Engine(EngineConfig(ram_size=RAM, engine=name), bus, inta)
    engine.ram[CODE : CODE + len(code)] = code
    engine.ram[GDT : GDT + len(FLAT_GDT)] = FLAT_GDT
    state = engine.get_state()
    state["seg"][1] = CODE_SEGMENT
    for seg in (0, 2, 3, 4, 5):
        state["seg"][seg] = DATA_SEGMENT
    state.update(eip=CODE, cr0=0x11, gdtr_base=GDT, gdtr_limit=len(FLAT_GDT) - 1, idtr_base=IDT, idtr_limit=0x7FF)
    state["gpr"][4] = STACK
    engine.set_state(state)
    return engine, device


def time_loop(name: str, code: bytes, steps: int) -> float:
    """Seconds a step of a program that ends in HLT."""
    taken = []
    for _ in range(ROUNDS):
        engine, _ = flat(name, code)
        start = time.perf_counter()
        while engine.run() is not Exit.HALT:
            pass
        taken.append((time.perf_counter() - start) / steps)
        engine.close()
    return statistics.median(taken)


def port_cost(name: str) -> float:
    """Seconds of `in al, dx` through a Python handler: mov edx,PORT; mov ecx,N; l: in al,dx; dec ecx; jnz l; hlt."""
    code = b"\xba" + little(PORT) + b"\xb9" + little(ACCESSES) + b"\xec\x49\x75\xfc\xf4"
    return time_loop(name, code, ACCESSES)


def sector_cost(name: str) -> float:
    """Seconds of `rep insw` of 256 words through a block handler."""
    code = (
        b"\xba" + little(PORT + 2) + b"\xbb" + little(SECTORS)
        + b"\xbf" + little(BUFFER) + b"\xb9" + little(SECTOR_WORDS) + b"\xf3\x66\x6d\x4b\x75\xf0\xf4"
    )  # fmt: skip
    return time_loop(name, code, SECTORS)


def interrupt_costs(name: str) -> tuple[float, float]:
    """Seconds, medians: from a timer's deadline to the host's raising the line, and from there to the handler's first access.

    The guest counts in a loop: l: inc eax; jmp l.  Its handler: out dx, al; iretd.
    """
    engine, device = flat(name, b"\xba" + little(PORT) + b"\x40\xeb\xfd", lambda: (engine.set_intr(False), VECTOR)[1])
    engine.ram[HANDLER : HANDLER + 2] = b"\xee\xcf"
    gate = little(HANDLER, 2) + little(8, 2) + little(INTERRUPT_GATE, 2) + little(0, 2)
    engine.ram[IDT + 8 * VECTOR : IDT + 8 * VECTOR + 8] = gate
    engine.cpu.eflags |= EFLAGS_IF
    engine.cpu_changed()
    arrived: list[int] = []
    device.written = lambda: arrived.append(time.perf_counter_ns())
    to_line, to_handler = [], []
    for _ in range(INTERRUPTS):
        deadline = engine.now() + PERIOD_NS
        engine.set_deadline(deadline)
        while engine.run() is not Exit.DEADLINE:
            pass
        to_line.append(engine.now() - deadline)
        rises = time.perf_counter_ns()
        engine.set_intr(True)
        while len(arrived) <= len(to_handler):
            engine.set_deadline(engine.now() + PERIOD_NS)
            engine.run()
        to_handler.append(arrived[-1] - rises)
    engine.close()
    return statistics.median(to_line) / 1e9, statistics.median(to_handler) / 1e9
