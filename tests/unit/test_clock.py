"""Clock: virtual time, timers, order of deadlines."""

import pytest

from vpcore.clock import Clock


class Time:
    """A clock under the test's control."""

    def __init__(self):
        self.now = 0
        self.told = []
        self.clock = Clock(lambda: self.now, self.told.append)
        self.ran = []

    def at(self, deadline, name):
        return self.clock.at(deadline, lambda: self.ran.append(name))

    def run(self, now):
        self.now = now
        return self.clock.run_due()


@pytest.fixture
def time():
    """Time zero."""
    return Time()


def test_callbacks_run_when_their_time_has_come_in_order_of_deadline(time):
    time.at(30, "c")
    time.at(10, "a")
    time.at(20, "b")
    early = time.run(9), list(time.ran)
    time.run(30)

    assert early == (0, [])
    assert time.ran == ["a", "b", "c"]


def test_equal_deadlines_run_in_the_order_in_which_they_were_set(time):
    for name in "abc":
        time.at(10, name)
    time.run(10)

    assert time.ran == ["a", "b", "c"]


def test_a_deadline_in_the_past_is_due_at_once(time):
    time.now = 100
    time.at(50, "late")
    time.run(100)

    assert time.ran == ["late"]


def test_setting_a_timer_again_replaces_its_deadline(time):
    timer = time.at(10, "x")
    timer.at(20)
    time.run(15)
    before = list(time.ran)
    time.run(20)

    assert (before, time.ran) == ([], ["x"])
    assert timer.deadline is None


@pytest.mark.parametrize("cancel", [lambda timer: timer.cancel(), lambda timer: timer.at(None)])
def test_a_cancelled_timer_does_not_run(time, cancel):
    cancel(time.at(10, "x"))

    assert time.run(100) == 0
    assert time.clock.next_deadline is None


def test_a_timer_set_back_to_an_old_deadline_runs_once(time):
    timer = time.at(10, "x")
    timer.at(20)
    timer.at(10)
    time.run(100)

    assert time.ran == ["x"]


def test_after_counts_from_now(time):
    time.now = 5
    timer = time.clock.timer(lambda: None)
    timer.after(7)

    assert timer.deadline == 12


def test_a_callback_may_set_its_timer_again(time):
    def again():
        time.ran.append(time.now)
        if len(time.ran) < 3:
            timer.after(0)

    timer = time.clock.timer(again)
    timer.at(10)
    time.run(10)

    assert time.ran == [10, 10, 10]


def test_a_callback_may_cancel_another_that_is_due(time):
    timers = [time.clock.at(10, lambda: [timer.cancel() for timer in timers]), time.at(10, "x")]
    time.run(10)

    assert time.ran == []


def test_run_due_stops_at_its_limit(time):
    timer = time.clock.timer(lambda: timer.after(0))
    timer.at(0)

    assert time.clock.run_due(limit=50) == 50


def test_every_runs_without_drift_until_cancelled(time):
    timer = time.clock.every(10, lambda: time.ran.append(time.now))
    for now in (10, 23, 30, 41):
        time.run(now)
    timer.cancel()
    time.run(100)

    assert time.ran == [10, 23, 30, 41]


def test_every_does_not_run_for_the_time_it_missed(time):
    time.clock.every(10, lambda: time.ran.append(time.now))
    time.run(1000)

    assert time.ran[0] == 1000
    assert len(time.ran) <= 2


@pytest.mark.parametrize("period", [0, -1])
def test_a_period_must_be_positive(time, period):
    with pytest.raises(ValueError, match=rf"period must be positive \(got {period}\)"):
        time.clock.every(period, lambda: None)


def test_the_engine_is_told_of_each_earlier_deadline(time):
    time.at(30, "c")
    time.at(20, "b")
    time.at(25, "later")
    time.at(10, "a")

    assert time.told == [30, 20, 10]


def test_next_deadline_is_the_earliest_that_is_still_set(time):
    first = time.at(10, "a")
    time.at(20, "b")
    before = time.clock.next_deadline
    first.cancel()

    assert (before, time.clock.next_deadline) == (10, 20)
    assert time.clock.deadlines() == [20]


def test_setting_a_timer_without_end_keeps_the_queue_small(time):
    """A guest may write an alarm register as often as it likes."""
    timer = time.at(1 << 60, "far")
    time.at(50, "kept")
    for number in range(10_000):
        timer.at((1 << 60) - number)

    assert len(time.clock._queue) <= 256
    assert time.clock.deadlines() == [50, timer.deadline]
    time.run(1 << 60)
    assert time.ran == ["kept", "far"]


def test_many_timers_stay_in_order_while_stale_ones_are_dropped(time):
    timers = [time.at(1_000_000 - number, number) for number in range(1000)]
    for number, timer in enumerate(timers):
        timer.at(number // 2)
    time.run(10)

    assert time.ran == list(range(22))
