"""Direct boot by Multiboot (specification 0.6.96)."""

import struct

import pytest
from vpcore_plugins.firmware.multiboot import MultibootKernel, find_header

from vpcore.errors import ConfigError

MAGIC = 0x1BADB002
RAM = [(0, 0x9FC00, 1), (0xF0000, 0x10000, 2), (0x100000, 15 << 20, 1)]


def header(flags=0, *addresses):
    return struct.pack("<III", MAGIC, flags, -(MAGIC + flags) & 0xFFFF_FFFF) + struct.pack(
        f"<{len(addresses)}I", *addresses
    )


def elf(*segments, flags=0, entry=0x100020):
    """A 32-bit ELF file of (physical address, file bytes, memory size), its multiboot header in front."""
    table, offset = b"", 0x1000
    body = b""
    for physical, data, size in segments:
        table += struct.pack("<8I", 1, offset + len(body), 0xC0000000 + physical, physical, len(data), size, 7, 0x1000)
        body += data
    ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    start = ident + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, entry, 52, 0, 0, 52, 32, len(segments), 0, 0, 0) + table
    return (start.ljust(0x400, b"\0") + header(flags)).ljust(0x1000, b"\0") + body


def flat(flags=1 << 16, size=4096, *, load=0x100000, load_end=0, bss_end=0, entry=0x100010):
    """A file that says itself where it goes; the header lies 16 bytes in."""
    data = bytes(range(16)) + header(flags, load + 16, load, load_end, bss_end, entry)
    return data.ljust(size, b"\xcc")


def parse(data, module=b"", append=""):
    return MultibootKernel.parse(data, module, append, "kernel.elf")


def placed(kernel, memory_map=RAM):
    layout = kernel.place(memory_map)
    assert layout.problem == ""
    return layout, {part.address: part for part in layout.parts}


def info_of(kernel):
    layout, parts = placed(kernel)
    return parts[layout.registers.ebx].data, parts


def memory(parts, address):
    """The bytes from an address on, wherever they were placed."""
    for part in parts.values():
        if part.address <= address < part.address + len(part.data):
            return part.data[address - part.address :]
    raise AssertionError(hex(address))


@pytest.mark.parametrize("offset", [0, 4, 1024, 8180])
def test_the_header_is_found_in_the_first_8_kb(offset):
    """3.1: aligned to 4 bytes."""
    data = bytes(offset) + header(3)

    assert find_header(data) == offset


@pytest.mark.parametrize("data", [bytes(1) + header(3), bytes(8192) + header(3), header(3)[:-4] + bytes(4), b""])
def test_what_is_no_header_is_not_found(data):
    """3.1.1: alignment, place, checksum."""
    assert find_header(data) is None


def test_segments_go_to_their_physical_addresses():
    """3.1: as the ELF header says, the rest of each cleared."""
    layout, parts = placed(parse(elf((0x100000, b"text", 4), (0x200000, b"data", 100))))

    assert (b"text", b"data", 96) == (parts[0x100000].data, parts[0x200000].data, parts[0x200000].zeros)
    assert layout.registers.eip == 0x100020


def test_registers_are_those_of_the_specification():
    """3.2: eax the magic, ebx the information."""
    layout, parts = placed(parse(elf((0x100000, b"x", 1))))

    assert layout.registers.eax == 0x2BADB002
    assert len(parts[layout.registers.ebx].data) >= 88


def test_the_information_has_memory_command_line_map_and_loader_name():
    """3.3: flags 0, 2, 6, 9."""
    info, parts = info_of(parse(elf((0x100000, b"x", 1)), append="a=b"))
    flags, lower, upper = struct.unpack_from("<III", info)
    length, address = struct.unpack_from("<II", info, 44)
    entries = [struct.unpack_from("<IQQI", memory(parts, address), 24 * index) for index in range(length // 24)]

    assert flags == 1 << 0 | 1 << 2 | 1 << 6 | 1 << 9
    assert (lower, upper) == (0x9FC00 // 1024, 15 << 10)
    assert memory(parts, struct.unpack_from("<I", info, 16)[0]).startswith(b"a=b\0")
    assert [(20, *entry) for entry in RAM] == entries
    assert memory(parts, struct.unpack_from("<I", info, 64)[0]).startswith(b"vpcore\0")


def test_a_module_lies_on_a_page_behind_the_kernel():
    """3.3: flag 3, mods_count and mods_addr."""
    info, parts = info_of(parse(elf((0x100000, b"x", 5000)), module=b"M" * 100))
    count, table = struct.unpack_from("<II", info, 20)
    start, end = struct.unpack_from("<II", memory(parts, table))

    assert struct.unpack_from("<I", info)[0] & 1 << 3
    assert (count, start, end) == (1, 0x102000, 0x102000 + 100)
    assert parts[start].data == b"M" * 100


def test_a_file_may_say_itself_where_it_goes():
    """3.1.3: flag 16."""
    layout, parts = placed(parse(flat(bss_end=0x102000)))

    assert (4096, 4096) == (len(parts[0x100000].data), parts[0x100000].zeros)
    assert layout.registers.eip == 0x100010


def test_a_load_end_cuts_the_file():
    """3.1.3 load_end_addr."""
    _, parts = placed(parse(flat(load_end=0x100800)))

    assert len(parts[0x100000].data) == 0x800


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (elf((0x100000, b"x", 1), flags=1 << 3), "asks for multiboot features 0x8 that are not known"),
        (elf(), "multiboot kernel is damaged: has nothing to load"),
        (elf((0x8000, b"x", 1)), "multiboot kernel is damaged: segment 0 lies at 0x8000 with 0x1 bytes"),
        (elf((0x100000, b"xx", 1)), "multiboot kernel is damaged: segment 0 lies at 0x100000 with 0x1 bytes"),
        (
            elf((0x100000, b"x", 1 << 31)),
            "multiboot kernel is damaged: segment 0 lies at 0x100000 with 0x80000000 bytes",
        ),
        (
            elf((0x100000, b"text", 4))[:-1],
            "multiboot kernel is damaged: the file is cut short: segment 0 ends at 0x1004",
        ),
        (header(0) + bytes(100), "multiboot kernel is damaged: is not a 32-bit x86 ELF file"),
        (flat(load=0x1000, entry=0), "multiboot kernel is damaged: load address 0x1000"),
        (
            flat(load_end=0x200000),
            "multiboot kernel is damaged: the file is cut short: 0x100000 bytes from 0x0 on are to be loaded",
        ),
        (header(1 << 16), "multiboot kernel is damaged: unpack_from requires a buffer"),
    ],
)
def test_bad_kernels_are_refused_with_the_reason(data, reason):
    """The file is named."""
    with pytest.raises(ConfigError) as error:
        parse(data)

    assert str(error.value).startswith(f"kernel.elf: {reason}")


def test_a_huge_bss_takes_no_memory_of_the_host():
    """It is cleared in the guest, if there is room."""
    kernel = parse(elf((0x100000, b"x", 1 << 30)))

    assert kernel.place(RAM).problem == "not enough memory for the multiboot kernel: give the machine more"


def test_a_command_line_that_is_too_long_is_refused():
    """There is no limit in the specification: ours keeps clear of the BIOS."""
    with pytest.raises(ConfigError, match="append is longer than the 32768 bytes that there is room for"):
        parse(elf((0x100000, b"x", 1)), append="x" * 40000)
