"""Operands at the edges of the x87, MMX and SSE number formats (SDM 1, 4.2), as pools for random choice."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Rng = np.random.Generator

EXTENDED = 10
"""Bytes of a double extended-precision number."""
POOL = 4096


def integers(rng: Rng, bits: int) -> Array:
    """Random numbers, small ones, powers of two and their neighbours, as unsigned *bits* wide numbers."""
    powers = np.uint64(1) << rng.integers(0, bits, POOL, dtype=np.uint64)
    choices = [
        rng.integers(0, 1 << bits, POOL, dtype=np.uint64),
        rng.integers(-4, 5, POOL, dtype=np.int64).astype(np.uint64),
        powers,
        powers - np.uint64(1),
        np.uint64(0) - powers,
    ]
    return _pick(rng, choices) & np.uint64((1 << bits) - 1)


def _pick(rng: Rng, choices: list[Array]) -> Array:
    return np.choose(rng.integers(0, len(choices), POOL), choices)


def floats(rng: Rng, exponent_bits: int, fraction_bits: int) -> Array:
    """Bit patterns of an IEEE format: every class of number, and numbers near 1 whose sums and products are normal."""
    top = (1 << exponent_bits) - 1
    bias = top >> 1
    exponent = _pick(rng, [
        rng.integers(0, top + 1, POOL, dtype=np.uint64),
        rng.integers(bias - 4, bias + 5, POOL, dtype=np.uint64),
        rng.integers(bias - 4, bias + 5, POOL, dtype=np.uint64),
        rng.integers(bias, bias + 70, POOL, dtype=np.uint64),
        np.zeros(POOL, np.uint64),
        np.full(POOL, 1, np.uint64),
        np.full(POOL, bias >> 1, np.uint64),
        np.full(POOL, top - 1, np.uint64),
        np.full(POOL, top, np.uint64),
    ])  # fmt: skip
    sign = rng.integers(0, 2, POOL, dtype=np.uint64)
    return (
        sign << np.uint64(exponent_bits + fraction_bits)
        | exponent << np.uint64(fraction_bits)
        | _fraction(rng, fraction_bits)
    )


def _fraction(rng: Rng, bits: int) -> Array:
    full = np.uint64((1 << bits) - 1)
    short = rng.integers(0, 1 << 8, POOL, dtype=np.uint64) << np.uint64(bits - 8)
    return _pick(rng, [
        rng.integers(0, 1 << bits, POOL, dtype=np.uint64),
        short,
        np.zeros(POOL, np.uint64),
        np.full(POOL, full, np.uint64),
        np.full(POOL, 1, np.uint64),
        np.full(POOL, np.uint64(1 << (bits - 1)), np.uint64),
    ])  # fmt: skip


def singles(rng: Rng) -> Array:
    """uint32 patterns."""
    return floats(rng, 8, 23).astype(np.uint32)


def doubles(rng: Rng) -> Array:
    """uint64 patterns."""
    return floats(rng, 11, 52)


def extendeds(rng: Rng) -> Array:
    """Rows of 10 bytes; one in eight has the integer bit that its exponent does not have (unsupported formats)."""
    bias, top = 0x3FFF, 0x7FFF
    exponent = _pick(rng, [
        rng.integers(0, top + 1, POOL, dtype=np.uint64),
        rng.integers(bias - 4, bias + 5, POOL, dtype=np.uint64),
        rng.integers(bias - 70, bias + 70, POOL, dtype=np.uint64),
        rng.integers(bias - 1100, bias + 1100, POOL, dtype=np.uint64),
        np.zeros(POOL, np.uint64),
        np.full(POOL, 1, np.uint64),
        np.full(POOL, top - 1, np.uint64),
        np.full(POOL, top, np.uint64),
    ])  # fmt: skip
    integer_bit = (exponent != 0) ^ (rng.integers(0, 8, POOL) == 0)
    mantissa = integer_bit.astype(np.uint64) << np.uint64(63) | _fraction(rng, 63)
    zero = rng.integers(0, 16, POOL) == 0
    mantissa[zero], exponent[zero] = 0, 0
    sign = rng.integers(0, 2, POOL, dtype=np.uint64)
    out = np.empty((POOL, EXTENDED), np.uint8)
    out[:, :8] = mantissa.view(np.uint8).reshape(POOL, 8)
    out[:, 8:] = (sign << np.uint64(15) | exponent).astype(np.uint16).view(np.uint8).reshape(POOL, 2)
    return out


def decimals(rng: Rng) -> Array:
    """Rows of 10 bytes: packed decimal, one in four with digits above 9."""
    digit = rng.integers(0, 10, (POOL, 2 * EXTENDED), dtype=np.uint8)
    wild = rng.integers(0, 4, POOL) == 0
    digit[wild] = rng.integers(0, 16, (int(wild.sum()), 2 * EXTENDED), dtype=np.uint8)
    digit[rng.integers(0, 2, POOL) == 0, 10:] = 0
    out = digit[:, ::2] | digit[:, 1::2] << 4
    out[:, 9] = rng.integers(0, 2, POOL, dtype=np.uint8) << 7
    return out


class Vectors:
    """Rows of 16 bytes of every element type."""

    def __init__(self, rng: Rng) -> None:
        def rows(values: Array, per_row: int) -> Array:
            picked = values[rng.integers(0, POOL, (POOL, per_row))]
            return np.ascontiguousarray(picked).view(np.uint8).reshape(POOL, 16)

        tail = np.zeros((POOL, 16 - EXTENDED), np.uint8)
        self.kinds = [
            rows(singles(rng), 4),
            rows(doubles(rng), 2),
            rows(integers(rng, 16).astype(np.uint16), 8),
            rows(integers(rng, 32).astype(np.uint32), 4),
            rows(integers(rng, 63), 2),
            np.hstack([extendeds(rng), tail]),
            np.hstack([decimals(rng), tail]),
        ]

    def pick(self, rng: Rng, count: int, kinds: list[int]) -> Array:
        """*count* rows of a random one of *kinds* each."""
        pool = np.stack([self.kinds[kind] for kind in kinds])
        return pool[rng.integers(0, len(kinds), count), rng.integers(0, POOL, count)]


SINGLE, DOUBLE, WORD, DWORD, QWORD, EXTENDED_KIND, DECIMAL = range(7)
