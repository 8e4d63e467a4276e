"""fw_cfg as SeaBIOS and Linux use it (QEMU docs/specs/fw_cfg: a selector, a data port, a DMA interface)."""

import pytest
from vpcore_plugins.firmware.regs import Dma, Key, Reg

from vpcore.errors import ConfigError

SELECT_READ = Dma.SELECT | Dma.READ


def test_the_signature_is_the_first_item(pc):
    """Key 0."""
    assert pc.item(Key.SIGNATURE, 4) == b"QEMU"


def test_the_revision_announces_the_dma_interface(pc):
    """Key 1: bit 0 the selector and data port, bit 1 DMA."""
    assert pc.item(Key.ID, 4) == b"\x03\0\0\0"


def test_the_address_register_reads_as_qemu_cfg(pc):
    """DMA interface: "QEMU CFG", big-endian."""
    words = [pc.inp(Reg.BASE + offset, 4).to_bytes(4, "little") for offset in (Reg.DMA_HIGH, Reg.DMA_LOW)]

    assert b"".join(words) == b"QEMU CFG"


def test_selecting_rewinds(pc):
    """Selector register."""
    assert pc.item(Key.SIGNATURE, 2) == b"QE"
    assert pc.item(Key.SIGNATURE, 2) == b"QE"


def test_behind_the_end_come_zeros(pc):
    """Data register."""
    assert pc.item(Key.SIGNATURE, 8) == b"QEMU\0\0\0\0"


def test_an_unknown_item_reads_as_zeros(pc):
    """Data register."""
    assert pc.item(0x3FFF, 4) == bytes(4)


def test_items_cannot_be_written(pc):
    """Data register: read-only since version 2.4."""
    pc.select(Key.SIGNATURE)
    pc.out(Reg.BASE + Reg.DATA, ord("X"))

    assert pc.item(Key.SIGNATURE, 4) == b"QEMU"


def test_rep_insb_reads_a_block(pc):
    """What SeaBIOS does without DMA."""
    pc.select(Key.SIGNATURE)
    buffer = bytearray(b"\xff" * 8)
    moved = pc.bus.port_in_block(Reg.BASE + Reg.DATA, 1, memoryview(buffer))

    assert (8, b"QEMU\0\0\0\0") == (moved, bytes(buffer))


def test_the_directory_lists_files_by_name(pc):
    """File directory: big-endian count, then size, key, name."""
    pc.fw_cfg.add_file("b/late", b"1234")
    pc.fw_cfg.add_file("a/early", lambda: b"made when read")
    files = pc.directory()

    assert sorted(files) == list(files)
    assert files["a/early"][0] == 14
    assert len({key for _, key in files.values()}) == len(files)
    assert all(key >= Key.FILE_FIRST for _, key in files.values())
    assert pc.file("a/early") == b"made when read"


def test_a_second_file_of_the_same_name_replaces_the_first(pc):
    """Keys stay."""
    pc.fw_cfg.add_file("x", b"one")
    before = pc.directory()["x"][1]
    pc.fw_cfg.add_file("x", b"three")

    assert (5, before) == pc.directory()["x"]


@pytest.mark.parametrize("name", ["x" * 56, "caf\xe9"])
def test_names_that_do_not_fit_are_refused(pc, name):
    """55 characters and a zero."""
    with pytest.raises(ConfigError, match="must be of at most 55 ASCII characters"):
        pc.fw_cfg.add_file(name, b"")


# -- DMA --


def test_dma_selects_and_reads(pc):
    """DMA interface: the control word is cleared when all went well."""
    left = pc.dma(Key.SIGNATURE << Dma.KEY_SHIFT | SELECT_READ, 4, 0x9000)

    assert left == 0
    assert pc.memory.read(0x9000, 5) == b"QEMU\0"


def test_dma_goes_on_where_it_stopped(pc):
    """Without SELECT the item and offset stay."""
    pc.dma(Key.SIGNATURE << Dma.KEY_SHIFT | SELECT_READ, 2, 0x9000)
    pc.dma(Dma.READ, 2, 0x9000)

    assert pc.memory.read(0x9000, 2) == b"MU"


def test_dma_skips(pc):
    """SKIP moves the offset only."""
    pc.dma(Key.SIGNATURE << Dma.KEY_SHIFT | Dma.SELECT | Dma.SKIP, 3)

    assert pc.read(2) == b"U\0"


def test_dma_fills_with_zeros_behind_the_end(pc):
    """As the data port does."""
    pc.memory.write(0x9000, b"\xff" * 16)
    pc.dma(Key.SIGNATURE << Dma.KEY_SHIFT | SELECT_READ, 8, 0x9000)

    assert pc.memory.read(0x9000, 10) == b"QEMU\0\0\0\0\xff\xff"


def test_dma_refuses_to_write(pc):
    """Bit 0 of the control word is the error."""
    assert pc.dma(Key.SIGNATURE << Dma.KEY_SHIFT | Dma.SELECT | Dma.WRITE, 4, 0x9000) == Dma.ERROR
    assert pc.item(Key.SIGNATURE, 4) == b"QEMU"


def test_dma_of_an_absurd_length_is_an_error(pc):
    """Bounded time and memory."""
    assert pc.dma(Key.SIGNATURE << Dma.KEY_SHIFT | SELECT_READ, 0xFFFF_FFFF, 0) == Dma.ERROR


@pytest.mark.parametrize("target", [(8 << 20) - 2, 8 << 20, 1 << 32, (1 << 64) - 1])
def test_dma_beyond_ram_is_lost(pc, target):
    """Nothing else is overwritten, nothing raised."""
    left = pc.dma(Key.SIGNATURE << Dma.KEY_SHIFT | SELECT_READ, 64, target)

    assert left == 0
    assert pc.memory.read(0, 16) == bytes(16)
    assert pc.memory.ram[-2:].tobytes() == (b"QE" if target == (8 << 20) - 2 else bytes(2))


@pytest.mark.parametrize("request_at", [8 << 20, 1 << 40, (1 << 64) - 8])
def test_a_request_outside_ram_does_nothing(pc, request_at):
    """What nobody answers reads as ones: an error."""
    assert pc.dma(0, request=request_at) == 0xFFFF_FFFF


def test_a_request_may_overwrite_itself(pc):
    """The control word is written last."""
    assert pc.dma(Key.SIGNATURE << Dma.KEY_SHIFT | SELECT_READ, 64, 0x8000) == 0


def test_the_upper_half_of_the_address_is_used_once(pc):
    """Writing the lower half starts, and the upper half is 0 for the next request."""
    pc.out(Reg.BASE + Reg.DMA_HIGH, 0x0100_0000, 4)
    pc.dma(Key.SIGNATURE << Dma.KEY_SHIFT | SELECT_READ, 4, 0x9000)

    assert pc.dma(Key.SIGNATURE << Dma.KEY_SHIFT | SELECT_READ, 4, 0x9100) == 0
    assert pc.memory.read(0x9100, 4) == b"QEMU"


def test_reset_forgets_the_selection(pc):
    """The items stay."""
    pc.select(Key.ID)
    pc.fw_cfg.reset()

    assert pc.read(4) == b"QEMU"
