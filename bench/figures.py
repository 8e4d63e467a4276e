"""`make bench`: the figures that docs/performance.md keeps, measured here and now.

    python bench/figures.py [--kit DIR]     DIR: a folder with the benchmark guest's bench.iso

Each line is one figure with its unit.  Guests are timed by the host's clock; medians of several rounds where a round is
short.  Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vpcore.api import SerialView
from vpcore.bus import Bus
from vpcore.device import Device
from vpcore.engine import Engine, EngineConfig, Exit
from vpcore.machine import Machine
from vpcore.ports import PortMap

ROOT: Final = Path(__file__).resolve().parents[1]
PC99: Final = ROOT / "machines" / "pc99.toml"
PORT: Final = 0x300
ROUNDS: Final = 5
ACCESSES: Final = 200_000
SECTORS: Final = 5_000
SECTOR_WORDS: Final = 256
IDLE_S: Final = 10.0
PROGRAMS: Final = ("fib", "sieve", "sha256")
BUFFER: Final = 0x2000


class Probe(Device[None]):
    """A data port as a disk's: words one by one, or blocks."""

    ports = PortMap(size=4)

    @ports.read(0)
    def _read(self) -> int:
        return 0x5A

    @ports.read(2, width=2)
    def _word(self) -> int:
        return 0x5A5A

    @ports.read_block(2, width=2)
    def _block(self, buffer: memoryview) -> int:
        buffer[:] = bytes(len(buffer))
        return len(buffer)


def real_mode(code: bytes) -> Engine:
    """An engine with *code* at 0:1000h, ready to run."""
    bus = Bus()
    device = Probe()
    bus.map_ports(PORT, device, "probe", Probe.ports)
    engine = Engine(EngineConfig(ram_size=1 << 20), bus, lambda: 0)
    engine.ram[0x1000 : 0x1000 + len(code)] = code
    engine.map(0, 1 << 20, engine.ram, engine.ram, 0)
    return engine


def time_loop(code: bytes, steps: int) -> float:
    """Seconds a step of a program that ends in HLT."""
    taken = []
    for _ in range(ROUNDS):
        engine = real_mode(code)
        state = engine.get_state()
        state["eip"] = 0x1000
        state["seg"][1].update(sel=0, base=0)
        engine.set_state(state)
        start = time.perf_counter()
        while engine.run() is not Exit.HALT:
            pass
        taken.append((time.perf_counter() - start) / steps)
        engine.close()
    return statistics.median(taken)


def port_cost() -> float:
    """Seconds of `in al, dx` through a Python handler: mov dx,300h; mov ecx,N; l: in al,dx; dec ecx; jnz l; hlt."""
    code = b"\xba\x00\x03\x66\xb9" + ACCESSES.to_bytes(4, "little") + b"\xec\x66\x49\x75\xfb\xf4"
    return time_loop(code, ACCESSES)


def sector_cost() -> float:
    """Seconds of `rep insw` of 256 words through a block handler."""
    code = (
        b"\xba\x02\x03\x66\xbb" + SECTORS.to_bytes(4, "little")
        + b"\xbf" + BUFFER.to_bytes(2, "little") + b"\xb9" + SECTOR_WORDS.to_bytes(2, "little")
        + b"\xf3\x6d\x66\x4b\x75\xf4\xf4"
    )  # fmt: skip
    return time_loop(code, SECTORS)


def first_instruction() -> float:
    """Seconds from `vpcore run` to the first byte that the BIOS writes to its debug port."""
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        command = [sys.executable, "-m", "vpcore", "run", str(PC99), "--display", "none", "--serial", "none"]
        process = subprocess.Popen(
            [*command, "--set", "debug.backend=stdio"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        assert process.stdout is not None
        process.stdout.read(1)
        taken.append(time.perf_counter() - start)
        process.kill()
        process.wait()
    return statistics.median(taken)


def idle_share(image: Path) -> float:
    """Share of one core that a guest costs while it waits at its shell prompt."""
    with Machine.load(PC99, hda=image, serial="buffer") as machine:
        machine.serial[0].wait_for("debian-mini:.*# ", timeout=300)
        run_for(machine, 2)
        before = resource.getrusage(resource.RUSAGE_SELF)
        run_for(machine, IDLE_S)
        after = resource.getrusage(resource.RUSAGE_SELF)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / IDLE_S


def run_for(machine: Machine, seconds: float) -> None:
    """Run for some host time."""
    end = time.monotonic() + seconds
    machine.run(until=lambda: time.monotonic() >= end)


def marks(serial: SerialView, machine: Machine, name: str) -> tuple[float, int]:
    """Host seconds and guest instructions between a program's two MARK lines."""
    serial.wait_for(f"MARK {name} start", timeout=600)
    start, before = time.perf_counter(), machine.engine.stats().insns
    serial.wait_for(f"MARK {name} end", timeout=600)
    return time.perf_counter() - start, machine.engine.stats().insns - before


def kit(folder: Path, say: Callable[[str, float, str], None]) -> None:
    """Boot of the benchmark guest, and its speed on some programs."""
    with Machine.load(PC99, cdrom=folder / "bench.iso", boot="d", memory="512M", serial="buffer") as machine:
        start = time.perf_counter()
        machine.serial[0].wait_for("MARK boot end", timeout=600)
        say("boot of the benchmark guest", time.perf_counter() - start, "s")
        for name in PROGRAMS:
            seconds, insns = marks(machine.serial[0], machine, name)
            say(f"{name}: {seconds:.2f} s,", insns / seconds / 1e6, "M guest instructions a second")


def cpu_name() -> str:
    """The host's processor."""
    match = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return match[1] if match else "unknown processor"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kit", type=Path, help="folder with bench.iso")
    parser.add_argument("--image", type=Path, default=ROOT / "build" / "debian-mini.img")
    arguments = parser.parse_args()

    def say(what: str, value: float, unit: str) -> None:
        print(f"{what:50} {value:10.3f} {unit}", flush=True)

    print(f"{cpu_name()}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, medians of {ROUNDS}")
    say("port read by a Python handler", port_cost() * 1e6, "us")
    say("rep insw of a sector", sector_cost() * 1e6, "us")
    say("vpcore run to the first BIOS output", first_instruction(), "s")
    if arguments.image.exists():
        say("idle guest at its prompt", idle_share(arguments.image) * 100, "% of a core")
    if arguments.kit is not None:
        kit(arguments.kit, say)


if __name__ == "__main__":
    main()
