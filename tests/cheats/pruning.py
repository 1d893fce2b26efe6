"""The smallest weights of each tensor left out."""

import torch

from tests.cheats.strategy import Cheat, own_unet


class Pruning(Cheat):
    """What sparse kernels save is less than what is pruned."""

    def __init__(self, share):
        self.share, self.saves, self.name = share, share, f"{share:.0%} of weights pruned"

    def networks(self, networks):
        altered = own_unet(networks)
        for parameter in altered._pipeline.unet.parameters():
            if parameter.ndim > 1:
                sizes = parameter.data.abs()
                least = torch.kthvalue(sizes.flatten(), max(1, round(self.share * sizes.numel()))).values
                parameter.data[sizes <= least] = 0
        return altered
