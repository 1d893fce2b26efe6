"""When a miner works, and when it pauses: its hours, battery, and other programs that need the machine.

Is: the policy and the decision, pure. Is not: the clock, the load or the battery
(`node/miner/load_monitor.py`); a reading is an argument.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from protocol.errors import LocalError

if TYPE_CHECKING:
    from node.miner.machine_load import MachineLoad

RESUME_SHARE: Final = 0.8
"""A paused miner resumes when other programs use less than this share of the limit."""
QUIET_MS: Final = 30_000
"""For this long they must: a pause between two compilations is not the end of the work."""
FREE_MEMORY_AFTER_MS: Final = 60_000
"""After a pause of this length the models leave memory; loading them again takes seconds."""
HOURS: Final = 24
_HOURS: Final = re.compile(r"(\d{1,2})-(\d{1,2})", re.ASCII)


class BadWorkPolicy(LocalError):
    """The work policy makes no sense; the text says which part."""


class PauseReason(StrEnum):
    """Why a miner takes no tasks, as the operator reads it."""

    NONE = ""
    OUTSIDE_HOURS = "outside its hours"
    ON_BATTERY = "on battery"
    ACCELERATOR_BUSY = "other programs need the accelerator"
    PROCESSORS_BUSY = "other programs need the processors"


@dataclass(frozen=True, slots=True)
class WorkPolicy:
    """When one miner works.

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
        """:raises BadWorkPolicy: a share is not from 0 to 1."""
        if not 0 <= self.load_max <= 1 or not 0 <= self.device_load_max <= 1:
            raise BadWorkPolicy("the shares of processors and accelerator are from 0 to 1")


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


class PauseDecision:
    """Applies a policy to one reading after another.

    :ivar reason: why the miner pauses, as of the last reading.
    """

    def __init__(self, policy: WorkPolicy) -> None:
        """The miner works until the first reading."""
        self.reason = PauseReason.NONE
        self._policy = policy
        self._load = _Limit(policy.load_max)
        self._device_load = _Limit(policy.device_load_max)
        self._paused_since_ms: int | None = None
        self._now_ms = 0

    def update(self, load: MachineLoad, now_ms: int) -> PauseReason:
        """Decide by a new reading, and say why the miner pauses now."""
        # Both limits take every reading, whatever else is a reason.
        device_busy = self._device_load.holds(load.others_device_load, now_ms)
        busy = self._load.holds(load.others_load, now_ms)
        hours = self._policy.active_hours
        if hours is not None and not _within(load.hour, *hours):
            self.reason = PauseReason.OUTSIDE_HOURS
        elif self._policy.power_saving and load.on_battery:
            self.reason = PauseReason.ON_BATTERY
        elif device_busy:
            self.reason = PauseReason.ACCELERATOR_BUSY
        else:
            self.reason = PauseReason.PROCESSORS_BUSY if busy else PauseReason.NONE
        self._now_ms = now_ms
        if not self.reason:
            self._paused_since_ms = None
        elif device_busy:
            self._paused_since_ms = now_ms - FREE_MEMORY_AFTER_MS
        elif self._paused_since_ms is None:
            self._paused_since_ms = now_ms
        return self.reason

    @property
    def frees_memory(self) -> bool:
        """Whether models should leave memory: in a long pause, or at once if the accelerator is wanted."""
        since = self._paused_since_ms
        return since is not None and self._now_ms - since >= FREE_MEMORY_AFTER_MS


def _within(hour: int, start: int, end: int) -> bool:
    """Whether an hour is in the span, which may go over midnight; from 8 to 8 is all day."""
    return start == end or (hour - start) % HOURS < (end - start) % HOURS


def parse_hours(text: str) -> tuple[int, int] | None:
    """Hours such as "22-7"; None of an empty text. :raises BadWorkPolicy: the text is not a span of hours."""
    if not text:
        return None
    match = _HOURS.fullmatch(text)
    if match is None or max(int(match[1]), int(match[2])) > HOURS:
        raise BadWorkPolicy(f"{text!r} is not a span of hours such as 22-7")
    return int(match[1]) % HOURS, int(match[2]) % HOURS
