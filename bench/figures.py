"""`make bench`: the figures that docs/performance.md keeps, measured here and now.

    python bench/figures.py [--kit DIR]     DIR: a folder with the benchmark guest's bench.iso

Each line is one figure with its unit, one column an engine that can run here.  Guests are timed by the host's clock; medians
of several rounds where a round is short.  Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import multiprocessing
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

import micro

from vpcore.api import SerialView
from vpcore.clock import NS_PER_SECOND
from vpcore.engine.engine import probe
from vpcore.machine import Machine

ROOT: Final = Path(__file__).resolve().parents[1]
PC99: Final = ROOT / "machines" / "pc99.toml"
ROUNDS: Final = 5
IDLE_S: Final = 20.0
IDLE_WINDOWS: Final = 5
SETTLE_S: Final = 2.0
PROGRAMS: Final = ("fib", "sieve", "sha256")
GOALS: Final = {
    "port read by a Python handler, us": 0.6,
    "rep insw of a sector, us": 3,
    "line rises to its handler's first access, us": 5,
    "idle guest at its prompt, % of a core": 2,
    "memory of a 128 MB guest at its prompt, MB": 300,
    "vpcore run to the first BIOS output, s": 0.5,
}


def first_instruction(engine: str) -> float:
    """Seconds from `vpcore run` to the first byte that the BIOS writes to its debug port."""
    taken = []
    command = [sys.executable, "-m", "vpcore", "run", str(PC99), "--display", "none", "--serial", "none"]
    command += ["--set", "debug.backend=stdio", "--engine", engine]
    for _ in range(ROUNDS):
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert process.stdout is not None
        process.stdout.read(1)
        taken.append(time.perf_counter() - start)
        process.kill()
        process.wait()
    return statistics.median(taken)


def run_for(machine: Machine, seconds: float) -> None:
    """Run for some host time, and wake the machine only when it is over."""
    machine.clock.timer(machine.stop).after(round(seconds * NS_PER_SECOND))
    machine.run()


def processor_time() -> float:
    """Seconds that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident_bytes() -> int:
    """Of this process, guest RAM that was touched included; pages that are mapped in several places count once (Pss)."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def at_prompt(engine: str, image: Path) -> tuple[float, float, float]:
    """Seconds to the guest's shell prompt; then its share of one core while it waits, and the process's resident bytes."""
    with Machine.load(PC99, hda=image, serial="buffer", engine=engine) as machine:
        start = time.monotonic()
        machine.serial[0].wait_for("debian-mini:.*# ", timeout=300)
        booted = time.monotonic() - start
        run_for(machine, SETTLE_S)
        return booted, statistics.median(idle_shares(machine)), resident_bytes()


def idle_shares(machine: Machine) -> list[float]:
    """Processor time by wall time of some windows: the median is not that of the one in which somebody else came by."""
    shares = []
    for _ in range(IDLE_WINDOWS):
        start, before = time.monotonic(), processor_time()
        run_for(machine, IDLE_S / IDLE_WINDOWS)
        shares.append((processor_time() - before) / (time.monotonic() - start))
    return shares


def alone(call: Callable[..., tuple[float, float, float]], *arguments: object) -> tuple[float, float, float]:
    """Call in a fresh process: memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(call, arguments)


def marks(serial: SerialView, machine: Machine, name: str) -> tuple[float, int]:
    """Host seconds and guest instructions between a program's two MARK lines."""
    serial.wait_for(f"MARK {name} start", timeout=600)
    start, before = time.perf_counter(), machine.engine.stats().insns
    serial.wait_for(f"MARK {name} end", timeout=600)
    return time.perf_counter() - start, machine.engine.stats().insns - before


def kit(folder: Path, engine: str, say: Callable[[str, float], None]) -> None:
    """Boot of the benchmark guest, and its speed on some programs."""
    flags = {"cdrom": folder / "bench.iso", "boot": "d", "memory": "512M", "serial": "buffer", "engine": engine}
    with Machine.load(PC99, **flags) as machine:
        start = time.perf_counter()
        machine.serial[0].wait_for("MARK boot end", timeout=600)
        say("boot of the benchmark guest, s", time.perf_counter() - start)
        for name in PROGRAMS:
            seconds, insns = marks(machine.serial[0], machine, name)
            say(f"{name}, million guest instructions a second", insns / seconds / 1e6)


def cpu_name() -> str:
    """The host's processor."""
    match = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return match[1] if match else "unknown processor"


def measure(engine: str, arguments: argparse.Namespace) -> None:
    """All figures of one engine, printed one by one."""

    def say(what: str, value: float) -> None:
        goal = f"goal {GOALS[what]}" if what in GOALS else ""
        print(f"{engine:8} {what:55} {value:10.3f}  {goal}".rstrip(), flush=True)

    say("port read by a Python handler, us", micro.port_cost(engine) * 1e6)
    say("rep insw of a sector, us", micro.sector_cost(engine) * 1e6)
    to_line, to_handler = micro.interrupt_costs(engine)
    say("timer's deadline to its line, us", to_line * 1e6)
    say("line rises to its handler's first access, us", to_handler * 1e6)
    say("vpcore run to the first BIOS output, s", first_instruction(engine))
    if arguments.image.exists():
        booted, idle, resident = alone(at_prompt, engine, arguments.image)
        say("debian-mini from power-on to its prompt, s", booted)
        say("idle guest at its prompt, % of a core", idle * 100)
        say("memory of a 128 MB guest at its prompt, MB", resident / 2**20)
    if arguments.kit is not None:
        kit(arguments.kit, engine, say)


def main() -> None:
    """Measure and print."""
    usable = [name for name, reason in probe().items() if not reason]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", type=Path, help="folder with bench.iso")
    parser.add_argument("--image", type=Path, default=ROOT / "build" / "debian-mini.img")
    parser.add_argument("--engine", action="append", choices=usable, help="again for more (default: all that can run)")
    arguments = parser.parse_args()
    print(f"{cpu_name()}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, medians of {ROUNDS}")
    for engine in arguments.engine or usable:
        measure(engine, arguments)


if __name__ == "__main__":
    main()
