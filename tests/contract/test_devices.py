"""The contract of every registered device type, third-party ones included (STYLE: outputs follow from state)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpcore import checkpoint, contract
from vpcore.contract import Access, Recipe, accesses, inp, out, wait
from vpcore.plugins import device_types, make_plugin_manager

TYPES = {name: entry.type for name, entry in device_types(make_plugin_manager()).items()}

DISK = bytes(range(256)) * 2 * 512
DISC = b"CD001".ljust(2048, b"\x01") * 64
FLOPPY = bytes(1440 << 10)


def _ata(base, command, *, device=0xE0, count=1, lba=1, feature=0):
    """Select a drive and give it a command."""
    fields = (feature, count, lba & 0xFF, lba >> 8 & 0xFF, lba >> 16)
    return (
        out(base + 6, device),
        *(out(base + 1 + at, value) for at, value in enumerate(fields)),
        out(base + 7, command),
    )


def _packet(*command, feature=0, limit=0xFFFE):
    """Give the CD-ROM drive a packet command."""
    packet = bytes(command).ljust(12, b"\0")
    words = [int.from_bytes(packet[at : at + 2], "little") for at in range(0, 12, 2)]
    start = _ata(0x170, 0xA0, device=0xA0, lba=limit << 8, feature=feature)
    return (*start, *(out(0x170, word, 2) for word in words), inp(0x177))


def _words(base, count):
    return tuple(inp(base, 2) for _ in range(count))


BUS_MASTER = (Access("map bars"), out(0xC004, 0x1000, 4), out(0xC00C, 0x1000, 4), out(0xC000, 9), out(0xC008, 9))
IDE = (
    BUS_MASTER,
    (out(0xC000, 0), out(0xC008, 0)),
    (inp(0x1F7), inp(0x177), inp(0xC002), inp(0xC00A)),
    _ata(0x1F0, 0x20, count=3) + _words(0x1F0, 300),
    _ata(0x1F0, 0xC6, count=4),
    _ata(0x1F0, 0xC4, count=9) + _words(0x1F0, 100),
    _ata(0x1F0, 0x30, count=2) + tuple(out(0x1F0, at, 2) for at in range(400)),
    _ata(0x1F0, 0x24, count=2) + _words(0x1F0, 260),
    _ata(0x1F0, 0xC8, count=4),
    _ata(0x1F0, 0xCA, count=4),
    _ata(0x1F0, 0xEC, device=0xB0) + _words(0x1F0, 20),
    _packet(0x12, 0, 0, 0, 36, limit=10) + _words(0x170, 7),
    _packet(0x00),
    _packet(0x03, 0, 0, 0, 18) + _words(0x170, 9),
    _packet(0x43, 2, 0, 0, 0, 0, 0, 0, 20, limit=5) + _words(0x170, 3),
    _packet(0x28, 0, 0, 0, 0, 16, 0, 0, 3, limit=1000) + _words(0x170, 700),
    _packet(0x28, 0, 0, 0, 0, 16, 0, 0, 3, feature=1),
    _packet(0x1B, 0, 0, 0, 2),
    _packet(0x1B, 0, 0, 0, 3),
    _packet(0x1E, 0, 0, 0, 1),
    _packet(0x55, 0x10, 0, 0, 0, 0, 0, 0, 16) + tuple(out(0x170, at, 2) for at in range(5)),
    (out(0x3F6, 4), inp(0x3F6), out(0x3F6, 0)),
)


def _floppy(*command):
    return tuple(out(0x3F5, byte) for byte in command)


RESULT = tuple(inp(0x3F5) for _ in range(7))
FLOPPY_PHRASES = (
    (out(0x3F2, 0x1C), wait(1_000_000), *(4 * (*_floppy(0x08), inp(0x3F5), inp(0x3F5)))),
    (out(0x3F2, 0x14), wait(1_000_000)),
    _floppy(0x03, 0xDF, 0x02),
    _floppy(0x03, 0xDF, 0x03),
    (*_floppy(0x07, 0), wait(2_000_000), *_floppy(0x08), inp(0x3F5), inp(0x3F5)),
    (*_floppy(0x0F, 0, 3), wait(2_000_000)),
    (*_floppy(0x08), inp(0x3F5), inp(0x3F5)),
    (*_floppy(0xE6, 0, 0, 0, 1, 2, 18, 27, 0xFF), wait(300_000)),
    (*_floppy(0xC5, 0, 0, 0, 1, 2, 18, 27, 0xFF), wait(300_000), *(out(0x3F5, at & 0xFF) for at in range(600))),
    (*_floppy(0x4D, 0, 2, 18, 0x54, 0xF6), wait(300_000), *_floppy(*range(72))),
    (*_floppy(0x4A, 0), wait(300_000), *RESULT),
    (*_floppy(0x13, 0, 0x57, 0), *_floppy(0x94), inp(0x3F5)),
    (*_floppy(0x0E), *RESULT, *RESULT),
    RESULT,
)
UART = (
    (out(0x3FA, 0xC7), out(0x3F9, 0x0F), out(0x3FC, 0x0B)),
    (out(0x3FC, 0x1F), *(out(0x3F8, byte) for byte in range(20))),
    (out(0x3FB, 0x83), out(0x3F8, 1), out(0x3F9, 0), out(0x3FB, 0x03)),
    (inp(0x3FA), inp(0x3FD), inp(0x3FE), inp(0x3F8)),
)
NEEDS = {
    "ide": {
        "options": {"hda": "disk", "hdb": "slave", "hdc": "cdrom", "cdrom": "disc"},
        "disks": {"disk": DISK, "slave": DISK[: 512 * 77], "disc": DISC},
        "phrases": IDE,
    },
    "floppy": {"options": {"a": "floppy"}, "disks": {"floppy": FLOPPY}, "phrases": FLOPPY_PHRASES},
    "serial": {"phrases": UART},
    "vga": {"most_state": 20 << 20},
}
"""What a type cannot be tested without, and phrases that take it where random accesses hardly get."""

TRAY = tuple(f"channels.*.drives.*.{field}" for field in ("tray_open", "attention", "event"))
KEPT = {"ide": TRAY, "rtc": ("ram", "origin", "updates", "periods")}
"""What the documentation of a type says that a reset keeps."""

RECIPES = {name: Recipe(kind, **NEEDS.get(name, {})) for name, kind in TYPES.items()}

each_type = pytest.mark.parametrize("name", RECIPES)


def _story(data, name, most=60):
    return data.draw(accesses(most, RECIPES[name].phrases))


@each_type
@given(data=st.data())
def test_any_access_is_answered_within_bounds(name, data):
    contract.check_any_access_is_answered(RECIPES[name], _story(data, name))


@each_type
@given(data=st.data())
def test_reset_gives_the_state_after_power_on(name, data):
    contract.check_reset(RECIPES[name], _story(data, name), KEPT.get(name, ()))


@each_type
def test_construction_and_reset_are_one_path(name):
    contract.check_built_as_reset(RECIPES[name])


@each_type
@given(data=st.data())
def test_a_restored_device_goes_on_as_the_original(name, data):
    contract.check_save_and_load(RECIPES[name], _story(data, name), _story(data, name, 20))


@each_type
@given(data=st.data())
def test_load_overwrites_everything(name, data):
    contract.check_load_overwrites(RECIPES[name], _story(data, name, 30), _story(data, name, 30))


@each_type
def test_ports_are_released_by_unmapping(name):
    contract.check_ports_are_released(RECIPES[name])


@each_type
def test_bad_keys_are_errors_that_name_file_device_and_key(name):
    contract.check_config_errors(TYPES[name])


# -- the interrupt controller, restored before or after the devices that drive its inputs --


def _with_pic(name, *, pic_first):
    """The device and the interrupt controller on one board."""
    recipe = RECIPES[name]
    specimen = recipe.make() if not pic_first else Recipe(TYPES["pic"], disks=recipe.disks).make()
    if pic_first:
        specimen.add(recipe.kind, **recipe.options)
    else:
        specimen.add(TYPES["pic"])
    specimen.board.built()
    pic, device = specimen.devices if pic_first else specimen.devices[::-1]
    return specimen.board, pic, device


@pytest.mark.parametrize("pic_first", [True, False])
@pytest.mark.parametrize("name", [name for name in RECIPES if name != "pic"])
@given(data=st.data())
def test_restoring_gives_no_false_edge_whichever_comes_first(name, pic_first, data):
    """Edge memory is the 8259A's: it is overwritten by its own load, and a line that was high is no news."""
    story = _story(data, name, 30)
    board, pic, device = _with_pic(name, pic_first=True)
    for port, value in (
        (0x20, 0x11),
        (0x21, 8),
        (0x21, 4),
        (0x21, 1),
        (0xA0, 0x11),
        (0xA1, 0x70),
        (0xA1, 2),
        (0xA1, 1),
    ):
        board.out(port, value)
    contract.play(contract.Specimen(board, RECIPES[name], [device, pic]), story)
    states = [checkpoint.to_data(each.save()) for each in (pic, device)]
    kinds = [type(each.state) for each in (pic, device)]

    other, *others = _with_pic(name, pic_first=pic_first)
    other.time = board.time
    order = (0, 1) if pic_first else (1, 0)
    for index in order:
        others[index].load(checkpoint.from_data(states[index], kinds[index]))

    assert states[0] == checkpoint.to_data(others[0].save())
    assert board.processor.intr == other.processor.intr
