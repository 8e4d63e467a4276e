"""`--engine auto`: the best engine that works here, with one line where a better one does not; never a crash."""

import logging
import os
import resource
import subprocess
import sys

import pytest
from click.testing import CliRunner

from vpcore.cli import main
from vpcore.engine import Engine, EngineConfig, probe
from vpcore.engine.engine import PREFERENCE, best_first
from vpcore.errors import EngineError

STEPS = {"memfd": "memfd_create", "write": "mmap", "exec": "mmap"}
OFF = """
from vpcore import SimpleDevice

class Off(SimpleDevice):
    "Turns the power off."
    def setup(self):
        from vpcore.wires import Power
        self.board.clock.at(1_000, self.board.service(Power).off)
"""


class Silent:
    """A bus on which nothing answers."""

    port_in = port_out = port_in_block = port_out_block = mmio_read = mmio_write = None


def engine(name="auto"):
    return Engine(EngineConfig(ram_size=1 << 20, engine=name), Silent(), lambda: 0)


@pytest.fixture
def usable():
    if probe()["bt"]:
        pytest.skip(f"bt: {probe()['bt']}")


def test_the_order_names_the_engines_there_are_and_ends_with_the_one_that_always_works():
    assert set(best_first()) == set(PREFERENCE) & set(probe())
    assert best_first()[-1] == "interp"


@pytest.mark.usefixtures("usable")
def test_the_translator_is_taken_where_it_works(caplog):
    with caplog.at_level(logging.INFO, "vpcore.engine"):
        made = engine()

    assert made.name == "bt"
    assert [record.getMessage() for record in caplog.records] == ["engine bt, the best that works here"]
    made.close()


@pytest.mark.parametrize("step", STEPS)
def test_where_code_memory_is_refused_the_interpreter_is_taken_and_one_line_says_why(step, monkeypatch, caplog):
    monkeypatch.setenv("VPCORE_CODEMEM_FAIL", step)

    made = engine()

    assert made.name == "interp"
    (said,) = [record.getMessage() for record in caplog.records]
    why = f"the host gives no executable memory ({STEPS[step]}: Permission denied)"
    assert said == f"engine 'bt' cannot be used: {why}: the next best is taken"
    made.close()


def test_an_engine_asked_for_by_name_is_no_other(monkeypatch):
    monkeypatch.setenv("VPCORE_CODEMEM_FAIL", "exec")

    with pytest.raises(EngineError, match="engine 'bt' cannot be used: the host gives no executable memory"):
        engine("bt")


def test_info_shows_the_choice_and_why(monkeypatch):
    monkeypatch.setenv("VPCORE_CODEMEM_FAIL", "exec")

    output = CliRunner().invoke(main, ["info"]).output

    assert "--engine auto takes interp: the first that is usable here of bt, interp" in output
    assert "the host gives no executable memory (mmap: Permission denied)" in output


def test_info_shows_what_an_engine_lacks(monkeypatch):
    monkeypatch.setenv("VPCORE_WINDOW_FAIL", "fsgsbase")

    output = CliRunner().invoke(main, ["info"]).output

    assert "windows cost more: the host has no FSGSBASE" in output


@pytest.fixture
def machine_file(tmp_path):
    """A machine that is off again at once."""
    (tmp_path / "off.py").write_text(OFF)
    path = tmp_path / "m.toml"
    path.write_text('[machine]\nname = "m"\nmemory = "1M"\n[[device]]\ntype = "off.py:Off"\nname = "off"\n')
    return path


def run(machine_file, limit=None, **environment):
    return subprocess.run(
        [sys.executable, "-m", "vpcore", "run", str(machine_file), "--display", "none"],
        env={**os.environ, **environment}, preexec_fn=limit, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_vpcore_run_goes_on_without_code_memory(machine_file):
    done = run(machine_file, VPCORE_CODEMEM_FAIL="exec")

    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("vpcore.engine: engine 'bt' cannot be used: ")


@pytest.mark.usefixtures("usable")
def test_vpcore_run_goes_on_where_address_space_is_short(machine_file):
    """The probe's small piece is granted, the engine's own is not."""
    most = 700 << 20

    done = run(machine_file, lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most)))

    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
