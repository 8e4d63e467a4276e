"""Booting real guests: media from Debian packages, machines from machines/pc99.toml."""

import contextlib
import fcntl
from pathlib import Path

import pytest

from vpcore.errors import VpcoreError
from vpcore.images import debian_mini, media
from vpcore.machine import Machine

ROOT = Path(__file__).resolve().parents[2]
PC99 = ROOT / "machines" / "pc99.toml"


@pytest.fixture(scope="session")
def medium():
    """A function that fetches a medium, or skips where the package registry cannot be reached."""

    def fetch(name):
        try:
            return media.path(name)
        except VpcoreError as error:
            pytest.skip(f"medium {name} cannot be fetched: {error}")

    return fetch


@pytest.fixture
def pc(request):
    """A function that makes a pc99 with its first serial port in memory, by the engine that a test asks for or the best."""
    machines = []

    def make(**flags):
        flags.setdefault("serial", "buffer")
        flags.setdefault("engine", getattr(request, "param", "auto"))
        machine = Machine.load(PC99, **flags)
        machines.append(machine)
        return machine

    yield make
    for machine in machines:
        machine.close()


@pytest.fixture(scope="session")
def debian_image(tmp_path_factory):
    """The image that `vpcore image build debian-mini` makes; copy it before writing."""
    path = ROOT / "build" / "tests" / "debian-mini.img"
    sources = [source.stat().st_mtime for source in (ROOT / "vpcore" / "images").rglob("*.*")]
    with filelock(path.with_suffix(".lock")):
        if not path.exists() or path.stat().st_mtime < max(sources):
            try:
                debian_mini.build(path)
            except VpcoreError as error:
                pytest.skip(f"debian-mini cannot be built: {error}")
    return path


@contextlib.contextmanager
def filelock(path):
    """One test process at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
