"""The silicon oracle says what Intel's manual says (SDM volumes 1 to 3), and survives what cases do to it."""

import os
import signal
import struct
import threading

import numpy as np
import pytest
from oracle import (
    CRASHED,
    DONE,
    FX_IN,
    FX_OUT,
    PATCH,
    REFUSED,
    SEGMENTS,
    STACK_TOP,
    TRAP,
    WINDOW_BASE,
    WINDOW_SIZE,
    Oracle,
    Sel,
    blank_cases,
    descriptor,
    set_code,
)

CF, PF, AF, ZF, SF, DF, OF = 1, 4, 0x10, 0x40, 0x80, 0x400, 0x800
STATUS = CF | PF | AF | ZF | SF | OF
RF = 1 << 16  # set in the image that a fault pushes (SDM 3B, 17.3.1.1)
DE, DB, BP, OF_TRAP, BR, UD, NP, SS, GP, PF_TRAP, MF, XM = 0, 1, 3, 4, 5, 6, 11, 12, 13, 14, 16, 19
NOP = b"\x90"
FCW, FSW, FTW, MXCSR, ST0, XMM0 = 0, 2, 4, 24, 32, 160  # offsets in the FXSAVE image (SDM 1, table 10-2)


def fx_image(fcw: int = 0x37F, mxcsr: int = 0x1F80, xmm: tuple[bytes, ...] = ()) -> bytes:
    image = bytearray(512)
    struct.pack_into("<H", image, FCW, fcw)
    struct.pack_into("<I", image, MXCSR, mxcsr)
    for i, value in enumerate(xmm):
        image[XMM0 + 16 * i : XMM0 + 16 * i + 16] = value
    return bytes(image)


# ---- integer flags ----


@pytest.mark.parametrize(
    ("a", "b", "total", "flags"),
    [
        (0x7FFFFFFF, 1, 0x80000000, OF | SF | AF | PF),  # signed overflow, no carry
        (0xFFFFFFFF, 1, 0, CF | ZF | AF | PF),  # carry, no signed overflow
        (0x80000000, 0x80000000, 0, CF | OF | ZF | PF),
        (2, 1, 3, PF),
        (0x0F, 1, 0x10, AF),
    ],
)
def test_add_sets_of_and_cf_for_signed_and_unsigned_results(oracle: Oracle, a, b, total, flags):
    """SDM 2A, ADD."""
    result = oracle.run_one(b"\x01\xd8", regs={"eax": a, "ebx": b})

    assert (total, flags) == (result.regs["eax"], result.eflags & STATUS)


@pytest.mark.parametrize(
    ("a", "b", "difference", "flags"),
    [
        (0, 1, 0xFFFFFFFF, CF | SF | AF | PF),
        (0x80000000, 1, 0x7FFFFFFF, OF | AF | PF),
        (5, 5, 0, ZF | PF),
    ],
)
def test_sub_sets_cf_for_a_borrow(oracle: Oracle, a, b, difference, flags):
    """SDM 2B, SUB."""
    result = oracle.run_one(b"\x29\xd8", regs={"eax": a, "ebx": b})

    assert (difference, flags) == (result.regs["eax"], result.eflags & STATUS)


def test_adc_over_all_bytes_and_carries_agrees_with_arithmetic(oracle: Oracle):
    """SDM 2A, ADC, all 131072 inputs of the 8-bit form in one batch."""
    inputs = np.arange(1 << 17, dtype=np.uint32)
    a, b, carry = inputs & 0xFF, inputs >> 8 & 0xFF, inputs >> 16
    cases = blank_cases(len(inputs))
    set_code(cases[0], b"\x10\xd8")  # adc al, bl
    cases["code"], cases["code_len"] = cases["code"][0], cases["code_len"][0]
    cases["gpr"][:, 0], cases["gpr"][:, 3], cases["eflags"] = a, b, carry

    results = oracle.run(cases).results

    total = a + b + carry
    byte = total & 0xFF
    odd = np.unpackbits(byte.astype(np.uint8)[:, None], axis=1).sum(axis=1) & 1
    flags = (total >> 8) * CF + (1 - odd) * PF + ((a ^ b ^ total) & AF) + (byte == 0) * ZF + (byte & SF)
    flags = flags + ((a ^ total) & (b ^ total) & 0x80) * (OF // 0x80)
    assert np.array_equal(byte, results["gpr"][:, 0])
    assert np.array_equal(flags, results["eflags"] & STATUS)


def test_decimal_adjust_works_though_64_bit_mode_has_none(oracle: Oracle):
    """SDM 2A, DAA: its example, 79h + 35h = 114 decimal; AAM: AH = AL / 10, AL = AL mod 10."""
    daa = oracle.run_one(b"\x00\xd8\x27", regs={"eax": 0x79, "ebx": 0x35})
    aam = oracle.run_one(b"\xd4\x0a", regs={"eax": 63})

    assert (daa.regs["eax"], daa.eflags & (CF | ZF)) == (0x14, CF)
    assert (aam.regs["eax"], aam.eflags & (SF | ZF | PF)) == (0x0603, PF)


def test_a_case_starts_and_ends_with_all_its_registers_and_flags(oracle: Oracle):
    regs = {"eax": 1, "ecx": 0xFFFFFFFF, "edx": 3, "ebx": 4, "esp": 0x87654321, "ebp": 6, "esi": 7, "edi": 0x80000008}

    result = oracle.run_one(NOP, regs=regs, flags=STATUS | DF)

    assert regs == result.regs
    assert result.eflags & (STATUS | DF) == STATUS | DF
    assert (result.status, result.eip, result.changes) == ("done", 1, {})


def test_only_status_flags_and_df_can_be_set(oracle: Oracle):
    """TF, NT, IOPL, VM, AC of a case's EFLAGS are ignored; IF is the host's (set)."""
    result = oracle.run_one(NOP, flags=0xFFFFFFFF)

    assert result.eflags == 0x202 | STATUS | DF


# ---- exceptions ----


@pytest.mark.parametrize(
    ("code", "vector", "eip", "error"),
    [
        (b"\x90\xf7\xf1", DE, 1, 0),  # div ecx, by zero
        (b"\xd4\x00", DE, 0, 0),  # aam 0
        (b"\xcc", BP, 1, 0),
        (b"\x90\x0f\x0b", UD, 1, 0),
        (b"\xf0\x90", UD, 0, 0),  # lock nop
        (b"\xf4", GP, 0, 0),  # hlt
        (b"\xec", GP, 0, 0),  # in al, dx
        (b"\xfa", GP, 0, 0),  # cli
        (b"\xcd\x21", GP, 0, 0x21 << 3 | 2),  # int 21h: gate of DPL 0 (SDM 3A, 6.13)
    ],
)
def test_exceptions_report_vector_error_code_and_eip(oracle: Oracle, code, vector, eip, error):
    """SDM 3A, table 6-1 and section 6.15."""
    result = oracle.run_one(code)

    assert ("trap", vector, eip, error) == (result.status, result.trapno, result.eip, result.error)


def test_int1_is_a_debug_exception(oracle: Oracle):
    """SDM 2A, INT1. Not asserted: EIP. It is a trap, but under some hypervisors EIP stays at the instruction."""
    result = oracle.run_one(b"\xf1")

    assert (result.status, result.trapno) == ("trap", DB)


def test_faults_push_rf_and_traps_do_not(oracle: Oracle):
    """SDM 3B, 17.3.1.1."""
    assert oracle.run_one(b"\x0f\x0b").eflags & RF == RF
    assert oracle.run_one(b"\xcc").eflags & RF == 0


def test_into_traps_only_on_overflow(oracle: Oracle):
    """SDM 2A, INT n/INTO/INT3/INT1: vector 4, a trap."""
    overflow, none = oracle.run_one(b"\xce", flags=OF), oracle.run_one(b"\xce")

    assert (overflow.status, overflow.trapno, overflow.eip) == ("trap", OF_TRAP, 1)
    assert none.status == "done"


@pytest.mark.parametrize(("index", "vector"), [(9, BR), (10, None), (20, None), (21, BR)])
def test_bound_faults_outside_inclusive_limits(oracle: Oracle, index, vector):
    """SDM 2A, BOUND."""
    limits = {0x100: struct.pack("<ii", 10, 20)}

    result = oracle.run_one(b"\x62\x03", regs={"eax": index, "ebx": WINDOW_BASE + 0x100}, window=limits)

    assert vector == result.trapno


@pytest.mark.parametrize(
    ("code", "address", "error"),
    [
        (b"\x8b\x03", WINDOW_BASE + WINDOW_SIZE, 4),  # user read, not present
        (b"\x89\x03", WINDOW_BASE - 4, 6),  # user write, not present
        (b"\x89\x03", 0x20000000, 7),  # the code area: user write, protection
    ],
)
def test_page_faults_report_cr2_and_error_code(oracle: Oracle, code, address, error):
    """SDM 3A, 4.7."""
    result = oracle.run_one(code, regs={"ebx": address})

    assert (PF_TRAP, address, error, 0) == (result.trapno, result.cr2, result.error, result.eip)


def test_a_fault_keeps_what_the_window_got_before(oracle: Oracle):
    """Half of a REP STOSD goes in the window, the rest behind it (SDM 2B, REP: state as of the last iteration)."""
    result = oracle.run_one(b"\xf3\xab", regs={"edi": WINDOW_BASE + WINDOW_SIZE - 8, "ecx": 4, "eax": 0x04030201})

    assert (result.trapno, result.regs["ecx"], result.cr2) == (PF_TRAP, 2, WINDOW_BASE + WINDOW_SIZE)
    assert result.bytes_at(WINDOW_SIZE - 8, 8) == b"\1\2\3\4\1\2\3\4"


def test_segment_faults_have_the_selector_as_error_code(oracle: Oracle):
    """SDM 3A, 6.15, vectors 11 to 13: the selector without RPL, with its TI bit."""
    absent = oracle.run_one(b"\x8e\xd8", regs={"eax": Sel.ABSENT})
    code_as_stack = oracle.run_one(b"\x8e\xd0", regs={"eax": Sel.CODE32})
    read_only = oracle.run_one(b"\x89\x07", 16, segs={"ds": Sel.READ_ONLY})
    beyond = oracle.run_one(b"\x8b\x07", 16, segs={"ds": Sel.SMALL}, regs={"ebx": 0xFFF})
    stack = oracle.run_one(b"\x50", 16, segs={"ss": Sel.SMALL}, regs={"esp": 0x2000})
    below = oracle.run_one(b"\x8a\x07", 16, segs={"ds": Sel.DOWN16}, regs={"ebx": 0xFFF})

    assert (absent.trapno, absent.error) == (NP, Sel.ABSENT & ~3)
    assert (code_as_stack.trapno, code_as_stack.error) == (GP, Sel.CODE32 & ~3)
    assert [(r.trapno, r.error) for r in (read_only, beyond, stack, below)] == [(GP, 0), (GP, 0), (SS, 0), (GP, 0)]


@pytest.mark.parametrize("selector", [i << 3 | 7 for i in range(len(SEGMENTS)) if SEGMENTS[i]["in_use"]])
def test_lar_and_lsl_see_the_descriptors_that_we_publish(oracle: Oracle, selector):
    """SDM 2A, LAR (second doubleword masked by 00FxFF00h, x undefined) and LSL (the limit in bytes)."""
    limit = int(SEGMENTS[selector >> 3]["limit"])
    limit = limit << 12 | 0xFFF if SEGMENTS[selector >> 3]["limit_in_pages"] else limit

    result = oracle.run_one(b"\x0f\x02\xc1\x0f\x03\xd1", regs={"ecx": selector})

    assert (descriptor(selector) >> 32 & 0xF0FF00, limit) == (result.regs["eax"] & 0xF0FF00, result.regs["edx"])


def test_segment_registers_come_back(oracle: Oracle):
    result = oracle.run_one(b"\x8e\xe0\x0f\x0b", regs={"eax": Sel.STACK32}, segs={"gs": Sel.DATA16})

    assert result.segs["fs"] == Sel.STACK32
    assert (result.segs["gs"], result.segs["es"]) == (Sel.DATA16, Sel.DATA32)


# ---- 16-bit code ----


def test_16_bit_code_uses_16_bit_operands_and_addresses(oracle: Oracle):
    """SDM 2A, table 2-1: ModRM 00 000 is [BX+SI], wrapping at 64 KB; upper register halves stay."""
    result = oracle.run_one(
        b"\x8b\x00", 16, regs={"eax": 0x11110000, "ebx": 0xAAAAFFF0, "esi": 0xBBBB0020}, window={0x10: b"\x34\x12"}
    )

    assert (result.status, result.regs["eax"]) == ("done", 0x11111234)


def test_a_16_bit_stack_moves_sp_only(oracle: Oracle):
    """SDM 1, 6.2.3: the stack segment's B flag chooses SP; it wraps from 0 to FFFEh."""
    result = oracle.run_one(b"\x50", 16, regs={"eax": 0x1234, "esp": 0xDEAD0000})

    assert result.regs["esp"] == 0xDEADFFFE
    assert result.bytes_at(0xFFFE, 2) == b"\x34\x12"


def test_16_bit_code_that_faults_or_hangs_comes_back_with_its_esp(oracle: Oracle):
    fault = oracle.run_one(b"\x0f\x0b", 16, regs={"esp": 0xDEAD8000})
    hang = oracle.run_one(b"\xeb\xfe", 16, regs={"esp": 0xDEAD8000})

    assert (fault.status, fault.trapno, fault.eip, fault.regs["esp"]) == ("trap", UD, 0, 0xDEAD8000)
    assert (hang.status, hang.eip, hang.regs["esp"]) == ("timeout", 0, 0xDEAD8000)


def test_a_taken_branch_lands_on_int3_behind_the_code(oracle: Oracle):
    """So that a consumer can tell taken from not taken by eip: target + 1 and vector 3, or the end."""
    for mode in (16, 32):
        taken = oracle.run_one(b"\x74\x20", mode, flags=ZF)
        not_taken = oracle.run_one(b"\x74\x20", mode)

        assert (taken.trapno, taken.eip) == (BP, 0x23)
        assert (not_taken.status, not_taken.eip) == ("done", 2)


# ---- x87 and SSE ----


def test_fld1_and_fldpi_leave_two_valid_registers(oracle: Oracle):
    """SDM 2A, FLD1/FLDPI; abridged tag word: SDM 2A, FXSAVE."""
    fx = oracle.run_one(b"\xd9\xe8\xd9\xeb").fx

    assert struct.unpack_from("<HHB", fx, FCW) == (0x37F, 6 << 11, 0xC0)
    assert struct.unpack_from("<QH", fx, ST0) == (0xC90FDAA22168C235, 0x4000)
    assert struct.unpack_from("<QH", fx, ST0 + 16) == (0x8000000000000000, 0x3FFF)


def test_addps_adds_four_singles(oracle: Oracle):
    """SDM 2A, ADDPS xmm0, xmm1."""
    a, b = struct.pack("<4f", 1, 2, 3, 4), struct.pack("<4f", 0.5, -2, 1e30, 0.25)

    fx = oracle.run_one(b"\x0f\x58\xc1", fx=fx_image(xmm=(a, b))).fx

    total = np.frombuffer(a, "f4") + np.frombuffer(b, "f4")
    assert total.tobytes() == fx[XMM0 : XMM0 + 16]


def test_unmasked_x87_and_sse_errors_are_mf_and_xm(oracle: Oracle):
    """SDM 3A, 6.15, vector 16 (raised by the next waiting instruction) and vector 19."""
    mf = oracle.run_one(b"\xd9\xe8\xd9\xee\xde\xf9\x9b", fx=fx_image(fcw=0x37B))  # fld1 fldz fdivp fwait; ZM clear
    xm = oracle.run_one(b"\x0f\x5e\xc1", fx=fx_image(mxcsr=0x1F80 & ~0x200, xmm=(struct.pack("<4f", 1, 1, 1, 1),)))

    assert (mf.trapno, mf.eip) == (MF, 6)
    assert struct.unpack_from("<H", mf.fx, FSW)[0] & 0x80FF == 0x8084  # B, ES, ZE
    assert (xm.trapno, xm.eip) == (XM, 0)
    assert struct.unpack_from("<I", xm.fx, MXCSR)[0] & 0x3F == 0x04  # ZE


def test_a_case_without_an_image_starts_with_a_reset_fpu(oracle: Oracle):
    """Whatever the case before left: here a full register stack, unmasked errors pending."""
    cases = blank_cases(2)
    set_code(cases[0], b"\xd9\xe8\xd9\xee\xde\xf9")
    cases["options"] = FX_IN | FX_OUT, FX_OUT
    cases["fx"][0] = np.frombuffer(fx_image(fcw=0x340, mxcsr=0, xmm=(b"\xff" * 16,)), np.uint8)

    results = oracle.run(cases).results

    assert results["fx"][0, FSW] & 0x80 == 0x80  # ES: the error is pending
    expected = np.frombuffer(fx_image(), np.uint8).copy()
    expected[28:32] = results["fx"][1, 28:32]  # MXCSR_MASK is the host's
    assert expected[:416].tobytes() == results["fx"][1, :416].tobytes()


# ---- the window ----


def test_stack_and_data_changes_are_listed_with_old_and_new_bytes(oracle: Oracle):
    cases = blank_cases(1)
    set_code(cases[0], b"\x50\xc6\x03\x07")  # push eax; mov byte [ebx], 7
    cases["gpr"][0, :4] = 0x04030201, 0, 0, WINDOW_BASE + 0xFFFF

    changes = oracle.run(cases, windows=np.full((1, WINDOW_SIZE), 0x55, np.uint8)).changes

    pushed = [(STACK_TOP - 4 + i, 0x55, i + 1) for i in range(4)]
    assert [*pushed, (0xFFFF, 0x55, 7)] == changes.tolist()


def test_no_case_sees_what_another_one_wrote_or_had_patched(oracle: Oracle):
    windows = np.random.default_rng(1).integers(0, 256, (3, WINDOW_SIZE), np.uint8)
    patches = np.array([(0x1002, 2, np.full(16, 0xEE, np.uint8))], PATCH)
    cases = blank_cases(6)
    for case, code in zip(cases, [b"\x8b\x03\x89\x0b", b"\x8b\x03"] * 3, strict=True):  # load, then store or not
        set_code(case, code)
    cases["gpr"][:, 3] = WINDOW_BASE + 0x1000
    cases["window"] = 0, 0, 1, 1, 2, 0
    cases["patch_count"] = 1, 0, 1, 0, 0, 0

    results = oracle.run(cases, patches, windows).results

    image = windows[:, 0x1000:0x1004].copy().view("<u4")[:, 0]
    patched = image & 0xFFFF | 0xEEEE0000
    assert [patched[0], image[0], patched[1], image[1], image[2], image[0]] == results["gpr"][:, 0].tolist()


def test_a_run_reports_more_changes_than_shared_memory_holds(oracle: Oracle):
    """40 cases that fill the window: 2.6 million changes, in several rounds."""
    cases = blank_cases(40)
    for i, case in enumerate(cases):
        set_code(case, b"\xf3\xab")  # rep stosd
        case["gpr"] = 0x01010101 * (i + 1), WINDOW_SIZE // 4, 0, 0, 0, 0, 0, WINDOW_BASE

    run = oracle.run(cases)

    assert run.results["change_count"].tolist() == [WINDOW_SIZE] * 40
    assert [WINDOW_SIZE * i for i in range(40)] == run.results["change_first"].tolist()
    assert np.array_equal(np.repeat(np.arange(1, 41), WINDOW_SIZE), run.changes["after"])


# ---- hostile and broken cases ----


def test_system_calls_are_trapped(oracle: Oracle):
    """INT 80h, and exit_group from 64-bit code that the case jumps to through the host's own selector."""
    int80 = oracle.run_one(b"\xcd\x80", regs={"eax": 1})
    direct = oracle.run_one(b"\xea\x07\x80\x00\x20\x33\x00" + b"\xb8\xe7\x00\x00\x00\x0f\x05")

    assert [(r.status, r.signal) for r in (int80, direct)] == [("trap", 31), ("trap", 31)]


def test_a_crash_is_blamed_on_its_case_and_the_batch_goes_on(oracle: Oracle):
    """64-bit code clears the host's stack pointer in the context, then faults: the way out has no stack."""
    cases = blank_cases(5000)
    set_code(cases[0], b"\x43")
    cases["code"], cases["code_len"] = cases["code"][0], 1
    cases["gpr"][:, 3] = np.arange(5000)
    for victim in (7, 4500):
        set_code(cases[victim], b"\xea\x07\x80\x00\x20\x33\x00" + b"\x49\xc7\x47\x40\0\0\0\0" + b"\x0f\x0b")
    before = oracle.pid

    results = oracle.run(cases).results

    assert before != oracle.pid
    assert np.flatnonzero(results["status"] == CRASHED).tolist() == [7, 4500]
    others = results["status"] == DONE
    assert others.sum() == 4998
    assert np.array_equal(np.arange(1, 5001)[others], results["gpr"][others, 3])


def test_states_that_cannot_be_loaded_are_refused(oracle: Oracle):
    bad_selector = oracle.run_one(NOP, segs={"ds": 0x57})
    null_stack = oracle.run_one(NOP, segs={"ss": 0})  # at CPL 3 a null SS is #GP (SDM 2B, MOV)
    bad_mxcsr = oracle.run_one(NOP, fx=fx_image(mxcsr=0xFFFFFFFF))
    cases = blank_cases(3)
    cases["code_len"][0], cases["window"][1], cases["patch_count"][2] = 65, 1, 1

    results = oracle.run(cases).results

    assert [bad_selector.status, null_stack.status, bad_mxcsr.status] == ["refused"] * 3
    assert results["status"].tolist() == [REFUSED] * 3


def test_random_bytes_never_stop_the_oracle(oracle: Oracle):
    """40000 cases, half of them noise in both modes; the canary after each is right."""
    rng = np.random.default_rng(1999)
    cases = np.concatenate([blank_cases(20000, mode) for mode in (16, 32)])
    cases["code"] = rng.integers(0, 256, cases["code"].shape, np.uint8)
    cases["code_len"] = rng.integers(1, 16, len(cases))
    cases["gpr"] = WINDOW_BASE + rng.integers(0, WINDOW_SIZE, cases["gpr"].shape)
    cases["eflags"] = rng.integers(0, 1 << 12, len(cases))
    set_code(cases[1], b"\x01\xd8")
    cases["code"][1::2], cases["code_len"][1::2] = cases["code"][1], 2
    cases["seg"][1::2] = blank_cases(1)["seg"][0]

    results = oracle.run(cases).results

    canaries = results[1::2]
    assert (canaries["status"] == DONE).all()
    assert np.array_equal(cases["gpr"][1::2, 0] + cases["gpr"][1::2, 3], canaries["gpr"][:, 0])
    assert {DONE, TRAP} <= set(results[0::2]["status"].tolist())


def test_wrong_python_arguments_are_refused_with_a_reason(oracle: Oracle):
    with pytest.raises(ValueError, match="at most 64 bytes"):
        oracle.run_one(NOP * 65)
    with pytest.raises(ValueError, match="mode must be 16 or 32"):
        blank_cases(1, 64)
    with pytest.raises(ValueError, match="patches must be at most"):
        oracle.run(blank_cases(1), np.zeros(0x100001, PATCH))


def test_an_interrupted_batch_does_not_disturb_the_next_one(oracle: Oracle):
    """Ctrl-C, or a time limit of the test runner, in the middle of 4000 endless loops."""
    cases = blank_cases(4000)
    set_code(cases[0], b"\xeb\xfe")
    cases["code"], cases["code_len"] = cases["code"][0], 2
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(KeyboardInterrupt):
            oracle.run(cases)
    finally:
        signal.signal(signal.SIGUSR1, before)

    result = oracle.run_one(b"\x40", regs={"eax": 41})

    assert (result.status, result.regs["eax"]) == ("done", 42)


def test_an_oracle_can_be_closed_and_opened_again(oracle: Oracle):
    with Oracle() as first:
        assert first.run_one(NOP).status == "done"
    with first as again:
        assert again.run_one(NOP).status == "done"
