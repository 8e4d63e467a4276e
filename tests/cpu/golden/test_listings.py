"""The host code of some blocks is what it was when somebody last looked at it."""

import pytest
from listings import BLOCKS, MODES, host_probes_otherwise, listing, path

from vpcore.engine.engine import probe

pytestmark = pytest.mark.skipif(bool(probe()["bt"]), reason=probe()["bt"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_emitted_as_its_listing_says(name, mode, monkeypatch):
    if mode == "flat" and host_probes_otherwise():
        pytest.skip("this host asks the flat tables otherwise than the host of the listings")
    monkeypatch.setenv("VPCORE_BT_MODE", mode)
    monkeypatch.setenv("VPCORE_BT_WARM", "1")

    assert path(name, mode).read_text() == listing(name, mode), "python tests/cpu/golden/listings.py writes them anew"
