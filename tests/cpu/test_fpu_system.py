"""x87, MMX and SSE in the system: CR0 and CR4, pending errors, pointers and images, faults, MMIO, the host's own modes."""

import struct

import pytest
from box import AM, CODE, PAGE, Box, Bus, D, P, U, W, asm

from vpcore.engine import Exit

MP, EM, TS, ET, NE = 2, 4, 8, 0x10, 0x20
PE, AC = 1, 1 << 18
OSFXSR, OSXMMEXCPT = 0x200, 0x400
UD, NM, GP, PF, MF, AC_FAULT, XM = 6, 7, 13, 14, 16, 17, 19
FCW, FSW, FTW, FOP, FIP, FCS, FDP, FDS, MXCSR, MXCSR_MASK, ST, XMM = 0, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32, 160
DATA = 0x20000
"""Free memory."""
MMIO = 0xE0000000
DIVIDE_ERROR = "fninit\npush 0x37b\nfldcw [esp]\nfldz\nfld1\nfdiv st0, st1\n"
"""Leaves an unmasked zero divide pending."""


@pytest.fixture
def box() -> Box:
    box = Box(cpu="host")
    box.set(cr0=ET | NE | PE, cr4=OSFXSR | OSXMMEXCPT)
    return box


def fx(box: Box, at: int, size: int = 2) -> int:
    """A field of the FXSAVE image."""
    return int.from_bytes(bytes(box.cpu.fx)[at : at + size], "little")


def top(box: Box) -> float:
    """ST(0), where that is a whole number and not too large."""
    mantissa, head = struct.unpack_from("<QH", bytes(box.cpu.fx), ST)
    return (-1) ** (head >> 15) * mantissa * 2.0 ** ((head & 0x7FFF) - 0x3FFF - 63)


# -- CR0 and CR4 --

X87, WAIT, MMX, SSE, FXSAVE, SSE_MMX, FENCE = (
    "fld1",
    "fwait",
    "paddb mm0, mm1",
    "addps xmm0, xmm1",
    f"fxsave [{DATA}]",
    "pavgb mm0, mm1",
    "mfence",
)


@pytest.mark.parametrize(
    ("code", "cr0", "vector"),
    [
        (X87, 0, None), (X87, MP, None), (X87, EM, NM), (X87, TS, NM), (X87, TS | MP, NM), (X87, EM | MP, NM),
        (WAIT, 0, None), (WAIT, EM, None), (WAIT, TS, None), (WAIT, MP, None), (WAIT, TS | MP, NM),
        (MMX, 0, None), (MMX, EM, UD), (MMX, TS, NM), (MMX, EM | TS, UD), (MMX, MP, None),
        (SSE, 0, None), (SSE, EM, UD), (SSE, TS, NM), (SSE, EM | TS, UD),
        (FXSAVE, 0, None), (FXSAVE, EM, NM), (FXSAVE, TS, NM),
        (FENCE, EM | TS, None),
    ],
)  # fmt: skip
def test_cr0_says_which_instructions_fault(box, code, cr0, vector):
    """SDM 3A, tables 2-2, 12-1 and 13-1."""
    box.run(f"{code}\nhlt", cr0=ET | NE | PE | cr0)

    assert (vector and (vector, None)) == box.fault


@pytest.mark.parametrize(("code", "vector"), [(SSE, UD), (SSE_MMX, None), (MMX, None), (FXSAVE, None), (FENCE, None)])
def test_without_osfxsr_only_xmm_instructions_are_undefined(box, code, vector):
    """SDM 3A 2.5, OSFXSR."""
    box.run(f"{code}\nhlt", cr4=0)

    assert (vector and (vector, None)) == box.fault


@pytest.mark.parametrize(("cr4", "vector"), [(OSFXSR, UD), (OSFXSR | OSXMMEXCPT, XM)])
def test_an_unmasked_simd_error_is_xm_or_ud_and_keeps_the_destination(box, cr4, vector):
    """SDM 3A 2.5, OSXMMEXCPT; SDM 1, 11.5.2."""
    box.put(DATA, 0x1F80 & ~0x200)  # zero divide unmasked
    box.put(DATA + 16, 0x3F800000)

    box.run(f"ldmxcsr [{DATA}]\nmovss xmm0, [{DATA + 16}]\nxorps xmm1, xmm1\ndivss xmm0, xmm1\nhlt", cr4=cr4)

    assert (vector, None) == box.fault
    assert fx(box, XMM, 4) == 0x3F800000
    assert fx(box, MXCSR, 4) & 0x3F == 4


# -- pending errors --


def test_an_error_is_reported_by_the_next_waiting_instruction(box):
    """SDM 1, 8.6 and 8.7.1: not by FNSTSW; EIP is that of the waiting instruction, FIP that of the one at fault."""
    box.run(DIVIDE_ERROR + "fdiv_end: fnstsw ax\nwaits: fld1\nhlt")

    assert (MF, None) == box.fault
    assert box.cpu.gpr[0] & 0x84 == 0x84
    assert bytes(box.ram[box.fault_eip : box.fault_eip + 2]) == b"\xd9\xe8"
    assert bytes(box.ram[fx(box, FIP, 4) :][:2]) == b"\xd8\xf1"


@pytest.mark.parametrize("code", ["fwait", "paddb mm0, mm0", "emms", "cvtps2pi mm0, xmm0", "fldcw [esp]"])
def test_mmx_and_control_instructions_wait_too(box, code):
    """SDM 1, 8.6; SDM 3A 12.5."""
    box.run(DIVIDE_ERROR + f"{code}\nhlt")

    assert (MF, None) == box.fault


@pytest.mark.parametrize("code", ["fnclex", "fninit", "fnstenv [0x20000]", "fnsave [0x20000]"])
def test_instructions_that_do_not_wait_end_the_error(box, code):
    """SDM 1, 8.6; FNSTENV masks it."""
    box.run(DIVIDE_ERROR + f"{code}\nfwait\nhlt")

    assert box.fault is None


class Irq13:
    """FERR# and IRQ 13 as a PC's board connects them (SDM 1, D.2.1): an interrupt on a rise, port F0h sets IGNNE#."""

    def __init__(self):
        self.levels = []
        self.box = Box(cpu="host", bus=Bus(hook=self._out), inta=lambda: 1, ferr=self._ferr)
        self.box.set(cr0=ET | PE, eflags=0x202)

    def _ferr(self, level):
        self.levels.append(bool(level))
        self.box.engine.set_intr(bool(level))

    def _out(self, kind, port, *_):
        if (kind, port) == ("out", 0xF0):
            self.box.engine.set_intr(False)
            self.box.engine.set_ignne(True)


def test_without_ne_the_processor_stands_still_until_irq_13_is_handled():
    """SDM 1, 8.7.2 and D.2.1: FERR#; the handler clears the error; then the waiting instruction executes."""
    irq = Irq13()
    irq.box.load("fnclex\nmov ebx, 13\niretd", irq.box.get(0x2000 + 8, 2))  # vector 1's handler

    irq.box.run(DIVIDE_ERROR + "fld1\nhlt")

    assert [True, False] == irq.levels
    assert irq.box.cpu.gpr[3] == 13
    assert top(irq.box) == 1.0


def test_ignne_lets_the_guest_go_on_in_spite_of_the_error():
    """SDM 1, D.2.1: waiting instructions execute while IGNNE# is asserted; the masks stay what they are."""
    irq = Irq13()
    irq.box.load("out 0xf0, al\nfld1\nfstcw [0x20000]\nfldpi\nfnclex\niretd", irq.box.get(0x2000 + 8, 2))

    irq.box.run(DIVIDE_ERROR + "fwait\nfnop\nhlt")

    assert [True, False] == irq.levels
    assert irq.box.get(DATA, 2) == 0x37B
    assert fx(irq.box, FSW) >> 11 & 7 == 4  # four values on the stack
    assert fx(irq.box, FSW) & 0x80 == 0


def test_with_interrupts_off_the_frozen_processor_stops():
    """SDM 1, D.2.1: it waits for an interrupt; nothing else happens."""
    irq = Irq13()

    assert irq.box.run(DIVIDE_ERROR + "fld1\nmov ebx, 1\nhlt", eflags=2) == Exit.HALT

    assert irq.box.cpu.gpr[3] == 0


# -- pointers and images --


def test_pointers_name_the_last_instruction_and_operand_but_not_control_instructions(box):
    """SDM 1, 8.1.8 and 8.1.9, figure 8-9."""
    box.run(f"fninit\nfld dword [{DATA}]\nfnclex\nfnstenv [{DATA + 64}]\nhlt")

    image = struct.unpack_from("<7I", box.ram, DATA + 64)
    assert image[3] == CODE + 2
    assert image[4] == 8 | 0x105 << 16  # CS; D9 05 without its five fixed bits
    assert image[5] == DATA
    assert image[6] == 0xFFFF0000 | 16  # DS
    assert image[:3] == (0xFFFF037F, 0xFFFF3800, 0xFFFF7FFF)  # zero is tag 1, in register 7


def test_the_16_bit_protected_image_has_no_opcode(box):
    """SDM 1, figure 8-11."""
    box.run(f"fninit\nfld1\no16 fnstenv [{DATA}]\nhlt")

    assert struct.unpack_from("<7H", box.ram, DATA)[:5] == (0x37F, 0x3800, 0x3FFF, CODE + 2, 8)


@pytest.mark.parametrize(("prefix", "words"), [("", "<7H"), ("o32 ", "<7I")])
def test_real_mode_images_have_linear_addresses(box, prefix, words):
    """SDM 1, figures 8-10 and 8-12."""
    state = box.engine.get_state()
    for seg in range(6):
        state["seg"][seg] = {"sel": 0x1000, "base": 0x10000, "limit": 0xFFFF, "attr": 0x93}
    box.engine.set_state(state | {"cr0": ET | NE, "eip": 0x100, "halted": 0})
    box.load(asm(f"fninit\nfld dword [0x4321]\n{prefix}fnstenv [0x200]\nhlt", 16, 0x100), 0x10100)

    assert box.engine.run(100) == Exit.HALT

    image = [field & 0xFFFF for field in struct.unpack_from(words, box.ram, 0x10200)]
    assert image[3:] == [0x0102, 1 << 12 | 0x106, 0x4321, 1 << 12]


def test_frstor_brings_back_what_fnsave_stored(box):
    """SDM 2, FSAVE and FRSTOR."""
    code = f"fninit\nfld1\nfldpi\nfdecstp\nfnstenv [{DATA}]\nfnsave [{DATA + 256}]\nfldz\nfrstor [{DATA + 256}]\n"

    box.run(code + f"fnsave [{DATA + 512}]\nhlt")

    assert bytes(box.ram[DATA + 256 : DATA + 364]) == bytes(box.ram[DATA + 512 : DATA + 620])
    assert box.get(DATA + 256 + 8, 2) == 0x0FFF  # registers 7 and 6 are in use


def test_fxsave_leaves_the_rest_of_its_512_bytes_alone_and_fxrstor_reads_it_back(box):
    """SDM 1, 10.5.1."""
    box.ram[DATA : DATA + 512] = b"\xa5" * 512

    box.run(f"fninit\nfldpi\npcmpeqd xmm3, xmm3\nfxsave [{DATA}]\nfninit\npxor xmm3, xmm3\nfxrstor [{DATA}]\nhlt")

    assert bytes(box.ram[DATA + 288 : DATA + 512]) == b"\xa5" * 224
    assert fx(box, XMM + 48, 16) == (1 << 128) - 1
    assert fx(box, ST, 10) == 0x4000C90FDAA22168C235
    assert fx(box, FTW, 1) == 0x80


@pytest.mark.parametrize("code", [f"fxsave [{DATA + 8}]", f"fxrstor [{DATA + 8}]", f"movaps xmm0, [{DATA + 8}]"])
def test_operands_that_must_be_aligned_are(box, code):
    """SDM 1, 4.1.1 and 10.5."""
    box.run(f"{code}\nhlt")

    assert (GP, 0) == box.fault


@pytest.mark.parametrize(("cpu", "mask"), [("pentium3", 0xFFBF), ("host", 0xFFFF)])
def test_mxcsr_bits_that_the_model_lacks_fault(cpu, mask):
    """SDM 1, 10.2.3 and 11.6.6: denormals-are-zeros came with SSE2."""
    box = Box(cpu=cpu)
    box.set(cr0=ET | NE | PE, cr4=OSFXSR)
    box.put(DATA, mask)
    box.put(DATA + 4, 0x1FC0 if mask == 0xFFBF else 0x11F80)

    box.run(f"ldmxcsr [{DATA}]\nfxsave [{DATA + 512}]\nldmxcsr [{DATA + 4}]\nhlt")

    assert (GP, 0) == box.fault
    assert (box.get(DATA + 512 + MXCSR), box.get(DATA + 512 + MXCSR_MASK)) == (mask, mask)


def test_power_up_state(box):
    """SDM 3A, table 9-1."""
    box.engine.reset()

    assert (fx(box, FCW), fx(box, FSW), fx(box, FTW, 1), fx(box, MXCSR, 4)) == (0x40, 0, 0xFF, 0x1F80)
    assert not any(bytes(box.cpu.fx)[ST:288])


# -- faults leave the state alone --


@pytest.mark.parametrize(
    "code", ["fstp dword", "fstp qword", "fstp tword", "fistp dword", "fbstp", "fnsave", "fnstenv"]
)
@pytest.mark.parametrize("before_end", [1, 0])
def test_a_store_that_faults_changes_neither_unit_nor_memory(box, code, before_end):
    """SDM 3A 6.6: faults are restartable; also where only the second page is not writable."""
    box.page_32()
    second = DATA + PAGE
    box.map_32(second, second, P | U)
    box.set(cr0=box.cpu.cr0 | 1 << 16)
    at = second - before_end
    box.ram[at : at + 128] = b"\xa5" * 128

    box.run(f"fninit\nfld1\nfldpi\n{code} [{at}]\nhlt")

    assert (PF, W | P) == box.fault
    assert bytes(box.ram[at : at + 128]) == b"\xa5" * 128
    assert fx(box, FSW) == 6 << 11
    assert not box.get(box.pte(second)) & D


def test_alignment_checks_reach_x87_operands(box):
    """SDM 3A 6.15, interrupt 17."""
    box.set(cr0=box.cpu.cr0 | AM)
    box.page_32()
    box.user()

    box.run(f"fninit\nfld1\nfstp qword [{DATA + 4}]\nhlt", eflags=AC | 2)

    assert (AC_FAULT, 0) == box.fault
    assert fx(box, FSW) == 7 << 11


# -- memory-mapped registers, and the host's own modes --


def test_x87_operands_may_be_device_registers(box):
    """A device call in the middle of an instruction finds the host's x87 as its own, and the guest's comes back."""
    box.bus.answers[MMIO] = struct.unpack("<I", struct.pack("<f", 2.5))[0]

    box.run(f"fninit\nfld1\nfadd dword [{MMIO}]\nfst dword [{MMIO + 4}]\nfstp qword [{MMIO + 8}]\nhlt")

    assert [entry for entry in box.bus.log if entry[0] == "write"] == [
        ("write", MMIO + 4, 4, 0x40600000),
        ("write", MMIO + 8, 8, 0x400C000000000000),
    ]
    assert fx(box, FSW) == 0


def test_an_unmasked_error_keeps_a_store_from_a_device_register(box):
    """SDM 1, 8.5.1: an unmasked invalid operation leaves the destination alone."""
    box.run(f"fninit\npush 0x37e\nfldcw [esp]\nfist dword [{MMIO}]\nfnstsw ax\nhlt")

    assert box.bus.log == []
    assert box.cpu.gpr[0] & 0xFFFF == 0x80C1  # B, ES, SF, IE


def test_sse_and_mmx_operands_may_be_device_registers(box):
    """All 16 bytes of an operand, in two accesses."""
    box.bus.answers.update({MMIO: 0x1111111122222222, MMIO + 8: 0x3333333344444444})

    box.run(f"movups xmm1, [{MMIO}]\nmovups [{MMIO + 16}], xmm1\npaddb mm0, [{MMIO}]\nmovq [{MMIO + 32}], mm0\nhlt")

    assert [entry[1:] for entry in box.bus.log if entry[0] == "write"] == [
        (MMIO + 16, 8, 0x1111111122222222),
        (MMIO + 24, 8, 0x3333333344444444),
        (MMIO + 32, 8, 0x1111111122222222),
    ]


MODES = (
    f"mov dword [{DATA}], 0xffc0\nldmxcsr [{DATA}]\nmov word [{DATA}], 0x0c7f\nfldcw [{DATA}]\n"
    "fld1\nfldpi\nfmul st0, st1\nmovd xmm0, eax\nmulss xmm0, xmm0\n"
)


def test_devices_and_the_host_compute_in_their_own_modes(box):
    """The guest flushes denormals and rounds to zero; neither Python in a device call nor after the run may."""
    seen = []
    third, tiny = 3.0, 1e-310
    box.bus.hook = lambda *_: seen.append((1 / third, tiny / 2))
    before = (1 / third, tiny / 2)

    box.run(MODES + "out 0x70, al\nmulss xmm0, xmm0\nhlt")

    assert seen == [before]
    assert (1 / third, tiny / 2) == before


def test_single_steps_make_the_same_state_as_one_run(box):
    """The state goes to memory and back between any two instructions."""
    code = (
        f"fninit\nfldpi\nfld1\nfsubp\nfsin\nfld st0\nfyl2x\nmov dword [{DATA}], 0x1f80\nldmxcsr [{DATA}]\n"
        "mov eax, 0x3f800003\nmovd xmm0, eax\nsqrtss xmm0, xmm0\ndivss xmm0, xmm0\nmovd mm3, eax\npaddw mm3, mm3\n"
        "cvtpi2ps xmm1, mm3\nemms\nfld1\nfild dword [0x20000]\nfprem\nhlt"
    )
    other = Box(cpu="host")
    other.set(cr0=ET | NE | PE, cr4=OSFXSR | OSXMMEXCPT)
    other.run(code)

    box.load(code)
    box.set(eip=CODE)
    while box.run(budget=1) != Exit.HALT:
        pass

    assert box.engine.get_state() == other.engine.get_state()
