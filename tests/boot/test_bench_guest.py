"""The benchmark guest (bench/guest): real programs on Debian's kernel, to their end."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT, filelock

pytestmark = [pytest.mark.boot, pytest.mark.slow, pytest.mark.timeout(3000)]

BUILD = ROOT / "bench" / "guest" / "build.py"
KIT = ROOT / "build" / "tests" / "bench-guest"
RUN = ROOT / "bench" / "guest" / "files" / "bench" / "run.sh"


@pytest.fixture(scope="session")
def bench_disc():
    """The CD of the kit, made from Debian's packages; skips where they cannot be had."""
    disc = KIT / "bench.iso"
    with filelock(KIT.with_suffix(".lock")):
        if not disc.exists() or disc.stat().st_mtime < max(path.stat().st_mtime for path in BUILD.parent.rglob("*.*")):
            done = subprocess.run([sys.executable, BUILD, KIT], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"the kit cannot be built: {done.stderr.strip().splitlines()[-1]}")
    return disc


@pytest.mark.parametrize("engine", ["interp"])
def test_every_program_of_the_benchmark_guest_ends_well(pc, bench_disc, engine):
    machine = pc(cdrom=bench_disc, boot="d", memory="512M", engine=engine)

    assert machine.run(timeout=2900)

    said = machine.serial[0].text
    programs = re.findall(r"MARK (\S+) start", said)
    ended = re.findall(r"MARK (\S+) end", said)
    assert re.findall(r".*FAIL.*", said) == []
    assert ended == ["boot", *programs, "all"]
    assert len(programs) == 18
