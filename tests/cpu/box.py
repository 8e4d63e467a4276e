"""A processor in a known state, for engine tests: flat 32-bit protected mode, page tables made in Python, faults that halt.

Memory map: GDT, IDT and TSS at 0x1000-0x3fff, fault handlers (each a HLT) at 0x4000, stacks below 0x8000 and 0x9000, the
test's code at CODE, page tables from TABLES on, the rest is free.
"""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import attrs
import pytest

from vpcore.engine import Engine, EngineConfig

RAM = 16 << 20
ENGINE = "auto"
"""What runs a Box; conftest.py goes through all engines."""
PAGE = 4096
GDT, IDT, TSS, HANDLERS, STACK0, STACK3, CODE, TABLES = 0x1000, 0x2000, 0x3000, 0x4000, 0x8000, 0x9000, 0xA000, 0x10000
P, W, U, PWT, PCD, A, D, PS, G = (1 << bit for bit in range(9))
PE, WP, AM, PG = 1, 1 << 16, 1 << 18, 1 << 31
PSE, PAE, PGE = 1 << 4, 1 << 5, 1 << 7
EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI = range(8)
ES, CS, SS, DS, FS, GS, LDTR, TR = range(8)
FLAT_CODE, FLAT_DATA, DPL3 = 0xC9B, 0xC93, 0x60
DESCRIPTORS = (0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF, 0x00CFFB000000FFFF, 0x00CFF3000000FFFF)
VECTORS = 20
HLT = 0xF4


@functools.cache
def asm(text: str, bits: int = 32, org: int = CODE) -> bytes:
    """NASM's binary of *text*."""
    nasm = shutil.which("nasm")
    if nasm is None:
        pytest.skip("nasm is not installed: apt-get install nasm")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "x.asm", Path(folder) / "x.bin"
        source.write_text(f"bits {bits}\norg {org}\n{text}\n")
        subprocess.run([nasm, "-f", "bin", "-o", target, source], check=True)
        return target.read_bytes()


@attrs.define(slots=False)
class Bus:
    """Records what reaches it; answers from `answers` (port or address), else all ones."""

    answers: dict[int, int] = attrs.field(factory=dict)
    log: list[tuple] = attrs.field(factory=list)
    block: bytes = b""
    taken: bytearray = attrs.field(factory=bytearray)
    blocks: bool = False
    hook: object = None

    def _answer(self, key, size, *entry):
        self.log.append(entry)
        if self.hook is not None:
            self.hook(*entry)
        return self.answers.get(key, -1) & ((1 << 8 * size) - 1)

    def port_in(self, port, size):
        return self._answer(port, size, "in", port, size)

    def port_out(self, port, size, value):
        self._answer(port, size, "out", port, size, value)

    def port_in_block(self, port, size, buffer):
        if not self.blocks:
            return 0
        self.log.append(("in block", port, size, len(buffer)))
        part, self.block = self.block[: len(buffer)], self.block[len(buffer) :]
        buffer[: len(part)] = part
        return len(part) // size

    def port_out_block(self, port, size, buffer):
        if not self.blocks:
            return 0
        self.log.append(("out block", port, size, len(buffer)))
        self.taken += buffer
        return len(buffer) // size

    def mmio_read(self, addr, size):
        return self._answer(addr, size, "read", addr, size)

    def mmio_write(self, addr, size, value):
        self._answer(addr, size, "write", addr, size, value)


class Box:
    """An engine with the memory map above."""

    def __init__(self, *, bus=None, inta=lambda: 0x20, ferr=None, **config):
        self.bus = bus or Bus()
        config.setdefault("clock", "icount")
        config.setdefault("engine", ENGINE)
        self.engine = Engine(EngineConfig(ram_size=RAM, **config), self.bus, inta, ferr)
        self.ram = self.engine.ram
        for index, descriptor in enumerate(DESCRIPTORS):
            self.put(GDT + 8 * index, descriptor, 8)
        for vector in range(VECTORS):
            at = HANDLERS + 16 * vector
            self.ram[at] = HLT
            self.put(IDT + 8 * vector, (at & 0xFFFF) | 8 << 16 | 0x8E00 << 32, 8)
        self.put(TSS + 4, STACK0, 4)
        self.put(TSS + 8, 16, 4)
        self.put(TSS + 0x66, 0x68, 2)  # no I/O bitmap
        self._next_table = TABLES
        self.directory = 0
        state = self.engine.get_state()
        state["seg"][CS] = {"sel": 8, "base": 0, "limit": 0xFFFFFFFF, "attr": FLAT_CODE}
        for seg in (ES, SS, DS, FS, GS):
            state["seg"][seg] = {"sel": 16, "base": 0, "limit": 0xFFFFFFFF, "attr": FLAT_DATA}
        state["seg"][TR] = {"sel": 0x28, "base": TSS, "limit": 0x67, "attr": 0x8B}
        state["gpr"] = [0, 0, 0, 0, STACK0, 0, 0, 0, 0]
        state.update(cr0=0x10 | PE, eip=CODE, gdtr_base=GDT, gdtr_limit=0x27, idtr_base=IDT, idtr_limit=8 * VECTORS - 1)
        self.engine.set_state(state)

    # -- memory --

    def put(self, at, value, size=4):
        self.ram[at : at + size] = value.to_bytes(size, "little")

    def get(self, at, size=4):
        return int.from_bytes(self.ram[at : at + size], "little")

    def load(self, code, at=CODE):
        """Put code (text or bytes) into memory, as a debugger does."""
        binary = asm(code, 32, at) if isinstance(code, str) else code
        self.ram[at : at + len(binary)] = binary
        self.engine.invalidate(at, len(binary))

    def load_adders(self, at, count, each):
        """Blocks every *each* bytes: each adds its number to EAX, stores that at EBX eight times, and goes on with the next.

        Behind the last one stands HLT.
        """
        for number in range(count):
            body = b"\x05" + number.to_bytes(4, "little") + b"\x89\x03" * 8 + b"\xe9"
            code = body + (each - len(body) - 4).to_bytes(4, "little")
            self.ram[at + each * number : at + each * number + len(code)] = code
        self.ram[at + each * count] = HLT
        self.engine.invalidate(at, each * count + 1)

    # -- state --

    @property
    def cpu(self):
        return self.engine.cpu

    def set(self, **fields):
        """Set processor fields; gpr names go to gpr."""
        names = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
        for name, value in fields.items():
            if name in names:
                self.cpu.gpr[names.index(name)] = value
            else:
                setattr(self.cpu, name, value)
        self.engine.cpu_changed()

    def user(self):
        """Continue at privilege level 3."""
        state = self.engine.get_state()
        state["seg"][CS].update(sel=0x1B, attr=FLAT_CODE | DPL3)
        for seg in (ES, SS, DS, FS, GS):
            state["seg"][seg].update(sel=0x23, attr=FLAT_DATA | DPL3)
        state["gpr"][ESP] = STACK3
        self.engine.set_state(state)

    # -- paging --

    def table(self):
        """A fresh zeroed page for tables."""
        at = self._next_table
        self._next_table += PAGE
        self.ram[at : at + PAGE] = bytes(PAGE)
        return at

    def another_directory(self):
        """A copy of the present page directory: another space, with the same tables."""
        at = self.table()
        self.ram[at : at + PAGE] = self.ram[self.directory : self.directory + PAGE]
        return at

    def page_32(self, flags=P | W | U, *, cr4=0):
        """32-bit paging that maps the first 4 MB onto themselves."""
        self.directory = self.table()
        for page in range(1024):
            self.map_32(page * PAGE, page * PAGE, flags)
        self.set(cr3=self.directory, cr4=cr4, cr0=self.cpu.cr0 | PG)

    def pde(self, lin):
        return self.directory + 4 * (lin >> 22)

    def pte(self, lin):
        return (self.get(self.pde(lin)) & ~0xFFF) + 4 * (lin >> 12 & 1023)

    def map_32(self, lin, phys, flags=P | W | U):
        if not self.get(self.pde(lin)) & P:
            self.put(self.pde(lin), self.table() | P | W | U)
        self.put(self.pte(lin), phys | flags)

    # -- running --

    def run(self, code=None, budget=10_000, **fields):
        """Load code at CODE if given, set fields, run; how it ended."""
        if code is not None:
            self.load(code)
            fields.setdefault("eip", CODE)
        if "eip" in fields:
            fields["halted"] = 0
        if fields:
            self.set(**fields)
        return self.engine.run(budget)

    @property
    def fault(self):
        """(vector, error code) of the fault whose handler halted, None where none did."""
        vector, offset = divmod(self.cpu.eip - 1 - HANDLERS, 16)
        if offset or not 0 <= vector < VECTORS:
            return None
        has_error = vector in (8, 10, 11, 12, 13, 14, 17)
        return vector, self.get(self.cpu.gpr[ESP]) if has_error else None

    @property
    def fault_eip(self):
        return self.get(self.cpu.gpr[ESP] + 4 * (self.fault[1] is not None))
