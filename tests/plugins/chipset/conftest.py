"""A board with the whole chipset on it."""

import pytest
from vpcore_plugins.chipset import vpcore_device_types

from vpcore.testing import FakeBoard

TYPES = {kind.name: kind for kind in vpcore_device_types()}


class Pc(FakeBoard):
    """A board on which tests name the chips they need."""

    def add(self, *names, **options):
        """Build devices, and complete the machine."""
        devices = [self.build(TYPES[name], **(options if len(names) == 1 else {})) for name in names]
        self.built()
        return devices[0] if len(devices) == 1 else devices

    def config(self, slot, function, offset):
        """Point configuration mechanism 1 at a register."""
        self.out(0xCF8, 1 << 31 | slot << 11 | function << 8 | offset & ~3, 4)
        return 0xCFC + offset % 4

    def read_config(self, slot, function, offset, width=4):
        """Read configuration space as a BIOS does."""
        return self.inp(self.config(slot, function, offset), width)

    def write_config(self, slot, function, offset, value, width=4):
        """Write configuration space."""
        self.out(self.config(slot, function, offset), value, width)


@pytest.fixture
def make_pc():
    """Make a PC without devices yet, by its RAM in bytes."""
    return lambda ram=2 << 20: Pc(ram)


@pytest.fixture
def pc(make_pc):
    """A PC without devices yet, with 2 MB."""
    return make_pc()
