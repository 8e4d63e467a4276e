"""What an idle guest costs under each engine and on QEMU, in one run.

    python bench/idle.py IMAGE [--rounds N]

IMAGE is a disk that boots to a shell prompt on the serial port (`vpcore image build debian-mini`).  All guests are booted
from copies of it, then run in turn, the others stopped: the figures follow what else the host does, their ratios less.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

PC99: Final = Path(__file__).resolve().parents[1] / "machines" / "pc99.toml"
QEMU: Final = "qemu-system-i386"
PROMPT: Final = b":~#"
SETTLE_S: Final = 8.0
"""The kernel goes on probing for a while behind the prompt."""
REST_S: Final = 1.0
"""After a guest was stopped it catches up."""


def commands(folder: Path, image: Path) -> dict[str, list[str]]:
    """What boots a copy of the image, by name."""
    ours = [sys.executable, "-m", "vpcore", "run", str(PC99), "--display", "none", "--net", "none"]
    found = {engine: [*ours, "--engine", engine, "--hda"] for engine in ("bt", "interp")}
    if shutil.which(QEMU):
        found["qemu"] = [QEMU, "-accel", "tcg", "-cpu", "pentium3", "-m", "128", "-nographic", "-vga", "none", "-hda"]
    made = {}
    for name, command in found.items():
        copy = folder / f"{name}.img"
        shutil.copy(image, copy)
        made[name] = [*command, str(copy)]
    return made


def boot(command: list[str]) -> subprocess.Popen[bytes]:
    """Start a guest and wait for its prompt."""
    guest = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert guest.stdout is not None
    said = b""
    while PROMPT not in said:
        part = os.read(guest.stdout.fileno(), 1 << 16)
        if not part:
            sys.exit(f"{command[0]} ended: {said.decode(errors='replace')[-500:]}")
        said += part
    time.sleep(SETTLE_S)
    return guest


def processor_time(pid: int) -> float:
    """Seconds that all threads of a process have used (proc(5), schedstat)."""
    return sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def share(guest: subprocess.Popen[bytes], seconds: float) -> float:
    """Its part of one core, let run alone."""
    guest.send_signal(signal.SIGCONT)
    time.sleep(REST_S)
    start, before = time.monotonic(), processor_time(guest.pid)
    time.sleep(seconds)
    found = (processor_time(guest.pid) - before) / (time.monotonic() - start)
    guest.send_signal(signal.SIGSTOP)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--rounds", type=int, default=4, help="times that each guest gets its turn (default 4)")
    parser.add_argument("--seconds", type=float, default=4, help="of a turn (default 4)")
    arguments = parser.parse_args()
    guests: dict[str, subprocess.Popen[bytes]] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name, command in commands(Path(folder), arguments.image).items():
                print(f"booting under {name}", file=sys.stderr)
                guests[name] = boot(command)
                guests[name].send_signal(signal.SIGSTOP)
            shares: dict[str, list[float]] = {name: [] for name in guests}
            for turn in range(arguments.rounds):
                print(f"round {turn + 1} of {arguments.rounds}", file=sys.stderr)
                for name, guest in guests.items():
                    shares[name].append(share(guest, arguments.seconds))
        finally:
            for guest in guests.values():
                guest.kill()
                guest.wait()
    for name, found in shares.items():
        each = ", ".join(f"{value:.1%}" for value in found)
        print(f"{name:10} {statistics.median(found):6.1%} of a core   ({each})")


if __name__ == "__main__":
    main()
