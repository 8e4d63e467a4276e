"""The benchmark guest's comparison: its arithmetic, and that it takes the times of what a contender prints."""

import importlib.util
import math
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compare():
    spec = importlib.util.spec_from_file_location("compare", ROOT / "bench" / "guest" / "compare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_programs_of_the_guest_are_the_rows_of_the_table(compare):
    script = (ROOT / "bench" / "guest" / "files" / "bench" / "run.sh").read_text()

    programs = [line.split()[1] for line in script.splitlines() if line.startswith("timed ")]

    assert ["boot", *programs] == list(compare.ROWS)


def test_a_contender_is_timed_by_its_marks(compare, capsys):
    script = "echo MARK boot end; echo MARK fib start; sleep 0.05; echo MARK fib end; echo FAIL fib: status 1"

    (times,) = compare.run_all({"fake": ["sh", "-c", script]}, 1)["fake"]

    assert set(times) == {"boot", "fib"}
    assert times["fib"] >= 0.04
    assert "fake: FAIL fib: status 1" in capsys.readouterr().err


def test_ratios_and_geometric_means_are_over_native_and_only_of_whole_groups(compare):
    native = dict.fromkeys(compare.ROWS, 2.0)
    guest = {**native, "fib": 2.0 * 2**11, "boot": 3.0}
    times = {"native": native, "qemu": {"boot": 6.0}, "bt": guest}

    rows = {row[0]: row[1:] for row in compare.table(times)}

    assert math.isclose(compare.geomean(times, "bt", "compute"), 2.0)
    assert compare.geomean(times, "qemu", "compute") is None
    assert rows["fib"] == ["2.000", "", "4096.000", "", "2048.00"]
    assert compare.verdicts(times) == ["bt / qemu: boot 0.50, compute , system "]


def test_medians_are_over_the_runs_that_finished(compare):
    assert compare.medians([{"fib": 1.0}, {"fib": 3.0, "xz": 5.0}, {"fib": 2.0}]) == {"fib": 2.0, "xz": 5.0}
