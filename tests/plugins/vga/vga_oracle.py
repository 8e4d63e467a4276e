"""Runs scripts of video accesses on QEMU's standard VGA with SeaBIOS, to compare ours with.

QEMU is only run, as a user would; where it or nasm is not installed the tests that need it are skipped.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import time
from pathlib import Path

import attrs
import numpy as np

LFB = 0xFD000000
"""Where SeaBIOS puts BAR0 of the only adapter of QEMU's `pc` machine; checked against its log."""
VRAM = 16 << 20
STEP = struct.Struct("<BBHHH")
TIMEOUT = 30

available = shutil.which("qemu-system-i386") is not None and shutil.which("nasm") is not None


def bios(ax, bx=0, cx=0):
    return STEP.pack(1, 0, ax, bx, cx)


def outb(port, value):
    return STEP.pack(2, 0, port, value, 0)


def outw(port, value):
    return STEP.pack(3, 0, port, value, 0)


def store(segment, offset, value):
    return STEP.pack(4, 0, segment, offset, value)


def load(segment, offset):
    return STEP.pack(5, 0, segment, offset, 0)


def inb(port):
    return STEP.pack(6, 0, port, 0, 0)


@attrs.frozen(eq=False)
class Result:
    """What one script left behind."""

    accesses: list
    """("read" | "write", port, value read or written), or ("vbe", index, value written), in order."""
    vram: bytes
    frame: np.ndarray
    sent: bytes


def run(steps, folder: Path) -> Result:
    """Run the script on QEMU."""
    script = b"".join(steps)
    assert len(script) <= 127 * 512 - 8
    subprocess.run(["nasm", "-f", "bin", "-o", folder / "boot", Path(__file__).with_name("vga_oracle.asm")], check=True)
    disk = (folder / "boot").read_bytes() + script
    (folder / "disk").write_bytes(disk + bytes(128 * 512 - len(disk) + (1 << 20)))
    command = [
        "qemu-system-i386", "-machine", "pc,accel=tcg", "-m", "32", "-vga", "std", "-display", "none", "-nic", "none",
        "-drive", f"file={folder}/disk,format=raw,if=ide", "-boot", "c",
        "-debugcon", f"file:{folder}/sent", "-global", "isa-debugcon.iobase=0xe9",
        "-d", "trace:vga_std_read_io,trace:vga_std_write_io,trace:vga_vbe_write", "-D", f"{folder}/log",
        "-monitor", "stdio",
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as qemu:
        try:
            sent = folder / "sent"
            end = time.monotonic() + TIMEOUT
            while not (sent.exists() and sent.read_bytes().endswith(b"\0END")):
                assert time.monotonic() < end, "QEMU did not finish the script"
                time.sleep(0.05)
            time.sleep(0.1)
            commands = f'screendump {folder}/ppm\npmemsave {LFB:#x} {VRAM:#x} "{folder}/vram"\nquit\n'
            qemu.communicate(commands.encode(), timeout=TIMEOUT)
        finally:
            qemu.kill()
    return Result(
        _accesses((folder / "log").read_text()),
        (folder / "vram").read_bytes(),
        _picture((folder / "ppm").read_bytes()),
        sent.read_bytes()[:-4],
    )


def _accesses(log):
    """From lines like `vga_std_write_io addr 0x3c2, val 0xc3`."""
    found = re.findall(r"vga_(?:std_(read|write)_io|(vbe)_write) (?:addr|index) 0x([0-9a-f]+), val 0x([0-9a-f]+)", log)
    return [(kind or vbe, int(at, 16), int(value, 16)) for kind, vbe, at, value in found]


def _picture(ppm):
    header, width, height = re.match(rb"P6\s+((\d+)\s+(\d+)\s+255\s)", ppm).group(0, 2, 3)
    size = int(height), int(width), 3
    return np.frombuffer(ppm[len(header) :], dtype=np.uint8).reshape(size)
