"""Short blocks that several others lead to, of which `bt` puts a copy behind each of these (front.c, worth_a_copy())."""

from pathlib import Path

import pytest
from box import CODE, EBX, EDX, STACK0
from box import Box as Processor
from golden.listings import code_memories

from vpcore.engine import Exit
from vpcore.engine.engine import probe

PROGRAM, TABLE = 0x200000, 0x200100
OPERATIONS = (0, 1, 3, 2, 1, 3, 3, 2)
ADDS = (0, 5, 70, 900)
ROUNDS, MASK = 30_000, 0xFFFFFFFF
MARK, OTHER = 0x05EC0DE5, 0x00000003
"""What the common part adds, so that it is found in host code; and what it adds once it has been changed."""

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])


@pytest.fixture(autouse=True, params=["in place", "sliding"])
def kind(request, monkeypatch):
    if request.param == "sliding":
        monkeypatch.setenv("VPCORE_BT_SLIDE", "1")
    monkeypatch.setenv("VPCORE_BT_MODE", "window")
    monkeypatch.setenv("VPCORE_BT_LOOKS", "none")


def threaded(change=""):
    """A program in threaded code: each operation goes on with the same few instructions, which find the next one."""
    operations = "".join(f"op{k}: add ebx, {ADDS[k]}\njmp next\n" for k in range(1, len(ADDS)))
    labels = "".join(f"mov dword [{TABLE + 4 * k}], op{k}\n" for k in range(len(ADDS)))
    bytes_ = "".join(f"mov byte [{PROGRAM + k}], {op}\n" for k, op in enumerate(OPERATIONS))
    return (
        f"{labels}{bytes_}mov ecx, {ROUNDS}\nxor ebx, ebx\nxor edx, edx\nxor ebp, ebp\njmp next\n"
        f"op0: cmp ecx, {ROUNDS // 2}\njne on\n{change}\non: dec ecx\njz done\njmp next\n{operations}"
        f"next: add edx, {MARK}\nmovzx eax, byte [{PROGRAM}+ebp]\ninc ebp\nand ebp, {len(OPERATIONS) - 1}\n"
        f"jmp [{TABLE}+eax*4]\ndone: hlt"
    )


def run(program):
    """The processor when it is through, and the addresses of host code that was new."""
    others = code_memories()
    box = Processor(engine="bt", clock="realtime")
    (memory,) = code_memories() - others
    box.page_32()
    box.load(program)
    box.set(eip=CODE, halted=0, esp=STACK0)
    assert box.engine.run() is Exit.HALT
    return box, memory


def test_what_operations_of_threaded_code_go_on_with_stands_behind_each_of_them():
    box, memory = run(threaded())

    with Path("/proc/self/mem").open("rb") as host:
        host.seek(memory)
        code = host.read(box.engine.stats().code_bytes)

    assert code.count(MARK.to_bytes(4, "little")) >= 1 + len(ADDS)
    assert box.cpu.gpr[EBX] == sum(ADDS[op] for op in OPERATIONS) * (ROUNDS - 1) & MASK
    assert box.cpu.gpr[EDX] == MARK * (1 + len(OPERATIONS) * (ROUNDS - 1)) & MASK


def test_a_block_that_changes_changes_behind_each_of_them():
    before, after = ROUNDS - ROUNDS // 2, ROUNDS // 2 - 1

    box, _ = run(threaded(f"mov dword [next+2], {OTHER}"))

    assert box.cpu.gpr[EBX] == sum(ADDS[op] for op in OPERATIONS) * (ROUNDS - 1) & MASK
    assert box.cpu.gpr[EDX] == MARK * (1 + len(OPERATIONS) * before) + OTHER * len(OPERATIONS) * after & MASK
