"""Finding plugins: installed packages, and `path/to/file.py:Class`."""

import re
import sys
import textwrap

import pytest

from vpcore import plugins
from vpcore.errors import ConfigError, PluginError
from vpcore.plugins import device_types, load_file_type, make_plugin_manager

MODULE = """
import attrs
from vpcore import Device, DeviceType, hookimpl, option

@attrs.frozen
class BeeperConfig:
    \"\"\"Beeps.\"\"\"
    name: str
    base: int = option(0x321, "its port")

class Beeper(Device):
    state = None
    def save(self): return None

@hookimpl
def vpcore_device_types():
    return [DeviceType({name!r}, BeeperConfig, lambda config, board: Beeper())]
"""


BAD_PORTS = """
from vpcore import PortMap, SimpleDevice
class Mine(SimpleDevice):
    ports = PortMap(1)
    @ports.read(1)
    def _read(self): return 0
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package with an entry point onto the path, as pip does."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(package, source, *, version="1.2"):
        module = package.replace("-", "_")
        (site / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[vpcore.plugins]\n{module} = {module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)

    yield install
    for path in site.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_the_built_in_devices_come_through_the_same_door():
    """STYLE 0.9: core devices are plugins too."""
    found = device_types(make_plugin_manager())

    assert {"pic", "serial", "ide", "vga", "firmware"} <= set(found)
    assert found["serial"].plugin == "serial"
    assert list(found) == sorted(found)


def test_an_installed_package_offers_its_types(install):
    install("vpcore-beeper", MODULE.format(name="beeper"))
    entry = device_types(make_plugin_manager())["beeper"]

    assert (entry.plugin, entry.type.name) == ("vpcore_beeper", "beeper")
    assert plugins.packages()["vpcore_beeper"] == "vpcore-beeper 1.2"


def test_managers_share_nothing(install):
    before = make_plugin_manager()
    install("vpcore-beeper", MODULE.format(name="beeper"))

    assert "beeper" not in device_types(before)


def test_a_package_that_cannot_be_imported_is_named(install):
    install("broken-plugin", "import no_such_module_anywhere")
    with pytest.raises(PluginError) as error:
        make_plugin_manager()

    assert str(error.value) == (
        "plugin 'broken_plugin' of package 'broken-plugin' cannot be loaded:"
        " No module named 'no_such_module_anywhere': repair or uninstall it"
    )


def test_two_plugins_with_one_type_are_both_named(install):
    install("first-one", MODULE.format(name="beeper"))
    install("second-one", MODULE.format(name="beeper"))
    with pytest.raises(PluginError) as error:
        device_types(make_plugin_manager())

    assert re.fullmatch(
        r"device type 'beeper' is offered by plugins '(first|second)_one' and '(first|second)_one': uninstall one of them",
        str(error.value),
    )


def test_a_hook_that_returns_nonsense_is_named(install):
    install("odd-one", "from vpcore import hookimpl\n@hookimpl\ndef vpcore_device_types(): return ['serial']\n")
    with pytest.raises(PluginError) as error:
        device_types(make_plugin_manager())

    assert str(error.value) == "plugin 'odd_one': vpcore_device_types must return DeviceType objects (got 'serial')"


def test_a_hook_that_there_is_not_is_an_error(install):
    """A misspelt hook would never be called."""
    install("typo-one", "from vpcore import hookimpl\n@hookimpl\ndef vpcore_device_type(): return []\n")
    with pytest.raises(PluginError) as error:
        make_plugin_manager()

    assert str(error.value) == "plugin 'typo_one': unknown hook 'vpcore_device_type': there is none such"


def test_a_hook_that_raises_is_named(install):
    install("sad-one", "from vpcore import hookimpl\n@hookimpl\ndef vpcore_device_types(): return 1 // 0\n")
    with pytest.raises(PluginError) as error:
        device_types(make_plugin_manager())

    assert (
        str(error.value)
        == "plugin 'sad_one': vpcore_device_types failed: ZeroDivisionError: integer division or modulo by zero"
    )


# -- path/to/file.py:Class --


@pytest.fixture
def file(tmp_path):
    """Write a device file."""

    def file(source):
        (tmp_path / "mine.py").write_text(textwrap.dedent(source), encoding="utf-8")
        return tmp_path

    return file


def test_a_file_may_hold_a_simple_device(file):
    base = file("from vpcore import SimpleDevice\nclass Mine(SimpleDevice):\n    '''Mine.'''\n")
    entry = load_file_type("mine.py:Mine", base)

    assert (entry.type.name, entry.plugin) == ("mine.py:Mine", str(base / "mine.py"))


def test_a_file_may_hold_a_device_type(file):
    base = file(MODULE.format(name="beeper") + "\nTYPE = vpcore_device_types()[0]\n")

    assert load_file_type("mine.py:TYPE", base).type.name == "beeper"


def test_a_file_is_read_anew_each_time(file):
    base = file("from vpcore import SimpleDevice\nclass Mine(SimpleDevice):\n    '''One.'''\n")
    first = load_file_type("mine.py:Mine", base).type.config.__doc__
    file("from vpcore import SimpleDevice\nclass Mine(SimpleDevice):\n    '''Another text.'''\n")

    assert (first, load_file_type("mine.py:Mine", base).type.config.__doc__) == ("One.", "Another text.")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("class Other: pass", "'Mine' must be a SimpleDevice class or a DeviceType (got None)"),
        ("Mine = 3", "'Mine' must be a SimpleDevice class or a DeviceType (got 3)"),
        (
            "import no_such_module_anywhere",
            "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module_anywhere'",
        ),
        ("def f(:", "cannot be loaded: SyntaxError: "),
        ("1 / 0", "cannot be loaded: ZeroDivisionError: division by zero"),
        (
            BAD_PORTS,
            "cannot be loaded: ValueError: offset 0x1 lies outside a map of 1 bytes",
        ),
    ],
    ids=["missing", "no class", "import", "syntax", "raises", "bad ports"],
)
def test_a_bad_file_is_named_with_the_reason(file, source, message):
    base = file(source)
    with pytest.raises(PluginError) as error:
        load_file_type("mine.py:Mine", base)

    assert str(error.value).startswith(f"{base}/mine.py: {message}")


@pytest.mark.parametrize("spec", ["gone.py:Mine", "gone.py", ":Mine", ""])
def test_a_missing_file_says_what_a_type_may_be(tmp_path, spec):
    with pytest.raises(ConfigError, match=r"must be an installed type or path/to/file\.py:Class"):
        load_file_type(spec, tmp_path)
