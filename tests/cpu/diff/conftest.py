"""Every test here goes through both memory modes of `bt`, with code for one address, with code that slides, and with code
that seldom looks at the budget.
"""

import pytest


@pytest.fixture(autouse=True, params=["flat", "window"])
def memory_mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode of all code."""
    monkeypatch.setenv("VPCORE_BT_MODE", request.param)


@pytest.fixture(autouse=True, params=["in place", "sliding", "sparing"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a block has code for all addresses from the start, and whether only those that lead back look at the budget."""
    if request.param == "sliding":
        monkeypatch.setenv("VPCORE_BT_SLIDE", "1")
    if request.param == "sparing":
        monkeypatch.setenv("VPCORE_BT_LOOKS", "few")
