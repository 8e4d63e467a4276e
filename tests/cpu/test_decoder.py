"""The decoder and disassembler against iced-x86: length, instruction, and every operand of random and of systematic code.

What iced-x86 reads otherwise is named in EXCUSES, each with its reason; anything else is a failure.
"""

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import iced_x86 as iced
import numpy as np
import pytest
from native import CSRC, HERE, library

from vpcore.engine.isa import ESCAPES, FEATURES, Row, gen, rows

ROOM = 16
PIECES = int(os.environ.get("VPCORE_DECODER_PIECES", "60000"))
ALL_FEATURES = (1 << len(FEATURES)) - 1
DECODE_OK, DECODE_UD, DECODE_LONG, DECODE_SHORT = range(4)
PFX_LOCK, PFX_REP, PFX_REPNE = 1, 2, 4
FORM_MEM, FORM_OS32, FORM_AS32 = 1, 2, 4
REG_NONE = 8
OP_NONE = 0

DECODED = np.dtype(
    [("imm", "u4"), ("disp", "u4"), ("op", "u2"), ("imm2", "u2")]
    + [(n, "u1") for n in ("status", "len", "prefix", "reg", "rm", "base", "index", "scale", "seg", "form")]
    + [("unused", "u2")]
)

Piece = tuple[str, int, tuple[Any, ...]]
"""Mnemonic, length, operands: what both sides are brought to."""


def numbers(*names: str) -> list[int]:
    return [getattr(iced.Register, name) for name in names]


GPR = {
    1: numbers("AL", "CL", "DL", "BL", "AH", "CH", "DH", "BH"),
    2: numbers("AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"),
    4: numbers("EAX", "ECX", "EDX", "EBX", "ESP", "EBP", "ESI", "EDI"),
}
SEGMENTS = numbers("ES", "CS", "SS", "DS", "FS", "GS")
FIRST = {"P": iced.Register.MM0, "V": iced.Register.XMM0, "C": iced.Register.CR0, "D": iced.Register.DR0}
FIXED = {"AL": iced.Register.AL, "CL": iced.Register.CL, "AX": iced.Register.AX, "DX": iced.Register.DX,
         "SS": iced.Register.SS, "ST": iced.Register.ST0}  # fmt: skip
SIZES = {"b": (1, 1), "w": (2, 2), "wi": (2, 2), "v": (2, 4), "z": (2, 4), "d": (4, 4), "di": (4, 4), "ss": (4, 4),
         "q": (8, 8), "qi": (8, 8), "sd": (8, 8), "t": (10, 10), "a": (4, 8), "p": (4, 6), "s": (6, 6),
         "dq": (16, 16), "ps": (16, 16), "pd": (16, 16)}  # fmt: skip
UNSIZED = -1
"""Memory whose size neither side names."""


@pytest.fixture(scope="module")
def decoder() -> Callable[[bytes, int], list[tuple[int, ...]]]:
    """Decodes pieces of ROOM bytes; a record, in the order of DECODED, each."""
    cdef = (
        "void decode_batch(const uint8_t *code, unsigned room, unsigned count, int bits, uint32_t features, void *out);"
        "int vp_disas(const uint8_t *code, size_t avail, int bits, uint32_t eip, char *text, size_t room);"
    )
    gen.generate()
    depends = [*CSRC.glob("*.h"), *CSRC.glob("gen/*"), CSRC / "decode.c", CSRC / "disas.c"]
    ffi, lib = library(HERE / "decode_batch.c", cdef, depends)

    def decode(code: bytes, bits: int, features: int = ALL_FEATURES) -> list[tuple[int, ...]]:
        count = len(code) // ROOM
        out = np.zeros(count, DECODED)
        lib.decode_batch(code, ROOM, count, bits, features, ffi.cast("void *", out.ctypes.data))
        return out.tolist()

    decode.ffi, decode.lib = ffi, lib
    return decode


# -- our side --


@attrs.frozen
class Ours:
    """A decoded record with names."""

    imm: int
    disp: int
    op: int
    imm2: int
    status: int
    len: int
    prefix: int
    reg: int
    rm: int
    base: int
    index: int
    scale: int
    seg: int
    form: int
    unused: int

    def size(self, letters: str) -> int:
        sizes = SIZES.get(letters)
        return sizes[bool(self.form & FORM_OS32)] if sizes else UNSIZED

    def memory(self, size: int) -> tuple[Any, ...]:
        wide = bool(self.form & FORM_AS32)
        names = [*GPR[4 if wide else 2], iced.Register.NONE]
        disp = self.disp & (0xFFFFFFFF if wide else 0xFFFF)
        return ("mem", size, SEGMENTS[self.seg], names[self.base], names[self.index], 1 << self.scale, disp)

    def string(self, size: int, register: int, segment: int) -> tuple[Any, ...]:
        return ("mem", size, SEGMENTS[segment], GPR[4 if self.form & FORM_AS32 else 2][register], 0, 1, 0)


def our_operand(o: Ours, letters: str, row: Row) -> Any:  # noqa: PLR0911, PLR0912 - one case a letter
    if letters in FIXED:
        return FIXED[letters]
    kind, size = letters[0], o.size(letters[1:])
    if "mem16" in row.traits and o.form & FORM_MEM and kind == "E":
        size = 2
    match kind:
        case "r":
            return GPR[4 if o.form & FORM_OS32 else 2][0]
        case "E":
            return o.memory(size) if o.form & FORM_MEM else GPR[size][o.rm]
        case "M" | "O":
            return o.memory(size)
        case "Q" | "W" if o.form & FORM_MEM:
            return o.memory(size)
        case "Q" | "N":
            return FIRST["P"] + o.rm
        case "W" | "U":
            return FIRST["V"] + o.rm
        case "G":
            return GPR[size][o.reg]
        case "R":
            return GPR[size][o.rm]
        case "Z" if letters == "Zs":
            return SEGMENTS[o.reg]
        case "Z":
            return GPR[size][o.reg]
        case "S":
            return SEGMENTS[o.reg] if letters == "Sw" else iced.Register.ST0 + o.rm
        case "P" | "V" | "C" | "D":
            return FIRST[kind] + o.reg
        case "X":
            return o.string(size, 6, o.seg)
        case "Y":
            return o.string(size, 7, 0)
        case "J":
            return ("to", (o.len + o.imm) & (0xFFFFFFFF if o.form & FORM_OS32 else 0xFFFF))
        case "A":
            return ("far", o.imm2, o.imm)
        case "1":
            return ("imm", 1)
    assert kind == "I", letters
    return ("imm", o.imm & (0xFFFFFFFF if o.form & FORM_OS32 or letters != "Ibs" else 0xFFFF))


def our_operands(o: Ours, row: Row) -> tuple[Any, ...]:
    if row.id == "ENTER_Iw_Ib":
        return (("imm", o.imm), ("imm", o.imm2))
    if "XMM0" in row.operands:  # iced-x86 implies it
        row = attrs.evolve(row, operands=row.operands[:-1])
    if row.operands == ("STi",) or not row.operands or row.operands[0] != "ST":
        return tuple(our_operand(o, letters, row) for letters in row.operands)
    return (iced.Register.ST0, iced.Register.ST0 + o.rm)


def our_piece(o: Ours, table: tuple[Row, ...]) -> Piece | None:
    if o.status != DECODE_OK:
        return None
    row = table[o.op - 1]
    name = row.text[bool(o.form & (FORM_AS32 if row.mnemonic == "JCXZ" else FORM_OS32))]
    return name.removesuffix(" far"), o.len, our_operands(o, row)


# -- their side --

KIND = {getattr(iced.OpKind, name): name for name in dir(iced.OpKind) if name.isupper()}
IMMEDIATES = ("IMMEDIATE8", "IMMEDIATE16", "IMMEDIATE32", "IMMEDIATE8TO16", "IMMEDIATE8TO32")
STRING_REGISTERS = {"SI": GPR[2][6], "ESI": GPR[4][6], "DI": GPR[2][7], "EDI": GPR[4][7]}
"""Last word of the operand kinds of strings, and the register."""


def their_memory(i: iced.Instruction) -> tuple[Any, ...]:
    size = iced.MemorySizeExt.size(i.memory_size)
    if size in STRUCTURES or i.mnemonic == iced.Mnemonic.INVLPG:
        size = 1 if i.mnemonic == iced.Mnemonic.INVLPG else UNSIZED
    index = i.memory_index
    scale = i.memory_index_scale if index else 1
    return ("mem", size, i.memory_segment, i.memory_base, index, scale, i.memory_displacement)


def their_string(i: iced.Instruction, name: str) -> tuple[Any, ...]:
    register = name.removeprefix("MEMORY_SEG_")
    segment = i.memory_segment
    if register == name:
        register, segment = name.removeprefix("MEMORY_ES"), iced.Register.ES
    return ("mem", iced.MemorySizeExt.size(i.memory_size), segment, STRING_REGISTERS[register], 0, 1, 0)


def their_operand(i: iced.Instruction, n: int) -> Any:  # noqa: PLR0911 - one case a kind
    name = KIND[i.op_kind(n)]
    if name == "REGISTER":
        return i.op_register(n)
    if name == "MEMORY":
        return their_memory(i)
    if name.startswith("NEAR_BRANCH"):
        return ("to", i.near_branch_target)
    if name.startswith("FAR_BRANCH"):
        return ("far", i.far_branch_selector, i.far_branch32 if name.endswith("32") else i.far_branch16)
    if name == "IMMEDIATE8_2ND":
        return ("imm", i.immediate8_2nd)
    if name in IMMEDIATES:
        return ("imm", i.immediate(n) & (0xFFFF if name.endswith("TO16") else 0xFFFFFFFF))
    return their_string(i, name)


MNEMONIC = {getattr(iced.Mnemonic, name): name.lower() for name in dir(iced.Mnemonic) if name.isupper()}


SYNONYMS = {"sal": "shl", "reservednop": "nop"}
IMPLIED_MEMORY = {"xlatb", "maskmovq", "maskmovdqu"}
"""The table leaves their memory operand to the handler."""
WORD_REGISTERS = {"arpl", "lldt", "ltr", "verr", "verw", "lmsw", "lar", "lsl", "pinsrw"}
"""Where the table has Ew, iced-x86 names the register by the operand size; MOV to a segment register too."""
STRUCTURES = {0, 14, 28, 94, 108, 512}
"""Sizes of memory operands that the table leaves open: LEA, FPU environments and states."""
WORDS = dict(zip(GPR[4], GPR[2], strict=True))


def their_piece(i: iced.Instruction) -> Piece | None:
    if i.is_invalid:
        return None
    name = SYNONYMS.get(MNEMONIC[i.mnemonic], MNEMONIC[i.mnemonic])
    operands = tuple(their_operand(i, n) for n in range(i.op_count))
    if name in IMPLIED_MEMORY:
        operands = tuple(operand for operand in operands if not isinstance(operand, tuple))
    if name in WORD_REGISTERS or (name == "mov" and operands[0] in SEGMENTS):
        source = 0 if name in {"lldt", "ltr", "verr", "verw", "lmsw", "arpl"} else 1
        operands = tuple(WORDS.get(operand, operand) if n >= source else operand for n, operand in enumerate(operands))
    return name, i.len, operands


# -- the comparison --

MODELLED = {
    getattr(iced.CpuidFeature, name)
    for name in (
        "INTEL8086", "INTEL186", "INTEL286", "INTEL386", "INTEL386_ONLY", "INTEL486", "CPUID", "CMOV", "FPU", "FPU287",
        "FPU387", "MMX", "SSE", "SSE2", "CX8", "MSR", "RDPMC", "SEP", "TSC", "FXSR", "CLFSH", "PAUSE", "SMM",
        "MULTIBYTENOP", "SSE3", "SSSE3", "SSE4_1", "SSE4_2", "POPCNT", "LZCNT", "MOVBE", "AES", "PCLMULQDQ", "SHA",
        "RDRAND", "RDSEED", "ADX",
    )
}  # fmt: skip
"""What iced-x86 calls the instruction sets that the table has."""


def is_newer(ours: Piece | None, i: iced.Instruction) -> bool:
    """An instruction made after the models; ours refuse it, or read what it was made of: a NOP, or F3 without meaning."""
    legacy = i.encoding == iced.EncodingKind.LEGACY and set(i.cpuid_features()) <= MODELLED
    newer = not i.is_invalid and not legacy
    return newer and (ours is None or ours[0] in {"nop", "bsf", "bsr", "wbinvd"})


def is_reserved_nop(ours: Piece | None, i: iced.Instruction) -> bool:
    """Of the P6's reserved NOPs iced-x86 shows ModRM.reg as an operand; it is none (SDM 2, "NOP")."""
    theirs = their_piece(i)
    assert theirs is not None
    return MNEMONIC[i.mnemonic] == "reservednop" and ours == (theirs[0], theirs[1], theirs[2][:1])


EXCUSES = (is_newer, is_reserved_nop)


def compare(decode: Any, pieces: list[bytes], bits: int) -> Iterator[str]:
    """A line for each piece that ours and iced-x86 read differently."""
    table = rows()
    for code, record in zip(pieces, decode(b"".join(pieces), bits), strict=True):
        i = iced.Decoder(bits, code).decode()
        ours, theirs = our_piece(Ours(*record), table), their_piece(i)
        if ours != theirs and not (theirs and any(excuse(ours, i) for excuse in EXCUSES)):
            yield f"{bits}-bit {code.hex()}: {ours} but iced-x86 {theirs}"


def random_pieces(count: int, seed: int) -> list[bytes]:
    """Random bytes, half of them after 0F, and half after a prefix, or in one of the later maps, as well."""
    rng = random.Random(seed)
    prefixes = (b"\x66", b"\x67", b"\xf0", b"\xf2", b"\xf3", b"")
    heads = [prefix + escape for prefix in prefixes for escape in ESCAPES[1:]]
    plain = (b"", b"\x0f")
    return [rng.choice(heads if n % 2 else plain) + rng.randbytes(ROOM) for n in range(count)]


def cut(pieces: list[bytes]) -> list[bytes]:
    return [piece[:ROOM] for piece in pieces]


PREFIX_BYTES = {"NP": b"", "66": b"\x66", "F3": b"\xf3", "F2": b"\xf2", None: b""}
EXTRA = (b"", b"\x66", b"\x67", b"\x66\x67", b"\xf0", b"\xf2", b"\xf3", b"\x2e", b"\x36", b"\x65", b"\x66\xf3")
SIBS = (0x00, 0x24, 0x25, 0x65, 0x8D, 0xFF)


def modrm_bytes(row: Row, encoding: Any) -> Iterator[bytes]:
    """Every ModRM byte that belongs to an encoding, with some SIB bytes."""
    if encoding.modrm is not None:
        yield from (bytes((encoding.modrm + n,)) for n in range(8 if encoding.plus_i else 1))
        return
    for modrm in range(256):
        if encoding.digit in {None, modrm >> 3 & 7}:
            has_sib = modrm < 0xC0 and modrm & 7 == 4
            yield from (bytes((modrm, sib)) for sib in SIBS) if has_sib else (bytes((modrm,)),)


def systematic_pieces(row: Row) -> Iterator[bytes]:
    """Every encoding of a row with every ModRM byte, under each of EXTRA."""
    has_modrm = any(operand[0] in "EGMQWPVNUR" or operand == "STi" for operand in row.operands)
    for encoding in row.encodings:
        has_modrm = has_modrm or encoding.digit is not None or encoding.modrm is not None
        tails = list(modrm_bytes(row, encoding)) if has_modrm else [b""]
        for low in range(8 if encoding.plus_r else 1):
            opcode = encoding.escape + bytes((encoding.opcode + low,))
            for extra in EXTRA:
                yield from (extra + PREFIX_BYTES[encoding.prefix] + opcode + tail for tail in tails)


def plain_piece(row: Row, encoding: Any) -> bytes:
    """The plainest bytes of an encoding; where any ModRM.reg will do it is 7, which no other row claims for itself."""
    modrm = encoding.modrm
    if modrm is None:
        modrm = (7 if encoding.digit is None else encoding.digit) << 3 | (0xC0 if row.rm == "reg" else 0)
    opcode = encoding.escape + bytes((encoding.opcode, modrm))
    return (PREFIX_BYTES[encoding.prefix] + opcode).ljust(ROOM, b"\0")


@pytest.mark.parametrize("bits", [16, 32])
def test_random_code_reads_as_iced_reads_it(decoder, bits):
    """SDM 2 chapter 2 and appendix A, at random; VPCORE_DECODER_PIECES sets how many."""
    seed = random.randrange(1 << 32)
    found = list(compare(decoder, cut(random_pieces(PIECES, seed)), bits))
    assert [] == found[:20], f"{len(found)} differences, seed {seed}"


@pytest.mark.parametrize("bits", [16, 32])
def test_every_row_reads_as_iced_reads_it(decoder, bits):
    """Each encoding of the table with its ModRM bytes; of each row a sample, so that it takes seconds."""
    rng = random.Random(bits)
    pieces = []
    for row in rows():
        systematic = list(systematic_pieces(row))
        pieces += rng.sample(systematic, min(len(systematic), 120))
    found = list(compare(decoder, [(piece + rng.randbytes(ROOM))[:ROOM] for piece in pieces], bits))
    assert [] == found[:20], f"{len(found)} differences"


@pytest.mark.parametrize("bits", [16, 32])
def test_every_encoding_is_found_under_its_own_bytes(decoder, bits):
    """The tree loses no line of the table."""
    table = rows()
    expected = [row.id for row in table for _ in row.encodings]
    code = b"".join(plain_piece(row, encoding) for row in table for encoding in row.encodings)
    assert expected == [table[Ours(*record).op - 1].id for record in decoder(code, bits)]


FORMATTER = iced.Formatter(iced.FormatterSyntax.INTEL)
FORMATTER.hex_prefix, FORMATTER.hex_suffix = "0x", ""
FORMATTER.uppercase_hex = False
FORMATTER.small_hex_numbers_in_decimal = False
FORMATTER.add_leading_zero_to_hex_numbers = False
FORMATTER.branch_leading_zeros = False
FORMATTER.space_after_operand_separator = True
FORMATTER.memory_size_options = iced.MemorySizeOptions.ALWAYS
FORMATTER.show_branch_size = False
FORMATTER.use_pseudo_ops = False

OTHER_STYLE = {"XLAT", "INVLPG", "NOP", "CALLF", "JMPF", "RETF", "LEA", "PAUSE"}
"""Mnemonics that iced-x86 writes otherwise: `ret far`, no size for INVLPG, no useless override for LEA ..."""


def text_of(decoder: Any, code: bytes, bits: int) -> str:
    text = decoder.ffi.new("char[128]")
    decoder.lib.vp_disas(code, len(code), bits, 0x1000, text, 128)
    return decoder.ffi.string(text).decode()


@pytest.mark.parametrize(
    ("code", "bits", "text"),
    [
        ("8b448bf0", 32, "mov eax, dword ptr [ebx+ecx*4-0x10]"),
        ("668b448bf0", 16, "mov eax, dword ptr [si-0x75]"),
        ("f0830501000000ff", 32, "lock add dword ptr [0x1], 0xffffffff"),
        ("f3a5", 32, "rep movsd dword ptr es:[edi], dword ptr [esi]"),
        ("64a5", 16, "movsw word ptr es:[di], word ptr fs:[si]"),
        ("7402", 32, "je 0x1004"),
        ("9a785634120800", 32, "call far 0x8:0x12345678"),
        ("c8040003", 32, "enter 0x4, 0x3"),
        ("d8c1", 32, "fadd st(0), st(1)"),
        ("660f70c11b", 32, "pshufd xmm0, xmm1, 0x1b"),
        ("8c00", 32, "mov word ptr [eax], es"),
        ("0f22d8", 32, "mov cr3, eax"),
        ("e302", 32, "jecxz 0x1004"),
        ("ff6d08", 32, "jmp far fword ptr [ebp+0x8]"),
        ("d7", 32, "xlatb"),
        ("0f38cbca", 32, "sha256rnds2 xmm1, xmm2, xmm0"),
        ("660f38380c24", 32, "pminsb xmm1, xmmword ptr [esp]"),
        ("660f3a0fca04", 16, "palignr xmm1, xmm2, 0x4"),
        ("66f20f38f1c1", 32, "crc32 eax, cx"),
    ],
)
def test_disassembly_reads_as_intel_writes_it(decoder, code, bits, text):
    assert text == text_of(decoder, bytes.fromhex(code), bits)


@pytest.mark.parametrize("bits", [16, 32])
def test_disassembly_reads_as_iced_writes_it(decoder, bits):
    """Rows whose style is the same; x87 and string operands, which iced-x86 abbreviates, are not."""
    rng = random.Random(bits)
    plain = [row for row in rows() if not row.traits & {"fp", "rep", "repz"} and row.mnemonic not in OTHER_STYLE]
    found = []
    for row in plain:
        for encoding in row.encodings:
            extra = rng.choice((b"", b"\x65")) if row.rm == "mem" else b""
            code = (extra + plain_piece(row, encoding).rstrip(b"\0") + rng.randbytes(ROOM))[:ROOM]
            i = iced.Decoder(bits, code, ip=0x1000).decode()
            ours, theirs = text_of(decoder, code, bits), FORMATTER.format(i)
            if row.operands[-1:] == ("1",):
                ours = ours.replace(", 1", ", 0x1")
            ours = ours.removesuffix(", xmm0") if "XMM0" in row.operands else ours
            if ours != theirs and not i.is_invalid and set(i.cpuid_features()) <= MODELLED:
                found.append((code.hex(), ours, theirs))
    assert [] == found[:10]


def test_a_sixteenth_byte_is_a_general_protection_fault(decoder):
    """SDM 2, 2.3.11: an instruction is at most 15 bytes long; 14 prefixes and a NOP are."""
    (longest,) = decoder(b"\x66" * 14 + b"\x90\x90", 32)
    (over,) = decoder(b"\x66" * 15 + b"\x90", 32)
    assert (DECODE_OK, 15) == (Ours(*longest).status, Ours(*longest).len)
    assert DECODE_LONG == Ours(*over).status


def test_code_that_ends_early_asks_for_more(decoder):
    """Every proper beginning of an instruction is DECODE_SHORT, or already no instruction."""
    code = bytes.fromhex("26678184240000000078563412")[:13].ljust(ROOM, b"\0")
    out = np.zeros(1, DECODED)
    statuses = []
    for avail in range(1, 12):
        decoder.lib.decode_batch(code[:avail], avail, 1, 32, ALL_FEATURES, decoder.ffi.cast("void *", out.ctypes.data))
        statuses.append(int(out["status"][0]))
    (whole,) = decoder(code, 32)
    assert [DECODE_SHORT] * (Ours(*whole).len - 1) == statuses[: Ours(*whole).len - 1]


@pytest.mark.parametrize(
    ("code", "valid"),
    [("f00100", True), ("f001c0", False), ("f03900", False), ("f08700", True), ("f090", False), ("f00fc708", True)],
)
def test_lock_needs_a_memory_destination_that_is_read_and_written(decoder, code, valid):
    """SDM 2, "LOCK": #UD otherwise."""
    (record,) = decoder(bytes.fromhex(code).ljust(ROOM, b"\0"), 32)
    assert (DECODE_OK if valid else DECODE_UD) == Ours(*record).status


def test_a_model_without_the_feature_has_no_such_instruction(decoder):
    """Each row disappears with its feature bit and with that one only; LZCNT is BSR then."""
    table = rows()
    code = b"".join(plain_piece(row, row.encodings[0]) for row in table)
    for number, feature in enumerate(FEATURES):
        found = [Ours(*record) for record in decoder(code, 32, ALL_FEATURES & ~(1 << number))]
        without = [None if o.status == DECODE_UD else table[o.op - 1].id for o in found]
        assert [row.otherwise if row.feature == feature else row.id for row in table] == without
