"""Fixtures of the CPU tests; as a conftest it also makes the package `oracle` beside it importable for all of them."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import box
import pytest
from oracle import Oracle, OracleUnavailableError

from vpcore.engine.engine import probe

IN_WINDOWS = "bt-window"
os.environ.setdefault("VPCORE_BT_WARM", "1")
"""Tests run code once: `bt` is to translate it at once."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of modules that use a Box go through every engine that runs here."""
    if hasattr(metafunc.module, "Box"):
        usable = [name for name, reason in probe().items() if not reason]
        metafunc.parametrize("box_engine", usable + [IN_WINDOWS] * ("bt" in usable), indirect=True)


@pytest.fixture(autouse=True)
def box_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine of a Box, `bt` in either of its memory modes."""
    if hasattr(request, "param"):
        monkeypatch.setattr(box, "ENGINE", request.param.removesuffix(IN_WINDOWS.removeprefix("bt")))
        monkeypatch.setenv("VPCORE_BT_MODE", "window" if request.param == IN_WINDOWS else "flat")


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    """The host processor as a judge; skips where the host cannot run IA-32 code."""
    with ExitStack() as stack:
        try:
            silicon = stack.enter_context(Oracle())
        except OracleUnavailableError as reason:
            pytest.skip(str(reason))
        yield silicon


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the differences that tests excuse: properties `excused` of the form `name: number`."""
    counts: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for key, value in getattr(report, "user_properties", ()):
                if key == "excused" and getattr(report, "when", "") == "call":
                    name, _, number = value.rpartition(": ")
                    counts[name] += int(number)
    for name, number in counts.most_common():
        terminalreporter.write_line(f"excused difference, {name}: {number}")
