"""Addresses that are sums, in windows (bt/front_mem.c): the host adds the window's base and does not cut to 32 bits.

SDM 1 3.7.5: an effective address is the sum of base, scaled index and displacement, modulo the address size.
"""

import pytest
from windows import DATA, LEFT, end, loop, window_box

from vpcore.engine.engine import probe

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])

READ = "mov eax, {0}\nadd [LEFT], eax\nmovzx ecx, byte {0}\nadd [LEFT+4], ecx"
WRITE = "mov ecx, 0x01020304\nadd {0}, ecx\nmov {0}, cl"
SUMS = {
    "base and index": ("mov ebx, 0x230000\nmov esi, 0x408", "[ebx+esi]"),
    "index that is the base": ("mov ebx, 0x118100", "[ebx+ebx]"),
    "eightfold": ("mov ebx, 0x230000\nmov esi, 0x408", "[ebx+esi*8+4]"),
    "index below 0": ("mov ebx, 0x231000\nmov esi, -3", "[ebx+esi*4]"),
    "index below 0, eightfold": ("mov ebx, 0x231000\nmov esi, -3", "[ebx+esi*8]"),
    "all that an index can be": ("mov ebx, 0x231000\nmov esi, -1", "[ebx+esi*8+0x7fffff]"),
    "farthest": ("mov ebx, -0x40\nmov esi, -0x40", "[ebx+esi*8+0x231000]"),
    "farther than a window, eightfold": ("mov ebx, 0x80230000\nmov esi, 0x10000010", "[ebx+esi*8]"),
    "base below 0": ("mov ebx, -0x40\nmov esi, 0x231000", "[ebx+esi]"),
    "index alone": ("mov esi, 0x8c400", "[esi*4]"),
    "index alone, displacement": ("mov esi, 0x404", "[esi*8+0x230000]"),
    "index alone, below 0": ("mov esi, -0x40", "[esi*2+0x231000]"),
    "displacement alone": ("", "[0x231004]"),
    "displacement": ("mov ebx, 0x4", "[ebx+0x231000]"),
    "displacement over 2 GB": ("mov ebx, 0x80231000", "[ebx+0x80000008]"),
    "displacement far below 0": ("mov ebx, 0x331000", "[ebx-0x100000]"),
    "ESP and an index": ("mov esi, 5", "[esp+esi*4+8]"),
    "ESP and an index below 0": ("mov esi, -5", "[esp+esi*4]"),
    "ESP, moved, and an index": ("push eax\npush edx\nmov esi, 5", "[esp+esi*4-16]"),
    "over 4 GB": ("mov ebx, 0xfffffff0\nmov esi, 14", "[ebx+esi]"),
    "below 4 GB": ("mov ebx, 0xfffff000\nmov esi, 0x10", "[ebx+esi*8]"),
    "below 0, displacement": ("mov ebx, 4\nmov esi, 8", "[ebx+esi-0x20]"),
}


@pytest.mark.parametrize("access", [READ, WRITE], ids=["read", "write"])
@pytest.mark.parametrize("name", SUMS)
def test_an_address_is_cut_to_32_bits(name, access, monkeypatch):
    """Whatever it would be otherwise, nothing around the windows is written."""
    start, operand = SUMS[name]
    code = f"{start}\n{access.format(operand).replace('LEFT', hex(LEFT))}"

    assert end("interp", code, monkeypatch) == end("bt", code, monkeypatch)


@pytest.mark.parametrize("scale", range(4))
def test_a_scale_without_an_index_counts_for_nothing(scale, monkeypatch):
    """SDM 2A table 2-3: index 100B is none, whatever the scale."""
    code = f"mov ebx, 0x231000\ndb 0x8b, 0x04, {scale << 6 | 4 << 3 | 3}\nadd [{LEFT}], eax"

    assert end("interp", code, monkeypatch) == end("bt", code, monkeypatch)


def faults(monkeypatch, body, rounds):
    monkeypatch.setenv("VPCORE_BT_LOOKS", "none")
    box = window_box(monkeypatch, clock="realtime")
    box.run(loop(body, rounds), budget=0)
    stats = box.engine.stats()
    return stats.window_faults, stats.window_probes, box.get(DATA)


@pytest.mark.parametrize("index", [2, -2])
def test_an_address_that_wraps_around_does_so_by_few_faults(index, monkeypatch):
    """Three, and those of the pages; then it goes by the window still, not by the flat table."""
    body = f"mov ebx, {DATA - 4 * index}\nmov edx, {index}\ninc dword [ebx+edx*4]"

    some, probes, _ = faults(monkeypatch, body, 100)
    most, more_probes, count = faults(monkeypatch, body, 10_000)

    assert count == 10_000
    assert some <= most <= 16
    assert probes == more_probes == 0
