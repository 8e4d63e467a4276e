"""Host code of some guest blocks as `bt` emits it, as text.

`python tests/cpu/golden/listings.py` writes the files beside it anew: look at what changed before committing it.  What
differs from run to run is left out: addresses of records (`record`), places in struct vp_vm (`vm`) and in the common
parts (`stub`); the block begins at 0.
"""

import gc
import os
import re
import sys
from pathlib import Path
from typing import Final
from unittest.mock import patch

import attrs
import iced_x86 as iced

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from box import CODE  # noqa: E402
from box import Box as Processor  # noqa: E402

BLOCKS: Final = {
    "loop": "again: mov edx, [esi]\nadd ebx, edx\nadd esi, 4\ndec ecx\njnz again\nhlt",
    "memory compare": "cmp dword [ebx], 5\nje over\ninc eax\nover: hlt",
    "call": "call there\nhlt\nthere: hlt",
    "call of a thunk": "mov edx, thunk\ncall edx\ncall thunk\nadd ebx, 5\nhlt\nthunk: mov ebx, [esp]\nret",
    "call of a thunk that jumps": "mov edx, thunk\nmov ebx, over\ncall edx\nover: call thunk\nadd ebx, 5\nhlt\nthunk: mov [esp], ebx\nret",
    "call of what follows": "call next\nnext: pop ebx\nadd ebx, 5\njmp over\nover: hlt",
    "prologue": "push ebp\nmov ebp, esp\npush edi\npush esi\nsub esp, 16\nmov eax, [ebp+8]\nmov [esp+4], eax\njmp over\nover: hlt",
    "return": "pop esi\npop edi\npop ebp\nret",
    "indirect": "mov eax, [ebx]\njmp eax",
    "jump by memory": "jmp [ebx+16]",
    "jump by a table": "and ecx, 3\njmp [ebx+ecx*4]",
    "jump by what was the index": "mov edx, [ebx+edx*4]\njmp edx",
    "far jump": "jmp 0xb000",
    "flags over an access": "cmp eax, ecx\nmov [ebx+32], edx\nsetc dl\nadc eax, [ebx+36]\nret",
    "division": "xor edx, edx\ndiv ecx\njmp over\nover: hlt",
    "sum of singles": "again: addps xmm1, [esi]\nadd esi, 16\ndec ecx\njnz again\nhlt",
    "product of doubles": "again: fld qword [esi]\nfmul qword [ebx]\nadd esi, 8\nadd ebx, edx\nfaddp st1, st0\ndec ecx\njnz again\nhlt",
    "repeated string": "rep movsd\njmp over\nover: hlt",
    "string": "movsd\nlodsb\njmp over\nover: hlt",
    "multiplication": "imul eax, ecx\nmov [ebx], eax\njmp over\nover: hlt",
    "data of a thread": "cmp eax, ecx\nmov edx, [gs:20]\nsetc dl\njmp over\nover: hlt",
    "load of a segment register": "mov gs, ax\njmp over\nover: hlt",
    "foreign": "mov eax, 1\ncpuid\nmov [ebx], eax\njmp over\nover: hlt",
}
MODES: Final = ("flat", "window")
STACK, ELSEWHERE = 0x8000, 0xB000
RECORD: Final = 1 << 32


def code_memories() -> set[int]:
    """Addresses of the executable mappings of translated code."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    found = [line for line in lines if "translated-code" in line and line.split()[1].startswith("r-x")]
    return {int(line.split("-")[0], 16) for line in found}


def clean(text: str) -> str:
    """Without what differs from run to run or with the layout of C structures."""
    text = re.sub(r"\[rbp\+(r\w+(?:\*8)?)?[+-]?[0-9A-F]+h?\]", r"[rbp+\1+vm]", text.replace("[rbp-", "[rbp+"))
    return text.replace("[rbp++", "[rbp+")


@attrs.frozen
class Area:
    """A part of the code memory, and where the block begins and ends in it."""

    prefix: str
    start: int
    end: int

    def name(self, at: int) -> str | None:
        """An address in the block, None where it is none."""
        return f"{self.prefix}{at - self.start:03x}" if self.start <= at <= self.end else None


def disassemble(code: bytes, areas: tuple[Area, Area], which: int) -> str:
    """Host code that lies in one of the areas."""
    formatter = iced.Formatter(iced.FormatterSyntax.INTEL)
    area = areas[which]
    lines = []

    def name(at: int) -> str:
        return next(filter(None, (part.name(at - RECORD) for part in areas)), "stub")

    for instruction in iced.Decoder(64, code, ip=RECORD + area.start):
        text = formatter.format(instruction)
        if instruction.op_count and instruction.op0_kind == iced.OpKind.NEAR_BRANCH64:
            text = f"{formatter.format_mnemonic(instruction)} {name(instruction.near_branch64)}"
        if instruction.mnemonic == iced.Mnemonic.NOP and instruction.memory_index == iced.Register.RBP:
            text = f"nop with jmp {name(instruction.next_ip + (instruction.memory_displacement & 0xFFFFFFFF))}"
        if instruction.code == iced.Code.MOV_R64_IMM64 and instruction.immediate(1):
            text = f"{text.partition(',')[0]},record"
        lines.append(f"{area.name(instruction.ip - RECORD)}  {clean(text)}\n")
    return "".join(lines)


def used(box: Processor) -> tuple[int, int]:
    """Ends of the code that there is: of what is executed often, and of the rest."""
    stats = box.engine.stats()
    return stats.code_bytes - stats.cold_bytes, stats.code_room - stats.cold_room + stats.cold_bytes


def listing(name: str, mode: str) -> str:
    """The host code of one block."""
    gc.collect()  # engines that nobody holds any more
    others = code_memories()
    with patch.dict(os.environ, VPCORE_BT_MODE=mode, VPCORE_BT_WARM="1"):
        box = Processor(engine="bt")
    (memory_of_code,) = code_memories() - others
    box.page_32()
    box.load(BLOCKS[name])
    starts = used(box)
    box.load("hlt", ELSEWHERE)
    for at in range(STACK, STACK + 0x100, 4):
        box.put(at, ELSEWHERE)
    box.run(eip=CODE, ebx=STACK, esi=STACK, ecx=1, esp=STACK)
    hot, cold = (Area(*area) for area in zip(("", "c"), starts, used(box), strict=True))
    text = ""
    with Path("/proc/self/mem").open("rb") as memory:
        for which, area in enumerate((hot, cold)):
            memory.seek(memory_of_code + area.start)
            text += disassemble(memory.read(area.end - area.start), (hot, cold), which)
    box.engine.close()
    assert text, name
    return text


def host_probes_otherwise() -> bool:
    """Whether the host lacks what asks the flat tables without changing flags."""
    with patch.dict(os.environ, VPCORE_BT_MODE="flat"):
        return "PEXT" in Processor(engine="bt").engine.lacks


def path(name: str, mode: str) -> Path:
    """Where the listing is kept."""
    return HERE / f"{name.replace(' ', '_')}.{mode}.txt"


def main() -> None:
    """Write all listings."""
    for name in BLOCKS:
        for mode in MODES:
            path(name, mode).write_text(listing(name, mode))


if __name__ == "__main__":
    main()
