"""A board with fw_cfg, and the way in which SeaBIOS talks to it."""

import struct

import pytest
from vpcore_plugins.firmware import vpcore_device_types
from vpcore_plugins.firmware.regs import Dma, Key, Reg

from vpcore.testing import FakeBoard, FakeCmos
from vpcore.wires import Cmos

(FIRMWARE,) = vpcore_device_types()
REQUEST = 0x8000


class Pc(FakeBoard):
    """A board with the firmware; *rom* is a file of the right size."""

    def __init__(self, rom, ram=8 << 20, boot="acd", **options):
        super().__init__(ram)
        self.cmos = FakeCmos()
        self.provide(Cmos, self.cmos)
        object.__setattr__(self.info, "boot", boot)
        self.fw_cfg = self.build(FIRMWARE, rom=str(rom), **options)
        self.built()

    def select(self, key):
        self.out(Reg.BASE + Reg.SELECTOR, key, 2)

    def read(self, size):
        return bytes(self.inp(Reg.BASE + Reg.DATA) for _ in range(size))

    def item(self, key, size):
        self.select(key)
        return self.read(size)

    def directory(self):
        """Name to (size, key) of every file, in the order in which they are listed."""
        count = int.from_bytes(self.item(Key.FILE_DIR, 4), "big")
        entries = {}
        for _ in range(count):
            size, key, _, name = struct.unpack(">IHH56s", self.read(64))
            entries[name.rstrip(b"\0").decode()] = (size, key)
        return entries

    def file(self, name):
        size, key = self.directory()[name]
        return self.item(key, size)

    def dma(self, control, length=0, target=0, request=REQUEST):
        """Run one request; the control word that is left."""
        self.memory.write(request, struct.pack(Dma.FORMAT, control, length, target))
        self.out(Reg.BASE + Reg.DMA_HIGH, int.from_bytes((request >> 32).to_bytes(4, "big"), "little"), 4)
        self.out(Reg.BASE + Reg.DMA_LOW, int.from_bytes((request & 0xFFFF_FFFF).to_bytes(4, "big"), "little"), 4)
        return int.from_bytes(self.memory.read(request, 4), "big")


@pytest.fixture
def rom(tmp_path):
    """A BIOS image of 256 KB that tells its parts apart."""
    path = tmp_path / "bios.bin"
    path.write_bytes(b"".join(bytes((index,)) * 4096 for index in range(64)))
    return path


@pytest.fixture
def make_pc(rom):
    """Make a machine with options."""
    return lambda **options: Pc(options.pop("rom", rom), **options)


@pytest.fixture
def pc(make_pc):
    """A machine with 8 MB and no kernel."""
    return make_pc()
