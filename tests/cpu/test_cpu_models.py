"""What each processor model offers: model `host` has what the host adds and the engine knows, the others have not."""

import box
import pytest
from box import CODE, EAX, EBX, ECX, EDX, Box
from silicon import ADDED, missing_features

from vpcore.engine.isa import PREFIXES, Row, rows

OLD_MODELS = ("486", "pentium", "pentium3")
UD, NM = 6, 7
ROUNDS = 40
CF = 1
EM, TS, OSFXSR = 4, 8, 0x200
FIRST_CODE = {"NP": b"", "66": b"\x66", "F3": b"\xf3", "F2": b"\xf2"}
CPUID = b"\x0f\xa2\xf4"
RDRAND, RDSEED, HLT, FNINIT = b"\x0f\xc7\xf0", b"\x0f\xc7\xf8", b"\xf4", b"\xdb\xe3"
ORDER = (EAX, EBX, ECX, EDX)
"""Of what CPUID leaves."""


def code_of(row: Row, *, memory: bool) -> bytes:
    """The row's first encoding on registers 0 (or memory at EBX), without its immediate."""
    encoding = row.encodings[0]
    modrm = (encoding.digit or 0) << 3 | (3 if memory else 0xC0)
    return FIRST_CODE[encoding.prefix or PREFIXES[0]] + encoding.escape + bytes([encoding.opcode, modrm])


def newer_rows() -> list[Row]:
    return [row for row in rows() if row.feature in ADDED and row.feature not in missing_features()]


def cpuid(subject: Box, leaf: int, subleaf: int = 0) -> list[int]:
    subject.run(CPUID, eax=leaf, ecx=subleaf)
    return list(subject.cpu.gpr[0:4])


@pytest.mark.parametrize("model", OLD_MODELS)
def test_older_models_know_no_newer_instruction(model):
    """#UD (SDM 2, each page: the CPUID bit); LZCNT is BSR there, its prefix means nothing."""
    subject = Box(cpu=model)
    for row in newer_rows():
        subject.run(code_of(row, memory=row.rm == "mem") + b"\0" + HLT, ebx=0x20000)

        assert (row.id, (UD, None) if row.otherwise is None else None) == (row.id, subject.fault)


def test_a_reversed_scan_with_f3_is_what_the_model_has_it_for():
    """Of 1 the highest bit is number 0, and 31 zeros are above it (SDM 2, BSR and LZCNT)."""
    found = {}
    for model in ("pentium3", "host"):
        subject = Box(cpu=model)
        subject.run(b"\xf3\x0f\xbd\xc1" + HLT, ecx=1)
        found[model] = subject.cpu.gpr[EAX]
    assert {"pentium3": 0, "host": 0 if "LZCNT" in missing_features() else 31} == found


def test_cpuid_offers_what_the_host_has_and_nothing_that_needs_more_state():
    """SDM 2, CPUID: the added bits are those of the host; MONITOR, XSAVE, AVX and what is coded with VEX are not offered."""
    subject = Box(cpu="host")
    offered = {leaf: cpuid(subject, leaf) for leaf in (1, 7, 0x80000001)}

    def names(leaf, register):
        value = offered[leaf][register]
        known = {1 << bit: name for name, (at, reg, bit) in ADDED.items() if (at, reg) == (leaf, register)}
        return {known.get(1 << bit, bit) for bit in range(32) if value >> bit & 1}

    added = {name for leaf, register in ((1, ECX), (7, EBX), (0x80000001, ECX)) for name in names(leaf, register)}
    assert set(ADDED) - missing_features() == added
    assert [0, 0, 0] == [offered[7][r] for r in ORDER if r != EBX]
    assert [0, 0, 0] == [offered[0x80000001][r] for r in ORDER if r != ECX]


def test_cpuid_leaves_of_model_host():
    """SDM 2, CPUID: the last leaves, leaf 7 has one subleaf, the name is the host's."""
    subject = Box(cpu="host")
    assert [7, 0x80000004] == [cpuid(subject, 0)[EAX], cpuid(subject, 0x80000000)[EAX]]
    assert [[0] * 4] * 5 == [cpuid(subject, 7, 1), *(cpuid(subject, leaf) for leaf in (3, 4, 5, 6))]
    spelt = [cpuid(subject, leaf) for leaf in (0x80000002, 0x80000003, 0x80000004)]
    name = b"".join(leaf[register].to_bytes(4, "little") for leaf in spelt for register in ORDER)
    with open("/proc/cpuinfo") as info:
        (first, *_) = (line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
    assert first == " ".join(name.split(b"\0")[0].decode().split())


@pytest.mark.parametrize("model", OLD_MODELS[1:])
def test_older_models_have_no_extended_leaves(model):
    """A leaf above the last answers as the last does (SDM 2, CPUID)."""
    subject = Box(cpu=model)
    last = cpuid(subject, 0)[EAX]
    assert [cpuid(subject, last)] * 3 == [cpuid(subject, leaf) for leaf in (7, 0x80000000, 0x80000004)]


@pytest.mark.parametrize(
    ("cr0", "cr4", "simd"),
    [(0, OSFXSR, None), (TS, OSFXSR, (NM, None)), (EM, OSFXSR, (UD, None)), (0, 0, (UD, None))],
    ids=["usable", "TS", "EM", "no OSFXSR"],
)
def test_xmm_instructions_need_what_sse_needs_and_integer_ones_nothing(cr0, cr4, simd):
    """SDM 3A table 13-1; POPCNT, CRC32, LZCNT, MOVBE and ADX work on general registers only."""
    subject = Box(cpu="host")
    plain = subject.cpu.cr0 & ~(EM | TS)
    for row in newer_rows():
        if row.traits & {"fp", "mmx"}:
            continue
        code = code_of(row, memory=row.rm == "mem") + b"\0" * ("Ib" in row.operands) + HLT
        subject.run(code, ebx=0x20000, cr0=plain | cr0, cr4=cr4, esp=0x8000)

        assert (row.id, simd if "sse" in row.traits else None) == (row.id, subject.fault)


@pytest.mark.parametrize("code", [RDRAND, RDSEED], ids=["RDRAND", "RDSEED"])
def test_random_numbers_are_the_same_in_every_run_under_icount(code):
    """A function of virtual time: numbers differ from one instruction to the next, not from run to run."""
    if {"RDRAND", "RDSEED"} & missing_features():
        pytest.skip("the host has no RDRAND")
    store = b"\x89\x87\0\0\x02\0\x83\xc7\x04"  # mov [edi+0x20000], eax; add edi, 4
    runs = []
    for _ in range(2):
        subject = Box(cpu="host", icount_ns=1)
        subject.run((code + store) * 20 + HLT, edi=0)
        runs.append(bytes(subject.ram[0x20000 : 0x20000 + 80]))
    numbers = {runs[0][at : at + 4] for at in range(0, 80, 4)}
    assert runs[0] == runs[1]
    assert 20 == len(numbers)


def test_random_numbers_are_the_hosts_under_the_realtime_clock():
    """SDM 2, RDRAND: CF says that there is one; the other status flags are cleared."""
    if "RDRAND" in missing_features():
        pytest.skip("the host has no RDRAND")
    found = set()
    for _ in range(4):
        subject = Box(cpu="host", clock="realtime")
        subject.run(b"\xf9" + RDRAND + b"\x73\xfb\x9c\x5a" + HLT, eip=CODE)  # again while CF is 0; pushf; pop edx
        found.add(subject.cpu.gpr[EAX])
        assert CF == subject.cpu.gpr[EDX] & 0x8D5
    assert 4 == len(found)


def test_the_translator_leaves_few_of_them_to_the_interpreter():
    """Each row in a loop: after the first rounds (state and pages are brought there by the interpreter) it runs in host
    code.
    """
    if box.ENGINE == "interp":
        pytest.skip("of the translator")
    left = set()
    for row in newer_rows():
        for memory in {"both": (False, True), "mem": (True,)}.get(row.rm or "", (False,)):
            subject = Box(cpu="host")
            subject.page_32()
            subject.engine.profile(on=True)
            code = code_of(row, memory=memory) + b"\0" * ("Ib" in row.operands)
            loop = code + b"\x4f\x75" + (-len(code) - 3 & 0xFF).to_bytes(1)  # dec edi; jnz
            subject.run(FNINIT + loop + HLT, ebx=0x20000, edi=ROUNDS, cr4=OSFXSR, budget=100 * ROUNDS)

            assert (row.id, None) == (row.id, subject.fault)
            if sum(subject.engine.exits().get(row.text[1], (0, 0))) > ROUNDS // 2:
                left.add(row.mnemonic)
    assert left <= {"RDRAND", "RDSEED"}
