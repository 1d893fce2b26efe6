"""Half of the network in half precision: the deep blocks, whose numbers are fewest and error smallest."""

import torch

from tests.cheats.strategy import Cheat, own_unet


def _moved(value, dtype):
    if isinstance(value, torch.Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, tuple | list):
        return type(value)(_moved(one, dtype) for one in value)
    return value


def in_half(block):
    """Let a block compute in half precision, and give what it takes and gives in single."""
    block.half()

    def before(_, arguments, named):
        return _moved(arguments, torch.float16), {
            name: _moved(value, torch.float16) for name, value in named.items()
        }

    block.register_forward_pre_hook(before, with_kwargs=True)
    block.register_forward_hook(lambda *call: _moved(call[-1], torch.float32))


class HalfInHalfPrecision(Cheat):
    """Down and middle blocks in fp16: half of the network's work at half of its cost."""

    name, saves = "half of the network in fp16", 0.25

    def networks(self, networks):
        altered = own_unet(networks)
        unet = altered._pipeline.unet
        for block in (*unet.down_blocks, unet.mid_block):
            in_half(block)
        return altered
