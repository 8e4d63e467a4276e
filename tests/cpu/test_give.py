"""Memory for decoded blocks and translated code, which a helper thread has the host give ahead of use (give.h)."""

import os
import signal

import pytest
from box import CODE, EAX
from box import Box as Processor

from vpcore.engine import Exit

BLOCKS, EACH = 12_000, 128
AT = 0x200000
ENGINES = ["interp", "bt"]
LARGE = 1 << 20
"""Bytes of an area, from which on it is worth a thread (give.c)."""


def box_with_much_code(engine, blocks=BLOCKS, **config):
    made = Processor(engine=engine, **config)
    made.load_adders(AT, blocks, EACH)
    return made


def rounds(made, blocks=BLOCKS, count=2):
    """What EAX is in the end."""
    made.cpu.gpr[EAX] = 0
    assert [made.run(eip=AT, ebx=CODE, budget=0) for _ in range(count)] == [Exit.HALT] * count
    return made.cpu.gpr[EAX]


def total(blocks=BLOCKS, count=2):
    return count * blocks * (blocks - 1) // 2 & 0xFFFFFFFF


@pytest.mark.parametrize("engine", ENGINES)
def test_large_programs_get_it_ahead(engine):
    made = box_with_much_code(engine)

    assert rounds(made) == total()

    stats = made.engine.stats()
    assert stats.cache_bytes > LARGE
    assert stats.ahead_bytes > 0
    assert stats.ahead_bytes % os.sysconf("SC_PAGE_SIZE") == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_small_ones_need_no_thread(engine):
    made = box_with_much_code(engine, 100)

    assert rounds(made, 100) == total(100)
    assert made.engine.stats().ahead_bytes == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_no_more_is_asked_for_than_there_is(engine):
    """A cache that is filled again and again."""
    room = 2 << 20
    made = box_with_much_code(engine, cache_size=room)

    assert rounds(made, count=4) == total(count=4)

    stats = made.engine.stats()
    areas = room + stats.code_room + stats.record_room
    assert stats.cache_flushes > 1
    assert 0 < stats.ahead_bytes <= areas


@pytest.mark.parametrize("engine", ENGINES)
def test_a_processor_may_go_while_its_helper_is_at_work(engine):
    """The memory goes with it: the helper has to end first."""
    for blocks in range(3000, BLOCKS, 1500):
        made = box_with_much_code(engine, blocks)
        assert rounds(made, blocks, 1) == total(blocks, 1)
        made.engine.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_child_of_a_fork_has_no_helper_and_goes_on(engine):
    for blocks in (3000, 6000, 9000):
        made = box_with_much_code(engine)
        made.load("hlt", AT + EACH * blocks)
        assert rounds(made, blocks, 1) == total(blocks, 1)
        child = os.fork()
        if not child:
            signal.alarm(20)
            made.load(b"\x05", AT + EACH * blocks)
            right = rounds(made) == total()
            made.engine.close()
            os._exit(0 if right else 1)

        assert os.waitpid(child, 0)[1] == 0
