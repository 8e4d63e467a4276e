"""HostLoop: descriptors and posted calls, served on the machine's thread."""

import contextlib
import os
import threading

import pytest

from vpcore.host.loop import HostLoop


@pytest.fixture
def pipe():
    """Two ends, non-blocking."""
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    yield ends
    for end in ends:
        os.close(end)


def test_a_readable_descriptor_is_served(loop, pipe):
    seen = []
    loop.add_reader(pipe[0], lambda: seen.append(os.read(pipe[0], 100)))
    loop.poll()
    os.write(pipe[1], b"hello")
    loop.poll()

    assert seen == [b"hello"]


def test_a_writable_descriptor_is_served_until_its_writer_is_removed(loop, pipe):
    seen = []

    def writable():
        seen.append("writable")
        loop.remove_writer(pipe[1])

    loop.add_writer(pipe[1], writable)
    loop.poll()
    loop.poll()

    assert seen == ["writable"]


def test_a_full_pipe_is_not_writable(loop, pipe):
    seen = []
    with contextlib.suppress(BlockingIOError):
        while os.write(pipe[1], bytes(4096)):
            pass
    loop.add_writer(pipe[1], lambda: seen.append("writable"))
    loop.poll()

    assert seen == []


def test_one_descriptor_may_have_a_reader_and_a_writer(loop):
    master, slave = os.openpty()
    seen = []
    loop.add_reader(master, lambda: seen.append(os.read(master, 100)))
    loop.add_writer(master, lambda: seen.append("writable"))
    os.write(slave, b"x")
    loop.poll()
    loop.remove_writer(master)
    os.write(slave, b"y")
    loop.poll()
    loop.remove(master)
    os.close(master)
    os.close(slave)

    assert seen == [b"x", "writable", b"y"]


def test_a_second_reader_of_a_descriptor_is_an_error(loop, pipe):
    loop.add_reader(pipe[0], lambda: None)

    with pytest.raises(KeyError, match="watched already"):
        loop.add_reader(pipe[0], lambda: None)


def test_a_removed_descriptor_is_not_served(loop, pipe):
    loop.add_reader(pipe[0], lambda: pytest.fail("served"))
    loop.remove(pipe[0])
    loop.remove(pipe[0])
    os.write(pipe[1], b"x")
    loop.poll()


def test_a_callback_may_remove_another_descriptor_that_is_ready(loop):
    first, second = os.pipe(), os.pipe()
    for _, end in (first, second):
        os.write(end, b"x")
    seen = []

    def serve(own, other):
        seen.append(own)
        loop.remove(own)
        loop.remove(other)

    loop.add_reader(first[0], lambda: serve(first[0], second[0]))
    loop.add_reader(second[0], lambda: serve(second[0], first[0]))
    loop.poll()
    for end in (*first, *second):
        os.close(end)

    assert len(seen) == 1


def test_posted_calls_run_in_order_and_may_post_more(loop):
    seen = []
    loop.post(lambda: loop.post(lambda: seen.append(3)))
    loop.post(lambda: seen.append(2))
    loop.poll()

    assert seen == [2, 3]


def test_a_call_posted_by_another_thread_ends_a_wait(loop):
    seen = []
    thread = threading.Thread(target=lambda: loop.post(lambda: seen.append(threading.get_ident())))
    thread.start()
    while not seen:
        loop.wait(None)
    thread.join()

    assert seen == [threading.get_ident()]


def test_many_wake_ups_do_not_block(loop):
    for _ in range(100_000):
        loop.wake()
    loop.poll()


def test_two_loops_know_nothing_of_each_other(loop):
    other = HostLoop()
    seen = []
    other.post(lambda: seen.append("other"))
    loop.poll()
    before = list(seen)
    other.poll()
    other.close()

    assert (before, seen) == ([], ["other"])
