"""Two cheats that every package is measured with: an audit that could not tell them is no audit.

Is: weights of eight bits with a scale for each output channel, the best that such weights can be; and half of
the network in half precision, the least that saves anything. Is not: what a miner runs, nor all cheats that
there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST: Final = 127
_SCALE_MIN: Final = 1e-12


def eight_bit_weights(denoiser: Any) -> None:
    """Round the weights of a denoiser to integers of -127 to 127 times a number for each output channel."""
    for parameter in denoiser.parameters():
        if parameter.ndim > 1:
            numbers = parameter.data.float().flatten(1)
            scale = numbers.abs().amax(1, keepdim=True).clamp_min(_SCALE_MIN) / _MOST
            rounded = (numbers / scale).round() * scale
            parameter.data = rounded.reshape(parameter.shape).to(parameter.dtype)


def half_in_half_precision(denoiser: Any) -> None:
    """Let the deep blocks of a denoiser compute in binary16; what they take and give is binary32."""
    for block in (*denoiser.down_blocks, denoiser.mid_block):
        block.half()
        block.register_forward_pre_hook(_to_half, with_kwargs=True)
        block.register_forward_hook(lambda *call: _moved(call[-1], torch.float32))


CHEATS: Final[dict[str, dict[str, Callable[[Any], None]]]] = {
    "fp32": {
        "int8 weights, per channel": eight_bit_weights,
        "half of the network in fp16": half_in_half_precision,
    },
    "fp16": {"int8 weights, per channel": eight_bit_weights},
}
"""By the precision of honest work: changes of its denoiser."""


def _to_half(_: Any, arguments: Any, named: Any) -> Any:
    half = torch.float16
    return _moved(arguments, half), {name: _moved(value, half) for name, value in named.items()}


def _moved(value: Any, dtype: torch.dtype) -> Any:
    """A tensor, or those in a tuple or list, of another type; integers as they are."""
    if isinstance(value, torch.Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, tuple | list):
        return type(value)(_moved(one, dtype) for one in value)
    return value
