"""Every test here goes through both memory modes of `bt`."""

import pytest


@pytest.fixture(autouse=True, params=["flat", "window"])
def memory_mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode of all code."""
    monkeypatch.setenv("VPCORE_BT_MODE", request.param)
