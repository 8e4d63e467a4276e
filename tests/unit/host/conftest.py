"""Fixtures of the tests of host ends."""

import pytest

from vpcore.host.loop import HostLoop


@pytest.fixture
def loop():
    """A loop, closed afterwards."""
    loop = HostLoop()
    yield loop
    loop.close()
