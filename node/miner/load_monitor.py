"""Reads the load of a miner's machine: the hour, other programs' work, the battery, temperatures.

Is: psutil and the accelerator (`node/miner/accelerators.py`), without this node's own processes. Is not: what
follows from a reading (`node/miner/work_policy.py`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import psutil

from node.miner.machine_load import CpuTimes, MachineLoad

if TYPE_CHECKING:
    from node.miner.accelerators import Accelerator

TEMPERATURES_MAX: Final = 32
"""Sensors that are named; some machines have one a core."""
_COUNTED_ELSEWHERE: Final = frozenset({"guest", "guest_nice"})
"""Times of virtual machines, which are part of `user` and `nice` already."""
_FREE: Final = frozenset({"idle", "iowait"})


class LoadMonitor:
    """Reads the load again and again; its shares are of the time between two readings."""

    def __init__(self, accelerator: Accelerator) -> None:
        """Read for the first time."""
        self._accelerator = accelerator
        self._before = self._cpu_times()

    def read(self, *, working: bool) -> MachineLoad:
        """The load now. Takes milliseconds.

        :param working: whether a job of ours is running.
        """
        now = self._cpu_times()
        others_load, self._before = now.others_since(self._before), now
        return MachineLoad(
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
