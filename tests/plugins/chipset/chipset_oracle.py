"""QEMU's chipset, with its processor stopped, as a second opinion: ports and interrupt lines through its test protocol.

QEMU is only run, as a user would; where it is not installed the tests that need it are skipped.
"""

from __future__ import annotations

import re
import shutil
import subprocess

COMMAND = [
    "qemu-system-i386", "-machine", "pc,accel=tcg", "-S", "-m", "2", "-display", "none", "-nic", "none", "-vga", "none",
    "-serial", "none", "-rtc", "base=1999-12-31T23:59:58,clock=vm",
]  # fmt: skip
WIDTHS = {1: "b", 2: "w", 4: "l"}

available = shutil.which("qemu-system-i386") is not None


def _paths() -> list[str]:
    """Where this version of QEMU keeps its two 8259A."""
    tree = subprocess.run(
        [*COMMAND, "-monitor", "stdio"],
        input="info qom-tree\nquit\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return [f"/machine/unattached/{name}" for name in re.findall(r"/(device\[\d+\]) \(isa-i8259\)", tree.stdout)]


class Oracle:
    """A running QEMU that is spoken to line by line."""

    def __init__(self):
        self.pics = _paths()
        self._process = subprocess.Popen(
            [*COMMAND, "-qtest", "stdio", "-qtest-log", "none"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def close(self):
        """End it."""
        with self._process:
            self._process.kill()

    def out(self, port, value, width=1):
        """Write a port."""
        self._ask(f"out{WIDTHS[width]} {port:#x} {value:#x}")

    def inp(self, port, width=1):
        """Read a port."""
        return int(self._ask(f"in{WIDTHS[width]} {port:#x}")[0], 0)

    def line(self, number, level):
        """Drive an interrupt line."""
        self._ask(f"set_irq_in {self.pics[number // 8]} unnamed-gpio-in {number % 8} {int(level)}")

    def _ask(self, text):
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        for answer in self._process.stdout:
            if answer.startswith("OK"):
                return answer.split()[1:]
            assert not answer.startswith(("FAIL", "ERR")), f"{text}: {answer}"
        raise AssertionError(f"qemu ended at {text}")
