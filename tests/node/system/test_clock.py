"""node/system/clock.py: the time of day may be set, and the steady one is not."""

import time

from node.system import clock

HOUR_MS = 60 * 60 * 1000


def set_clock(monkeypatch, by_ms):
    """Somebody sets the machine's clock."""
    true_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: true_ns() + by_ms * 1_000_000)


def test_the_steady_time_begins_with_the_time_of_day_and_goes_on():
    before_ms = clock.steady_ms()
    assert abs(clock.now_ms() - before_ms - clock.ahead_ms()) < 60_000
    assert clock.steady_ms() >= before_ms


def test_attack_a_clock_that_is_set_moves_no_wait(monkeypatch):
    before_ms, ahead_ms = clock.steady_ms(), clock.ahead_ms()
    for by_ms in (-HOUR_MS, 3 * HOUR_MS):
        set_clock(monkeypatch, by_ms)
        assert 0 <= clock.steady_ms() - before_ms < HOUR_MS // 2
        assert abs(clock.ahead_ms() - ahead_ms) > HOUR_MS // 2
