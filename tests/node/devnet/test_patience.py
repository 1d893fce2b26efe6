"""How long the devnet waits: as long as a start gets on, however slowly; else a minute or two."""

import os

import pytest

from node.devnet.patience import CPU_S_MIN, STILL_S_MAX, WAIT_S_MAX, Activity, Patience, cpu_seconds

IDLE_SHARE = 0.02
"""Of a processor, for heartbeats and looks at the chain."""
NOBODY = 1 << 30


def waited_s(activity_at, until_s=WAIT_S_MAX):
    """How long a start is waited for that is so active, looked at each second."""
    patience = Patience(0.0, activity_at(0))
    for now_s in range(1, int(until_s) + 1):
        if not patience.update(now_s, activity_at(now_s)):
            return now_s, patience.given_up
    return None, patience.given_up


@pytest.mark.parametrize(
    "activity_at",
    [
        # Imports on processors that many others want, and a slow disk that lets a line through at times.
        lambda now_s: Activity(300, 0.1 * now_s),
        lambda now_s: Activity(300 + now_s // 50, 0.0),
        # A worker that ends takes its processor time along.
        lambda now_s: Activity(300, now_s % 50),
    ],
    ids=["starved", "writes now and then", "workers come and go"],
)
def test_a_start_that_gets_on_is_waited_for(activity_at):
    assert waited_s(activity_at, WAIT_S_MAX - 1) == (None, "")
    assert waited_s(activity_at) == (WAIT_S_MAX, "after 30 minutes")


def test_a_start_that_stops_getting_on_is_given_up_soon():
    assert waited_s(lambda _: Activity(300, 7.0)) == (
        STILL_S_MAX,
        "after 60 s, of which the last 60 s brought nothing new in its log and took 0.0 s of processor time",
    )
    seconds, _ = waited_s(lambda now_s: Activity(300, min(20.0, now_s) + IDLE_SHARE * now_s))
    assert 20 < seconds <= 20 + 2 * STILL_S_MAX


def test_an_idle_process_takes_less_than_counts():
    assert IDLE_SHARE * STILL_S_MAX < CPU_S_MIN


def test_processor_time_of_this_process_and_of_none():
    assert cpu_seconds(os.getpid()) > 0
    assert cpu_seconds(NOBODY) == 0.0
