"""A CD-ROM drive: SFF-8020i 2.6 (packet protocol) and MMC-3 / SPC-2 (commands)."""

import struct

import pytest
from vpcore_plugins.ide.regs import Cmd, Control, Interrupt, Reg, Status

from vpcore.testing import MemoryDisk

READY = Status.DRDY | Status.DSC
BLOCK = 2048
BUFFER = 0x10000

TEST_UNIT_READY = (0x00,)
EJECT = (0x1B, 0, 0, 0, 2)
LOAD = (0x1B, 0, 0, 0, 3)
POLL_MEDIA = (0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8)

NO_MEDIUM = (2, 0x3A, 0)
READ_ERROR = (3, 0x11, 0)
BAD_COMMAND = (5, 0x20, 0)
OUT_OF_RANGE = (5, 0x21, 0)
BAD_FIELD = (5, 0x24, 0)
LOCKED = (5, 0x53, 2)
MEDIUM_CHANGED = (6, 0x28, 0)
NO_SENSE = (0, 0, 0)


def block(number):
    return struct.pack("<H", number & 0xFFFF) * (BLOCK // 2)


def read_10(first, count):
    return struct.pack(">BBIxHx", 0x28, 0, first, count)


# -- the packet protocol --


def test_a_packet_is_asked_for_without_an_interrupt(pc):
    """SFF-8020i 5.7, 6.2: reason "command", DRQ; IDENTIFY word 0 says accelerated DRQ."""
    host = pc.secondary
    host.command(Cmd.PACKET, device=0xA0)

    assert (False, READY | Status.DRQ, Interrupt.COMMAND) == (host.irq, host.status, host.get(Reg.COUNT))


def test_the_end_of_a_command_is_told_by_its_reason_and_an_interrupt(cd):
    """SFF-8020i 5.7: IO and CoD set, DRQ clear."""
    cd.packet(*TEST_UNIT_READY)

    assert cd.irq
    assert (READY, Interrupt.COMMAND | Interrupt.TO_HOST) == (cd.status, cd.get(Reg.COUNT))


def test_data_come_with_their_byte_count_reason_and_an_interrupt(cd):
    """SFF-8020i 5.6, 5.7."""
    cd.packet(0x12, 0, 0, 0, 36)
    offered = (cd.irq, cd.status, cd.get(Reg.COUNT), cd.get(Reg.LBA_MID), cd.get(Reg.LBA_HIGH))
    cd.read(36)

    assert offered == (True, READY | Status.DRQ, Interrupt.TO_HOST, 36, 0)
    assert (True, READY, 3) == (cd.irq, cd.status, cd.get(Reg.COUNT))


@pytest.mark.parametrize(
    ("limit", "sizes"),
    [(10, [10, 10, 10, 6]), (36, [36]), (37, [36]), (35, [34, 2]), (0, [36]), (0xFFFF, [36]), (2, [2] * 18)],
)
def test_replies_come_in_pieces_of_the_byte_count_limit(cd, limit, sizes):
    """SFF-8020i 5.6: an odd limit is used up to the even number below, but for the last piece."""
    whole = cd.reply(0x12, 0, 0, 0, 36)
    cd.packet(0x12, 0, 0, 0, 36, limit=limit)
    pieces = []
    while cd.status & Status.DRQ:
        pieces.append(cd.piece())

    assert sizes == [len(piece) for piece in pieces]
    assert whole == b"".join(pieces)


def test_a_reply_of_odd_length_says_so_and_moves_a_whole_word(cd):
    """SFF-8020i 5.6: the last byte is padding."""
    cd.packet(0x12, 0, 0, 0, 5)

    assert len(cd.piece()) == 5
    assert cd.status == READY


def test_replies_are_cut_at_the_allocation_length(cd):
    """SPC-2 4.3.4.6: no error."""
    whole = cd.reply(0x12, 0, 0, 0, 36)

    assert whole[:7] == cd.reply(0x12, 0, 0, 0, 7)
    assert cd.reply(0x12, 0, 0, 0, 0) == b""
    assert cd.status == READY


def test_an_unknown_packet_command_fails_with_sense(cd):
    """SFF-8020i 5.8: CHK, and the sense key in the upper half of the error register."""
    cd.packet(0xF1)

    assert cd.irq
    assert (Status.ERR, 5 << 4 | 4, 3) == (cd.status & Status.ERR, cd.error, cd.get(Reg.COUNT))
    assert cd.sense() == BAD_COMMAND


def test_request_sense_clears_the_sense_data(cd):
    """SPC-2 7.20."""
    cd.packet(0xF1)

    assert cd.sense() == BAD_COMMAND
    assert cd.sense() == NO_SENSE


def test_device_reset_brings_the_signature_without_an_interrupt(cd):
    """SFF-8020i 6.3, ATA-6 8.9."""
    cd.packet(0x12, 0, 0, 0, 36)
    cd.command(Cmd.DEVICE_RESET, device=0xA0)

    assert not cd.irq
    assert (0, (1, 1, 0x14, 0xEB)) == (cd.status, cd.signature)


def test_a_drive_as_slave_keeps_its_place_when_it_shows_the_signature(make_pc):
    """ATA-6 8.15.5: DEV in the device register does not change."""
    host = make_pc(hda=MemoryDisk(bytes(512)), hdb="cdrom").primary
    host.command(Cmd.IDENTIFY, device=0xB0)

    assert host.get(Reg.DEVICE) & 0x10


# -- who is there --


def test_inquiry_names_a_removable_cd_rom(cd):
    """SPC-2 7.3: type 5, RMB, ATAPI response format."""
    data = cd.reply(0x12, 0, 0, 0, 255)

    assert (0x05, 0x80, 0x21, 31) == (data[0], data[1], data[3], data[4])
    assert len(data) == 36
    assert data[8:16] == b"vpcore  "


def test_the_first_command_after_power_on_tells_of_the_disc(pc):
    """SPC-2 5.6.5 unit attention; INQUIRY, REQUEST SENSE, GET EVENT and GET CONFIGURATION pass (MMC-3 4.1.6.1)."""
    host = pc.secondary
    for command in ((0x12, 0, 0, 0, 36), (0x46, 0, 0, 0, 0, 0, 0, 0, 8), POLL_MEDIA):
        host.reply(*command)
        assert host.status & Status.ERR == 0
    host.packet(*TEST_UNIT_READY)
    failed = host.status & Status.ERR
    sense = host.sense()
    host.packet(*TEST_UNIT_READY)

    assert (Status.ERR, MEDIUM_CHANGED, 0) == (failed, sense, host.status & Status.ERR)


def test_request_sense_tells_of_a_unit_attention_by_itself(pc):
    """SPC-2 7.20."""
    assert pc.secondary.sense() == MEDIUM_CHANGED
    assert pc.secondary.sense() == NO_SENSE


def test_read_capacity_gives_the_last_block(cd):
    """MMC-3 5.15."""
    assert struct.unpack(">II", cd.reply(0x25)) == (999, BLOCK)


def test_mode_sense_has_the_capabilities_page(cd):
    """MMC-3 5.12.3: header of 8 bytes, page 2Ah."""
    data = cd.reply(0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 255)

    assert len(data) - 2 == struct.unpack_from(">H", data)[0]
    assert (0x01, 0x2A, 18) == (data[2], data[8], data[9])
    assert len(data) == 28


def test_mode_sense_of_all_pages_has_each_once(cd):
    """SPC-2 8.4.1: page 3Fh."""
    data = cd.reply(0x5A, 0, 0x3F, 0, 0, 0, 0, 0, 255)
    pages, at = [], 8
    while at < len(data):
        pages.append(data[at])
        at += 2 + data[at + 1]

    assert pages == [0x01, 0x2A]


def test_mode_sense_of_an_unknown_page_is_a_bad_field(cd):
    """SPC-2 7.9."""
    cd.packet(0x5A, 0, 0x0E, 0, 0, 0, 0, 0, 255)

    assert cd.sense() == BAD_FIELD


@pytest.mark.parametrize("limit", [0xFFFE, 6])
def test_mode_select_takes_its_parameters(cd, limit):
    """SPC-2 7.7: the host writes as many bytes as the drive asks for."""
    cd.packet(0x55, 0x10, 0, 0, 0, 0, 0, 0, 16, limit=limit)
    asked = []
    while cd.status & Status.DRQ:
        asked.append((cd.get(Reg.COUNT), cd.get(Reg.LBA_MID)))
        cd.write(bytes(asked[-1][1]))

    assert asked == ([(0, 16)] if limit > 16 else [(0, 6), (0, 6), (0, 4)])
    assert (READY, 3) == (cd.status, cd.get(Reg.COUNT))


def test_mode_select_by_dma(pc, cd):
    """Libata moves any multiple of 16 bytes by DMA."""
    cd.prd((BUFFER, 16))
    cd.packet(0x55, 0x10, 0, 0, 0, 0, 0, 0, 16, dma=True)
    cd.start(to_memory=False)

    assert cd.irq
    assert cd.status == READY


def test_get_configuration_lists_the_current_profile(cd):
    """MMC-3 5.6, 6.2: header with data length and profile 8, then the profile list."""
    data = cd.reply(0x46, 0, 0, 0, 0, 0, 0, 1, 0)

    assert struct.unpack_from(">IHH", data) == (len(data) - 4, 0, 8)
    assert struct.unpack_from(">HBBHBB", data, 8) == (0, 3, 4, 8, 1, 0)


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ((0xBD, 0, 0, 0, 0, 0, 0, 0, 0, 8), "0000000000010000"),
        ((0xBD, 0, 0, 0, 0, 0, 0, 0, 0, 4), "00000000"),
        ((0x42, 2, 0x40, 1, 0, 0, 0, 0, 16), "00150000"),
        ((0x51, 0, 0, 0, 0, 0, 0, 0, 9), "00200e010101012000"),
        ((0x52, 1, 0, 0, 0, 1, 0, 0, 28), "001a0101000401" + "00" * 17 + "000003e8"),
    ],
)
def test_short_replies(cd, command, reply):
    """MMC-3 5.10 mechanism, 5.22 sub-channel, 5.16 disc information, 5.27 track information."""
    assert reply == cd.reply(*command).hex()


@pytest.mark.parametrize("command", [(0xBB, 0, 0xFF, 0xFF), (0x1B, 0, 0, 0, 1), (0x1B,)])
def test_commands_without_effect_succeed(cd, command):
    """SET CD SPEED, start and stop of the spindle."""
    cd.packet(*command)

    assert cd.status == READY


# -- the disc --


def test_read_toc_has_one_data_track_and_the_lead_out(cd):
    """MMC-3 5.23 format 0."""
    data = cd.reply(0x43, 0, 0, 0, 0, 0, 0, 0, 255)

    assert data == struct.pack(">HBB", 18, 1, 1) + struct.pack(">BBBBI", 0, 0x14, 1, 0, 0) + struct.pack(
        ">BBBBI", 0, 0x14, 0xAA, 0, 1000
    )


def test_read_toc_in_minutes_seconds_frames_counts_the_pregap(cd):
    """MMC-3 5.23, 4.2.3.4: block 0 is 00:02:00."""
    data = cd.reply(0x43, 2, 0, 0, 0, 0, 0, 0, 255)

    assert (data[8:12], data[16:20]) == (bytes((0, 0, 2, 0)), bytes((0, 0, 15, 25)))


@pytest.mark.parametrize(("start", "tracks"), [(0, [1, 0xAA]), (1, [1, 0xAA]), (0xAA, [0xAA])])
def test_read_toc_begins_with_the_track_asked_for(cd, start, tracks):
    """MMC-3 5.23."""
    data = cd.reply(0x43, 0, 0, 0, 0, 0, start, 0, 255)

    assert tracks == list(data[6::8])


def test_read_toc_from_a_track_that_is_not_there_is_a_bad_field(cd):
    """MMC-3 5.23."""
    cd.packet(0x43, 0, 0, 0, 0, 0, 2, 0, 255)

    assert cd.sense() == BAD_FIELD


@pytest.mark.parametrize("where", ["mmc", "sff"])
def test_read_toc_format_1_gives_the_first_session(cd, where):
    """MMC-3 5.23; SFF-8020i 10.8.20 has the format in the last byte."""
    command = [0x43, 0, 1 if where == "mmc" else 0, 0, 0, 0, 0, 0, 12, 0 if where == "mmc" else 0x40]

    assert cd.reply(*command) == bytes((0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0))


def test_read_toc_format_2_gives_the_points(cd):
    """MMC-3 5.23: A0h, A1h, A2h and the track, 11 bytes each."""
    data = cd.reply(0x43, 0, 2, 0, 0, 0, 0, 0, 255)

    assert len(data) == 4 + 4 * 11
    assert [0xA0, 0xA1, 0xA2, 1] == [data[4 + 11 * index + 3] for index in range(4)]
    assert data[4 + 22 + 8 : 4 + 33] == bytes((0, 15, 25))


@pytest.mark.parametrize("limit", [BLOCK, 0xFFFE, 512, 4096, 5000, 2047])
def test_read_10_by_programmed_io(cd, limit):
    """MMC-3 5.14 whatever the byte count limit."""
    data = cd.reply(*read_10(16, 5), limit=limit)

    assert data == b"".join(block(number) for number in range(16, 21))
    assert cd.status == READY


def test_read_10_offers_no_more_than_the_limit_at_once(cd):
    """SFF-8020i 5.6: whole blocks where they fit."""
    cd.packet(*read_10(0, 3), limit=5000)
    sizes = []
    while cd.status & Status.DRQ:
        sizes.append(len(cd.piece()))

    assert sizes == [4096, 2048]


def test_read_10_by_dma(pc, cd):
    """SFF-8020i 5.6 with the DMA feature bit."""
    cd.prd((BUFFER, 3000), (BUFFER + 3000, 3 * BLOCK - 3000))
    cd.packet(*read_10(500, 3), dma=True)
    assert not cd.irq
    cd.start()

    assert b"".join(block(number) for number in range(500, 503)) == pc.memory.read(BUFFER, 3 * BLOCK)
    assert cd.irq
    assert (READY, 3) == (cd.status, cd.get(Reg.COUNT))


def test_long_reads_by_dma_go_on_with_a_second_list(pc, cd):
    """SFF-8038i 3.1: a short list leaves the drive waiting."""
    cd.prd((BUFFER, 0))
    cd.packet(*read_10(0, 40), dma=True)
    cd.start()
    waiting = (cd.irq, cd.alternate & Status.DRQ)
    cd.stop()
    cd.prd((BUFFER + 0x10000, 8 * BLOCK))
    cd.start()

    assert waiting == (False, Status.DRQ)
    assert b"".join(map(block, range(40))) == pc.memory.read(BUFFER, 40 * BLOCK)
    assert cd.irq


def test_short_replies_by_dma(pc, cd):
    """Libata reads replies by DMA as well."""
    cd.prd((BUFFER, 36))
    cd.packet(0x12, 0, 0, 0, 36, dma=True)
    cd.start()

    assert pc.memory.read(BUFFER + 8, 6) == b"vpcore"
    assert cd.irq


def test_read_12(cd):
    """MMC-3 5.14: 32-bit count."""
    assert cd.reply(0xA8, *struct.pack(">xIIxx", 2, 2)) == block(2) + block(3)


def test_reading_no_blocks_succeeds(cd):
    """MMC-3 5.14: a transfer length of 0 is no error."""
    assert cd.reply(*read_10(5, 0)) == b""
    assert cd.status == READY


@pytest.mark.parametrize(("first", "count"), [(999, 2), (1000, 1), (0xFFFF_FFFF, 1), (0xFFFF_FFFF, 0xFFFF)])
def test_reads_beyond_the_end_are_out_of_range(cd, first, count):
    """MMC-3 5.14, SPC-2: 5/21/00."""
    cd.packet(*read_10(first, count))

    assert cd.sense() == OUT_OF_RANGE


def test_a_disc_that_is_no_multiple_of_a_block_ends_with_zeros(make_pc):
    """Image sizes need not be a multiple of anything."""
    cd = make_pc(disc=MemoryDisk(b"x" * (BLOCK + 1), readonly=True)).secondary
    cd.packet(0)

    assert cd.reply(*read_10(1, 1)) == b"x" + bytes(BLOCK - 1)


def test_a_bad_block_is_a_medium_error(cd, disc):
    """MMC-3 annex: 3/11/00."""
    disc.fail = True
    cd.packet(*read_10(0, 1))

    assert cd.error >> 4 == 3
    assert cd.sense() == READ_ERROR


def test_read_cd_of_user_data_is_a_read(cd):
    """MMC-3 5.19: 10h in byte 9."""
    assert cd.reply(0xBE, *struct.pack(">xI", 7), 0, 0, 2, 0x10) == block(7) + block(8)


def test_read_cd_of_whole_sectors_has_sync_and_header(cd):
    """ECMA-130 14: 12 bytes of sync, address in BCD, mode 1."""
    data = cd.reply(0xBE, *struct.pack(">xI", 10), 0, 0, 40, 0xF8)

    assert len(data) == 40 * 2352
    assert data[:12] == b"\x00" + b"\xff" * 10 + b"\x00"
    assert data[12:16] == bytes((0x00, 0x02, 0x10, 1))
    assert data[16 : 16 + BLOCK] == block(10)
    assert data[39 * 2352 + 16 :][:BLOCK] == block(49)


def test_read_cd_of_nothing_succeeds(cd):
    """MMC-3 5.19: no field selected, no data."""
    assert cd.reply(0xBE, *struct.pack(">xI", 7), 0, 0, 2, 0) == b""
    assert cd.status == READY


def test_seek_to_a_block_that_is_not_there_is_out_of_range(cd):
    """MMC-3 5.39."""
    cd.packet(0x2B, *struct.pack(">xI", 999))
    good = cd.status & Status.ERR
    cd.packet(0x2B, *struct.pack(">xI", 1000))

    assert (0, OUT_OF_RANGE) == (good, cd.sense())


# -- media --


def test_an_empty_drive_is_not_ready(make_pc):
    """MMC-3 annex: 2/3A/00, for all that needs a disc."""
    cd = make_pc(hda=MemoryDisk(bytes(512))).secondary
    for command in (
        TEST_UNIT_READY,
        read_10(0, 1),
        (0x25,),
        (0x43, 0, 0, 0, 0, 0, 0, 0, 4),
        (0x51,),
        (0x1B, 0, 0, 0, 1),
    ):
        cd.packet(*command)
        assert cd.sense() == NO_MEDIUM


def test_the_guest_can_eject_and_load(cd):
    """MMC-3 5.42: LoEj; a loaded disc is a changed one."""
    cd.packet(*EJECT)
    cd.packet(*TEST_UNIT_READY)
    ejected = cd.sense()
    cd.packet(*LOAD)
    loaded = cd.sense()
    data = cd.reply(*read_10(3, 1))

    assert (NO_MEDIUM, MEDIUM_CHANGED) == (ejected, loaded)
    assert data == block(3)


def test_a_locked_drive_refuses_to_eject(cd):
    """MMC-3 5.13, annex: 5/53/02."""
    cd.packet(0x1E, 0, 0, 0, 1)
    cd.packet(*EJECT)
    refused = cd.sense()
    cd.packet(0x1E, 0, 0, 0, 0)
    cd.packet(*EJECT)

    assert refused == LOCKED
    assert cd.status == READY


def test_a_reset_unlocks_and_leaves_the_tray_as_it_is(cd):
    """SPC-2 7.11: a reset ends the prevention.  An installer ejects the disc and restarts: it must stay out."""
    cd.packet(0x1E, 0, 0, 0, 1)
    cd.pc.ide.reset()
    cd.packet(*TEST_UNIT_READY)
    cd.packet(*EJECT)
    ejected = cd.status
    cd.pc.ide.reset()
    cd.packet(*TEST_UNIT_READY)

    assert ejected == READY
    assert cd.sense() == NO_MEDIUM


def test_a_new_disc_is_told_by_unit_attention(pc, cd):
    """SPC-2: 6/28/00 once; then the new disc is read."""
    drive = pc.ide.channels[1].drives[0]
    drive.insert(MemoryDisk(b"new!" * 512, readonly=True))
    cd.packet(*TEST_UNIT_READY)
    sense = cd.sense()

    assert sense == MEDIUM_CHANGED
    assert cd.reply(*read_10(0, 1))[:4] == b"new!"
    assert struct.unpack(">II", cd.reply(0x25)) == (0, BLOCK)


def test_a_disc_that_goes_away_in_mid_read_ends_the_command(pc, cd):
    """2/3A/00 instead of data that are not there."""
    cd.packet(*read_10(0, 3), limit=BLOCK)
    cd.piece()
    pc.ide.channels[1].drives[0].insert(None)
    cd.piece()

    assert cd.status & Status.ERR
    assert cd.sense() == NO_MEDIUM


def test_get_event_tells_of_changes_once(pc, cd):
    """MMC-3 5.7: media class, event code 2 new media, 3 removal; status bits 0 tray open, 1 media present."""
    events = []
    cd.reply(*POLL_MEDIA)
    for action in (None, EJECT, None, LOAD, None):
        if action:
            cd.packet(*action)
        data = cd.reply(*POLL_MEDIA)
        assert data[2:4] == bytes((4, 0x10))
        events.append((data[4] & 0xF, data[5] & 3))

    assert events == [(0, 2), (3, 3), (0, 3), (2, 2), (0, 2)]


def test_get_event_says_where_a_class_is_not_known(cd):
    """MMC-3 5.7: NEA, and which classes there are."""
    data = cd.reply(0x4A, 1, 0, 0, 0x40, 0, 0, 0, 8)

    assert (0x80, 0x10) == (data[2] & 0x80, data[3])


def test_get_event_without_polling_is_a_bad_field(cd):
    """MMC-3 5.7: asynchronous operation is not there."""
    cd.packet(0x4A, 0, 0, 0, 0x10, 0, 0, 0, 8)

    assert cd.sense() == BAD_FIELD


def test_a_checkpoint_in_the_middle_of_a_reply_goes_on_with_the_rest(make_pc, disc):
    """All of a reply lives in the state."""
    cd = make_pc(disc=disc).secondary
    cd.packet(0)
    cd.packet(*read_10(16, 2), limit=1000)
    first = cd.piece()
    other = make_pc(disc=disc)
    other.ide.load(cd.pc.ide.save())
    rest = b""
    while other.secondary.status & Status.DRQ:
        rest += other.secondary.piece()

    assert first + rest == block(16) + block(17)


def test_software_reset_keeps_the_disc(cd):
    """ATA-6 9.2: no unit attention where nothing changed."""
    cd.control(Control.SRST)
    cd.control(0)
    cd.packet(*TEST_UNIT_READY)

    assert cd.status == READY
