"""Fixtures shared by all tests.  The tests also run from a source tree that is not installed."""

import importlib.util
import os
import sys
import tomllib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import hypothesis
import pytest

from vpcore.plugins import GROUP
from vpcore.testing import FakeBoard

ROOT = Path(__file__).resolve().parents[1]


def _import_plugins_from_source() -> None:
    """Make `plugins/` importable as `vpcore_plugins`, as an installation does."""
    if importlib.util.find_spec("vpcore_plugins") is None:
        folder = ROOT / "plugins"
        spec = importlib.util.spec_from_file_location(
            "vpcore_plugins", folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules["vpcore_plugins"] = module
        spec.loader.exec_module(module)


def _register_plugins_from_source() -> None:
    """Where no installed package offers the built-in plugins, let pyproject.toml do."""
    import vpcore.plugins  # noqa: PLC0415 - the engine may not be built yet

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ours = [EntryPoint(name, value, GROUP) for name, value in project["entry-points"][GROUP].items()]
    installed = {point.name for point in entry_points(group=GROUP)}
    missing = [point for point in ours if point.name not in installed]
    if missing:
        vpcore.plugins.entry_points = lambda group: [*entry_points(group=group), *missing]


_import_plugins_from_source()
_register_plugins_from_source()

hypothesis.settings.register_profile("quick", max_examples=15, deadline=None, derandomize=True)
hypothesis.settings.register_profile("thorough", max_examples=1000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("VPCORE_HYPOTHESIS", "quick"))


@pytest.fixture
def board():
    """A board without a processor."""
    return FakeBoard()
