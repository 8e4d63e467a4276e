"""Speed of an engine alone: instructions a second in paged 32-bit code, and in real mode.

    python bench/engine.py [ENGINE] [--rounds N]

bench/kernels.c and real.s are compiled for the guest by the host's C compiler.  Rounds of different kernels alternate, and the best
of each is shown: the host's other work only ever slows one down.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from vpcore.bus import Bus
from vpcore.engine import Engine, EngineConfig, Exit

HERE: Final = Path(__file__).parent
CODE: Final = 0x100000
ENTRY: Final = 0x8000
TABLES: Final = 0x10000
RAM: Final = 16 << 20
PAGE: Final = 4096
PRESENT_WRITABLE_USER: Final = 7
KERNELS: Final = ("fib", "sieve", "sha", "sort", "matmul", "divide", "copy", "vectors")
REAL: Final = "real"
REAL_CODE, REAL_STACK, IRET_AT, IRET = 0x10000, 0x20000, 0x500, 0xCF
CFLAGS: Final = (
    "-m32", "-no-pie", "-march=i686", "-O2", "-ffreestanding", "-fno-pic", "-fno-stack-protector", "-fcf-protection=none",
    "-nostdlib",
)  # fmt: skip
FLAT_CODE: Final = {"sel": 8, "base": 0, "limit": 0xFFFFFFFF, "attr": 0xC9B}
FLAT_DATA: Final = {"sel": 16, "base": 0, "limit": 0xFFFFFFFF, "attr": 0xC93}
CR0_PG_PE: Final = 0x80000011
CR4_OSFXSR: Final = 0x200


def compile_kernels(folder: Path) -> tuple[bytes, dict[str, int]]:
    """The guest's image and the address of each kernel in it."""
    elf, flat = folder / "kernels.elf", folder / "kernels.bin"
    subprocess.run(
        ["cc", *CFLAGS, f"-Wl,-Ttext={CODE:#x},-e,run_fib,--build-id=none", "-o", elf, HERE / "kernels.c"], check=True
    )
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text*", elf, flat], check=True)
    symbols = subprocess.run(["nm", elf], check=True, capture_output=True, text=True).stdout
    table = {line.split()[2]: int(line.split()[0], 16) for line in symbols.splitlines()}
    return flat.read_bytes(), {name: table[f"run_{name}"] for name in KERNELS}


def compile_real(folder: Path) -> bytes:
    """The code of the kernel in real mode."""
    elf, flat = folder / "real.elf", folder / "real.bin"
    subprocess.run(
        ["cc", *CFLAGS, "-Wl,-Ttext=0,-e,run_real,--build-id=none,-z,noexecstack", "-o", elf, HERE / "real.s"],
        check=True,
    )
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", elf, flat], check=True)
    return flat.read_bytes()


def identity_tables(engine: Engine) -> None:
    """Map all of RAM onto itself with 4 KB pages."""
    for table in range(RAM >> 22):
        at = TABLES + PAGE * (table + 1)
        engine.ram[TABLES + 4 * table : TABLES + 4 * table + 4] = (at | PRESENT_WRITABLE_USER).to_bytes(4, "little")
        for k in range(1024):
            entry = (table << 22 | k << 12) | PRESENT_WRITABLE_USER
            engine.ram[at + 4 * k : at + 4 * k + 4] = entry.to_bytes(4, "little")


def make(name: str, image: bytes, kernel: int) -> Engine:
    """An engine about to call the kernel and halt."""
    engine = Engine(EngineConfig(ram_size=RAM, engine=name), Bus(), lambda: 0)
    engine.ram[CODE : CODE + len(image)] = image
    call = b"\xb8" + kernel.to_bytes(4, "little") + b"\xff\xd0\xf4"
    engine.ram[ENTRY : ENTRY + len(call)] = call
    identity_tables(engine)
    state = engine.get_state()
    state["seg"][1] = FLAT_CODE
    for seg in (0, 2, 3, 4, 5):
        state["seg"][seg] = FLAT_DATA
    state.update(eip=ENTRY, cr0=CR0_PG_PE, cr3=TABLES, cr4=CR4_OSFXSR)
    state["gpr"][4] = CODE - 16
    engine.set_state(state)
    return engine


def make_real(name: str, image: bytes) -> Engine:
    """An engine about to run the kernel in real mode; all interrupts return at once."""
    engine = Engine(EngineConfig(ram_size=RAM, engine=name), Bus(), lambda: 0)
    engine.ram[REAL_CODE : REAL_CODE + len(image)] = image
    engine.ram[0:0x400] = IRET_AT.to_bytes(4, "little") * 256
    engine.ram[IRET_AT] = IRET
    state = engine.get_state()
    for seg in range(6):
        base = REAL_STACK if seg == 2 else REAL_CODE
        state["seg"][seg] = {"sel": base >> 4, "base": base, "limit": 0xFFFF, "attr": 0x93}
    state.update(eip=0, idtr_base=0, idtr_limit=0x3FF)
    state["gpr"][4] = 0xFFF0
    engine.set_state(state)
    return engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", nargs="?", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=(*KERNELS, REAL))
    options = parser.parse_args()
    kernels = [options.only] if options.only else [*KERNELS, REAL]
    with tempfile.TemporaryDirectory() as folder:
        image, entries = compile_kernels(Path(folder))
        real = compile_real(Path(folder))
    best = dict.fromkeys(kernels, 0.0)
    notes = {}
    for _ in range(options.rounds):
        for kernel in kernels:
            engine = make_real(options.engine, real) if kernel == REAL else make(options.engine, image, entries[kernel])
            start = time.perf_counter()
            reason = engine.run()
            took = time.perf_counter() - start
            assert reason is Exit.HALT, (kernel, reason, engine.get_state())
            best[kernel] = max(best[kernel], engine.insns / took)
            notes[kernel] = (
                f"{engine.insns:>11} instructions, result {engine.cpu.gpr[0]:#010x}, blocks {engine.stats().blocks_run}"
            )
            engine.close()
    for kernel, rate in best.items():
        print(f"{kernel:8} {rate / 1e6:8.1f} million instructions/s  {notes[kernel]}")


if __name__ == "__main__":
    main()
