"""Every engine against captured 80286 real-mode instructions (vectors_286.py says where they are found)."""

from collections import Counter

import pytest
from vectors_286 import EXCUSES, FOLDER, Machine, forms, judge, vectors

from vpcore.engine.engine import probe

ENGINES = [name for name, reason in probe().items() if not reason]
SHOWN = 5

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no vectors in {FOLDER}: set VPCORE_SHARED to the folder that has vectors/80286-real"
)


@pytest.fixture(scope="module")
def machines():
    return {name: Machine(name) for name in ENGINES}


@pytest.mark.parametrize("engine_name", ENGINES)
@pytest.mark.parametrize("form", forms() or ["none"])
def test_form_does_what_the_silicon_did(form, engine_name, machines, record_property):
    machine = machines[engine_name]
    excused, wrong = Counter(), []
    for vector in vectors(form):
        outcome = machine.run(vector)
        verdict = judge(form, vector, outcome)
        if verdict == "":
            wrong.append((vector["name"], vector["bytes"], outcome))
        elif verdict is not None:
            excused[verdict] += 1
    for name, count in excused.items():
        record_property("excused", f"{name}: {count}")

    assert wrong[:SHOWN] == []


def test_every_excuse_has_a_reason():
    assert all(excuse.reason for excuse in EXCUSES)
    assert len({excuse.name for excuse in EXCUSES}) == len(EXCUSES)
