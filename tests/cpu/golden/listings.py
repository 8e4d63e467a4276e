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

import iced_x86 as iced

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from box import CODE  # noqa: E402
from box import Box as Processor  # noqa: E402

BLOCKS: Final = {
    "loop": "again: mov edx, [esi]\nadd ebx, edx\nadd esi, 4\ndec ecx\njnz again\nhlt",
    "memory compare": "cmp dword [ebx], 5\nje over\ninc eax\nover: hlt",
    "call": "call there\nhlt\nthere: hlt",
    "prologue": "push ebp\nmov ebp, esp\npush edi\npush esi\nsub esp, 16\nmov eax, [ebp+8]\nmov [esp+4], eax\njmp over\nover: hlt",
    "return": "pop esi\npop edi\npop ebp\nret",
    "indirect": "mov eax, [ebx]\njmp eax",
    "far jump": "jmp 0xb000",
    "flags over an access": "cmp eax, ecx\nmov [ebx+32], edx\nsetc dl\nadc eax, [ebx+36]\nret",
    "division": "xor edx, edx\ndiv ecx\njmp over\nover: hlt",
    "sum of singles": "again: addps xmm1, [esi]\nadd esi, 16\ndec ecx\njnz again\nhlt",
    "string": "movsd\nlodsb\njmp over\nover: hlt",
    "multiplication": "imul eax, ecx\nmov [ebx], eax\njmp over\nover: hlt",
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
    text = re.sub(r"\[rbp\+[0-9A-F]+h\]", "[rbp+vm]", text)
    return re.sub(r"\b0?[0-9A-F]{9,16}h\b", "record", text)


def disassemble(code: bytes, start: int) -> str:
    """Host code that begins `start` bytes into its memory."""
    formatter = iced.Formatter(iced.FormatterSyntax.INTEL)
    decoder = iced.Decoder(64, code, ip=RECORD + start)
    lines = []
    for instruction in decoder:
        text = formatter.format(instruction)
        if instruction.op_count and instruction.op0_kind == iced.OpKind.NEAR_BRANCH64:
            target = instruction.near_branch64 - RECORD - start
            text = f"{formatter.format_mnemonic(instruction)} {'stub' if target < 0 else f'{target:03x}'}"
        lines.append(f"{instruction.ip - RECORD - start:03x}  {clean(text)}")
    return "\n".join(lines) + "\n"


def listing(name: str, mode: str) -> str:
    """The host code of one block."""
    gc.collect()  # engines that nobody holds any more
    others = code_memories()
    with patch.dict(os.environ, VPCORE_BT_MODE=mode, VPCORE_BT_WARM="1"):
        box = Processor(engine="bt")
    (memory_of_code,) = code_memories() - others
    box.page_32()
    box.load(BLOCKS[name])
    start = box.engine.stats().code_bytes
    box.load("hlt", ELSEWHERE)
    for at in range(STACK, STACK + 0x100, 4):
        box.put(at, ELSEWHERE)
    box.run(eip=CODE, ebx=STACK, esi=STACK, ecx=1, esp=STACK)
    with Path("/proc/self/mem").open("rb") as memory:
        memory.seek(memory_of_code + start)
        code = memory.read(box.engine.stats().code_bytes - start)
    box.engine.close()
    assert code, name
    return disassemble(code, start)


def host_differs() -> bool:
    """Whether the host leaves undefined flags otherwise than the interpreter: correcting them takes instructions."""
    with patch.dict(os.environ, VPCORE_BT_HOST_DIFFERS="1"):
        corrected = listing("multiplication", "flat")
    return corrected == listing("multiplication", "flat")


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
