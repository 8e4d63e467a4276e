"""String instructions against a model of the manual's element loop (SDM 2, REP; MOVS, STOS, LODS, SCAS, CMPS, INS, OUTS)."""

import random

import pytest
from box import CODE, EAX, ECX, EDI, ESI, PAGE, Box, P, U, W

from vpcore.engine import Exit

AREA = 0x30000
AREA_SIZE = 3 * PAGE
DF, CF, PF_, AF, ZF, SF, OF = 0x400, 1, 4, 0x10, 0x40, 0x80, 0x800
REPE, REPNE = b"\xf3", b"\xf2"
MOVS, STOS, LODS, CMPS, SCAS = 0xA4, 0xAA, 0xAC, 0xA6, 0xAE
WIDTHS = (1, 2, 4)


def encode(op, size, prefix=b"", *, address16=False):
    return (
        (b"\x67" if address16 else b"") + prefix + (b"\x66" if size == 2 else b"") + bytes([op | (size > 1)]) + b"\xf4"
    )


class Model:
    """The element loop on a copy of the memory."""

    def __init__(self, memory, size, eax, ecx, esi, edi, *, down=False, mask=0xFFFFFFFF):
        self.memory, self.size, self.eax, self.ecx, self.esi, self.edi = bytearray(memory), size, eax, ecx, esi, edi
        self.step = -size if down else size
        self.mask = mask
        self.zero = None

    def load(self, at):
        return int.from_bytes(self.memory[at - AREA : at - AREA + self.size], "little")

    def store(self, at, value):
        self.memory[at - AREA : at - AREA + self.size] = value.to_bytes(self.size, "little")

    def element(self, op):
        ones = (1 << 8 * self.size) - 1
        if op == MOVS:
            self.store(self.edi, self.load(self.esi))
        elif op == STOS:
            self.store(self.edi, self.eax & ones)
        elif op == LODS:
            self.eax = (self.eax & ~ones) | self.load(self.esi)
        elif op == CMPS:
            self.zero = self.load(self.esi) == self.load(self.edi)
        elif op == SCAS:
            self.zero = (self.eax & ones) == self.load(self.edi)
        if op not in (STOS, SCAS):
            self.esi = self.esi + self.step & self.mask
        if op != LODS:
            self.edi = self.edi + self.step & self.mask

    def repeat(self, op, prefix):
        while self.ecx:
            self.element(op)
            self.ecx -= 1
            if op in (CMPS, SCAS) and self.zero != (prefix == REPE):
                break


def compare(box, model):
    got = bytes(box.ram[AREA : AREA + AREA_SIZE]), [box.cpu.gpr[n] for n in (EAX, ECX, ESI, EDI)]
    assert got[1] == [model.eax, model.ecx, model.esi, model.edi]
    assert got[0] == bytes(model.memory)
    if model.zero is not None:
        assert bool(box.cpu.eflags & ZF) == model.zero


@pytest.fixture(scope="module")
def box():
    return Box()


def fill(box, rng, kinds=256):
    box.ram[AREA : AREA + AREA_SIZE] = bytes(rng.randrange(kinds) for _ in range(AREA_SIZE))
    return bytes(box.ram[AREA : AREA + AREA_SIZE])


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("distance", [-9, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 64, PAGE + 1])
def test_overlapping_moves_are_those_of_the_element_loop(box, size, distance, down):
    memory = fill(box, random.Random(distance))
    count, start = 900, AREA + 0x800
    if down:
        start += count * size - size
    model = Model(memory, size, 0, count, start, start + distance, down=down)
    model.repeat(MOVS, REPE)
    box.load(encode(MOVS, size, REPE))

    assert box.run(eip=CODE, eax=0, ecx=count, esi=start, edi=start + distance, eflags=2 | DF * down) == Exit.HALT

    compare(box, model)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("op", [MOVS, STOS, LODS, CMPS, SCAS])
def test_random_strings_are_those_of_the_element_loop(box, op, seed):
    rng = random.Random(seed * 1000 + op)
    memory = fill(box, rng, kinds=2 if op in (CMPS, SCAS) else 256)
    size, down, prefix = rng.choice(WIDTHS), rng.random() < 0.3, rng.choice((REPE, REPNE))
    count = rng.choice((0, 1, 2, 3, rng.randrange(1000)))
    low, high = (4096, 8192) if down else (0, 4096)
    esi, edi = AREA + rng.randrange(low, high), AREA + rng.randrange(low, high)
    eax = rng.getrandbits(32)
    if op == SCAS:
        eax &= 0x01010101
    model = Model(memory, size, eax, count, esi, edi, down=down)
    model.repeat(op, prefix)
    box.load(encode(op, size, prefix))

    assert box.run(eip=CODE, eax=eax, ecx=count, esi=esi, edi=edi, eflags=2 | DF * down) == Exit.HALT

    compare(box, model)


@pytest.mark.parametrize("op", [MOVS, STOS, LODS, CMPS, SCAS])
@pytest.mark.parametrize("size", WIDTHS)
def test_without_a_prefix_one_element_moves_and_ecx_stays(box, op, size):
    memory = fill(box, random.Random(op))
    model = Model(memory, size, 0x11223344, 77, AREA + 5, AREA + 100)
    model.element(op)
    box.load(encode(op, size))

    box.run(eip=CODE, eax=0x11223344, ecx=77, esi=AREA + 5, edi=AREA + 100, eflags=2)

    compare(box, model)


def test_a_zero_count_touches_nothing_not_even_a_missing_page():
    box = Box()
    box.page_32()

    assert box.run("xor ecx, ecx\nmov edi, 0x500000\nmov esi, 0x500000\nrep movsd\nrepe cmpsb\nhlt") == Exit.HALT

    assert box.fault is None


def test_16_bit_addresses_wrap_at_64_kb(box):
    """SDM 2, string instructions: with a 16-bit address size SI, DI and CX are used."""
    box.load(encode(STOS, 1, REPE, address16=True))
    saved = bytes(box.ram[:0x10000])
    box.ram[0x10000] = 0xEE

    box.run(eip=CODE, eax=0x77, ecx=0x10004, edi=0x5FFFE, eflags=2)

    assert bytes(box.ram[0xFFFE:0x10000]) + bytes(box.ram[0:2]) == b"\x77" * 4
    assert (box.ram[0x10000], box.cpu.gpr[ECX], box.cpu.gpr[EDI]) == (0xEE, 0x10000, 0x50002)
    box.ram[:0x10000] = saved


def test_a_fault_in_the_middle_leaves_the_registers_at_the_element(box):
    """SDM 2, REP: the registers are those before the faulting iteration, EIP is the instruction's."""
    box = Box()
    box.page_32()
    box.map_32(0x500000, 0x200000)

    box.run(f"mov edi, {0x500000 + PAGE - 10}\nmov ecx, 5\nmov al, 7\nhere: rep stosd\nhlt")

    assert box.fault == (14, 2)
    assert box.cpu.cr2 == 0x500000 + PAGE
    assert (box.cpu.gpr[ECX], box.cpu.gpr[EDI]) == (3, 0x500000 + PAGE - 2)
    assert box.fault_eip == CODE + 12


def test_a_descending_fault_leaves_the_registers_at_the_element(box):
    """SDM 2, REP: the page below is missing; the fault is the highest element's there, not the lowest one's."""
    box = Box()
    box.page_32()
    box.map_32(0x500000, 0x200000)

    box.run(f"mov edi, {0x500000 + 8}\nmov esi, {0x500000 + 0x800}\nmov ecx, 5\nstd\nrep movsd\nhlt")

    assert box.fault == (14, 2)
    assert box.cpu.cr2 == 0x500000 - 4
    assert (box.cpu.gpr[ECX], box.cpu.gpr[EDI], box.cpu.gpr[ESI]) == (2, 0x500000 - 4, 0x500000 + 0x800 - 12)


def test_code_that_a_descending_string_overwrites_is_seen():
    box = Box()
    box.load(b"\xb3\x01\xc3", 0x20000)

    box.run("call 0x20000\nmov esi, ebx\nmov edi, 0x20010\nmov ecx, 17\nmov al, 0x90\nstd\nrep stosb\n"
            "mov byte [0x20010], 0xc3\nmov bl, 5\ncall 0x20000\nhlt")  # fmt: skip

    assert (box.cpu.gpr[ESI], box.cpu.gpr[3]) == (1, 5)


def test_a_repeated_string_goes_on_after_the_page_was_mapped():
    box = Box()
    box.page_32()
    box.map_32(0x500000, 0x200000)
    box.run(f"mov edi, {0x500000 + PAGE - 16}\nmov ecx, 8\nmov eax, 7\nrep stosd\nhlt")
    box.map_32(0x501000, 0x300000)

    box.run(eip=box.fault_eip)

    assert box.fault is None
    assert [box.get(0x300000 + 4 * n) for n in range(5)] == [7, 7, 7, 7, 0]


def test_an_interrupt_comes_into_a_long_repetition():
    """SDM 2, REP: pending interrupts are taken between iterations, and the instruction then goes on."""
    box = Box()
    box.set(idtr_limit=0x7FF)
    box.put(0x2000 + 8 * 0x20, 0x4100 | 8 << 16 | 0x8E00 << 32, 8)
    box.load("mov ebp, ecx\nmov dword [0xe0000000], 1\niret", 0x4100)
    calls = []

    def device(kind, at, *_):
        calls.append(at)
        if len(calls) == 3:
            box.engine.set_intr(True)
        if kind == "write":
            box.engine.set_intr(False)

    box.bus.hook = device

    box.run("sti\nmov dx, 0x10\nmov edi, 0x30000\nmov ecx, 8\nrep insb\nhlt")

    assert calls == [0x10] * 3 + [0xE0000000] + [0x10] * 5
    assert (box.cpu.gpr[5], box.cpu.gpr[ECX]) == (5, 0)


def test_a_long_repetition_takes_counted_time_wherever_it_is_interrupted():
    """One instruction for each 4096 elements left, whatever else was in between."""
    counts = []
    for disturb in (False, True):
        box = Box()
        if disturb:
            box.engine.set_breakpoint(0xDEAD)  # every element gives way
        box.run("rep stosb\nhlt", ecx=3 * 4096 + 5, edi=AREA)
        counts.append((box.engine.insns, box.cpu.gpr[ECX]))

    assert counts == [(5, 0)] * 2


def test_the_trap_flag_traps_after_each_iteration():
    """SDM 3B 17.3.1.4."""
    box = Box()
    box.put(0x2000 + 8, 0x4100 | 8 << 16 | 0x8E00 << 32, 8)
    box.load("inc ebp\nadd ebx, ecx\niret", 0x4100)

    box.run("mov edi, 0x30000\nmov ecx, 4\nrep stosb\nnop\nint3", eflags=0x102)

    # MOV, MOV (ECX = 4), the iterations, NOP
    assert (box.cpu.gpr[5], box.cpu.gpr[3]) == (7, 4 + 3 + 2 + 1)


@pytest.mark.parametrize("size", WIDTHS)
def test_ins_asks_for_a_block_and_stores_it(size):
    box = Box()
    box.bus.blocks = True
    box.bus.block = bytes(range(256)) * 8
    box.load(encode(0x6C, size, REPE))

    box.run(eip=CODE, edx=0x1F0, ecx=256, edi=AREA, eflags=2)

    assert bytes(box.ram[AREA : AREA + 256 * size]) == (bytes(range(256)) * 8)[: 256 * size]
    assert box.bus.log == [("in block", 0x1F0, size, 256 * size)]
    assert (box.cpu.gpr[ECX], box.cpu.gpr[EDI]) == (0, AREA + 256 * size)


def test_a_block_that_ends_early_goes_on_element_by_element():
    box = Box()
    box.bus.blocks = True
    box.bus.block = b"\x01\x02\x03\x04"
    box.load(encode(0x6C, 2, REPE))

    box.run(eip=CODE, edx=0x1F0, ecx=4, edi=AREA, eflags=2)

    assert bytes(box.ram[AREA : AREA + 8]) == b"\x01\x02\x03\x04\xff\xff\xff\xff"
    assert box.cpu.gpr[ECX] == 0


def test_a_block_read_into_code_is_seen():
    box = Box()
    box.bus.blocks = True
    box.bus.block = b"\xb3\x09\xc3\x90"
    box.load(b"\xb3\x01\xc3", 0x20000)

    box.run("call 0x20000\nmov esi, ebx\nmov edi, 0x20000\nmov ecx, 4\nmov dx, 0x1f0\nrep insb\ncall 0x20000\nhlt")

    assert (box.cpu.gpr[ESI], box.cpu.gpr[3]) == (1, 9)


def test_a_block_stops_at_each_page():
    box = Box()
    box.bus.blocks = True
    box.bus.block = bytes(range(256)) * 64
    box.load(encode(0x6C, 2, REPE))

    box.run(eip=CODE, edx=0x1F0, ecx=2048, edi=AREA + 0x800, eflags=2)

    assert bytes(box.ram[AREA + 0x800 : AREA + 0x1800]) == (bytes(range(256)) * 64)[:4096]
    assert [entry[3] for entry in box.bus.log] == [2048, 2048]


def test_the_port_is_not_read_when_the_destination_faults():
    """What a device gave cannot be given back: the write is checked first."""
    box = Box()
    box.page_32()

    box.run("mov dx, 0x10\nmov edi, 0x500000\ninsb\nhlt")

    assert box.fault == (14, 2)
    assert box.bus.log == []


@pytest.mark.parametrize("size", WIDTHS)
def test_outs_gives_a_block(size):
    box = Box()
    box.bus.blocks = True
    data = fill(box, random.Random(size))
    box.load(encode(0x6E, size, REPE))

    box.run(eip=CODE, edx=0x1F0, ecx=256, esi=AREA + 4, eflags=2)

    assert bytes(box.bus.taken) == data[4 : 4 + 256 * size]
    assert (box.cpu.gpr[ECX], box.cpu.gpr[ESI]) == (0, AREA + 4 + 256 * size)


def test_outs_without_blocks_writes_each_element():
    box = Box()
    box.ram[AREA : AREA + 4] = b"\x01\x02\x03\x04"

    box.run(f"mov dx, 0x10\nmov esi, {AREA}\nmov ecx, 2\nrep outsw\nhlt")

    assert box.bus.log == [("out", 0x10, 2, 0x201), ("out", 0x10, 2, 0x403)]


def test_ports_are_refused_to_user_code_without_permission():
    """SDM 1, 18.5.2: no bitmap in the TSS, so #GP(0), before the port is touched."""
    box = Box()
    box.user()

    box.run("in al, 0x10\nnop")

    assert box.fault == (13, 0)
    assert box.bus.log == []


def test_strings_onto_a_device_go_element_by_element_with_their_width():
    box = Box()
    box.page_32()
    box.map_32(0x500000, 0xE0000000, P | W | U)

    box.run("mov edi, 0x500ffc\nmov eax, 0x11223344\nmov ecx, 2\nrep stosw\nhlt")

    assert box.bus.log == [("write", 0xE0000FFC, 2, 0x3344), ("write", 0xE0000FFE, 2, 0x3344)]


def test_data_breakpoints_see_string_elements():
    """SDM 3B 17.2: a watched byte within a block that would go by one memset."""
    box = Box()
    state = box.engine.get_state()
    state["dr"] = [AREA + 100, 0, 0, 0, 0, 0, 0xFFFF0FF0, 0x400 | 1 | 1 << 16]
    box.engine.set_state(state)

    box.run(f"mov edi, {AREA}\nmov ecx, 200\nrep stosb\nhlt")

    assert box.fault == (1, None)
    assert box.cpu.gpr[ECX] == 200 - 101
    assert box.cpu.dr[6] & 0xF == 1
