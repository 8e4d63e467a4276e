"""Line: wired-OR, and told of changes only."""

import pytest

from vpcore import irq


class Line(irq.Line):
    """With room for what its listener heard."""

    __slots__ = ("heard",)


@pytest.fixture
def line():
    """A line, and the levels that its listener heard."""
    line = Line("irq5")
    line.heard = []
    line.listen(line.heard.append)
    return line


def test_a_line_is_high_while_any_input_is(line):
    a, b = line.input("a"), line.input("b")
    levels = []
    for one, level in ((a, True), (b, True), (a, False), (b, False)):
        one.set(level)
        levels.append(line.level)

    assert levels == [True, True, True, False]
    assert line.heard == [True, False]


def test_setting_the_same_level_again_tells_nobody(line):
    one = line.input("a")
    for level in (False, True, True, True, False, False):
        one.set(level)

    assert line.heard == [True, False]


def test_a_pulse_is_an_edge_up_and_down(line):
    line.input("a").pulse()

    assert line.heard == [True, False]


def test_a_pulse_on_a_high_shared_line_is_not_seen(line):
    line.input("a").set(True)
    line.input("b").pulse()

    assert line.heard == [True]


def test_a_listener_that_comes_late_hears_that_the_line_is_high(line):
    line.input("a").set(True)
    late = []
    line.listen(late.append)

    assert late == [True]


def test_every_listener_hears_every_change(line):
    other = []
    line.listen(other.append)
    line.input("a").pulse()

    assert other == line.heard == [True, False]


def test_inputs_know_their_owner_and_level(line):
    one = line.input("a")
    one.set(True)

    assert [("a", True)] == [(each.owner, each.level) for each in line.inputs]
