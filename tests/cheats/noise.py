"""Weights off by a little: noise of so many parts of each tensor's standard deviation."""

import torch

from tests.cheats.strategy import Cheat, own_unet


class Noise(Cheat):
    """Stands for any other weights that are near to the right ones."""

    def __init__(self, parts):
        self.parts, self.name = parts, f"weights with noise {parts:.0e}"

    def networks(self, networks):
        altered, generator = own_unet(networks), torch.Generator().manual_seed(1)
        for parameter in altered._pipeline.unet.parameters():
            if parameter.ndim > 1:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.data += self.parts * parameter.data.std() * noise
        return altered
