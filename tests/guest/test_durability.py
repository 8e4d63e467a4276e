"""What a guest flushed is in the image, whenever and however the process ends; a full host costs the guest time only."""

import contextlib
import random
import signal
import struct
import subprocess
import sys
import time

import pytest

SECTOR = 512
SECTORS = 256
WRITER = """
    mov ebp, 1
again:
    mov di, 0x1000      ; a sector of the number EBP
    mov cx, 128
    mov eax, ebp
    rep stosd
    mov dx, 0x1f6
    mov al, 0xe0
    out dx, al
    mov dx, 0x1f2
    mov al, 1
    out dx, al
    inc dx
    mov ax, bp
    out dx, al          ; to sector EBP modulo 256
    inc dx
    mov al, 0
    out dx, al
    inc dx
    out dx, al
    mov dx, 0x1f7
    mov al, 0x30        ; WRITE SECTOR(S)
    out dx, al
wait_drq:
    in al, dx
    test al, 8
    jz wait_drq
    mov si, 0x1000
    mov cx, 256
    mov dx, 0x1f0
    rep outsw
    mov dx, 0x1f7
wait_written:
    in al, dx
    test al, 0x80
    jnz wait_written
    mov al, 0xe7        ; FLUSH CACHE
    out dx, al
wait_flushed:
    in al, dx
    test al, 0x80
    jnz wait_flushed
    mov al, 0x40        ; a byte of CMOS, with the number
    out 0x70, al
    mov ax, bp
    out 0x71, al
    mov dx, 0x300
    mov eax, ebp
    out dx, eax         ; number EBP is safe
    inc ebp
    cmp ebp, {end}
    jne again
"""
REPORTER = """\
import os
from vpcore import PortMap, SimpleDevice, option

class Reporter(SimpleDevice):
    ports = PortMap(size=4)
    base: int = option(0x300, "port")
    @ports.write(0, width=4)
    def write(self, value: int) -> None: os.write(1, value.to_bytes(4, "little"))
"""
FOR_EVER = 0x7FFFFFFF
KEPT = '[[device]]\nname = "rtc"\nfile = "cmos.bin"\n[[device]]\nname = "ide"\nhda = "disk.img"\n'
REPORT = '[[device]]\ntype = "reporter.py:Reporter"\n'


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(SECTORS * SECTOR))
    return path


def numbers(image):
    """The number in each sector, all of whose 128 copies are equal."""
    data = image.read_bytes()
    assert len(data) == SECTORS * SECTOR
    found = []
    for at in range(0, len(data), SECTOR):
        words = set(struct.unpack_from("<128I", data, at))
        assert len(words) == 1, f"sector {at // SECTOR} is torn: {words}"
        found.extend(words)
    return found


def last_to(sector, number):
    """The last number up to *number* that went to a sector, 0 for none."""
    return max(0, number - (number - sector) % SECTORS)


def read_reports(pipe):
    """The last number that the guest reported before its end."""
    data = pipe.read()
    return int.from_bytes(data[len(data) // 4 * 4 - 4 : len(data) // 4 * 4], "little")


@pytest.mark.parametrize("seed", range(5))
def test_a_machine_killed_at_any_moment_loses_nothing_that_its_guest_flushed(
    write_machine, environment, image, tmp_path, seed
):
    (tmp_path / "reporter.py").write_text(REPORTER)
    machine = write_machine(WRITER.format(end=FOR_EVER), KEPT + REPORT)
    command = [sys.executable, "-m", "vpcore", "run", machine, "--display", "none", "--serial", "none"]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE)
    with process, contextlib.closing(process.stdout):
        first = process.stdout.read(4)
        assert first == b"\1\0\0\0"
        time.sleep(random.Random(seed).uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        safe = read_reports(process.stdout) or 1

    lost = [
        (sector, found) for sector, found in enumerate(numbers(image)) if not last_to(sector, safe) <= found <= safe + 1
    ]
    assert lost == []
    kept = (tmp_path / "cmos.bin").read_bytes()[0x40]
    assert kept in (safe & 0xFF, safe + 1 & 0xFF)


FULL_HOST = """
mount -t tmpfs -o size=64k none host
truncate -s 131072 host/disk.img
head -c 49152 /dev/zero > host/filler
touch said
"$@" 2> said &
machine=$!
until grep -q 'no space' said; do sleep 0.05; kill -0 $machine || break; done
{then}
wait $machine && echo 0 > status || echo $? > status
cp host/disk.img disk.img
"""
"""A file system of 64 KB, most of it taken, in a mount namespace of its own."""
ON_FULL_HOST = '[[device]]\nname = "ide"\nhda = "host/disk.img"\n'
NO_SPACE = "host/disk.img: no space left on the host: free some, the guest then goes on"


@pytest.fixture
def run_on_full_host(write_machine, environment, tmp_path):
    """Run the writer of 99 sectors; its exit status, and what it said after `then` was done about the full host."""
    (tmp_path / "host").mkdir()
    machine = write_machine(WRITER.format(end=100), ON_FULL_HOST)
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*namespace, "mount", "-t", "tmpfs", "none", tmp_path / "host"], check=False).returncode:
        pytest.skip("this host lets no user mount a file system in a namespace of his own")

    def run(then):
        script = FULL_HOST.format(then=then)
        command = [sys.executable, "-m", "vpcore", "run", machine, "--display", "none", "--serial", "none"]
        subprocess.run(
            [*namespace, "sh", "-ec", script, "sh", *command], env=environment(), cwd=tmp_path, check=False, timeout=60
        )
        return int((tmp_path / "status").read_text()), (tmp_path / "said").read_text().replace(f"{tmp_path}/", "")

    return run


def test_a_full_host_pauses_the_guest_says_so_and_loses_nothing(run_on_full_host, tmp_path):
    status, said = run_on_full_host("rm host/filler")

    assert status == 0
    assert set(said.splitlines()) == {f"vpcore.machine: {NO_SPACE}"}
    assert numbers(tmp_path / "disk.img") == [number if number < 100 else 0 for number in range(SECTORS)]


def test_a_machine_that_is_ended_while_the_host_is_full_says_what_was_not_written(run_on_full_host, tmp_path):
    """The guest sees a write error if anything; all that it had flushed before is there."""
    status, said = run_on_full_host("kill $machine")

    written = numbers(tmp_path / "disk.img")
    count = written.index(0, 1)
    assert status == 0
    assert said.splitlines() == [f"vpcore.machine: {NO_SPACE}", f"vpcore.ide: write error reason={NO_SPACE}"]
    assert count > 16
    assert written == [number if number < count else 0 for number in range(SECTORS)]
