"""When a miner is a guest on a machine that others use, and keeps still: at some hours, on battery, and when
others want the machine.

Is: the decisions. Is not: the clock, the load or the battery (`node/surroundings`); they are told to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from protocol.errors import LocalError

RESUME_SHARE: Final = 0.8
"""A miner that made room for others goes on when they use less than this share of the limit."""
QUIET_MS: Final = 30_000
"""For so long they must; who compiles something now and then is not to be disturbed in every pause."""
FREE_MEMORY_AFTER_MS: Final = 60_000
"""After so long a pause the models leave memory; to load them again takes seconds."""
HOURS: Final = 24
_HOURS: Final = re.compile(r"(\d{1,2})-(\d{1,2})", re.ASCII)


class BadRules(LocalError):
    """The house rules make no sense; the text says which."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The house rules of one miner.

    :ivar active_hours: local hours from which and to which it works, such as (22, 7); None for all day.
    :ivar load_max: share of the processors, 0 to 1, that other programs may use before it pauses; 0 for any.
    :ivar device_load_max: likewise of the accelerator's time.
    :ivar power_saving: whether it pauses on battery.
    """

    active_hours: tuple[int, int] | None = None
    load_max: float = 0.0
    device_load_max: float = 0.0
    power_saving: bool = False

    def __post_init__(self) -> None:
        """:raises BadRules: a share that is none."""
        if not 0 <= self.load_max <= 1 or not 0 <= self.device_load_max <= 1:
            raise BadRules("the shares of processors and accelerator are from 0 to 1")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is seen of the machine at one moment. Shares are of the time since the last look.

    :ivar hour: local, 0 to 23.
    :ivar others_load: share of the processors that programs other than this node use, 0 to 1.
    :ivar others_device_load: likewise of the accelerator; 0 where it cannot be told.
    :ivar on_battery: whether no power comes from outside.
    """

    hour: int
    others_load: float = 0.0
    others_device_load: float = 0.0
    on_battery: bool = False


@dataclass(slots=True)
class _Limit:
    """A share that others may use; passed at once, and held until it has been quiet for a while."""

    share_max: float
    _passed_at_ms: int | None = None

    def holds(self, share: float, now_ms: int) -> bool:
        if self.share_max <= 0:
            return False
        resume = self.share_max * RESUME_SHARE
        if share > (self.share_max if self._passed_at_ms is None else resume):
            self._passed_at_ms = now_ms
        elif self._passed_at_ms is not None and now_ms - self._passed_at_ms >= QUIET_MS:
            self._passed_at_ms = None
        return self._passed_at_ms is not None


class Guest:
    """One miner's manners.

    :ivar paused: why it keeps still, as of the last look; empty when it works.
    """

    def __init__(self, rules: Rules) -> None:
        """It works until it has looked around."""
        self.paused = ""
        self._rules = rules
        self._load = _Limit(rules.load_max)
        self._device_load = _Limit(rules.device_load_max)
        self._paused_since_ms: int | None = None
        self._now_ms = 0

    def look(self, seen: Surroundings, now_ms: int) -> str:
        """Decide, and say why the miner keeps still now; empty when it works."""
        # Both are told at each look, whatever else is a reason.
        device_taken = self._device_load.holds(seen.others_device_load, now_ms)
        busy = self._load.holds(seen.others_load, now_ms)
        hours = self._rules.active_hours
        if hours is not None and not _within(seen.hour, *hours):
            self.paused = "outside its hours"
        elif self._rules.power_saving and seen.on_battery:
            self.paused = "on battery"
        elif device_taken:
            self.paused = "other programs need the accelerator"
        else:
            self.paused = "other programs need the processors" if busy else ""
        self._now_ms = now_ms
        if not self.paused:
            self._paused_since_ms = None
        elif device_taken:
            self._paused_since_ms = now_ms - FREE_MEMORY_AFTER_MS
        elif self._paused_since_ms is None:
            self._paused_since_ms = now_ms
        return self.paused

    @property
    def frees_memory(self) -> bool:
        """Whether models should leave memory: in a long pause, or at once if the accelerator is wanted."""
        since = self._paused_since_ms
        return since is not None and self._now_ms - since >= FREE_MEMORY_AFTER_MS


def _within(hour: int, start: int, end: int) -> bool:
    """Whether an hour is in the span, which may go over midnight; from 8 to 8 is all day."""
    return start == end or (hour - start) % HOURS < (end - start) % HOURS


def parse_hours(text: str) -> tuple[int, int] | None:
    """Hours such as "22-7"; None of nothing. :raises BadRules: it is neither."""
    if not text:
        return None
    match = _HOURS.fullmatch(text)
    if match is None or max(int(match[1]), int(match[2])) > HOURS:
        raise BadRules(f"{text!r} is no span of hours such as 22-7")
    return int(match[1]) % HOURS, int(match[2]) % HOURS
