"""The command line: what it prints, its exit status, and that every error is one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from vpcore import cli, session
from vpcore.cli import main
from vpcore.config import MachineConfig, flag_overrides, load
from vpcore.errors import ConfigError, VpcoreError

ROOT = Path(__file__).resolve().parents[2]
PC99 = ROOT / "machines" / "pc99.toml"

BAD_DEVICES = """
from vpcore import PortMap, SimpleDevice, option, saved

class Timed(SimpleDevice):
    "Fails when the guest runs."
    def setup(self): self.board.clock.at(1_000, self.fail)
    def fail(self): return 1 // 0

class Unbuilt(SimpleDevice):
    "Fails to build."
    def setup(self): {}["missing"]

class NoFile(SimpleDevice):
    "Needs a file."
    def setup(self): open("/nonexistent/file")

class Off(SimpleDevice):
    "Turns the power off."
    def setup(self):
        from vpcore.wires import Power
        self.board.clock.at(1_000, self.board.service(Power).off)

class Noisy(SimpleDevice):
    "Writes without end."
    backend: str = option("stdio", "where to")
    def setup(self):
        self.end = self.board.char(self.backend)
        self.board.clock.every(1_000, lambda: self.end.write(b"noise" * 1000))

class Said(Off):
    "Writes once and turns the power off."
    def setup(self):
        self.board.char("stdio").write(b"noise")
        super().setup()
"""


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def vpcore(*arguments, **options):
    """Run the program; the finished process."""
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "timeout": 60, **options}
    return subprocess.run(command(*arguments), **options, check=False)


def command(*arguments):
    return [sys.executable, "-m", "vpcore", *map(str, arguments)]


@pytest.fixture
def with_device(tmp_path):
    """A function that makes a pc99 with one of BAD_DEVICES."""
    (tmp_path / "bad.py").write_text(BAD_DEVICES)

    def make(name):
        path = tmp_path / f"{name}.toml"
        path.write_text(f'include = "{PC99}"\n[[device]]\ntype = "bad.py:{name}"\nname = "my-{name}"\n')
        return path

    return make


# -- help and lists --


@pytest.mark.parametrize("name", ["run", "profile", "check", "devices", "new-device", "image"])
def test_help_of_each_command_explains_it(name):
    result = invoke(name, "--help")

    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: main {name}")


@pytest.mark.parametrize("arguments", [(), ("run",), ("profile",), ("check",), ("devices",), ("new-device",)])
def test_help_shows_examples(arguments):
    assert "Examples:\n" in invoke(*arguments, "--help").output


def test_help_needs_no_engine_and_no_numpy():
    code = "import sys; sys.argv[1:] = ['--help']\nimport atexit\n"
    code += "atexit.register(lambda: print('loaded', {'numpy', 'vpcore.engine'} & set(sys.modules)))\n"
    code += "from vpcore.cli import main; main()"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "loaded set()" in result.stdout


def test_devices_lists_every_type_with_its_plugin():
    lines = invoke("devices").output.splitlines()

    assert any("serial" in line and "16550A" in line for line in lines)
    assert any("ide" in line and "PIIX3" in line for line in lines)


def test_devices_type_lists_its_keys_with_default_and_help():
    output = invoke("devices", "serial").output

    assert "0x3f8" in output
    assert "an integer" in output
    assert "interrupt: 4 for COM1 and COM3" in output


def test_devices_file_lists_a_file_devices_keys(with_device, monkeypatch):
    monkeypatch.chdir(with_device("Noisy").parent)

    output = invoke("devices", "bad.py:Noisy").output

    assert "Writes without end." in output
    assert "backend" in output


def test_devices_of_an_unknown_type_names_those_there_are():
    result = invoke("devices", "nonsense")

    assert result.exit_code == 1
    assert result.stderr.startswith("vpcore: no plugin offers device type 'nonsense'; there are ")


def test_info_shows_engines_firmware_plugins_and_machine_keys():
    output = invoke("info").output

    assert "--engine auto takes " in output
    assert "interp" in output
    assert "SeaBIOS: " in output
    assert "chipset" in output
    assert "[machine]" in output
    assert "icount_ns" in output


def test_check_shows_devices_with_their_ports():
    output = invoke("check", PC99).output

    assert any("com1" in line and "3f8-3ff" in line for line in output.splitlines())


# -- new-device --


def test_new_device_writes_a_device_whose_test_passes(tmp_path):
    result = invoke("new-device", "my-latch", "--to", tmp_path)

    assert result.output.splitlines() == [str(tmp_path / "my_latch.py"), str(tmp_path / "test_my_latch.py")]
    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path), "--rootdir", str(tmp_path)]
    assert subprocess.run(test, capture_output=True, cwd=tmp_path, check=False).returncode == 0
    assert "first port" in invoke("devices", f"{tmp_path}/my_latch.py:MyLatch").output


def test_new_device_never_overwrites(tmp_path):
    (tmp_path / "test_latch.py").write_text("mine")

    result = invoke("new-device", "latch", "--to", tmp_path)

    assert result.exit_code == 1
    assert "is there already" in result.stderr
    assert not (tmp_path / "latch.py").exists()
    assert (tmp_path / "test_latch.py").read_text() == "mine"


@pytest.mark.parametrize("name", ["", "../x", "1st", "a b", "x.py", "é"])
def test_new_device_refuses_what_is_no_name(name, tmp_path):
    assert invoke("new-device", name, "--to", tmp_path).exit_code == 1
    assert list(tmp_path.iterdir()) == []


# -- errors --


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "nowhere.toml"), "nowhere.toml: no such machine file"),
        (("check", PC99, "--set", "nonsense"), "--set must be NAME.KEY=VALUE"),
        (("check", PC99, "--set", "com9.base=1"), "no device is named 'com9'"),
        (("check", PC99, "--set", "com1.bass=1"), "unknown key 'bass'"),
        (("check", PC99, "--memory", "much"), "such as 128M"),
        (("check", PC99, "--hda", "nowhere.img"), "nowhere.img"),
        (("check", PC99, "--engine", "warp"), "engine must be auto or one of "),
        (("check", PC99, "--set", "com2.base=0x3F8"), "com1"),
        (("run", PC99, "--trace", "com9", "--display", "none"), "no device is named 'com9'"),
        (("run", PC99, "--display", "terminal"), "needs a terminal"),
        (("devices", "nowhere.py:Thing"), "nowhere.py: no such file"),
        (("check", ROOT), "cannot be read"),
    ],
)
def test_an_error_is_one_line_and_status_1(arguments, message):
    result = invoke(*arguments)

    assert result.exit_code == 1
    assert result.stderr.startswith("vpcore: ")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [("run",), ("nonsense",), ("run", PC99, "--nonsense"), ("run", PC99, "--display", "x")]
)
def test_wrong_usage_is_status_2(arguments):
    assert invoke(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("Unbuilt", "device 'my-Unbuilt': KeyError: 'missing' (at bad.py:"),
        ("NoFile", "device 'my-NoFile': /nonexistent/file: No such file or directory"),
        ("Timed", "device 'my-Timed' failed: ZeroDivisionError: "),
    ],
)
def test_a_device_that_fails_is_named_in_one_line(with_device, device, message):
    result = vpcore("run", with_device(device), "--display", "none", text=True)

    assert result.returncode == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_verbose_twice_shows_the_calls_too(with_device):
    result = vpcore("run", with_device("Timed"), "--display", "none", "-vv", text=True)

    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("vpcore: device 'my-Timed' failed")


def test_an_unexpected_exception_is_one_line_too(monkeypatch):
    def fail(*_arguments, **_more):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(cli.configs, "load", fail)

    result = invoke("check", PC99)

    assert result.exit_code == 1
    assert result.stderr.startswith("vpcore: internal error: RuntimeError: two lines (at test_cli.py:")


def test_an_error_of_the_host_names_the_file():
    assert cli.one_line(FileNotFoundError(2, "No such file", "x")) == "x: No such file"
    assert cli.one_line(VpcoreError("a\n  b")) == "a b"


# -- run --


def test_a_guest_that_powers_off_is_status_0(with_device):
    assert vpcore("run", with_device("Off")).returncode == 0


def test_there_is_no_network_but_none(with_device):
    assert vpcore("run", with_device("Off"), "--display", "none", "--net", "none", "--serial", "stdio").returncode == 0
    assert vpcore("run", with_device("Off"), "--net", "nat").returncode == 2
    with pytest.raises(ConfigError, match=r"net must be 'none': there is no network card yet \(got 'nat'\)"):
        flag_overrides(PC99, {"net": "nat"})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_machine_cleanly(number):
    # who runs the tests may ignore it, as nohup does, and then vpcore does
    before = signal.signal(number, signal.SIG_DFL)
    try:
        process = started()
    finally:
        signal.signal(number, before)

    process.send_signal(number)
    _, errors = process.communicate(timeout=20)

    assert (process.returncode, errors) == (0, b"")


def started():
    """A pc99 that has got as far as the BIOS's first message."""
    arguments = ("run", PC99, "--display", "none", "--serial", "none", "--set", "debug.backend=stdio")
    process = subprocess.Popen(
        command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.read(7) == b"SeaBIOS"
    return process


def test_a_machine_whose_reader_is_stuck_is_left_by_force_when_asked(with_device):
    process = subprocess.Popen(
        command("run", with_device("Noisy")), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.read(1)
    time.sleep(0.5)

    process.send_signal(signal.SIGTERM)

    try:
        assert process.wait(timeout=30) == 1
        assert process.stderr.read() == (
            b"vpcore: interrupted: the machine did not stop within 5 s and was left by force\n"
        )
    finally:
        process.kill()
        process.communicate()


def test_where_nobody_reads_standard_output_the_machine_ends_without_a_word(with_device):
    read, write = os.pipe()
    os.close(read)

    result = vpcore("run", with_device("Noisy"), capture_output=False, stdout=write, stderr=subprocess.PIPE)
    os.close(write)

    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", [("info",), ("devices",), ("check", PC99), ("--help",)])
def test_lists_into_a_closed_pipe_give_no_traceback(arguments):
    read, write = os.pipe()
    os.close(read)

    result = vpcore(*arguments, capture_output=False, stdout=write, stderr=subprocess.PIPE)
    os.close(write)

    assert b"Traceback" not in result.stderr
    assert b"Exception" not in result.stderr


def test_closed_standard_streams_are_no_place_for_an_image(tmp_path, with_device):
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    script = f'exec "$@" --hda {image} <&- >&- 2>&-'

    result = subprocess.run(["sh", "-c", script, "sh", *command("run", with_device("Said"))], timeout=60, check=False)

    assert result.returncode == 0
    assert image.read_bytes() == bytes(1 << 20)


# -- where the screen goes --


def machine(**com1) -> MachineConfig:
    config = load(PC99)
    config.device("com1").keys.update(com1)
    return config


def backend(config):
    return config.device("com1").keys.get("backend")


def test_by_default_the_screen_is_in_the_terminal():
    config = machine()

    assert session.choose_display(config, None, terminal=True) == "terminal"
    assert backend(config) is None


def test_without_terminal_the_serial_port_is_on_standard_output():
    config = machine()

    assert session.choose_display(config, None, terminal=False) == "none"
    assert backend(config) == "stdio"


def test_without_display_the_serial_port_is_on_standard_output():
    config = machine()

    assert session.choose_display(config, "none", terminal=True) == "none"
    assert backend(config) == "stdio"


def test_a_serial_port_that_the_file_or_a_flag_connects_stays_there():
    config = machine(backend="file:log")

    session.choose_display(config, None, terminal=False)

    assert backend(config) == "file:log"


def test_a_serial_port_on_the_terminal_has_it_for_itself():
    assert session.choose_display(machine(backend="stdio"), None, terminal=True) == "none"

    with pytest.raises(ConfigError, match="cannot show both the screen and device 'com1'"):
        session.choose_display(machine(backend="stdio"), "terminal", terminal=True)


def test_a_machine_without_serial_port_runs_without_terminal(tmp_path):
    path = tmp_path / "none.toml"
    path.write_text(f'include = "{PC99}"\nremove = ["com1"]\n')

    assert session.choose_display(load(path), None, terminal=False) == "none"
