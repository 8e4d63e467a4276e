"""Sets video modes through the registers, with the values of IBM's mode tables (IBM VGA, BIOS mode parameters)."""

import attrs

BASE_PALETTE = (0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F)
PLAIN_PALETTE = tuple(range(16))


@attrs.frozen
class Mode:
    """Register values: sequencer 1-4, miscellaneous output, CRTC 0-18h, graphics 0-8, attribute 0-13h."""

    seq: bytes
    misc: int
    crtc: bytes
    gfx: bytes
    attr: bytes


TEXT_80 = Mode(
    seq=bytes.fromhex("00 03 00 02"),
    misc=0x67,
    crtc=bytes.fromhex("5f4f50825581bf1f 004f0d0e00000000 9c8e8f281f96b9a3 ff"),
    gfx=bytes.fromhex("0000000000100e0fff"),
    attr=bytes((*BASE_PALETTE, 0x0C, 0, 0x0F, 8)),
)
CGA_320 = Mode(
    seq=bytes.fromhex("09 03 00 02"),
    misc=0x63,
    crtc=bytes.fromhex("2d2728902b80bf1f 00c1000000000000 9c8e8f140096b9a2 ff"),
    gfx=bytes.fromhex("0000000000300f0fff"),
    attr=bytes((0, 0x13, 0x15, 0x17, 2, 4, 6, 7, *range(0x10, 0x18), 1, 0, 3, 0)),
)
CGA_640 = Mode(
    seq=bytes.fromhex("01 01 00 06"),
    misc=0x63,
    crtc=bytes.fromhex("5f4f50825480bf1f 00c1000000000000 9c8e8f280096b9c2 ff"),
    gfx=bytes.fromhex("0000000000000d0fff"),
    attr=bytes((0, *[0x17] * 15, 1, 0, 1, 0)),
)
PLANAR_320 = Mode(
    seq=bytes.fromhex("09 0f 00 06"),
    misc=0x63,
    crtc=bytes.fromhex("2d2728902b80bf1f 00c0000000000000 9c8e8f140096b9e3 ff"),
    gfx=bytes.fromhex("000000000000050fff"),
    attr=bytes((*range(8), *range(0x10, 0x18), 1, 0, 0x0F, 0)),
)
PLANAR_640 = Mode(
    seq=bytes.fromhex("01 0f 00 06"),
    misc=0xE3,
    crtc=bytes.fromhex("5f4f508254800b3e 0040000000000000 ea8cdf2800e704e3 ff"),
    gfx=bytes.fromhex("000000000000050fff"),
    attr=bytes((*BASE_PALETTE, 1, 0, 0x0F, 0)),
)
LINEAR_320 = Mode(
    seq=bytes.fromhex("01 0f 00 0e"),
    misc=0x63,
    crtc=bytes.fromhex("5f4f50825480bf1f 0041000000000000 9c8e8f284096b9a3 ff"),
    gfx=bytes.fromhex("000000000040050fff"),
    attr=bytes((*PLAIN_PALETTE, 0x41, 0, 0x0F, 0)),
)


def seq(board, index, value):
    board.out(0x3C4, index | value << 8, 2)


def gfx(board, index, value):
    board.out(0x3CE, index | value << 8, 2)


def crtc(board, index, value):
    board.out(0x3D4, index | value << 8, 2)


def attr(board, index, value):
    board.inp(0x3DA)
    board.out(0x3C0, index)
    board.out(0x3C0, value)
    board.out(0x3C0, 0x20)


def vbe(board, index, value=None):
    board.out(0x1CE, index, 2)
    if value is None:
        return board.inp(0x1CF, 2)
    return board.out(0x1CF, value, 2)


def set_mode(board, mode):
    """Program a mode in the order of a BIOS, with DAC color n = (n, n, n) / 4 so that colors can be told apart."""
    board.out(0x3C2, mode.misc)
    for index, value in enumerate(mode.seq):
        seq(board, index + 1, value)
    crtc(board, 0x11, 0)
    for index, value in enumerate(mode.crtc):
        crtc(board, index, value)
    for index, value in enumerate(mode.gfx):
        gfx(board, index, value)
    for index, value in enumerate(mode.attr):
        attr(board, index, value)
    attr(board, 0x14, 0)
    board.out(0x3C6, 0xFF)
    board.out(0x3C8, 0)
    for color in range(256):
        for component in dac_color(color):
            board.out(0x3C9, component)


def dac_color(color):
    """A different color for each DAC index, in 6 bits."""
    return (color & 0x3F, color >> 2, color * 5 & 0x3F)


def rgb(color):
    """The same as the DAC puts it out."""
    return [level << 2 | level >> 4 for level in dac_color(color)]


def vbe_mode(board, width, height, bpp, flags=0x41):
    """Enable a Bochs VBE mode as SeaBIOS and bochs-drm do."""
    vbe(board, 4, 0)
    vbe(board, 3, bpp)
    vbe(board, 1, width)
    vbe(board, 2, height)
    vbe(board, 4, flags)
    board.inp(0x3DA)
    board.out(0x3C0, 0x20)


def poke(board, address, *data):
    """Write bytes as the processor does, through a window or the graphics controller."""
    for index, value in enumerate(data):
        at = address + index
        window = _window(board, at)
        if window is None:
            board.bus.mmio_write(at, 1, value)
        else:
            window.data[window.offset + at - window.base] = value


def peek(board, address):
    """Read a byte as the processor does."""
    window = _window(board, address)
    return board.bus.mmio_read(address, 1) if window is None else window.data[window.offset + address - window.base]


def _window(board, address):
    found = None
    for window in board.memory.windows:
        if window.base is not None and window.base <= address < window.base + window.size:
            found = window
    return found
