"""How long the devnet waits for processes: as long as they get on, however slowly, and not much longer.

Is: the decision, from what a process has written to its log and used of the processors. Is not: a time limit
for a start, since a busy machine or a slow disk makes any such limit wrong.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psutil

STILL_S_MAX: Final = 60.0
"""Without progress for so long, a process has stopped getting on."""
CPU_S_MIN: Final = 3.0
"""Processor time that counts as progress: an idle node takes less in `STILL_S_MAX`, a starved import more."""
WAIT_S_MAX: Final = 1_800.0
"""Progress or not, this is the end: a process may fail again and again, and write so."""


@dataclass(frozen=True, slots=True)
class Activity:
    """The activity of a process, with its children, since it started."""

    log_bytes: int
    cpu_s: float


class Patience:
    """Waits for one thing. :ivar given_up: why it waits no longer; empty while it does."""

    def __init__(self, now_s: float, activity: Activity) -> None:
        """Begin to wait."""
        self.given_up = ""
        self._began_s = self._moved_s = now_s
        self._moved = activity

    def update(self, now_s: float, activity: Activity) -> bool:
        """Whether to go on waiting, by what the process has done until now."""
        cpu_s = activity.cpu_s - self._moved.cpu_s
        # A child that has ended took its processor time along.
        if activity.log_bytes != self._moved.log_bytes or cpu_s >= CPU_S_MIN or cpu_s < 0:
            self._moved_s, self._moved = now_s, activity
        if now_s - self._began_s >= WAIT_S_MAX:
            self.given_up = f"after {WAIT_S_MAX / 60:.0f} minutes"
        elif now_s - self._moved_s >= STILL_S_MAX:
            self.given_up = (
                f"after {now_s - self._began_s:.0f} s, of which the last {now_s - self._moved_s:.0f} s "
                f"brought nothing new in its log and took {cpu_s:.1f} s of processor time"
            )
        return not self.given_up


def cpu_seconds(process_id: int) -> float:
    """Processor time of a process and its children; 0 of one that has ended."""
    total = 0.0
    # One of them may end meanwhile: the next look counts again.
    with suppress(psutil.Error):
        process = psutil.Process(process_id)
        for each in (process, *process.children(recursive=True)):
            times = each.cpu_times()
            total += times.user + times.system
    return total
