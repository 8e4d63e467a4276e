"""Fixtures of the CPU tests; as a conftest it also makes the package `oracle` beside it importable for all of them."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from oracle import Oracle, OracleUnavailableError


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    """The host processor as a judge; skips where the host cannot run IA-32 code."""
    with ExitStack() as stack:
        try:
            silicon = stack.enter_context(Oracle())
        except OracleUnavailableError as reason:
            pytest.skip(str(reason))
        yield silicon
