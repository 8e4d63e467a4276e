"""`make bench-guest KIT=FOLDER`: the benchmark guest natively, under QEMU's translator and under vpcore's engines, in one run.

    python bench/guest/compare.py FOLDER [-n RUNS] [--engine NAME]... [--cpu MODEL]... [--only NAME]... [--processor-time]

Contenders take turns, RUNS times; what is printed, and kept in FOLDER as bench-guest.json and bench-guest.md, are medians,
and ratios to native.  Native runs in a chroot of the kit, which takes root; QEMU where it is installed.  The host takes the
time of the lines `MARK program start` and `MARK program end` on the guest's serial port: by the clock, or, on a host that
does other work too, by what the contender's processes used (a control group's account, which takes root).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

import rich.console
import rich.progress

ROOT: Final = Path(__file__).resolve().parents[2]
PC99: Final = ROOT / "machines" / "pc99.toml"
BUILD: Final = Path(__file__).with_name("build.py")
GROUPS: Final = {
    "compute": ("fib", "sieve", "matmul", "chase", "memcpy", "lua", "bzip2", "xz", "sha256", "perl", "sqlite"),
    "system": ("syscall", "pgfault", "fork", "exec", "divzero", "pipe", "shloop"),
}
ALONE: Final = ("boot",)
"""Without a native counterpart."""
ROWS: Final = (*ALONE, *GROUPS["compute"], *GROUPS["system"])
NATIVE: Final = "native"
QEMU: Final = "qemu"
LIMIT_S: Final = 1200.0
LEAVE_S: Final = 20.0
MARK: Final = re.compile(r"MARK (\S+) (start|end)")

# /proc, /dev and /tmp of its own, which end with it
NATIVE_SCRIPT: Final = """\
mount -t proc none "$0/proc" && mount -t devtmpfs none "$0/dev" && mount -t tmpfs none "$0/tmp" || exit 1
exec chroot "$0" /bin/dash -c 'PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH; exec dash /bench/run.sh'
"""

CPU: Final = "pentium3"
"""Processor model of QEMU's machine, and of vpcore's unless others are asked for."""

Times = dict[str, float]


def contenders(kit: Path, engines: list[str], cpus: list[str]) -> dict[str, list[str]]:
    """The command of each that can run here; an engine's name has that of the model behind it where that is not CPU."""
    disc = str(kit / "bench.iso")
    commands = {}
    if os.geteuid() == 0 and shutil.which("unshare"):
        commands[NATIVE] = ["unshare", "--mount", "sh", "-c", NATIVE_SCRIPT, str(kit / "root")]
    if shutil.which("qemu-system-i386"):
        machine = ["-accel", "tcg", "-cpu", CPU, "-m", "512", "-nographic", "-vga", "none", "-no-reboot"]
        commands[QEMU] = ["qemu-system-i386", *machine, "-cdrom", disc]
    for engine, cpu in itertools.product(engines, cpus):
        flags = ["--boot", "d", "--memory", "512M", "--display", "none", "--net", "none", "--serial", "stdio"]
        flags += ["--engine", engine, "--cpu", cpu]
        commands[engine if cpu == CPU else f"{engine} {cpu}"] = [
            *(sys.executable, "-m", "vpcore", "run", str(PC99), "--cdrom", disc, *flags)
        ]
    return commands


class ClockTime:
    """Seconds by the clock, since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wrap(self, command: list[str]) -> list[str]:
        """What to run so that it is the command's time that is taken."""
        return command

    def now(self) -> float:
        return time.monotonic() - self._start


class ProcessorTime(ClockTime):
    """Seconds that a child and all its children used: the account of a control group of their own."""

    def __init__(self) -> None:
        v1 = Path("/sys/fs/cgroup/cpuacct")
        self._folder = (v1 if v1.exists() else v1.parent) / f"vpcore-bench-{os.getpid()}"
        self._is_v1 = v1.exists()

    def __enter__(self) -> Self:
        self._folder.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        for _try in range(50):
            with contextlib.suppress(OSError):
                self._folder.rmdir()
                return
            time.sleep(0.1)

    def wrap(self, command: list[str]) -> list[str]:
        return ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(self._folder), *command]

    def now(self) -> float:
        if self._is_v1:
            return int((self._folder / "cpuacct.usage").read_text()) / 1e9
        return int((self._folder / "cpu.stat").read_text().split()[1]) / 1e6


def lines(command: list[str], timing: Callable[[], ClockTime]) -> Iterator[tuple[float, str]]:
    """What the command prints, each line with the seconds until then; it is ended when the caller is done."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with timing() as clock, subprocess.Popen(clock.wrap(command), **pipes, bufsize=0) as process:
        assert process.stdout is not None
        timer = threading.Timer(LIMIT_S, process.kill)
        timer.start()
        try:
            for line in process.stdout:
                yield clock.now(), line.decode("latin-1")
        finally:
            timer.cancel()
            try:
                process.wait(LEAVE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def measure(
    name: str,
    command: list[str],
    timing: Callable[[], ClockTime],
    progress: rich.progress.Progress,
    task: rich.progress.TaskID,
) -> Times:
    """Run one contender once: seconds of each program."""
    started: Times = {}
    took: Times = {}
    for now, line in lines(command, timing):
        if "FAIL " in line:
            progress.console.print(f"{name}: {line.strip()}", markup=False)
        mark = MARK.search(line)
        if mark is None:
            continue
        program, edge = mark.groups()
        if edge == "start":
            started[program] = now
        elif program in ROWS:
            took[program] = now - started.get(program, 0)
            progress.advance(task)
        progress.update(task, description=f"{name}: {program}")
    missing = [row for row in ROWS if row not in took and not (name == NATIVE and row in ALONE)]
    if missing:
        progress.console.print(f"{name}: did not finish {', '.join(missing)}", markup=False)
    return took


def run_all(
    commands: dict[str, list[str]], runs: int, timing: Callable[[], ClockTime] = ClockTime
) -> dict[str, list[Times]]:
    """Every contender in turn, *runs* times."""
    results: dict[str, list[Times]] = {name: [] for name in commands}
    console = rich.console.Console(stderr=True)
    columns = (
        *(rich.progress.TextColumn("{task.description:24}"), rich.progress.BarColumn()),
        *(rich.progress.MofNCompleteColumn(), rich.progress.TimeElapsedColumn()),
    )
    with rich.progress.Progress(*columns, console=console) as progress:
        for turn in range(runs):
            for name, command in commands.items():
                task = progress.add_task(name, total=len(ROWS) - (len(ALONE) if name == NATIVE else 0))
                results[name].append(measure(name, command, timing, progress, task))
                progress.update(task, description=f"{name}, run {turn + 1} of {runs}")
    return results


def medians(runs: list[Times]) -> Times:
    """Of each program, over the runs that finished it."""
    return {
        row: statistics.median(run[row] for run in runs if row in run) for row in ROWS if any(row in r for r in runs)
    }


def ratio(times: dict[str, Times], name: str, row: str, to: str = NATIVE) -> float | None:
    """How many times as long as *to* it took."""
    mine, other = times[name].get(row), times.get(to, {}).get(row)
    return None if mine is None or not other else mine / other


def geomean(times: dict[str, Times], name: str, group: str, to: str = NATIVE) -> float | None:
    """Of the ratios of a group, where all of it ran."""
    ratios = [ratio(times, name, row, to) for row in GROUPS[group]]
    logs = [math.log(each) for each in ratios if each is not None]
    return math.exp(statistics.fmean(logs)) if len(logs) == len(ratios) else None


def shown(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def table(times: dict[str, Times]) -> list[list[str]]:
    """Rows of text, the first one the heads."""
    guests = [name for name in times if name != NATIVE]
    rows = [["program", *(f"{name}, s" for name in times), *(f"{name} / native" for name in guests)]]
    for row in ROWS:
        cells = [shown(times[name].get(row), 3) for name in times]
        rows.append([row, *cells, *(shown(ratio(times, name, row), 2) for name in guests)])
    for group in GROUPS:
        means = [shown(geomean(times, name, group), 2) for name in guests]
        rows.append([f"{group}, geometric mean", *("" for _ in times), *means])
    return rows


def verdicts(times: dict[str, Times]) -> list[str]:
    """What the issue asks: engines against QEMU."""
    said = []
    for name in times:
        if name in (NATIVE, QEMU) or QEMU not in times:
            continue
        parts = [
            f"boot {shown(ratio(times, name, 'boot', QEMU), 2)}",
            *(f"{group} {shown(geomean(times, name, group, QEMU), 2)}" for group in GROUPS),
        ]
        said.append(f"{name} / qemu: {', '.join(parts)}")
    return said


def host() -> str:
    """The machine, for who reads the table later."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    uname = os.uname()
    return f"{found[1] if found else 'unknown processor'}, {os.cpu_count()} cores, {uname.sysname} {uname.release}"


def markdown(rows: list[list[str]]) -> str:
    """The table for docs/performance.md."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def text_table(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) if k == 0 else cell.rjust(width) for k, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )  # fmt: skip


def report(kit: Path, results: dict[str, list[Times]], runs: int, what: str) -> None:
    """Print, and keep beside the kit."""
    times = {name: medians(each) for name, each in results.items()}
    rows, said = table(times), verdicts(times)
    title = f"{host()}; {time.strftime('%Y-%m-%d %H:%M')}; medians of {runs}, {what}"
    kept = {"host": title, "runs": results, "medians": times, "verdicts": said}
    (kit / "bench-guest.json").write_text(json.dumps(kept, indent=1) + "\n")
    (kit / "bench-guest.md").write_text("\n\n".join([title + ".", markdown(rows), *said]) + "\n")
    print("\n".join([title, text_table(rows), *said]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kit", type=Path, metavar="FOLDER", help="of the kit; made there where it has no bench.iso")
    parser.add_argument("-n", "--runs", type=int, default=3)
    parser.add_argument("--engine", action="append", metavar="NAME", help="of vpcore, again for more (default: bt)")
    parser.add_argument("--cpu", action="append", metavar="MODEL", help=f"vpcore's, again for more (default: {CPU})")
    parser.add_argument("--processor-time", action="store_true", help="of the contender's processes, not by the clock")
    parser.add_argument("--only", action="append", metavar="NAME", help="contender to run, again for more")
    options = parser.parse_args()
    kit = options.kit.resolve()
    if not (kit / "bench.iso").exists():
        subprocess.run([sys.executable, BUILD, kit], check=True)
    commands = contenders(kit, options.engine or ["bt"], options.cpu or [CPU])
    chosen = {name: each for name, each in commands.items() if not options.only or name in options.only}
    if NATIVE not in chosen:
        print("without native, which takes root: no ratios to it", file=sys.stderr)
    timing, what = (ProcessorTime, "processor time") if options.processor_time else (ClockTime, "by the clock")
    report(kit, run_all(chosen, options.runs, timing), options.runs, what)


if __name__ == "__main__":
    main()
