"""TF32, emulated: each product of matrices takes ten bits of mantissa, as the tensor cores of a GPU do."""

import torch

from tests.cheats.strategy import Cheat, own_unet

_DROPPED_BITS = 13


def tf32(numbers):
    """Rounded to ten bits of mantissa, to nearest, halves away from zero, as the hardware converts."""
    bits = numbers.contiguous().view(torch.int32)
    half, mask = 1 << (_DROPPED_BITS - 1), -(1 << _DROPPED_BITS)
    return ((bits + half) & mask).view(torch.float32)


class Tf32(Cheat):
    """A switch of torch's, and several times the speed of single precision."""

    name, saves = "TF32 (emulated)", 0.5

    def networks(self, networks):
        altered = own_unet(networks)
        for module in altered._pipeline.unet.modules():
            if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
                module.weight.data = tf32(module.weight.data)
                module.register_forward_pre_hook(lambda _, arguments: (tf32(arguments[0]), *arguments[1:]))
        return altered
