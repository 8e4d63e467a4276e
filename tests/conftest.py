"""Fixtures shared by all tests."""

import pytest

from vpcore.testing import FakeBoard


@pytest.fixture
def board():
    """A board without a processor."""
    return FakeBoard()
