"""The master boot record: UEFI specification 2.10, section 5.2.1."""

import struct

import pytest

from vpcore.errors import ImageError
from vpcore.images.mbr import FIRST_SECTOR, Kind, Partition, boot_area

BOOT = bytes(range(256)) + bytes(254) + b"\x55\xaa"
CORE = b"core" * 300


def test_a_partition_entry_has_the_fields_of_table_5_4():
    entry = Partition(2048, 4096, active=True).entry()
    status, start_chs, kind, _end_chs, start, sectors = struct.unpack("<B3sB3sII", entry)
    assert (0x80, 0x83, 2048, 4096) == (status, kind, start, sectors)
    # sector 2048 with 255 heads of 63 sectors is cylinder 0, head 32, sector 33
    assert bytes((32, 33, 0)) == start_chs


def test_a_cylinder_above_255_puts_its_high_bits_above_the_sector_number():
    sector = 700 * 255 * 63  # cylinder 700 = 0x2BC, head 0, sector 1
    assert bytes((0, 1 | 0x80, 0xBC)) == Partition(sector, 1).entry()[1:4]


def test_an_address_past_cylinder_1023_is_the_last_one_that_can_be_written():
    assert bytes((254, 63 | 0xC0, 0xFF)) == Partition(1024 * 255 * 63, 1).entry()[1:4]


def test_the_boot_area_keeps_the_loader_s_code_and_ends_in_the_core_image():
    area = boot_area(BOOT, CORE, [Partition(FIRST_SECTOR, 100)], 0x12345678)
    assert BOOT[:0x1B8] == area[:0x1B8]
    assert struct.pack("<IH", 0x12345678, 0) == area[0x1B8:0x1BE]
    assert Partition(FIRST_SECTOR, 100).entry() == area[0x1BE:0x1CE]
    assert bytes(48) + b"\x55\xaa" == area[0x1CE:0x200]
    assert CORE == area[0x200:]


def test_two_partitions_take_two_entries_in_the_order_given():
    parts = [Partition(FIRST_SECTOR, 100), Partition(FIRST_SECTOR + 100, 50, Kind.FAT16_LBA)]
    area = boot_area(BOOT, CORE, parts, 0)
    assert parts[1].entry() == area[0x1CE:0x1DE]


@pytest.mark.parametrize(
    ("partitions", "complaint"),
    [
        ([Partition(2, 100)], "overlaps"),
        ([Partition(2048, 100), Partition(2100, 10)], "partition at sector 2100 overlaps"),
        ([Partition(2048 + n, 1) for n in range(5)], "4 partitions"),
    ],
)
def test_a_table_that_cannot_be_is_refused(partitions, complaint):
    with pytest.raises(ImageError, match=complaint):
        boot_area(BOOT, CORE, partitions, 0)


def test_a_boot_image_without_the_boot_mark_is_refused():
    with pytest.raises(ImageError, match="no boot sector"):
        boot_area(bytes(512), CORE, [], 0)
