"""The one place where the node reads the time of day, and says one to people."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def format_time(time_s: int) -> str:
    """A Unix time in seconds for people: ``2026-12-14 20:33:00 UTC``."""
    try:
        return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"Unix time {time_s}"
