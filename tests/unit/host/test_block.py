"""RawDisk: images that nobody else writes, that lose nothing, and say what is wrong with them."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from vpcore.errors import BackendError, DiskFullError
from vpcore.host.block import RawDisk

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def image(tmp_path):
    """An image of 4 sectors, each of its number."""
    path = tmp_path / "disk.img"
    path.write_bytes(b"".join(bytes((number,)) * 512 for number in range(4)))
    return path


@pytest.fixture
def disk(image):
    """The image, opened."""
    disk = RawDisk(image, readonly=False)
    yield disk
    disk.close()


def read(disk, offset, size):
    buffer = bytearray(b"\xee" * size)
    disk.read(offset, memoryview(buffer))
    return bytes(buffer)


def run(code, *arguments):
    """Run Python code in another process; it prints a line when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == b"ready\n"
    return process


# -- reading and writing --


def test_reads_give_what_is_there_and_zeros_beyond_the_end(disk):
    assert read(disk, 512, 4) == b"\x01" * 4
    assert read(disk, 2046, 4) == b"\x03\x03\0\0"
    assert read(disk, 1 << 40, 4) == bytes(4)


def test_writes_reach_the_file_at_once(disk, image):
    disk.write(100, b"hello")

    assert image.read_bytes()[100:105] == b"hello"


def test_writes_beyond_the_end_are_cut(disk, image):
    disk.write(2046, b"xxxx")
    disk.write(1 << 40, b"y")

    assert image.stat().st_size == 2048
    assert image.read_bytes()[-2:] == b"xx"


def test_an_image_that_is_no_multiple_of_a_sector_grows_to_one_when_its_last_sector_is_written(tmp_path):
    path = tmp_path / "odd.img"
    path.write_bytes(bytes(1000))
    disk = RawDisk(path, readonly=False)
    disk.write(512, b"w" * 512)
    disk.write(1024, b"beyond")
    disk.close()

    assert disk.size == 1000
    assert path.read_bytes() == bytes(512) + b"w" * 512


def test_a_read_only_image_is_not_written(image):
    image.chmod(0o400)
    disk = RawDisk(image, readonly=True)
    with pytest.raises(BackendError, match=r"disk\.img: is opened read-only"):
        disk.write(0, b"x")
    disk.flush()
    disk.close()


def test_short_writes_of_the_host_are_completed(disk, image, monkeypatch):
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, bytes(data)[:100], offset))
    disk.write(0, b"z" * 1000)

    assert image.read_bytes()[:1000] == b"z" * 1000


def test_short_reads_of_the_host_are_completed(disk, monkeypatch):
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, offset: preadv(fd, [buffers[0][:100]], offset))

    assert read(disk, 512, 600) == b"\x01" * 512 + b"\x02" * 88


def test_closing_twice_does_nothing(disk):
    disk.close()
    disk.close()


# -- what is no image --


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such image: check the path, or make one"),
        (lambda path: path.mkdir(), "is a directory, not an image"),
        (lambda path: path.touch(), "is empty: an image must hold at least one sector"),
        (os.mkfifo, "is neither a file nor a block device"),
        (lambda path: path.symlink_to("/dev/null"), "is neither a file nor a block device"),
        (lambda path: path.symlink_to(path), "cannot open: Too many levels of symbolic links"),
    ],
    ids=["missing", "directory", "empty", "fifo", "character device", "loop"],
)
@pytest.mark.parametrize("readonly", [True, False])
def test_what_is_no_image_is_named_with_the_remedy(tmp_path, make, message, readonly):
    path = tmp_path / "thing.img"
    make(path)
    with pytest.raises(BackendError) as error:
        RawDisk(path, readonly=readonly)

    assert str(error.value) == f"{path}: {message}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open anything")
@pytest.mark.parametrize(("readonly", "what"), [(True, "read"), (False, "write")])
def test_a_missing_permission_is_named(image, readonly, what):
    image.chmod(0)
    with pytest.raises(BackendError) as error:
        RawDisk(image, readonly=readonly)

    assert str(error.value) == f"{image}: no permission to {what} it: change its mode or owner"


# -- locks --

IN_USE = "is in use by another machine: stop that one, or use a copy"


def test_two_machines_cannot_write_one_image(disk, image):
    with pytest.raises(BackendError) as error:
        RawDisk(image, readonly=False)

    assert str(error.value) == f"{image}: {IN_USE}"


def test_a_reader_and_a_writer_keep_each_other_out(image):
    reader = RawDisk(image, readonly=True)
    with pytest.raises(BackendError, match=IN_USE):
        RawDisk(image, readonly=False)
    reader.close()
    writer = RawDisk(image, readonly=False)
    with pytest.raises(BackendError, match=IN_USE):
        RawDisk(image, readonly=True)
    writer.close()


def test_many_may_read(image):
    for disk in [RawDisk(image, readonly=True) for _ in range(3)]:
        assert read(disk, 0, 1) == b"\0"
        disk.close()


def test_closing_gives_the_image_free(disk, image):
    disk.close()
    RawDisk(image, readonly=False).close()


def test_a_refused_image_is_left_as_it_was(disk, image):
    before = image.read_bytes()
    with pytest.raises(BackendError):
        RawDisk(image, readonly=False)

    assert before == image.read_bytes()


HOLD = """
    import sys, time
    from pathlib import Path
    from vpcore.host.block import RawDisk
    disk = RawDisk(Path(sys.argv[1]), readonly=False)
    disk.write(512, b"flushed by the guest")
    disk.flush()
    disk.write(1024, b"written, not flushed")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_killed_machine_loses_no_write_and_leaves_no_lock(image):
    process = run(HOLD, str(image))
    with pytest.raises(BackendError, match=IN_USE):
        RawDisk(image, readonly=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    process.stdin.close()
    disk = RawDisk(image, readonly=False)

    assert read(disk, 512, 20) == b"flushed by the guest"
    assert read(disk, 1024, 20) == b"written, not flushed"
    disk.close()


# -- the host's errors --


class Full:
    """An `os.pwrite` or `os.fdatasync` that fails some times."""

    def __init__(self, real, times, code=errno.ENOSPC):
        self.real, self.times, self.code = real, times, code

    def __call__(self, *arguments):
        if self.times:
            self.times -= 1
            raise OSError(self.code, os.strerror(self.code))
        return self.real(*arguments)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_host_stalls_the_write_until_there_is_space(image, monkeypatch, code):
    stalls = []
    disk = RawDisk(image, readonly=False, stall=stalls.append)
    monkeypatch.setattr(os, "pwrite", Full(os.pwrite, 3, code))
    disk.write(0, b"kept")

    assert [f"{image}: no space left on the host: free some, the guest then goes on"] * 3 == list(map(str, stalls))
    assert image.read_bytes()[:4] == b"kept"
    disk.close()


def test_a_full_host_stalls_the_flush_as_well(image, monkeypatch):
    stalls = []
    disk = RawDisk(image, readonly=False, stall=stalls.append)
    monkeypatch.setattr(os, "fdatasync", Full(os.fdatasync, 2))
    disk.flush()

    assert len(stalls) == 2
    disk.close()


def test_a_machine_that_is_stopped_while_the_host_is_full_gives_up(image, monkeypatch):
    def stall(error):
        raise error

    disk = RawDisk(image, readonly=False, stall=stall)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", Full(os.pwrite, 1))
        with pytest.raises(DiskFullError, match="no space left on the host"):
            disk.write(0, b"x")
    disk.close()


def test_without_a_stall_a_full_host_is_an_error(disk, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", Full(os.pwrite, 1))
        with pytest.raises(DiskFullError, match="cannot write at 0x200: No space left on device"):
            disk.write(512, b"x")


def test_other_errors_name_image_and_place(disk, image, monkeypatch):
    with monkeypatch.context() as patch:
        for name in ("pwrite", "preadv", "fdatasync"):
            patch.setattr(os, name, Full(None, 9, errno.EIO))
        with pytest.raises(BackendError) as write:
            disk.write(512, b"x")
        with pytest.raises(BackendError) as read_:
            read(disk, 1024, 4)
        with pytest.raises(BackendError) as flush:
            disk.flush()

    assert str(write.value) == f"{image}: cannot write at 0x200: Input/output error"
    assert str(read_.value) == f"{image}: cannot read at 0x400: Input/output error"
    assert str(flush.value) == f"{image}: cannot make what was written durable: Input/output error"


def test_an_image_is_closed_even_where_its_flush_fails(image, monkeypatch):
    disk = RawDisk(image, readonly=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", Full(None, 9, errno.EIO))
        with pytest.raises(BackendError):
            disk.close()
    RawDisk(image, readonly=False).close()


def test_an_image_cut_short_behind_our_back_reads_as_zeros(disk, image):
    os.truncate(image, 600)

    assert read(disk, 512, 512) == b"\x01" * 88 + bytes(424)
