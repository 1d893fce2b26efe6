"""The load of a miner's machine at one moment, and what of it is other programs'.

Is: readings as plain values. Is not: the reading itself (`node/miner/load_monitor.py`), nor what follows from
it (`node/miner/work_policy.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class MachineLoad:
    """One reading. Shares are of the time since the last reading.

    :ivar hour: local, 0 to 23.
    :ivar others_load: share of the processors that programs other than this node use, 0 to 1.
    :ivar others_device_load: likewise of the accelerator; 0 where it cannot be told.
    :ivar on_battery: whether no power comes from outside.
    """

    hour: int
    others_load: float = 0.0
    others_device_load: float = 0.0
    on_battery: bool = False


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds of all processors together, since some moment.

    :ivar all_s: total. :ivar busy_s: not idle. :ivar own_s: used by this node, by process.
    """

    all_s: float
    busy_s: float
    own_s: Mapping[int, float]

    def others_since(self, before: CpuTimes) -> float:
        """Share of the processors that other programs used in between, 0 to 1."""
        # A new process has all its time from in between; one that ended took the rest of its own along.
        own_s = sum(max(0.0, seconds - before.own_s.get(pid, 0.0)) for pid, seconds in self.own_s.items())
        all_s = self.all_s - before.all_s
        return min(1.0, max(0.0, (self.busy_s - before.busy_s - own_s) / all_s)) if all_s > 0 else 0.0
