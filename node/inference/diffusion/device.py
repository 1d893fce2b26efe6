"""The device that the networks run on, by torch's own choice: CUDA, ROCm, MPS or the processor.

Is: what torch finds, set so that single precision is single precision. Is not: imported outside the worker
process.

ROCm calls itself CUDA to torch, and nothing here needs to know the difference. Only the networks run on the
device: seeds, scheduler and trace are computed on the processor, where their bits are the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from node.inference.packages.preflight import free_memory_bytes
from protocol.errors import LocalError

AUTOMATIC: Final = "auto"
MEMORY_SHARE: Final = 0.8
"""Share of what is free at the start that models may take; the rest is for their work."""
_PROBE_SIDE: Final = 64
_PROBE_DEVIATION_MAX: Final = 1e-5
_HALF_PROBE_DEVIATION_MAX: Final = 1e-3
"""Of half precision; bfloat16 errs by four times as much."""


class DeviceError(LocalError):
    """The device is not there, or does not compute what it should."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device that has passed its test.

    :ivar torch_device: for torch.
    :ivar memory_bytes: what models may take of it.
    """

    torch_device: torch.device
    memory_bytes: int


def open_device(name: str = AUTOMATIC, memory_bytes: int = 0) -> Device:
    """Choose a device and test it.

    :param name: as torch calls it ("cpu", "cuda", "cuda:1", "mps"), or `AUTOMATIC`.
    :param memory_bytes: limit for models; 0 for `MEMORY_SHARE` of what is free now.
    :raises DeviceError: torch does not know it, it is not there, or its arithmetic is off.
    """
    device = torch.device("cpu")
    try:
        if name != AUTOMATIC:
            device = torch.device(name)
        elif torch.accelerator.is_available():
            device = torch.accelerator.current_accelerator()
        _keep_precision()
        _test(device)
        free_bytes = _free_bytes(device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(f"the device {name} cannot be used") from error
    return Device(device, memory_bytes or int(free_bytes * MEMORY_SHARE))


def require_half_precision(device: torch.device) -> None:
    """:raises DeviceError: the device does not compute in half precision, or in less."""
    try:
        deviation = _probe(device, torch.float16)
    except RuntimeError as error:
        raise DeviceError(f"the device {device} does not know half precision") from error
    if deviation > _HALF_PROBE_DEVIATION_MAX:
        raise DeviceError(f"the device {device} does not compute in half precision")


def _keep_precision() -> None:
    """No TF32 and the like, and exact sums: an audit takes ten bits of mantissa for another model."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False


def _test(device: torch.device) -> None:
    """:raises DeviceError: a product of matrices differs from the processor's in double precision."""
    if _probe(device, torch.float32) > _PROBE_DEVIATION_MAX:
        raise DeviceError("the device does not compute in single precision")


def _probe(device: torch.device, dtype: torch.dtype) -> float:
    """How far a product of matrices is from that in double precision, relative L2."""
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(_PROBE_SIDE, _PROBE_SIDE, generator=generator) for _ in range(2))
    expected = one.double() @ other.double()
    found = (one.to(device, dtype) @ other.to(device, dtype)).cpu().double()
    return float((found - expected).norm() / expected.norm())


def _free_bytes(device: torch.device) -> int:
    # MPS shares the processor's memory.
    if device.type in {"cpu", "mps"}:
        return free_memory_bytes()
    return int(torch.accelerator.get_memory_info(device)[0])
