"""Every test here goes through both memory modes of `bt`, with code for one address and with code that slides."""

import pytest


@pytest.fixture(autouse=True, params=["flat", "window"])
def memory_mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode of all code."""
    monkeypatch.setenv("VPCORE_BT_MODE", request.param)


@pytest.fixture(autouse=True, params=["in place", "sliding"])
def addresses(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a block has code for all addresses from the start."""
    if request.param == "sliding":
        monkeypatch.setenv("VPCORE_BT_SLIDE", "1")
