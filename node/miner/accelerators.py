"""The load that other programs put on an accelerator, and its temperature: by NVML, or by Linux' files.

Is: readings. Is not: torch, which a node never loads; nor a decision.

Where the system does not tell whose work it is, only the load while none of our jobs runs is known to be
other programs'.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

VISIBLE_DEVICES: Final = "CUDA_VISIBLE_DEVICES"
AUTOMATIC: Final = "auto"
AMD_ROOT: Final = Path("/sys/class/drm")
_PERCENT: Final = 100


class Accelerator(Protocol):
    """Readings that a load monitor needs."""

    def others_load(self, own_pids: AbstractSet[int], *, working: bool) -> float:
        """Share of its time that other programs took since the last call, 0 to 1; 0 if it cannot be told.

        :param working: whether a job of ours is running.
        """

    def temperatures(self) -> dict[str, float]:
        """Degrees Celsius by name."""


class NoAccelerator:
    """For a machine that works on its processors alone."""

    def others_load(self, own_pids: AbstractSet[int], *, working: bool) -> float:
        """Always 0."""
        del own_pids, working
        return 0.0

    def temperatures(self) -> dict[str, float]:
        """Always empty."""
        return {}


class NvidiaAccelerator:
    """Devices by number, through NVML. :ivar nvml: the module `pynvml`, initialised."""

    def __init__(self, nvml: Any, numbers: Iterable[int]) -> None:
        """:raises nvml.NVMLError: there is no such device."""
        self._nvml = nvml
        self._handles = {number: nvml.nvmlDeviceGetHandleByIndex(number) for number in numbers}
        self._seen_at = dict.fromkeys(self._handles, 0)

    def others_load(self, own_pids: AbstractSet[int], *, working: bool) -> float:
        """The share of the device that others use most; see `Accelerator`."""
        return max((self._load(number, own_pids, working) for number in self._handles), default=0.0)

    def _load(self, number: int, own_pids: AbstractSet[int], working: bool) -> float:
        nvml, handle = self._nvml, self._handles[number]
        try:
            samples = nvml.nvmlDeviceGetProcessUtilization(handle, self._seen_at[number])
        except nvml.NVMLError_NotFound:
            # No process has used it since.
            return 0.0
        except nvml.NVMLError:
            with suppress(nvml.NVMLError):
                return 0.0 if working else nvml.nvmlDeviceGetUtilizationRates(handle).gpu / _PERCENT
            return 0.0
        self._seen_at[number] = max((sample.timeStamp for sample in samples), default=self._seen_at[number])
        return others_share(((sample.pid, sample.smUtil) for sample in samples), own_pids)

    def temperatures(self) -> dict[str, float]:
        """One for each device that tells it."""
        found = {}
        for number, handle in self._handles.items():
            with suppress(self._nvml.NVMLError):
                kind = self._nvml.NVML_TEMPERATURE_GPU
                found[f"gpu {number}"] = float(self._nvml.nvmlDeviceGetTemperature(handle, kind))
        return found


class AmdAccelerator:
    """All cards of the kernel's driver, whose temperatures are among the machine's sensors."""

    def __init__(self, root: Path = AMD_ROOT) -> None:
        """:param root: where the kernel lists graphics cards."""
        self._root = root

    def others_load(self, own_pids: AbstractSet[int], *, working: bool) -> float:
        """The share of the busiest card; the kernel does not say whose work it is."""
        del own_pids
        shares = [0.0]
        if not working:
            for file in self._root.glob("card*/device/gpu_busy_percent"):
                with suppress(OSError, ValueError):
                    shares.append(int(file.read_text(encoding="ascii")) / _PERCENT)
        return max(shares)

    def temperatures(self) -> dict[str, float]:
        """Always empty: they are among the machine's."""
        return {}


def others_share(samples: Iterable[tuple[int, int]], own_pids: AbstractSet[int]) -> float:
    """Share of the time that processes which are not ours took, 0 to 1.

    :param samples: process and percent; several of one process are averaged.
    """
    by_process: dict[int, list[int]] = defaultdict(list)
    for pid, percent in samples:
        if pid not in own_pids:
            by_process[pid].append(percent)
    return min(1.0, sum(sum(each) / len(each) for each in by_process.values()) / _PERCENT)


def numbers_of(devices: Sequence[str], environment: Mapping[str, str]) -> list[int]:
    """Numbers of the NVIDIA devices that torch knows by these names.

    :param environment: in which `CUDA_VISIBLE_DEVICES` may show torch others, in another order.
    """
    visible = environment.get(VISIBLE_DEVICES, "")
    order = [int(part) for part in visible.split(",") if part.strip().isdecimal()]
    found = []
    for device in devices:
        kind, _, number = device.partition(":")
        if kind in {AUTOMATIC, "cuda"}:
            place = int(number) if number.isdecimal() else 0
            found.append(order[place] if place < len(order) else place)
    return sorted(set(found))


def find_accelerator(devices: Sequence[str], environment: Mapping[str, str]) -> Accelerator:
    """The accelerator to be read for these devices; by what the machine has, not by what torch can use."""
    numbers = numbers_of(devices, environment)
    if not numbers:
        return NoAccelerator()
    try:
        import pynvml  # noqa: PLC0415 - of the extra `miner`

        pynvml.nvmlInit()
        return NvidiaAccelerator(pynvml, numbers)
    except ImportError:
        pass
    except pynvml.NVMLError:
        # No driver, or no such device.
        pass
    return AmdAccelerator() if list(AMD_ROOT.glob("card*/device/gpu_busy_percent")) else NoAccelerator()
