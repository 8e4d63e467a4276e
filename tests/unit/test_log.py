"""DeviceLog: constant events with details, never a flood."""

import logging

import pytest

from vpcore.log import TRACE, DeviceLog


@pytest.fixture
def log(caplog):
    """The log of com1, everything captured."""
    caplog.set_level(TRACE, "vpcore")
    return DeviceLog("com1")


def test_details_follow_the_event_integers_in_hex(log, caplog):
    log.warning("unmodelled write", offset=3, value=255, reason="x", ok=True)

    assert caplog.records[0].message == "unmodelled write offset=0x3 value=0xff reason=x ok=True"
    assert (caplog.records[0].name, caplog.records[0].levelno) == ("vpcore.com1", logging.WARNING)


def test_warn_once_warns_once_for_each_key(log, caplog):
    for _ in range(3):
        log.warn_once(1, "one")
        log.warn_once((2, "w"), "two")

    assert [record.message for record in caplog.records] == ["one", "two"]


def test_a_guest_that_tries_every_key_cannot_fill_the_memory(log, caplog):
    for key in range(10_000):
        log.warn_once(key, "nonsense")

    assert len(log._seen) == len(caplog.records) == 4096


def test_traces_are_off_until_turned_on(log, caplog):
    log.trace("read", port=1)
    log.set_tracing(True)
    log.trace("read", port=2)
    log.set_tracing(False)
    log.trace("read", port=3)

    assert [record.message for record in caplog.records] == ["read port=0x2"]
    assert caplog.records[0].levelname == "TRACE"


@pytest.mark.parametrize("level", ["debug", "info", "warning"])
def test_each_level_has_a_method(log, caplog, level):
    getattr(log, level)("event")

    assert caplog.records[0].levelname == level.upper()
