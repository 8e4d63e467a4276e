"""IDENTIFY data of disks and packet devices (ATA-6 8.15, 8.16)."""

import struct

import pytest
from vpcore_plugins.ide.regs import Cmd, Error, Status

from vpcore.testing import MemoryDisk


class HugeDisk(MemoryDisk):
    """A disk of any size without the memory."""

    def __init__(self, sectors):
        super().__init__(b"")
        self.sectors = sectors

    @property
    def size(self):
        return self.sectors * 512


def text(words, first, last):
    return b"".join(struct.pack(">H", word) for word in words[first : last + 1]).decode()


def test_strings_are_space_padded_with_their_bytes_exchanged(host):
    """8.15.8: words 10-19 serial number, 23-26 firmware, 27-46 model."""
    words = host.identify()

    assert "VPHD0000".ljust(20) == text(words, 10, 19)
    assert "VPCORE HARDDISK".ljust(40) == text(words, 27, 46)


def test_capacity_words_agree(host):
    """Words 1, 3, 6; 54-58; 60-61; 100-103."""
    words = host.identify()

    assert (100, 16, 63) == (words[1], words[3], words[6])
    assert (100, 16, 63, 100800 & 0xFFFF, 100800 >> 16) == words[54:59]
    assert (100800 & 0xFFFF, 100800 >> 16) == words[60:62]
    assert (100800 & 0xFFFF, 100800 >> 16, 0, 0) == words[100:104]


def test_capabilities_name_lba_dma_iordy_and_48_bit_addresses(host):
    """Words 0, 49, 53, 80, 83, 86."""
    words = host.identify()

    assert words[0] & 0x8000 == 0
    assert words[49] & 0x0F00 == 0x0F00
    assert words[50] & 0xC000 == 0x4000
    assert words[53] & 7 == 7
    assert words[80] & 0x40
    assert words[83] & 0xC000 == 0x4000
    assert words[83] & 0x3400 == words[86] & 0x3400 == 0x3400


def test_transfer_modes_are_those_of_a_piix_class_controller(host):
    """Words 63, 64, 88: multiword DMA 0-2, PIO 3-4, UDMA 0-2, none selected at first."""
    words = host.identify()

    assert (0x0007, 0x0003, 0x0007) == (words[63], words[64], words[88])


@pytest.mark.parametrize(("mode", "word", "value"), [(0x22, 63, 0x0407), (0x42, 88, 0x0407), (0x40, 88, 0x0107)])
def test_the_selected_dma_mode_shows(host, mode, word, value):
    """8.46.11, words 63 and 88: one bit in the upper byte; a PIO mode leaves it alone."""
    host.command(Cmd.SET_FEATURES, feature=3, count=mode)
    assert host.status & Status.ERR == 0
    host.command(Cmd.SET_FEATURES, feature=3, count=0x0C)

    assert value == host.identify()[word]


@pytest.mark.parametrize("mode", [0x43, 0x47, 0x23, 0x10, 0x0D, 0x02, 0xFF])
def test_modes_that_are_not_announced_are_refused(host, mode):
    """8.46.11."""
    host.command(Cmd.SET_FEATURES, feature=3, count=mode)

    assert host.status & Status.ERR
    assert host.error == Error.ABRT


def test_small_disks_have_one_cylinder(make_pc):
    """Drivers divide by these words."""
    words = make_pc(hda=MemoryDisk(bytes(512 * 10))).primary.identify()

    assert (1, 16, 63, 10) == (words[1], words[3], words[6], words[60])


def test_an_image_that_is_no_multiple_of_a_sector_is_rounded_up(make_pc):
    """Image sizes need not be a multiple of anything."""
    assert make_pc(hda=MemoryDisk(bytes(512 * 10 + 1))).primary.identify()[60] == 11


def test_large_disks_saturate_the_small_fields(make_pc):
    """Words 1, 60-61 and 100-103 (8.15.4, 8.15.30)."""
    sectors = 1 << 33
    words = make_pc(hda=HugeDisk(sectors)).primary.identify()

    assert words[1] == 16383
    assert words[60] | words[61] << 16 == 0x0FFFFFFF
    assert sum(word << 16 * index for index, word in enumerate(words[100:104])) == sectors


def test_chosen_geometry_shows_in_the_current_words(host):
    """ATA-5 8.16 INITIALIZE DEVICE PARAMETERS; words 54-58."""
    host.command(Cmd.INIT_PARAMETERS, device=0xA7, count=32)

    assert (100800 // 256, 8, 32, 100800 // 256 * 256 & 0xFFFF, 1) == host.identify()[54:59]


def test_write_cache_shows_and_can_be_turned_off(host):
    """8.46.2, words 82 and 85 bit 5."""
    before = host.identify()
    host.command(Cmd.SET_FEATURES, feature=0x82)
    after = host.identify()

    assert (0x20, 0x20) == (before[82] & 0x20, before[85] & 0x20)
    assert (0x20, 0) == (after[82] & 0x20, after[85] & 0x20)


def test_a_packet_device_refuses_identify_device_and_shows_its_signature(pc):
    """8.15.5: mid 14h and high EBh tell the driver to try IDENTIFY PACKET DEVICE."""
    host = pc.secondary
    host.command(Cmd.IDENTIFY)

    assert host.status & Status.ERR
    assert (Error.ABRT, (1, 1, 0x14, 0xEB)) == (host.error, host.signature)


def test_identify_packet_device_names_a_removable_cd_rom_with_12_byte_packets(pc):
    """8.16.8 word 0; words 49, 82."""
    words = pc.secondary.identify(Cmd.IDENTIFY_PACKET, device=0xA0)

    assert (2, 5, 1, 0) == (words[0] >> 14, words[0] >> 8 & 0x1F, words[0] >> 7 & 1, words[0] & 3)
    assert words[49] & 0x0300 == 0x0300
    assert words[82] & 0x0210 == 0x0210
    assert "VPCORE CD-ROM".ljust(40) == text(words, 27, 46)


def test_a_disk_refuses_identify_packet_device(host):
    """8.16."""
    host.command(Cmd.IDENTIFY_PACKET)

    assert (Status.ERR, Error.ABRT) == (host.status & Status.ERR, host.error)
