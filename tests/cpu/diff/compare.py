"""What comparisons of engines share: odd states to begin in, and how the ends differ."""

from box import CODE

from vpcore.engine.engine import disassemble

EM, TS = 4, 8
OSFXSR = 0x200
ALL_MASKED = 0x3F


def odd_modes(rng, state):
    """x87 registers, some of them empty, and XMM registers; now and then the units may not be used, or have an exception
    unmasked.
    """
    cr0 = state["cr0"] | (rng.choice((TS, EM)) if rng.random() < 0.04 else 0)
    masks = ALL_MASKED if rng.random() < 0.9 else rng.getrandbits(6)
    control = masks | 0x40 | rng.choice((3, 3, 0, 2)) << 8 | rng.getrandbits(2) << 10
    fx = bytearray(state["fx"])
    fx[0:6] = control.to_bytes(2, "little") + rng.getrandbits(3).to_bytes(2, "big") + bytes([rng.getrandbits(8), 0])
    for slot in range(32, 160, 16):
        fx[slot : slot + 10] = rng.randbytes(8) + rng.choice((0x3FFF, 0x4001, 0, 0x7FFF, 0xC000)).to_bytes(2, "little")
        fx[slot + 7] |= 0x80 if rng.random() < 0.8 else 0
    mxcsr = (0x1F80 if rng.random() < 0.9 else rng.getrandbits(6) << 7) | rng.getrandbits(2) << 13
    fx[24:28] = mxcsr.to_bytes(4, "little")
    for word in range(160, 288, 4):
        fx[word : word + 4] = rng.choice((rng.getrandbits(32), 0x3F800000, 0x3FF00000, 0x40490FDB, 0, 7)).to_bytes(
            4, "little"
        )
    return {**state, "cr0": cr0, "cr4": state["cr4"] | OSFXSR * (rng.random() < 0.97), "fx": bytes(fx)}


def outcome(box, end, compared):
    """State and the parts (address, size) of memory, as differences() compares them."""
    state = box.engine.get_state()
    state.pop("tsc_offset")
    return {"end": end, **state}, [(at, bytes(box.ram[at : at + size])) for at, size in compared]


def differences(one, other):
    """Between two outcomes: processor state, memory as (address, bytes)."""
    found = {name: (one[0][name], other[0][name]) for name in one[0] if one[0][name] != other[0][name]}
    for (at, ours), (_, theirs) in zip(one[1], other[1], strict=True):
        if ours != theirs:
            k = next(k for k in range(len(ours)) if ours[k] != theirs[k])
            found[hex(at + k)] = (ours[k], theirs[k])
    return found


def check_ends(boxes, prepare, result, seeds, budget):
    """That programs end the same: `prepare(box, seed, state)` loads one, and gives its code; `result(box, end, began)` is
    the outcome of a run that began after so many instructions.
    """
    states = [box.engine.get_state() for box in boxes]
    for seed in seeds:
        results = []
        for box, state in zip(boxes, states, strict=True):
            code = prepare(box, seed, state)
            began = box.engine.insns
            results.append(result(box, box.engine.run(budget), began))

        assert {} == differences(*results), f"seed {seed}\n{listing(code)}"


def check_slices(boxes, prepare, result, seeds, *, slices, longest, rng):
    """The same for runs that end after any number of instructions, the second of *boxes* on any engine."""
    state = boxes[0].engine.get_state()
    for seed in seeds:
        for box in boxes:
            code = prepare(box, seed, state)

        for _ in range(slices):
            boxes[1].engine.select(rng.choice(("interp", "bt", "bt")))
            count = rng.randrange(1, longest)
            results = []
            for box in boxes:
                began = box.engine.insns
                results.append(result(box, box.engine.run(count), began))
            assert {} == differences(*results), f"seed {seed}\n{listing(code)}"


def listing(code, eip=CODE, bits=32):
    lines, at = [], 0
    while at < len(code):
        text, length = disassemble(code[at:], eip + at, bits) or ("db", 1)
        lines.append(f"{eip + at:x} {code[at : at + length].hex():24} {text}")
        at += length
    return "\n".join(lines)
