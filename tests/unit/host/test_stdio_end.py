"""Standard input and output as a serial port's far end: pipes, files, terminals, and their ends."""

import os
import pty
import termios
import threading
import time

import pytest

from vpcore.errors import BackendError
from vpcore.host.chardev import KEEP, StdioChar

PATIENCE_S = 20
"""A terminal hands its input over some time after it was written."""


@pytest.fixture
def end(loop):
    """A function that makes the end, and counts in `left` how often it wanted to leave."""
    ends = []

    def make(stdin, stdout):
        left = []
        made = StdioChar(loop, lambda: left.append(True), stdin, stdout)
        made.left = left
        ends.append(made)
        return made

    yield make
    for each in reversed(ends):
        each.close()


def taken(loop, end, size):
    """What the guest gets in pieces of a FIFO's size."""
    got = b""
    for _ in range(100_000):
        if len(got) >= size:
            break
        loop.poll()
        got += end.read(16)
    return got


def test_a_pipe_of_any_length_reaches_the_guest_whole(loop, end):
    data = os.urandom(4 * KEEP)
    read, write = os.pipe()
    sender = threading.Thread(target=lambda: (os.write(write, data), os.close(write)))
    sender.start()

    guest = end(read, 1)
    time.sleep(0.1)

    assert taken(loop, guest, len(data)) == data
    sender.join()


def test_a_guest_that_takes_nothing_makes_the_sender_wait_and_memory_does_not_grow(loop, end):
    read, write = os.pipe()
    os.set_blocking(write, False)
    guest = end(read, 1)

    sent = 0
    for _ in range(200):
        try:
            sent += os.write(write, bytes(KEEP))
        except BlockingIOError:
            break
        for _ in range(40):
            loop.poll()
    else:
        pytest.fail("the sender never had to wait")

    assert taken(loop, guest, sent) == bytes(sent)


def test_a_file_reaches_the_guest_whole(loop, end, tmp_path):
    data = os.urandom(100_000)
    (tmp_path / "input").write_bytes(data)
    with (tmp_path / "input").open("rb") as stdin:
        guest = end(stdin.fileno(), 1)

        assert taken(loop, guest, len(data)) == data
        assert not guest.left


def test_dev_null_is_input_that_never_comes(loop, end):
    with open(os.devnull, "rb") as stdin:
        guest = end(stdin.fileno(), 1)
        loop.poll()

        assert guest.read(16) == b""
        assert not guest.left


def test_the_end_of_the_input_stops_nothing(loop, end):
    read, write = os.pipe()
    guest = end(read, 1)
    os.write(write, b"last")
    os.close(write)
    loop.poll()
    loop.poll()

    assert guest.read(16) == b"last"
    assert not guest.left


def test_the_guest_is_called_back_for_input_of_each_kind(loop, end, tmp_path):
    (tmp_path / "input").write_bytes(b"x")
    with (tmp_path / "input").open("rb") as stdin:
        guest = end(stdin.fileno(), 1)
        calls = []
        guest.on_input(lambda: calls.append(guest.read(1)))
        loop.poll()

        assert b"x" in calls


@pytest.mark.parametrize("blocking", [True, False])
def test_output_waits_for_a_slow_reader_and_loses_nothing(end, blocking):
    data = os.urandom(5 * KEEP)
    read, write = os.pipe()
    os.set_blocking(write, blocking)
    got = bytearray()

    def slow():
        while piece := os.read(read, 8192):
            got.extend(piece)
            time.sleep(0.001)

    reader = threading.Thread(target=slow)
    reader.start()
    end(0, write).write(data)
    os.close(write)
    reader.join()

    assert got == data


def test_where_nobody_reads_any_more_the_machine_leaves(end):
    read, write = os.pipe()
    os.close(read)
    guest = end(0, write)

    guest.write(b"a")
    guest.write(b"b")

    assert guest.left == [True]


def test_a_full_disk_is_an_error_with_its_reason(end):
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(BackendError, match="No space left on device"):
        end(0, full.fileno()).write(b"x")


def test_a_second_device_on_the_same_input_only_writes(loop, end):
    read, write = os.pipe()
    first, second = end(read, 1), end(read, 1)
    os.write(write, b"x")
    loop.poll()

    assert (first.read(1), second.read(1)) == (b"x", b"")


def test_a_terminal_is_raw_while_the_machine_runs_and_as_before_afterwards(loop, end):
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    guest = end(slave, slave)
    during = termios.tcgetattr(slave)
    os.write(master, b"\x03\x1a\r")
    loop.wait(PATIENCE_S)

    assert guest.read(16) == b"\x03\x1a\r"
    assert not during[3] & (termios.ECHO | termios.ICANON | termios.ISIG)

    guest.close()

    assert termios.tcgetattr(slave) == before


def test_ctrl_bracket_leaves_on_a_terminal(loop, end):
    master, slave = pty.openpty()
    guest = end(slave, slave)
    os.write(master, b"ab\x1dcd")
    loop.wait(PATIENCE_S)

    assert guest.left == [True]
    assert guest.read(16) == b"ab"


def test_ctrl_bracket_in_a_pipe_is_the_guests(loop, end):
    read, write = os.pipe()
    guest = end(read, 1)
    os.write(write, b"ab\x1dcd")
    loop.poll()

    assert not guest.left
    assert guest.read(16) == b"ab\x1dcd"


def test_a_terminal_that_was_hung_up_can_be_closed(loop, end):
    master, slave = pty.openpty()
    guest = end(slave, slave)
    os.close(master)
    loop.poll()

    guest.write(b"x")
    guest.close()

    assert guest.left
