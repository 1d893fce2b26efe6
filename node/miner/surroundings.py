"""What a miner sees of its machine: the hour, what other programs do, the battery, temperatures.

Is: psutil and the accelerator (`node/accelerators`), asked; and what of it is ours taken off. Is not: what
follows from it (`inference/guest`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

from node.miner.guest import Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.miner.accelerators import Accelerator

TEMPERATURES_MAX: Final = 32
"""Sensors that are named; some machines have one a core."""
_COUNTED_ELSEWHERE: Final = frozenset({"guest", "guest_nice"})
"""Times of virtual machines, which are part of `user` and `nice` already."""
_FREE: Final = frozenset({"idle", "iowait"})


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds of all processors together, since some moment.

    :ivar all_s: whatever they did. :ivar busy_s: with work. :ivar own_s: with ours, by process.
    """

    all_s: float
    busy_s: float
    own_s: Mapping[int, float]

    def others_since(self, before: CpuTimes) -> float:
        """Share of the processors that others used in between, 0 to 1."""
        # A new process has all its time from in between; one that ended took the rest of its own along.
        own_s = sum(max(0.0, seconds - before.own_s.get(pid, 0.0)) for pid, seconds in self.own_s.items())
        all_s = self.all_s - before.all_s
        return min(1.0, max(0.0, (self.busy_s - before.busy_s - own_s) / all_s)) if all_s > 0 else 0.0


class Watch:
    """Looks around again and again; the shares that it tells are of the time between two looks."""

    def __init__(self, accelerator: Accelerator) -> None:
        """Look for the first time."""
        self._accelerator = accelerator
        self._before = self._cpu_times()

    def look(self, *, working: bool) -> Surroundings:
        """What is to be seen now. Takes milliseconds.

        :param working: whether a job of ours is running.
        """
        now = self._cpu_times()
        others_load, self._before = now.others_since(self._before), now
        return Surroundings(
            hour=time.localtime().tm_hour,
            others_load=others_load,
            others_device_load=self._accelerator.others_load(set(now.own_s), working=working),
            on_battery=on_battery(),
        )

    def temperatures(self) -> dict[str, str]:
        """Degrees Celsius by sensor, where the machine tells them."""
        read = getattr(psutil, "sensors_temperatures", dict)
        found = {
            f"{chip} {sensor.label}".strip(): sensor.current
            for chip, sensors in read().items()
            for sensor in sensors
            if sensor.current is not None
        }
        found |= self._accelerator.temperatures()
        return {name: f"{degrees:.0f} °C" for name, degrees in list(found.items())[:TEMPERATURES_MAX]}

    def _cpu_times(self) -> CpuTimes:
        fields = psutil.cpu_times()._asdict()
        all_s = sum(seconds for name, seconds in fields.items() if name not in _COUNTED_ELSEWHERE)
        free_s = sum(fields.get(name, 0.0) for name in _FREE)
        return CpuTimes(all_s, all_s - free_s, _own_times())


def _own_times() -> dict[int, float]:
    """Processor seconds of this process and all that came of it, by process."""
    own: dict[int, float] = {}
    this = psutil.Process()
    for process in (this, *this.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        own[process.pid] = times.user + times.system
    return own


def on_battery() -> bool:
    """Whether the machine has a battery, and nothing else."""
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return battery is not None and battery.power_plugged is False
