"""The graphics controller's data path against the text of the manual, bit by bit."""

from hypothesis import given, settings
from hypothesis import strategies as st
from vpcore_plugins.vga import planar
from vpcore_plugins.vga.regs import Gfx

BYTE = st.integers(0, 255)
WORD = st.integers(0, 0xFFFFFFFF)


def _bit(word, plane, bit):
    return word >> 8 * plane + bit & 1


def _reference_write(gfx, latch, value):
    """IBM VGA, graphics controller: data rotate, enable set/reset, function select, bit mask, write modes."""
    mode = gfx[5] & 3
    count = gfx[3] & 7
    rotated = [value >> (bit + count) % 8 & 1 for bit in range(8)]
    result = 0
    for plane in range(4):
        for bit in range(8):
            latched = _bit(latch, plane, bit)
            select = gfx[8] >> bit & 1
            if mode == 1:
                out = latched
            else:
                if mode == 0:
                    data = gfx[0] >> plane & 1 if gfx[1] >> plane & 1 else rotated[bit]
                elif mode == 2:
                    data = value >> plane & 1
                else:
                    data = gfx[0] >> plane & 1
                    select &= rotated[bit]
                data = (data, data & latched, data | latched, data ^ latched)[gfx[3] >> 3]
                out = data if select else latched
            result |= out << 8 * plane + bit
    return result


def _reference_compare(gfx, latch):
    """IBM VGA, color compare and color don't care registers: 1 where every cared-for plane matches."""
    result = 0
    for bit in range(8):
        planes = [p for p in range(4) if gfx[7] >> p & 1]
        result |= all(_bit(latch, p, bit) == gfx[2] >> p & 1 for p in planes) << bit
    return result


@st.composite
def _registers(draw):
    return bytearray(draw(BYTE) & mask for mask in Gfx.MASKS)


@settings(max_examples=500, deadline=None)
@given(_registers(), WORD, BYTE)
def test_a_write_does_what_the_manual_says(gfx, latch, value):
    assert planar.write(planar.unit_of(gfx), latch, value) == _reference_write(gfx, latch, value)


@settings(max_examples=300, deadline=None)
@given(_registers(), WORD)
def test_a_color_compare_does_what_the_manual_says(gfx, latch):
    assert planar.compare(planar.unit_of(gfx), latch) == _reference_compare(gfx, latch)
