"""A machine with disks and a CD-ROM drive, and a driver that programs them as Linux and SeaBIOS do."""

import functools
import struct

import numpy as np
import pytest
from vpcore_plugins.ide import vpcore_device_types
from vpcore_plugins.ide.regs import BusMaster, Cmd, Control, Reg, Status

from vpcore.pci import Command
from vpcore.pci import Reg as Config
from vpcore.testing import FakeBoard, MemoryDisk

(IDE,) = vpcore_device_types()
BAR = 0xC000


class Host:
    """One channel as a driver sees it."""

    def __init__(self, pc, number):
        self.pc = pc
        self.number = number
        self.base, self.control_port, self.irq_number = ((0x1F0, 0x3F6, 14), (0x170, 0x376, 15))[number]

    # -- registers --

    def put(self, register, value):
        self.pc.out(self.base + register, value)

    def get(self, register):
        return self.pc.inp(self.base + register)

    def control(self, value):
        self.pc.out(self.control_port, value)

    @property
    def status(self):
        return self.get(Reg.STATUS)

    @property
    def alternate(self):
        return self.pc.inp(self.control_port)

    @property
    def error(self):
        return self.get(Reg.ERROR)

    @property
    def irq(self):
        return self.pc.irq(self.irq_number)

    @property
    def signature(self):
        """Count, low, mid, high: what tells the kinds of drives apart."""
        return tuple(map(self.get, (Reg.COUNT, Reg.LBA_LOW, Reg.LBA_MID, Reg.LBA_HIGH)))

    # -- commands --

    def command(self, code, *, device=0xE0, count=0, lba=0, feature=0):
        self.put(Reg.DEVICE, device | lba >> 24)
        for register, value in (
            (Reg.ERROR, feature),
            (Reg.COUNT, count),
            (Reg.LBA_LOW, lba & 0xFF),
            (Reg.LBA_MID, lba >> 8 & 0xFF),
            (Reg.LBA_HIGH, lba >> 16 & 0xFF),
        ):
            self.put(register, value)
        self.put(Reg.STATUS, code)

    def command48(self, code, *, device=0xE0, count=0, lba=0):
        self.put(Reg.DEVICE, device)
        for shift in (24, 0):
            self.put(Reg.COUNT, count >> (8 if shift else 0) & 0xFF)
            for index, register in enumerate((Reg.LBA_LOW, Reg.LBA_MID, Reg.LBA_HIGH)):
                self.put(register, lba >> shift + 8 * index & 0xFF)
        self.put(Reg.STATUS, code)

    # -- programmed I/O --

    def read(self, size):
        return b"".join(self.pc.inp(self.base, 2).to_bytes(2, "little") for _ in range(0, size, 2))

    def write(self, data):
        for (word,) in struct.iter_unpack("<H", data):
            self.pc.out(self.base, word, 2)

    def identify(self, code=Cmd.IDENTIFY, device=0xE0):
        self.command(code, device=device)
        assert self.status & Status.DRQ
        return struct.unpack("<256H", self.read(512))

    # -- the bus master --

    @property
    def master(self):
        return BAR + BusMaster.CHANNEL * self.number

    def prd(self, *regions, table=0x1000):
        """Write a list of (address, size) and point the bus master to it."""
        for index, (address, size) in enumerate(regions):
            last = 1 << 31 if index == len(regions) - 1 else 0
            self.pc.memory.write(table + 8 * index, struct.pack("<II", address, size & 0xFFFF | last))
        self.pc.out(self.master + BusMaster.TABLE, table, 4)

    def start(self, *, to_memory=True):
        self.pc.out(self.master, BusMaster.START | (BusMaster.TO_MEMORY if to_memory else 0))

    def stop(self):
        self.pc.out(self.master, 0)

    @property
    def master_status(self):
        return self.pc.inp(self.master + BusMaster.STATUS)

    # -- packet commands --

    def packet(self, *command, limit=0xFFFE, dma=False, device=0xA0):
        self.command(Cmd.PACKET, device=device, lba=limit << 8, feature=int(dma))
        self.write(bytes(command).ljust(12, b"\0"))

    def piece(self):
        """Read what the drive offers now: as many bytes as it says."""
        size = self.get(Reg.LBA_MID) | self.get(Reg.LBA_HIGH) << 8
        return self.read(size)[:size]

    def reply(self, *command, **options):
        """Run a packet command that answers with data, to its end."""
        self.packet(*command, **options)
        out = b""
        while self.status & Status.DRQ:
            out += self.piece()
        return out

    def sense(self):
        """REQUEST SENSE: key, code, qualifier."""
        data = self.reply(0x03, 0, 0, 0, 18)
        return data[2], data[12], data[13]


class Pc(FakeBoard):
    """A board with the controller; *hda* to *hdd* and *disc* are MemoryDisks, or what the option says."""

    def __init__(self, **media):
        super().__init__(ram=2 << 20)
        self.backends.disks.update({name: disk for name, disk in media.items() if isinstance(disk, MemoryDisk)})
        options = {name: name if isinstance(disk, MemoryDisk) else disk for name, disk in media.items()}
        options.pop("disc", None)
        options |= {"cdrom": "disc"} if "disc" in media else {}
        self.ide = self.build(IDE, **options)
        self.built()
        self.primary, self.secondary = Host(self, 0), Host(self, 1)
        function = self.pci_bus.functions[1, 1]
        function.guest_write(Config.BAR0 + 16, 4, BAR)
        function.guest_write(Config.COMMAND, 2, Command.IO | Command.MASTER)


@functools.cache
def numbered(sectors, size=512):
    """A medium whose every 16-bit word tells its sector."""
    return np.repeat(np.arange(sectors).astype("<u2"), size // 2).tobytes()


@pytest.fixture
def disk():
    """A disk of 100 cylinders: every word of a sector is its number."""
    return MemoryDisk(numbered(100 * 16 * 63))


@pytest.fixture
def disc():
    """A disc of 1000 blocks."""
    return MemoryDisk(numbered(1000, 2048), readonly=True, name="disc")


@pytest.fixture
def pc(disk, disc):
    """A disk on the first channel, a CD-ROM drive with a disc on the second."""
    return Pc(hda=disk, disc=disc)


@pytest.fixture
def host(pc):
    """The driver of the disk."""
    return pc.primary


@pytest.fixture
def cd(pc):
    """The driver of the CD-ROM drive, with the unit attention of power-on already taken."""
    pc.secondary.packet(0)
    assert pc.secondary.sense() == (6, 0x28, 0)
    return pc.secondary


@pytest.fixture
def make_pc():
    """Make a machine with other drives."""
    return Pc


__all__ = ["Control", "Host", "Pc"]
