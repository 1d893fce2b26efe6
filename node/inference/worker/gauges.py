"""How much memory work takes and could still get, on a processor and on an accelerator.

Is: gauges for `work_memory`, read from the system and from torch. Is not: what follows from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from node.inference.packages.preflight import free_memory_bytes

if TYPE_CHECKING:
    from node.inference.worker.work_memory import Gauge

CLEAR_REFS: Final = Path("/proc/self/clear_refs")
STATUS: Final = Path("/proc/self/status")
RESET_PEAK: Final = "5"
"""Written to `CLEAR_REFS`, it sets the peak of this process' memory to what it has now (proc(5))."""
_PEAK: Final = "VmHWM:"
SHARING_DEVICES: Final = frozenset({"cpu", "mps"})
"""Kinds of device whose memory is the processor's."""


class ProcessorGauge:
    """This process' memory; its peak is Linux's to know."""

    def __init__(self) -> None:
        """Nothing is noted yet."""
        self._began_bytes: int | None = None

    def free_bytes(self) -> int:
        """Of the machine."""
        return free_memory_bytes()

    def begin(self) -> None:
        """See `Gauge`."""
        try:
            CLEAR_REFS.write_text(RESET_PEAK, encoding="ascii")
            self._began_bytes = psutil.Process().memory_info().rss
        except OSError:
            self._began_bytes = None

    def peak_bytes(self) -> int | None:
        """See `Gauge`."""
        if self._began_bytes is None:
            return None
        for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(_PEAK):
                return max(0, int(line.split()[1]) * 1024 - self._began_bytes)
        return None


class AcceleratorGauge:
    """A device's memory, as torch's own allocator has it."""

    def __init__(self, accelerator: Any, device: Any) -> None:
        """:param accelerator: the module `torch.accelerator`."""
        self._torch, self._device = accelerator, device
        self._began_bytes = 0

    def free_bytes(self) -> int:
        """Bytes that the device has free, and those that the allocator keeps for the next request."""
        kept = self._torch.memory_reserved(self._device) - self._torch.memory_allocated(self._device)
        return int(self._torch.get_memory_info(self._device)[0]) + int(kept)

    def begin(self) -> None:
        """See `Gauge`."""
        self._torch.reset_peak_memory_stats(self._device)
        self._began_bytes = self._torch.memory_allocated(self._device)

    def peak_bytes(self) -> int | None:
        """See `Gauge`."""
        return max(0, int(self._torch.max_memory_allocated(self._device)) - self._began_bytes)


def open_gauge(device: Any) -> Gauge:
    """The gauge of a device of torch."""
    if device.type in SHARING_DEVICES:
        return ProcessorGauge()
    import torch  # noqa: PLC0415 - in the worker, where it is loaded already

    return AcceleratorGauge(torch.accelerator, device)
