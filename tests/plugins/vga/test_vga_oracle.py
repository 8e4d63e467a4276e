"""Our adapter against QEMU's, both programmed by SeaBIOS's VGA BIOS; skipped where QEMU or nasm is not installed.

Known differences are kept out of the scripts: QEMU repeats the ninth dot from B0h on, does not blink characters, widens
DAC levels by other low bits, doubles small pictures, and ignores PEL panning and mask.
"""

import random

import numpy as np
import pytest
import vga_modes as modes
import vga_oracle as oracle
from vga_oracle import bios, inb, load, outb, outw, store
from vpcore_plugins.vga.aperture import NOWHERE

pytestmark = pytest.mark.skipif(not oracle.available, reason="qemu-system-i386 and nasm are not installed")

CURSOR_OFF = outw(0x3D4, 0x200A)
LEVELS = 8
"""Color levels that two ways of widening 5 or 6 bits to 8 may differ by."""


def _replay(board, accesses):
    """Do what the VGA BIOS did, and compare what it read."""
    wrong = []
    for kind, at, value in accesses:
        if kind == "vbe":
            modes.vbe(board, at, value)
        elif kind == "write":
            board.out(at, value)
        elif board.inp(at) != value and at not in (0x3BA, 0x3DA):
            wrong.append((hex(at), value))
    return wrong


def _become(board, vga, result):
    wrong = _replay(board, result.accesses)
    vga.aperture.sync()
    vga.aperture.bytes[:] = np.frombuffer(result.vram, dtype=np.uint8)
    vga.aperture._route = NOWHERE
    vga.aperture.update()
    return wrong


def _differing(ours, theirs):
    """Pixels that differ; QEMU shows 200-line modes doubled."""
    theirs = theirs[:: theirs.shape[0] // ours.shape[0], :: theirs.shape[1] // ours.shape[1]]
    return int((abs(theirs.astype(int) - ours) > LEVELS).any(axis=2).sum())


def _teletype(text):
    steps = []
    for index, code in enumerate(text):
        steps += [bios(0x0900 | code, index * 13 + 0x1E & 0x7F, 1), bios(0x0E00 | code, index & 0xF)]
    return steps


def _seq(index, value):
    return outw(0x3C4, index | value << 8)


def _crtc(index, value):
    return outw(0x3D4, index | value << 8)


def _attr(index, value):
    return [inb(0x3DA), outb(0x3C0, index), outb(0x3C0, value), outb(0x3C0, 0x20)]


def _noise(segment, count, limit, *, planes=False):
    rnd = random.Random(count + limit)
    steps = []
    for _ in range(count):
        at, value = rnd.randrange(limit), rnd.randrange(256)
        if segment == 0xB800:
            value &= 0x7F  # no blinking, no ninth dots
        if planes and rnd.random() < 0.3:
            steps.append(_seq(2, rnd.randrange(16)))
        steps.append(store(segment, at, value))
    return steps


TEXT = _teletype(b"Hello, world \xc4\xcd\xdb\x01 0123")
SCRIPTS = {
    "mode 3": [bios(3), *TEXT, CURSOR_OFF],
    "mode 7": [bios(7), *TEXT, outw(0x3B4, 0x200A)],
    "mode 4": [bios(4), *TEXT, *_noise(0xB800, 2000, 0x4000)],
    "mode 6": [bios(6), *TEXT, *_noise(0xB800, 2000, 0x4000)],
    "mode D": [bios(0x0D), *TEXT, *_noise(0xA000, 2000, 8000, planes=True)],
    "mode E": [bios(0x0E), *TEXT],
    "mode 10": [bios(0x10), *TEXT],
    "mode 11": [bios(0x11), *TEXT],
    "mode 12": [bios(0x12), *TEXT, *_noise(0xA000, 2000, 38400, planes=True)],
    "mode 13": [bios(0x13), *TEXT, *_noise(0xA000, 2000, 64000), _crtc(0x0D, 0x21)],
    "mode X": [
        *[bios(0x13), _seq(4, 6), _crtc(0x14, 0), _crtc(0x17, 0xE3)],
        *_noise(0xA000, 2000, 16000, planes=True),
        *[_crtc(0x0C, 3), _crtc(0x0D, 0x21)],
    ],
    "50 lines": [bios(3), bios(0x1112), *_noise(0xB800, 2000, 8000), CURSOR_OFF],
    "two fonts": [bios(3), bios(0x1103, 4), *_noise(0xB800, 2000, 4000), CURSOR_OFF],
    "start address": [bios(3), *_noise(0xB800, 3000, 0x1200), _crtc(0x0C, 1), _crtc(0x0D, 0x50), CURSOR_OFF],
    "split screen": [
        *[bios(0x0D), *_noise(0xA000, 2000, 0x4000, planes=True), _crtc(0x0C, 9), _crtc(0x0D, 0x10)],
        *[_crtc(0x11, 0), _crtc(0x18, 0x7F), _crtc(7, 0x0F), _crtc(9, 0x80)],
    ],
    "wide lines": [bios(0x12), *_noise(0xA000, 3000, 0xFFFF), _crtc(0x13, 0x32)],
    "palette": [bios(0x0D), *_noise(0xA000, 1000, 8000), *_attr(0x12, 5), *_attr(0x14, 0x0D), *_attr(0x10, 0x81)],
    "VBE 101": [bios(0x4F02, 0x4101), *TEXT],
    "VBE 102": [bios(0x4F02, 0x102), *TEXT, *_noise(0xA000, 2000, 60000, planes=True)],
    "VBE 105 banks": [
        *[bios(0x4F02, 0x105), *_noise(0xA000, 1000, 0xFFFF), bios(0x4F05, 0), outw(0x1CE, 5), outw(0x1CF, 3)],
        *_noise(0xA000, 1000, 0xFFFE),
    ],
    "VBE 110": [bios(0x4F02, 0x4110), *TEXT],
    "VBE 111": [bios(0x4F02, 0x4111), *TEXT],
    "VBE 112": [bios(0x4F02, 0x4112), *TEXT],
    "VBE 118": [bios(0x4F02, 0x4118), *TEXT],
    "VBE 11E": [bios(0x4F02, 0x411E), *TEXT],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_same_picture_as_qemu(board, vga, screen, tmp_path, name):
    """SeaBIOS sets the mode and draws; registers are replayed, memory is copied, pictures compared."""
    result = oracle.run(SCRIPTS[name], tmp_path)
    wrong = _become(board, vga, result)
    if not name.startswith("VBE"):  # QEMU changes the standard registers to suit a VBE mode
        assert wrong == []
    assert _differing(screen.frame(), result.frame) == 0


def _planar_operations(seed, count=5000):
    rnd = random.Random(seed)
    for _ in range(count):
        kind = rnd.random()
        if kind < 0.25:
            index, value = rnd.choice([0, 1, 2, 3, 4, 5, 7, 8, 8, 8]), rnd.randrange(256)
            yield "out", 0x3CE, index | (value & 0x0B if index == 5 else value) << 8
        elif kind < 0.3:
            yield "out", 0x3C4, 2 | rnd.randrange(16) << 8
        elif kind < 0.7:
            yield "store", rnd.randrange(400), rnd.randrange(256)
        else:
            yield "load", rnd.randrange(400), 0


def _step(kind, at, value):
    return outw(at, value) if kind == "out" else store(0xA000, at, value) if kind == "store" else load(0xA000, at)


@pytest.mark.parametrize("seed", [1, 2])
def test_planar_memory_is_the_same_as_qemus(board, vga, tmp_path, seed):
    """Five thousand random operations in mode 12h: all write and read modes, functions, masks and latches."""
    operations = list(_planar_operations(seed))
    (tmp_path / "before").mkdir()
    _become(board, vga, oracle.run([bios(0x12)], tmp_path / "before"))
    result = oracle.run([bios(0x12), *(_step(*operation) for operation in operations)], tmp_path)
    sent = bytearray()
    for kind, at, value in operations:
        if kind == "out":
            board.out(at, value, 2)
        elif kind == "store":
            board.bus.mmio_write(0xA0000 + at, 1, value)
        else:
            sent.append(board.bus.mmio_read(0xA0000 + at, 1))
    assert (bytes(sent) == result.sent, vga.aperture.contents() == result.vram.rstrip(b"\0")) == (True, True)
