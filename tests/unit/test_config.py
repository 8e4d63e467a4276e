"""Machine files: every bad one gets one line that names file, place and remedy (DESIGN, section 8)."""

from pathlib import Path

import attrs
import pytest

from vpcore import config
from vpcore.config import DeviceTable, MachineTable, device_config, flag_overrides, load, parse_size, parse_value
from vpcore.device import option
from vpcore.errors import ConfigError
from vpcore.host.backends import HostBackends

MB = 1 << 20
MACHINE_KEYS = "name, cpu, memory, clock, icount_ns, boot, engine, code_cache"


@pytest.fixture
def write(tmp_path):
    """Write a machine file (by default m.toml); its path."""

    def write(text, name="m.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refused(path, overrides=None):
    """The message of the error, without the folder."""
    with pytest.raises(ConfigError) as error:
        load(path, overrides)
    assert "\n" not in str(error.value)
    return str(error.value).replace(f"{path.parent}/", "")


# -- good files --


def test_an_empty_file_is_a_machine_of_defaults(write):
    loaded = load(write(""))

    assert loaded.machine == MachineTable()
    assert (128 * MB, "realtime", "acd") == (loaded.machine.memory, loaded.machine.clock, loaded.machine.boot)
    assert loaded.devices == []


def test_devices_come_in_the_order_of_the_file_with_their_keys(write):
    loaded = load(write('[[device]]\ntype = "serial"\nname = "com1"\nirq = 4\n[[device]]\ntype = "pit"\n'))

    assert [("com1", "serial", {"irq": 4}), ("pit", "pit", {})] == [
        (device.name, device.type, device.keys) for device in loaded.devices
    ]


def test_a_device_from_a_file_is_named_after_its_class(write):
    assert load(write('[[device]]\ntype = "my/latch.py:Latch"')).devices[0].name == "latch"


def test_an_include_is_extended_changed_and_thinned_out(write):
    write(
        '[machine]\nname = "base"\nmemory = "64M"\n[media]\nhda = "ide.hda"\n'
        '[[device]]\ntype = "pit"\n[[device]]\ntype = "serial"\nname = "com1"\nirq = 4\n',
        "base.toml",
    )
    loaded = load(
        write(
            'include = "base.toml"\nremove = ["pit"]\n[machine]\nname = "mine"\n[media]\nfda = "floppy.a"\n'
            '[[device]]\nname = "com1"\nirq = 3\nbase = 1\n[[device]]\ntype = "rtc"\n'
        )
    )

    assert ("mine", 64 * MB) == (loaded.machine.name, loaded.machine.memory)
    assert [("com1", {"irq": 3, "base": 1}), ("rtc", {})] == [(device.name, device.keys) for device in loaded.devices]
    assert loaded.media == {"hda": "ide.hda", "fda": "floppy.a"}


def test_a_device_keeps_the_file_that_it_came_from(write):
    """`path.py:Class` is looked up from there."""
    base = write('[[device]]\ntype = "x.py:X"', "base.toml")
    mine = write('include = "base.toml"\n[[device]]\ntype = "y.py:Y"')

    assert [base, mine] == [device.source for device in load(mine).devices]


def test_a_relative_path_starts_in_the_folder_of_the_file_that_it_stands_in(write, tmp_path):
    (tmp_path / "profiles").mkdir()
    write('[[device]]\ntype = "ide"\nhda = "a.img"\nhdb = "b.img"\n', "profiles/base.toml")
    keys = load(write('include = "profiles/base.toml"\n[[device]]\nname = "ide"\nhdb = "mine.img"')).devices[0].keys
    backends = HostBackends(None, tmp_path, leave=None, stall=None)

    assert backends.find(keys["hda"]) == tmp_path / "profiles" / "a.img"
    assert backends.find(keys["hdb"]) == tmp_path / "mine.img"
    assert backends.find("plain.img") == tmp_path / "plain.img"


def test_overrides_change_machine_and_devices(write):
    loaded = load(write('[[device]]\ntype = "serial"\nirq = 4'), {"machine.memory": "16M", "serial.irq": 9})

    assert (16 * MB, {"irq": 9}) == (loaded.machine.memory, loaded.devices[0].keys)


# -- bad files --


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", "m.toml: is not TOML: Invalid value (at end of document)"),
        ("[machine\n", "m.toml: is not TOML: Expected ']' at the end of a table declaration (at line 1, column 9)"),
        (
            "[machin]\nname = 'x'",
            "m.toml: unknown key 'machin'; allowed: include, remove, [machine], [media], [[device]]",
        ),
        ("machine = 3", "m.toml: [machine] must be a table (got 3)"),
        ("media = 3", "m.toml: [media] must be a table (got 3)"),
        ("[media]\nhda = 3", 'm.toml: [media] hda must be "DEVICE.KEY" (got 3)'),
        ("[media]\nhda = 'ide'", "m.toml: [media] hda must be \"DEVICE.KEY\" (got 'ide')"),
        ("include = 3", "m.toml: include must be a path (got 3)"),
        ("include = 'gone.toml'", "gone.toml: no such machine file, which m.toml includes"),
        ("include = 'm.toml'", "m.toml: includes itself: remove the include"),
        ("remove = 'pit'", "m.toml: remove must be a list of device names (got 'pit')"),
        ("remove = ['pit']", "m.toml: remove: no included device is named 'pit'"),
        ("device = 3", "m.toml: [[device]] must be written with two brackets (got 3)"),
        ("[device]\ntype = 'pit'", "m.toml: [[device]] must be written with two brackets (got {'type': 'pit'})"),
        ("device = [3]", "m.toml: [[device]] must be a table (got 3)"),
        ("[[device]]", "m.toml: [[device]] name must be letters, digits, - and _ (got None)"),
        ("[[device]]\ntype = 3", "m.toml: [[device]] name must be letters, digits, - and _ (got 3)"),
        ("[[device]]\ntype = 'a b'", "m.toml: [[device]] name must be letters, digits, - and _ (got 'a b')"),
        ("[[device]]\nname = 'x'", "m.toml: type of device 'x' must be the name of a device type (got None)"),
        (
            "[[device]]\ntype = 'pit'\nname = 'a.b'",
            "m.toml: [[device]] name must be letters, digits, - and _ (got 'a.b')",
        ),
        (
            "[[device]]\ntype = 'serial'\n[[device]]\ntype = 'serial'",
            "m.toml: two devices are named 'serial': give each a name of its own",
        ),
        (
            "[machine]\nmemry = '1M'",
            f"m.toml: [machine]: unknown key 'memry'; allowed: {MACHINE_KEYS}",
        ),
        ("[machine]\nname = 3", "m.toml: [machine]: name must be a string (got 3)"),
        ("[machine]\nmemory = true", "m.toml: [machine]: memory must be a string or an integer (got True)"),
        (
            "[machine]\nmemory = 'lots'",
            "m.toml: [machine]: memory must be a number with K, M or G behind it, such as 128M (got 'lots')",
        ),
        ("[machine]\nmemory = '4G'", "m.toml: [machine]: memory must be whole megabytes from 1M to 3584M (got '4G')"),
        (
            "[machine]\nmemory = '640K'",
            "m.toml: [machine]: memory must be whole megabytes from 1M to 3584M (got '640K')",
        ),
        ("[machine]\nmemory = 0", "m.toml: [machine]: memory must be whole megabytes from 1M to 3584M (got 0)"),
        (
            "[machine]\ncode_cache = '-1M'",
            "m.toml: [machine]: code_cache must be a number with K, M or G behind it, such as 128M (got '-1M')",
        ),
        ("[machine]\ncpu = '8086'", "m.toml: [machine]: cpu must be one of 486, pentium, pentium3, host (got '8086')"),
        ("[machine]\nclock = 'fast'", "m.toml: [machine]: clock must be one of realtime, icount (got 'fast')"),
        ("[machine]\nicount_ns = 0", "m.toml: [machine]: 'icount_ns' must be >= 1: 0"),
        ("[machine]\nboot = ['c']", "m.toml: [machine]: boot must be a string (got ['c'])"),
    ],
)
def test_a_bad_file_is_refused_with_one_line(write, text, message):
    assert message == refused(write(text))


def test_files_that_include_each_other_are_refused(write):
    write("include = 'm.toml'", "other.toml")

    assert refused(write("include = 'other.toml'")) == "m.toml: includes itself: remove the include"


def test_a_missing_file_is_named(tmp_path):
    assert refused(tmp_path / "gone.toml") == "gone.toml: no such machine file"


def test_a_folder_is_no_machine_file(tmp_path):
    (tmp_path / "folder").mkdir()

    assert refused(tmp_path / "folder") == "folder: cannot be read: Is a directory"


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "m.toml"
    path.write_bytes(b"name = '\xff'")

    assert refused(path) == "m.toml: is not UTF-8 text: invalid start byte at byte 8"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("memory", "--set must be NAME.KEY=VALUE (got 'memory')"),
        ("serial.", "--set must be NAME.KEY=VALUE (got 'serial.')"),
        ("com9.irq", "m.toml: no device is named 'com9'; there are serial, pit"),
        (
            "machine.speed",
            f"m.toml: [machine]: unknown key 'speed'; allowed: {MACHINE_KEYS}",
        ),
    ],
)
def test_a_bad_override_is_refused(write, key, message):
    path = write("[[device]]\ntype = 'serial'\n[[device]]\ntype = 'pit'")

    assert message == refused(path, {key: 1})


# -- keys of a device --


@attrs.frozen
class LatchConfig:
    """A latch."""

    name: str
    base: int = option(help="first port")
    mode: str = option("fast", "how", choices=("fast", "slow"))
    share: bool = option(default=False, help="may others?")
    gain: float = option(1.0, "how much")
    path: str | None = option(None, "where")
    irqs: tuple[int, ...] = option((), "which")

    def __attrs_post_init__(self):
        if self.base == 0x13:
            raise ConfigError("base must not be unlucky: choose another")


def keys(**values):
    return device_config(DeviceTable("latch", "my-latch", values, Path("m.toml")), LatchConfig)


def test_keys_are_given_as_they_are_typed():
    made = keys(base=0x300, mode="slow", share=True, gain=2, path="x", irqs=[3, 4])

    assert made == LatchConfig("my-latch", 0x300, "slow", share=True, gain=2, path="x", irqs=(3, 4))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "key 'base' is missing: first port"),
        ({"base": 1, "bass": 2}, "unknown key 'bass'; allowed: base, mode, share, gain, path, irqs"),
        ({"base": "0x300"}, "base must be an integer (got '0x300')"),
        ({"base": 1.5}, "base must be an integer (got 1.5)"),
        ({"base": True}, "base must be an integer (got True)"),
        ({"base": 1, "mode": "warp"}, "mode must be one of fast, slow (got 'warp')"),
        ({"base": 1, "share": 1}, "share must be true or false (got 1)"),
        ({"base": 1, "gain": "loud"}, "gain must be a number (got 'loud')"),
        ({"base": 1, "path": 5}, "path must be a string (got 5)"),
        ({"base": 1, "irqs": 3}, "irqs must be a list of integers (got 3)"),
        ({"base": 1, "irqs": ["3"]}, "irqs must be a list of integers (got ['3'])"),
        ({"base": 0x13}, "base must not be unlucky: choose another"),
    ],
)
def test_a_bad_key_names_file_device_and_key(values, message):
    with pytest.raises(ConfigError) as error:
        keys(**values)

    assert f"m.toml: device 'my-latch': {message}" == str(error.value)


def test_an_unknown_type_lists_the_known_ones():
    error = config.unknown_type(DeviceTable("serail", "com1", {}, Path("m.toml")), {"pit": 0, "serial": 0})

    assert str(error) == (
        "m.toml: device 'com1': no plugin offers type 'serail'; there are pit, serial, or path/to/file.py:Class"
    )


# -- values and flags --


@pytest.mark.parametrize(
    ("text", "size"),
    [("128M", 128 * MB), ("64K", 65536), ("1G", 1 << 30), (512, 512), ("2 MiB", 2 * MB), ("8mb", 8 * MB)],
)
def test_sizes(text, size):
    assert size == parse_size(text)


@pytest.mark.parametrize("text", ["", "M", "1.5M", "-1", "1T", "1KK", "0x10"])
def test_bad_sizes(text):
    with pytest.raises(ConfigError, match="must be a number with K, M or G behind it"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x3F8", 0x3F8),
        ("true", True),
        ('"x"', "x"),
        ("disk.img", "disk.img"),
        ("[1, 2]", [1, 2]),
        ("", ""),
        ("a=b", "a=b"),
    ],
)
def test_values_of_the_command_line(text, value):
    assert value == parse_value(text)


def test_flags_are_keys_of_the_machine_or_of_the_media_table(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write('[media]\nhda = "ide.hda"\nserial = "com1.backend"')

    assert flag_overrides(path, {"memory": "1M", "hda": "disk.img", "serial": "pty", "cdrom": None}) == {
        "machine.memory": "1M",
        "ide.hda": f"{tmp_path}/disk.img",
        "com1.backend": "pty",
    }


def test_a_flag_that_the_file_has_no_entry_for_is_refused(write):
    path = write('[media]\nhda = "ide.hda"')
    with pytest.raises(ConfigError) as error:
        flag_overrides(path, {"cdrom": "x.iso"})

    assert str(error.value) == (
        f"{path}: has no [media] entry for 'cdrom': add one such as cdrom = \"DEVICE.KEY\";"
        " known: boot, cpu, engine, hda, memory"
    )
