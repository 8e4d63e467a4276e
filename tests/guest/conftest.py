"""Whole machines in processes of their own, with a ROM of a few instructions instead of a BIOS."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VPCORE = (sys.executable, "-m", "vpcore")
ROM = """
bits 16
start:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7000
    cld
{body}
; PIIX4 data sheet 3.2 and 7.2: PMBA is configuration register 40h, PMREGMISC 80h; S5 is SLP_TYP 0 with SLP_EN
power_off:
    mov eax, 0x80000b40
    mov dx, 0xcf8
    out dx, eax
    mov eax, 0x601
    mov dx, 0xcfc
    out dx, eax
    mov eax, 0x80000b80
    mov dx, 0xcf8
    out dx, eax
    mov al, 1
    mov dx, 0xcfc
    out dx, al
    mov ax, 0x2000
    mov dx, 0x604
    out dx, ax
    hlt
times 0xfff0 - ($ - $$) db 0
    jmp 0xf000:start
times 0x10000 - ($ - $$) db 0
"""


@pytest.fixture
def write_machine(tmp_path):
    """Write `guest.rom` from assembly that ends by falling through to power-off, and `m.toml`: pc99 with this ROM."""
    nasm = shutil.which("nasm")
    if nasm is None:
        pytest.skip("nasm is not installed: apt-get install nasm")

    def write_machine(body, tables=""):
        source = tmp_path / "guest.asm"
        source.write_text(ROM.format(body=body))
        subprocess.run([nasm, "-f", "bin", "-o", tmp_path / "guest.rom", source], check=True)
        machine = tmp_path / "m.toml"
        include = f'include = "{ROOT}/machines/pc99.toml"\n[[device]]\nname = "firmware"\nrom = "guest.rom"\n'
        machine.write_text(include + tables)
        return machine

    return write_machine


@pytest.fixture
def environment():
    """A function that makes the environment of a vpcore process which also sees the packages in a folder."""

    def environment(*folders):
        path = [*map(str, folders), os.environ.get("PYTHONPATH", str(ROOT))]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}

    return environment


@pytest.fixture
def vpcore(environment):
    """Run the command line to its end; what it printed."""

    def vpcore(*arguments, folders=(), **kwargs):
        done = subprocess.run(
            [*VPCORE, *map(str, arguments)],
            check=False,
            env=environment(*folders),
            capture_output=True,
            text=True,
            timeout=100,
            **kwargs,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return vpcore
