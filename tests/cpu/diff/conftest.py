"""Every test here goes through both memory modes of `bt`, flat mode on a host with and without a fast PEXT, with code for one address, with code that slides, with
user code that slides until it has run for a while, and with code that seldom looks at the budget.
"""

import pytest


@pytest.fixture(autouse=True, params=["flat", "window", "flat by flags"])
def memory_mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode of all code."""
    mode, *by_flags = request.param.split(maxsplit=1)
    monkeypatch.setenv("VPCORE_BT_MODE", mode)
    if by_flags:
        monkeypatch.setenv("VPCORE_BT_NO_PEXT", "1")


@pytest.fixture(autouse=True, params=["in place", "sliding", "settling", "sparing"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a block has code for all addresses from the start, and whether only those that lead back look at the budget."""
    if request.param in {"sliding", "settling"}:
        monkeypatch.setenv("VPCORE_BT_SLIDE", "1")
    if request.param == "settling":
        monkeypatch.setenv("VPCORE_BT_SETTLE", "3000")
    if request.param == "sparing":
        monkeypatch.setenv("VPCORE_BT_LOOKS", "few")
