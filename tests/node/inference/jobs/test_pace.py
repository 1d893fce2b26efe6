"""Rests: as long as the work times its ratio, once a step however many jobs take it, and never for long."""

import pytest

from node.inference.jobs.pace import REST_SECONDS_MAX, Pace


class Time:
    def __init__(self):
        self.now, self.rests = 0.0, []

    def sleep(self, seconds):
        self.rests.append(seconds)
        self.now += seconds


def paced(percent):
    time = Time()
    return time, Pace(percent, lambda: time.now, time.sleep)


@pytest.mark.parametrize(("percent", "rest"), [(50, 2.0), (25, 6.0), (80, 0.5)])
def test_a_rest_is_in_proportion_to_the_work(percent, rest):
    time, pace = paced(percent)
    pace.begin()
    for step in (1, 2):
        time.now += 2
        for _ in range(3):
            pace.rest_after(step)
    assert time.rests == pytest.approx([rest, rest])


def test_all_of_the_time_needs_no_rest():
    time, pace = paced(100)
    time.now += 2
    pace.rest_after(1)
    assert time.rests == []


def test_no_rest_is_long():
    time, pace = paced(1)
    time.now += 1000
    pace.rest_after(1)
    assert time.rests == [REST_SECONDS_MAX]


def test_a_new_batch_owes_nothing_for_the_time_before_it():
    time, pace = paced(50)
    time.now += 1000
    pace.begin()
    time.now += 1
    pace.rest_after(1)
    assert time.rests == [1.0]
