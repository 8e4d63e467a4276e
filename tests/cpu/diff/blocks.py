"""Random straight-line IA-32 code: every form that the translator has, and its neighbours that it has not."""

from random import Random

from box import CODE, EBP, EBX, EDI, ESI, ESP, PAGE

from vpcore.engine.isa import rows

WINDOW, WINDOW_SIZE = 0x40000, 0x4000
"""What memory operands lie in, or around; where segments are flat, else at another offset."""
POINTERS = (EBX, ESI, EDI)
"""Registers that the code seldom changes, so that they keep pointing into the window."""
COUNTER = 0xF000
"""Where loop() counts."""
LOOP_END = b"\x83\x2d" + COUNTER.to_bytes(4, "little") + b"\x01\x0f\x85"
ALU_FORMS = tuple(op << 3 | form for op in range(8) for form in range(6))
FLAG_BYTES = (0xF5, 0xF8, 0xF9, 0xFC, 0xFD, 0x9E, 0x9F, 0x98, 0x99, 0x90, 0x27, 0x37)
SYSTEM = (b"\x9c", b"\x06", b"\x0e", b"\x16", b"\x1e", b"\xf3\x90", b"\x0f\xa0", b"\x06\x07", b"\x16\x1f", b"\x8e\xd9")
"""PUSHF, PUSH of segment registers, PAUSE; loads of ES, DS and, by a register with whatever it has, DS."""
STRINGS = (0xA4, 0xA5, 0xA6, 0xA7, 0xAA, 0xAB, 0xAC, 0xAD, 0xAE, 0xAF)
WITH_MODRM = (
    *(0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8B),
    *(
        0x0F00 | low
        for low in (*range(0x40, 0x50), *range(0x90, 0xA0), 0xA3, 0xAB, 0xB3, 0xBB, 0xAF, 0xB6, 0xB7, 0xBE, 0xBF)
    ),
    *(0x0F00 | low for low in (0xA5, 0xAD, 0xB0, 0xB1, 0xBC, 0xBD, 0xC0, 0xC1)),
    *(0x8C, 0xD2, 0xD3, 0x0FA5, 0x0FAD),
)
GROUPS = ((0xF6, (0, 2, 3, 4, 5)), (0xF7, (0, 2, 3, 4, 5)), (0xFE, (0, 1)), (0xFF, (0, 1, 6)))
OPERAND_SIZE, ADDRESS_SIZE, LOCK, FS, GS, CS, REP, REPNE = 0x66, 0x67, 0xF0, 0x64, 0x65, 0x2E, 0xF3, 0xF2
SSE_IMMEDIATE = (0x70, 0x71, 0x72, 0x73, 0xC2, 0xC4, 0xC5, 0xC6)
SSE_INTEGER = (*range(0x60, 0x74), 0x74, 0x75, 0x76, 0xC4, 0xC5, *range(0xD1, 0xFF))
SSE_RARE = (0x77, 0xAE)
"""EMMS; FXSAVE and its kin, fences."""
SSE_OPCODES = tuple(
    code
    for code in (*range(0x10, 0x18), *range(0x28, 0x30), *range(0x50, 0x60), *SSE_INTEGER, 0x7E, 0x7F, 0xC2, 0xC3, 0xC6)
)
FIRST_FEATURES = frozenset({"I386", "I486", "P5", "P6", "SEP", "MMX", "SSE", "SSE2", "FXSR"})
NEWER = tuple((row, encoding) for row in rows() if row.feature not in FIRST_FEATURES for encoding in row.encodings)
"""What model `host` adds; where the host lacks it, it is #UD on both sides."""
XLAT = b"\xd7"
EMMS = b"\x0f\x77"
X87_IMAGES = ((0xD9, 4), (0xD9, 5), (0xD9, 6), (0xDD, 4), (0xDD, 6))
"""FLDENV, FLDCW, FNSTENV, FRSTOR, FNSAVE."""
X87_RESETS = (b"\xdb\xe3", b"\xdb\xe2")
MOD_REG, SIB, NO_INDEX = 3, 4, 4


def loop(body):
    """The body, repeated; then HLT, which at level 3 is a fault."""
    end = len(body) + len(LOOP_END) + 4
    return body + LOOP_END + (-end).to_bytes(4, "little", signed=True) + b"\xf4"


def lay_out(box, code, rng, state, repeats):
    """The loop, memory and registers, as random as they may be; ESP is the state's."""
    box.ram[CODE : CODE + PAGE] = bytes(PAGE)
    box.load(code)
    box.ram[WINDOW : WINDOW + WINDOW_SIZE] = rng.randbytes(WINDOW_SIZE)
    box.ram[0x7000:0x9000] = bytes(0x2000)
    box.put(COUNTER, repeats)
    gpr = [rng.choice((0, 1, 0xFFFFFFFF, rng.getrandbits(32))) for _ in range(8)]
    for reg in POINTERS:
        gpr[reg] = WINDOW + rng.randrange(WINDOW_SIZE - PAGE)
    gpr[1] &= 0xF
    gpr[ESP] = state["gpr"][ESP]
    box.cpu.gpr[0:8] = gpr


class Writer:
    """Makes instructions from one random sequence, for code of 32 or 16 *bits*; memory operands lie about *window*, and *segments*
    are loaded.
    """

    def __init__(self, rng: Random, *, bits: int = 32, window: int = WINDOW, segments: bool = False) -> None:
        self._rng, self._wide, self._window, self._segments = rng, bits == 32, window, segments
        self._as32 = self._wide

    def _sized(self, wide: bool) -> bytes:
        """The prefix for operands of 32 bits, or of 16."""
        return b"" if wide == self._wide else bytes([OPERAND_SIZE])

    def _u32(self) -> bytes:
        return self._rng.choice(
            (0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, self._rng.getrandbits(32))
        ).to_bytes(4, "little")

    def _imm(self, wide: bool) -> bytes:
        return self._u32()[: 4 if wide else 2]

    def _byte(self) -> bytes:
        return bytes([self._rng.choice((0, 1, 2, 4, 7, 8, 31, 32, 33, 0x7F, 0x80, 0xFF, self._rng.getrandbits(8)))])

    def _absolute(self) -> bytes:
        """An address in the window; often one that crosses a page or leaves the window."""
        edge = self._rng.randrange(5) * 0x1000 + self._rng.randrange(-6, 6)
        at = self._window + (edge if self._rng.random() < 0.2 else self._rng.randrange(WINDOW_SIZE))
        return (at & 0xFFFFFFFF).to_bytes(4, "little")[: 4 if self._as32 else 2]

    def _target(self) -> int:
        """A register to be changed."""
        reg = self._rng.randrange(8)
        return reg if reg not in (*POINTERS, ESP) or self._rng.random() < 0.05 else self._rng.choice((0, 1, 2, EBP))

    def modrm(self, reg: int | None = None, memory: float = 0.55) -> bytes:
        """ModRM, SIB and displacement."""
        rng = self._rng
        reg = self._target() if reg is None else reg
        if rng.random() >= memory:
            return bytes([MOD_REG << 6 | reg << 3 | self._target()])
        return self._address32(reg) if self._as32 else self._address16(reg)

    def _address16(self, reg: int) -> bytes:
        """SDM 2 table 2-1; what adds two pointers wraps around often."""
        rng = self._rng
        if rng.random() < 0.25:
            return bytes([reg << 3 | 6]) + self._absolute()
        rm = rng.choice((4, 5, 7, 4, 5, 7, 4, 5, 7, 0, 1, 2, 3, 6))
        if rng.random() < 0.5:
            return bytes([0x40 | reg << 3 | rm]) + self._byte()
        return bytes([0x80 | reg << 3 | rm]) + rng.randrange(-64, 64).to_bytes(2, "little", signed=True)

    def _address32(self, reg: int) -> bytes:
        rng = self._rng
        form = rng.randrange(4)
        if form == 0:
            return bytes([reg << 3 | 5]) + self._absolute()
        base = rng.choice(POINTERS)
        if form == 1:
            return bytes([0x40 | reg << 3 | base]) + self._byte()
        if form == 2:
            return bytes([0x80 | reg << 3 | base]) + rng.randrange(-64, 64).to_bytes(4, "little", signed=True)
        index, scale = rng.choice((NO_INDEX, NO_INDEX, 0, 1, 2)), rng.randrange(4)
        return bytes([0x40 | reg << 3 | SIB, scale << 6 | index << 3 | base]) + self._byte()

    def _alu(self, wide: bool) -> bytes:
        opcode = self._rng.choice(ALU_FORMS)
        if opcode & 7 < 4:
            return bytes([opcode]) + self.modrm()
        return bytes([opcode]) + (self._imm(wide) if opcode & 1 else self._byte())

    def _immediate(self, wide: bool) -> bytes:
        opcode = self._rng.choice((0x80, 0x81, 0x83, 0xC6, 0xC7, 0x69, 0x6B))
        tail = self._imm(wide) if opcode in (0x81, 0xC7, 0x69) else self._byte()
        reg = 0 if opcode in (0xC6, 0xC7) else self._rng.randrange(8) if opcode < 0x84 and opcode > 0x7F else None
        return bytes([opcode]) + self.modrm(reg) + tail

    def _shift(self, _wide: bool) -> bytes:
        opcode = self._rng.choice((0xC0, 0xC1, 0xD0, 0xD1, 0xD2, 0xD3))
        code = bytes([opcode]) + self.modrm(self._rng.randrange(8))
        return code + (self._byte() if opcode < 0xD0 else b"")

    def _two(self, _wide: bool) -> bytes:
        opcode = self._rng.choice(WITH_MODRM)
        code = opcode.to_bytes(2 if opcode > 0xFF else 1, "big") + self.modrm()
        if opcode in (0x0FA3, 0x0FAB, 0x0FB3, 0x0FBB) and self._rng.random() < 0.9:
            # a bit string's offset may be anything: mostly one that lies in or near the window
            code = b"\x0f\xbe" + bytes([MOD_REG << 6 | (code[2] >> 3 & 7) << 3]) + code
        return bytes([REP]) + code if self._rng.random() < 0.02 else code

    def _bits(self, _wide: bool) -> bytes:
        opcode = self._rng.choice((0xBA, 0xA4, 0xAC))
        reg = self._rng.randrange(4, 8) if opcode == 0xBA else None
        return bytes([0x0F, opcode]) + self.modrm(reg) + self._byte()

    def _group(self, wide: bool) -> bytes:
        opcode, extensions = self._rng.choice(GROUPS)
        extension = self._rng.choice(extensions)
        code = bytes([opcode]) + self.modrm(extension)
        if extension == 0 and opcode < 0xFE:
            code += self._imm(wide) if opcode & 1 else self._byte()
        return code

    def _register(self, wide: bool) -> bytes:
        kind, reg = self._rng.randrange(6), self._target()
        if kind == 0:
            return bytes([self._rng.choice((0x40, 0x48)) | reg])
        if kind == 1:
            return bytes([0xB0 | self._rng.choice((0, 1, 2, 4, 5, 6))]) + self._byte()
        if kind == 2:
            return bytes([0xB8 | reg]) + self._imm(wide)
        if kind == 3:
            return bytes([0x90 | reg])
        if kind == 4 and wide:
            return bytes([0x0F, 0xC8 | reg])
        return bytes([0x8D]) + self.modrm(reg, memory=1)

    def _stack(self, wide: bool) -> bytes:
        kind = self._rng.randrange(8)
        if kind < 3:
            return bytes([0x50 | self._rng.randrange(8)])
        if kind < 6:
            return bytes([0x58 | self._target()])
        return b"\x68" + self._imm(wide) if kind == 6 else b"\x6a" + self._byte()

    def _system(self, _wide: bool) -> bytes:
        """Flags as a whole and segment registers as sources; level 3 may do less, so less often."""
        code = self._rng.choice((*SYSTEM, b"\x9d", b"\xfa", b"\xfb"))
        return b"\x9c" + code if code == b"\x9d" and self._rng.random() < 0.7 else code

    def _segment(self, wide: bool) -> bytes:
        """A segment register from another one, by the stack or a register; in 16-bit code often one from anywhere."""
        rng, size = self._rng, self._sized(wide)
        to = rng.choice((0, 3, 4, 5))
        if not self._wide and rng.random() < 0.4:
            pointer = rng.choice((b"\xc4", b"\xc5", b"\x0f\xb4", b"\x0f\xb5"))
            return size + rng.choice((b"\x8e" + self.modrm(to), pointer + self.modrm(memory=1)))
        if rng.random() < 0.5:
            return size + bytes([0x8C, MOD_REG << 6 | rng.randrange(6) << 3]) + bytes([0x8E, MOD_REG << 6 | to << 3])
        pushed = rng.choice((b"\x06", b"\x0e", b"\x16", b"\x1e", b"\x0f\xa0", b"\x0f\xa8"))
        return size + pushed + size + rng.choice((b"\x07", b"\x1f", b"\x0f\xa1", b"\x0f\xa9"))

    def _divide(self, wide: bool) -> bytes:
        """DIV or IDIV, mostly with a dividend that fits."""
        rng = self._rng
        extend = rng.choice((b"\x99", b"\x31\xd2", b"\x31\xd2", b"\x98", b""))
        prefix = self._sized(wide)
        if extend:
            extend = prefix + extend
        code = bytes([rng.choice((0xF6, 0xF7, 0xF7))]) + self.modrm(rng.choice((6, 7)))
        return extend + (prefix + code if extend else code)

    def _flow(self, wide: bool) -> bytes:
        """Calls that return, a jump to what a register says, frames; all of them end behind themselves."""
        size = self._sized(wide)
        distance = (2).to_bytes(4 if wide else 2, "little")
        behind = self._rng.choice((b"\xc3", b"\xc2\x00\x00"))
        call = size + b"\xe8"
        jump = size + b"\x58" + size + b"\x83\xc0", size + b"\xff\xe0"
        return self._rng.choice((
            call + distance + bytes([0xEB, len(size + behind)]) + size + behind,
            call + bytes(len(distance)) + jump[0] + bytes([sum(map(len, jump)) + 1]) + jump[1],
            size + b"\x89\xe5" + size + b"\xc9",
            size + b"\x60" + size + b"\x61",
        ))  # fmt: skip

    def _exchange8(self, _wide: bool) -> bytes:
        return b"\x0f\xc7" + self.modrm(1, memory=1)

    def _moffs(self, _wide: bool) -> bytes:
        if self._rng.random() < 0.2:
            return XLAT
        return bytes([self._rng.choice((0xA0, 0xA1, 0xA2, 0xA3))]) + self._absolute()

    def _flag(self, _wide: bool) -> bytes:
        return bytes([self._rng.choice(FLAG_BYTES)])

    def _string(self, _wide: bool) -> bytes:
        # INC of the counter, so that it is seldom 0; AND, so that it is small enough for host code
        prefix = self._rng.choice((b"", b"", b"\x41\xf3", b"\x41\xf2", b"\x83\xe1\x1f\xf3", b"\x83\xe1\x07\xf2"))
        return prefix + bytes([self._rng.choice(STRINGS)])

    def x87(self) -> bytes:
        """One x87 instruction: arithmetic mostly, now and then what loads or stores its control words."""
        rng = self._rng
        escape = 0xD8 | rng.randrange(8)
        if rng.random() < 0.5:
            code = bytes([escape, 0xC0 | rng.randrange(64)])
            return code if code not in X87_RESETS or rng.random() < 0.2 else b"\x9b"
        plain = [k for k in range(8) if (escape, k) not in X87_IMAGES or rng.random() < 0.05]
        return bytes([escape]) + self.modrm(rng.choice(plain), memory=1)

    def _x87_run(self, _wide: bool) -> bytes:
        return b"".join(self.x87() for _ in range(self._rng.randrange(1, 5)))

    def sse(self) -> bytes:
        """One instruction on XMM or MMX registers, with any mandatory prefix."""
        rng = self._rng
        opcode = rng.choice(SSE_OPCODES if rng.random() < 0.95 else SSE_RARE)
        prefix = rng.choice((b"", b"\x66", b"\xf2", b"\xf3", b"\x66"))
        if opcode in SSE_INTEGER:
            prefix = b"\x66" if rng.random() < 0.85 else b""
        code = prefix + bytes([0x0F, opcode]) + self.modrm(rng.randrange(8), memory=0.4)
        return code + bytes([rng.choice((0, 2, 7, 0x1B, 0xE4, rng.getrandbits(8)))] * (opcode in SSE_IMMEDIATE))

    def _sse_run(self, _wide: bool) -> bytes:
        return b"".join(self.sse() for _ in range(self._rng.randrange(1, 5)))

    def mmx(self) -> bytes:
        """One instruction on MMX registers."""
        rng = self._rng
        if rng.random() < 0.1:
            return EMMS
        opcode = rng.choice((*SSE_INTEGER, 0x6E, 0x6F, 0x7E, 0x7F))
        code = bytes([0x0F, opcode]) + self.modrm(rng.randrange(8), memory=0.4)
        return code + bytes([rng.choice((0, 2, 7, 0x1B, rng.getrandbits(8)))] * (opcode in SSE_IMMEDIATE))

    def newer(self) -> bytes:
        """One instruction that came after SSE2, of whichever unit."""
        rng = self._rng
        row, encoding = rng.choice(NEWER)
        memory = {"both": 0.4, "mem": 1, "reg": 0}[row.rm or "reg"]
        general = row.operands[0] in ("Gd", "Gv")
        reg = encoding.digit if encoding.digit is not None else None if general else rng.randrange(8)
        prefix = b"" if encoding.prefix in (None, "NP") else bytes.fromhex(encoding.prefix)
        code = prefix + encoding.escape + bytes([encoding.opcode]) + self.modrm(reg, memory=memory)
        return code + bytes([rng.getrandbits(8)] * ("Ib" in row.operands))

    def _newer_run(self, _wide: bool) -> bytes:
        return b"".join(self.newer() for _ in range(self._rng.randrange(1, 5)))

    def _mmx_run(self, _wide: bool) -> bytes:
        return b"".join(self.mmx() for _ in range(self._rng.randrange(1, 5)))

    def instruction(self) -> bytes:
        """One instruction, with prefixes now and then."""
        rng = self._rng
        if rng.random() < 0.2:
            return rng.choice((self._x87_run, self._sse_run, self._mmx_run, self._newer_run))(True)
        kinds = (self._alu, self._immediate, self._shift, self._two, self._bits, self._group, self._register)
        rare = (
            self._stack,
            self._moffs,
            self._flag,
            self._string,
            self._string,
            self._system,
            self._divide,
            self._exchange8,
            self._flow,
            *([self._segment] * (self._segments)),
        )
        wide = self._wide == (rng.random() < 0.85)
        kind = rng.choice(kinds if rng.random() < 0.75 else rare)
        other = kind not in (self._two, self._divide, self._flow, self._segment) and rng.random() < 0.08
        self._as32 = self._wide != other
        code = kind(wide)
        self._as32 = self._wide
        if rng.random() < 0.1:
            code = bytes([rng.choice((FS, GS, CS))]) + code
        return (
            (b"" if kind in (self._flow, self._segment) else self._sized(wide)) + bytes([ADDRESS_SIZE] * other) + code
        )

    def block(self, count: int) -> bytes:
        """Instructions with forward branches among them."""
        rng = self._rng
        pieces = [self.instruction() for _ in range(count)]
        for k in range(count - 3):
            if rng.random() < 0.2:
                skipped = b"".join(pieces[k + 1 : k + 1 + rng.randrange(1, 3)])
                pieces[k] = self._branch(len(skipped))
        return b"".join(pieces)

    def _branch(self, distance: int) -> bytes:
        kind, width = self._rng.randrange(8), 4 if self._wide else 2
        if kind < 5:
            return bytes([0x70 | self._rng.randrange(16), distance])
        if kind == 5:
            return bytes([0x0F, 0x80 | self._rng.randrange(16)]) + distance.to_bytes(width, "little")
        if kind == 6:
            return bytes([self._rng.choice((0xE2, 0xE3)), distance])
        return b"\xe8" + distance.to_bytes(width, "little")
