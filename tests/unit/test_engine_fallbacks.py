"""A host without what `bt` would like: it goes on, says why in one line, and the guest sees no difference.

The switches (VPCORE_WINDOW_FAIL, VPCORE_MAX_MAP_COUNT, VPCORE_BT_MODE) are those of csrc/bt.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vpcore.engine import probe

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=f"bt: {probe()['bt']}")

ROOT = Path(__file__).resolve().parents[2]
PC99 = ROOT / "machines" / "pc99.toml"
MARK = b"Booting from"
EACH = {
    "reserve": "no windows: the host gives no 4 GB of addresses",
    "hole": "windows cost more: the host gives no addresses that it is asked for",
    "memfd": "no windows: guest memory is no file",
    "fsgsbase": "windows cost more: the host has no FSGSBASE",
    "timer": "loops cost more: the host gives no timer",
    "guard": "returns cost more: the host gives no 4 GB of addresses beside a machine",
}


def bios(**environment):
    """Run pc99, every address space in windows, until the BIOS looks for something to boot; what was logged."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "vpcore", "run", str(PC99), "--engine", "bt", "--memory", "16M"),
            *("--display", "none", "--serial", "none", "--set", "debug.backend=stdio"),
        ],
        env={**os.environ, "VPCORE_BT_MODE": "window", "VPCORE_BT_WARM": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said = b""
    while MARK not in said:
        more = process.stdout.read1(4096)
        if not more:
            break
        said += more
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert MARK in said, (said[-200:], errors)
    assert process.returncode == 0, errors
    return [line for line in errors.decode().splitlines() if "bt" in line or "Error" in line or "Trace" in line]


def test_with_all_it_needs_nothing_is_said():
    assert bios() == []


@pytest.mark.parametrize("step", EACH)
def test_without_it_one_line_says_why_and_the_guest_goes_on(step):
    assert bios(VPCORE_WINDOW_FAIL=step) == [f"vpcore.machine: engine bt: {EACH[step]}"]


def test_flags_of_another_maker_are_said_to_cost_more():
    """SDM 1 appendix A: a host's are AMD's or Intel's, and with the other one's the interpreter has more to do."""
    said = [bios(VPCORE_UNDEFINED_FLAGS=maker) for maker in ("amd", "intel")]

    assert sorted(said) == [
        [],
        ["vpcore.machine: engine bt: shifts and multiplications cost more: the host's flags differ"],
    ]


@pytest.mark.parametrize("count", ["1", "8000", "8200"])
def test_few_mappings_mean_no_windows(count):
    assert bios(VPCORE_MAX_MAP_COUNT=count) == [
        "vpcore.machine: engine bt: no windows: /proc/sys/vm/max_map_count is too small"
    ]


@pytest.mark.parametrize("count", ["8300", "8500", "10000"])
def test_few_more_are_used_up_and_the_guest_goes_on(count):
    assert bios(VPCORE_MAX_MAP_COUNT=count) == []


def test_a_host_that_refuses_each_single_mapping_is_no_crash():
    assert bios(VPCORE_WINDOW_FAIL="map") == []


def test_in_flat_mode_nothing_is_missed():
    assert bios(VPCORE_BT_MODE="flat", VPCORE_WINDOW_FAIL="reserve") == []
