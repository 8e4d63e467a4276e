"""Direct boot of Linux: Documentation/arch/x86/boot.rst and zero-page.rst of the kernel."""

import struct

import pytest
from vpcore_plugins.firmware.linux import LinuxKernel, is_linux

from vpcore.errors import ConfigError

RAM = [(0, 0x9FC00, 1), (0x9FC00, 0x400, 2), (0xF0000, 0x10000, 2), (0x100000, 63 << 20, 1), (0xFFFC0000, 0x40000, 2)]


def bzimage(
    *, version=0x020F, flags=1, setup_sects=4, code=b"K" * 4096, cmdline=2047, initrd_max=0x7FFF_FFFF, init=1 << 20
):
    """A bzImage with the fields that boot.rst names."""
    setup = bytearray((setup_sects or 4) * 512 + 512)
    setup[0x1F1] = setup_sects
    struct.pack_into("<I", setup, 0x1F4, len(code) // 16)
    setup[0x201] = 0x66
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x206, version)
    setup[0x211] = flags
    struct.pack_into("<I", setup, 0x22C, initrd_max)
    struct.pack_into("<I", setup, 0x238, cmdline)
    struct.pack_into("<Q", setup, 0x258, 16 << 20)
    struct.pack_into("<I", setup, 0x260, init)
    return bytes(setup) + code


def placed(kernel, memory_map=RAM):
    """The layout, and its parts by address."""
    layout = kernel.place(memory_map)
    assert layout.problem == ""
    return layout, {part.address: part.data for part in layout.parts}


def parse(data, initrd=b"", append=""):
    return LinuxKernel.parse(data, initrd, append, "vmlinuz")


def test_the_header_magic_tells_linux():
    """1.3: "HdrS" at 202h."""
    assert is_linux(bzimage())
    assert not is_linux(b"\x7fELF" + bytes(600))


@pytest.mark.parametrize("setup_sects", [0, 1, 4, 39])
def test_the_protected_mode_code_goes_to_1_mb(setup_sects):
    """1.7: it begins after setup_sects + 1 sectors, where 0 is 4."""
    _, parts = placed(parse(bzimage(setup_sects=setup_sects)))

    assert parts[0x100000] == b"K" * 4096


def test_registers_are_those_of_the_32_bit_protocol():
    """1.13: esi is the zero page; ebp, edi and ebx are 0."""
    layout, parts = placed(parse(bzimage()))
    registers = layout.registers

    assert registers.esi in parts
    assert (0, 0, 0, 0x100000) == (registers.ebp, registers.edi, registers.ebx, registers.eip)


def zero_page(**options):
    initrd, append = options.pop("initrd", b""), options.pop("append", "")
    layout, parts = placed(parse(bzimage(**options), initrd, append))
    return parts[layout.registers.esi], parts


def test_the_zero_page_holds_the_setup_header():
    """1.13: copied from 1F1h to the end that 201h says, into cleared memory."""
    page, _ = zero_page()
    image = bzimage()

    assert len(page) == 4096
    assert page[0x1F1:0x210] == image[0x1F1:0x210]
    assert page[0x268:0x2D0] == bytes(0x68)


def test_the_loader_says_who_it_is_and_where_things_are():
    """1.4: type_of_loader FFh (no assigned id), code32_start, cmd_line_ptr."""
    page, parts = zero_page(append="console=ttyS0 root=/dev/hda1")
    pointer = struct.unpack_from("<I", page, 0x228)[0]

    assert page[0x210] == 0xFF
    assert struct.unpack_from("<I", page, 0x214) == (0x100000,)
    assert parts[pointer] == b"console=ttyS0 root=/dev/hda1\0"


def test_the_memory_map_is_the_bioss():
    """zero-page.rst: e820_entries at 1E8h, the table at 2D0h."""
    page, _ = zero_page()
    table = [struct.unpack_from("<QQI", page, 0x2D0 + 20 * index) for index in range(page[0x1E8])]

    assert table == RAM


def test_a_memory_map_of_more_than_128_entries_is_cut():
    """zero-page.rst: the table has 128."""
    layout, parts = placed(parse(bzimage()), RAM + [(1 << 32, 4096, 2)] * 200)

    assert parts[layout.registers.esi][0x1E8] == 128


def test_the_screen_is_the_text_mode_that_the_bios_left():
    """zero-page.rst, struct screen_info: mode 3, 80 columns, 25 lines, VGA, 16 points."""
    page, _ = zero_page()

    assert (3, 80, 25, 1, 16) == (page[6], page[7], page[0x0E], page[0x0F], page[0x10])


def test_the_initrd_lies_as_high_as_it_may():
    """1.4 initrd_addr_max and the end of RAM; page aligned."""
    page, parts = zero_page(initrd=b"I" * 5000)
    at, size = struct.unpack_from("<II", page, 0x218)

    assert (at, size) == ((64 << 20) - 8192, 5000)
    assert parts[at] == b"I" * 5000


def test_the_initrd_stays_below_the_kernels_limit():
    """1.4 initrd_addr_max."""
    page, _ = zero_page(initrd=b"I" * 4096, initrd_max=0x1FF_FFFF)

    assert struct.unpack_from("<I", page, 0x218) == (0x1FF_F000,)


def test_without_initrd_its_fields_are_zero():
    """1.4."""
    page, _ = zero_page()

    assert struct.unpack_from("<II", page, 0x218) == (0, 0)


def test_room_for_the_unpacked_kernel_is_kept():
    """1.4 init_size, pref_address: the initrd must not lie where the kernel unpacks itself to."""
    kernel = parse(bzimage(init=40 << 20), b"I" * (10 << 20))

    assert "not enough memory for kernel and initrd: give the machine more" == kernel.place(RAM).problem


def test_too_little_memory_is_refused():
    """Nothing is loaded."""
    layout = parse(bzimage()).place([(0, 0x9FC00, 1), (0x100000, 7 << 20, 1)])

    assert layout.problem == "not enough memory for kernel and initrd: give the machine more"
    assert layout.parts == []


@pytest.mark.parametrize(("version", "flags"), [(0x0202, 1), (0x0200, 1), (0x020F, 0)])
def test_old_protocols_and_zimages_are_refused(version, flags):
    """The message says what is wanted."""
    with pytest.raises(ConfigError) as error:
        parse(bzimage(version=version, flags=flags))

    assert (
        str(error.value)
        == "vmlinuz: is a kernel of an old boot protocol: it must be a bzImage of protocol 2.03 or later"
    )


def test_a_command_line_that_is_too_long_is_refused():
    """1.4 cmdline_size."""
    with pytest.raises(ConfigError) as error:
        parse(bzimage(cmdline=20), append="x" * 21)

    assert str(error.value) == "append is longer than the 20 bytes that vmlinuz takes"


def test_the_last_paragraph_need_not_be_whole():
    """1.3 syssize is rounded up: ipxe.lkrn and memtest86+ end within it."""
    _, parts = placed(parse(bzimage()[:-15]))

    assert len(parts[0x100000]) == 4096 - 15


def test_a_kernel_cut_short_is_refused():
    """1.3 syssize: paragraphs of protected-mode code."""
    data = bzimage()
    with pytest.raises(ConfigError) as error:
        parse(data[:-100])

    assert str(error.value) == f"vmlinuz: is cut short: {len(data)} bytes are wanted (got {len(data) - 100})"
