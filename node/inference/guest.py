"""When a miner is a guest on a machine that others use, and keeps still: at some hours, or under load.

Is: the decision. Is not: the clock or the load; both are told to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from protocol.errors import LocalError

RESUME_SHARE: Final = 0.8
"""A miner that paused under load goes on when the load is below this share of its limit."""
HOURS: Final = 24
_HOURS: Final = re.compile(r"(\d{1,2})-(\d{1,2})", re.ASCII)


class BadHours(LocalError):
    """The text is no pair of hours."""


@dataclass(slots=True)
class Guest:
    """The house rules of one miner.

    :ivar active_hours: local hours from which and to which it works, such as (22, 7); None for all day.
    :ivar load_max: load of the machine per core above which it pauses, its own work included; 0 for never.
    """

    active_hours: tuple[int, int] | None = None
    load_max: float = 0.0
    _overloaded: bool = field(default=False, init=False)

    def why_paused(self, hour: int, load_per_core: float) -> str:
        """Why the miner keeps still now; empty when it works.

        :param hour: local, 0 to 23.
        :param load_per_core: of the last minute.
        """
        if self.load_max > 0:
            limit = self.load_max * (RESUME_SHARE if self._overloaded else 1)
            self._overloaded = load_per_core > limit
        if self.active_hours is not None and not _within(hour, *self.active_hours):
            return "outside its hours"
        return "the machine is busy" if self._overloaded else ""


def _within(hour: int, start: int, end: int) -> bool:
    """Whether an hour is in the span, which may go over midnight; from 8 to 8 is all day."""
    return start == end or (hour - start) % HOURS < (end - start) % HOURS


def parse_hours(text: str) -> tuple[int, int] | None:
    """Hours such as "22-7"; None of nothing. :raises BadHours: it is neither."""
    if not text:
        return None
    match = _HOURS.fullmatch(text)
    if match is None or max(int(match[1]), int(match[2])) > HOURS:
        raise BadHours(f"{text!r} is no span of hours such as 22-7")
    return int(match[1]) % HOURS, int(match[2]) % HOURS
