"""What the interpreter's blocks rely on of its handlers (vpcore/engine/csrc/interp/interp.h), read in their source."""

import re
import shutil
import subprocess
from itertools import product

import pytest
from native import CSRC

from vpcore.engine.isa import Row, rows

GOES_ON = "(i + 1)->fn"
FUNCTION = re.compile(
    r"^void (i_\w+)\(struct vp_vm \*m, const struct insn \*i\)\s*(\{.*?)(?=^\S*void |\Z)", re.MULTILINE | re.DOTALL
)


@pytest.fixture(scope="module")
def bodies() -> dict[str, str]:
    """The text of each handler, macros expanded."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler (install gcc)")
    found: dict[str, str] = {}
    for source in sorted((CSRC / "interp").glob("*.c")):
        command = [compiler, "-E", "-P", "-I", str(CSRC), str(source)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        text = re.sub(r"\bvoid i_", "\nvoid i_", text)
        found |= dict(FUNCTION.findall(text))
    return found


def handlers(row: Row) -> set[str]:
    server = {known.id: known for known in rows()}[row.handler]
    return {f"i_{server.id}{server.suffix(os32=os32, mem=mem)}" for os32, mem in product((False, True), repeat=2)}


def test_a_handler_that_ends_a_block_never_goes_on_behind_it(bodies):
    """Where a row has the trait `end` no sentinel stands behind its instruction: the next block may."""
    ending = set().union(*(handlers(row) for row in rows() if "end" in row.traits))
    others = set().union(*(handlers(row) for row in rows() if "end" not in row.traits))

    assert {name for name in ending if GOES_ON in bodies[name]} == set()
    assert sum(GOES_ON in bodies[name] for name in others) > len(others) * 9 // 10
