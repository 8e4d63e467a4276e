"""A processor's state between any two instructions is all there is: another engine goes on from it as if nothing were."""

import pytest
from box import CODE, EAX, EBX, Box, Bus, asm

from vpcore.engine import Exit

DATA = 0x20000
HANDLER = 0x30000
IDT_DB = 0x2000 + 8
CR0 = 0x11
"""PE and ET; NE is off."""
DIVIDE_ERROR = "fninit\npush 0x37b\nfldcw [esp]\nfldz\nfld1\nfdiv st0, st1\n"
COUNT = "inc ebx\nmov ebp, dr6\niretd"

SINGLE_STEP = f"mov edx, ss\npush 0x102\npopfd\ninc eax\nmov ss, edx\nmov [{DATA}], eax\npush 2\npopfd\nhlt"
"""Four traps: after INC, the store, PUSH and POPFD; not after MOV SS (SDM 3A 6.8.3)."""
DATA_BREAKPOINT = f"mov eax, {DATA}\nmov dr0, eax\nmov eax, 0xd0001\nmov dr7, eax\nmov [{DATA}], ecx\nnop\nhlt"
HELD_BREAKPOINT = (
    f"mov [{DATA}], ss\nmov eax, {DATA}\nmov dr0, eax\nmov eax, 0x70001\nmov dr7, eax\nmov ss, [{DATA}]\nnop\nhlt"
)
"""A data breakpoint on the operand of MOV SS waits for the instruction after it (SDM 3A 6.8.3)."""
RESUME_FLAG = (
    "mov eax, target\nmov dr0, eax\nmov eax, 1\nmov dr7, eax\nmov esi, 2\n"
    "again: push 0x10002\npush cs\npush target\niretd\ntarget: inc ecx\njmp next\nnext: dec esi\njnz target\nhlt"
)
"""IRETD with RF passes the breakpoint once; the jump to it later does not (SDM 3B 17.3.1.1)."""


def start(code, handler, **kwargs):
    box = Box(**kwargs)
    box.put(IDT_DB, (HANDLER & 0xFFFF) | 8 << 16 | 0x8E00 << 32 | HANDLER >> 16 << 48, 8)
    box.load(handler, HANDLER)
    box.load(asm(code, 32, CODE))
    box.set(eip=CODE)
    return box


def continued(box, **kwargs):
    """A new processor with this one's memory and state."""
    other = Box(**kwargs)
    other.ram[:] = box.ram
    other.engine.set_state(box.engine.get_state())
    return other


def in_pieces(box, **kwargs):
    """Run to HLT, each instruction on a processor of its own; the last one."""
    for _ in range(200):
        if box.engine.run(1) == Exit.HALT:
            return box
        box = continued(box, **kwargs)
    raise AssertionError("the program does not end")


@pytest.mark.parametrize(
    ("code", "handler", "traps"),
    [
        (SINGLE_STEP, COUNT, 4),
        (DATA_BREAKPOINT, COUNT, 1),
        (HELD_BREAKPOINT, COUNT, 1),
        (RESUME_FLAG, f"or dword [esp + 8], 0x10000\n{COUNT}", 1),
    ],
    ids=["single step", "data breakpoint", "data breakpoint of MOV SS", "RF"],
)
def test_traps_survive_a_change_of_processor_after_each_instruction(code, handler, traps):
    whole = start(code, handler)
    assert whole.engine.run(1000) == Exit.HALT

    pieces = in_pieces(start(code, handler))

    assert whole.cpu.gpr[EBX] == traps
    assert whole.engine.get_state() == pieces.engine.get_state()


def test_an_ignored_x87_error_stays_ignored():
    """SDM 1, D.2: the handler of IRQ 13 asserts IGNNE#, which holds until the error is gone."""
    levels = []

    def port(kind, number, *_):
        if (kind, number) == ("out", 0xF0):
            boxes[-1].engine.set_intr(False)
            boxes[-1].engine.set_ignne(True)

    def ferr(level):
        levels.append(bool(level))
        boxes[-1].engine.set_intr(bool(level))

    wires = {"cpu": "host", "bus": Bus(hook=port), "inta": lambda: 1, "ferr": ferr}
    boxes = [start(DIVIDE_ERROR + "fwait\nfld1\nfnclex\nfwait\nmov eax, 1\nhlt", "out 0xf0, al\niretd", **wires)]
    boxes[0].set(cr0=CR0, eflags=0x202)
    for _ in range(100):
        if boxes[-1].engine.run(1) == Exit.HALT and boxes[-1].cpu.gpr[EAX]:
            break
        other = continued(boxes[-1], **wires)
        other.engine.set_intr(levels[-1:] == [True] and not boxes[-1].cpu.ignne)
        boxes.append(other)

    assert boxes[-1].cpu.gpr[EAX] == 1
    assert levels == [True, False]


def test_a_state_that_cannot_be_is_made_one_that_can():
    """A checkpoint is input: FERR# without an error, IGNNE# without FERR#, bits that are no traps."""
    box = Box()
    box.engine.set_state({"ferr": 1, "ignne": 1, "pending_db": 0xFFFFFFFF})

    state = box.engine.get_state()

    assert (state["ferr"], state["ignne"], state["pending_db"]) == (0, 0, 0x800F)
