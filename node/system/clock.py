"""The one place where the node reads the time: of day, for what it says; a steady one, for what it waits for.

Anybody may set a machine's clock, by an hour as well. Statements, offers and other nodes' deadlines are about
the time of day; a wait must not last an hour longer for that, or end at once. So waits are measured by the
steady time, and only where a wait begins is one told from the other.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """The time of day when this process began, and what has passed since, in milliseconds.

    No step of the clock moves it. It goes on while the machine sleeps, where the system has such a clock.
    """
    return _BEGAN_MS + _passed_ms() - _PASSED_MS


def ahead_ms() -> int:
    """How far the time of day is ahead of `steady_ms`, by all steps of the clock since this process began."""
    return now_ms() - steady_ms()


def _passed_ms() -> int:
    return time.clock_gettime_ns(_STEADY_CLOCK) // 1_000_000


_STEADY_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BEGAN_MS, _PASSED_MS = now_ms(), _passed_ms()


def format_time(time_s: int) -> str:
    """A Unix time in seconds for people: ``2026-12-14 20:33:00 UTC``."""
    try:
        return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"Unix time {time_s}"
