"""Weights of fewer bits: of 8, 6 or 4 with one scale for each output channel, or fp8 (e4m3)."""

import torch

from tests.cheats.strategy import Cheat, own_unet


class QuantisedWeights(Cheat):
    """Saves memory and, with kernels for it, half of the time."""

    saves = 0.5

    def __init__(self, bits):
        self.bits, self.name = bits, f"int{bits} weights, per channel"

    def networks(self, networks):
        altered, most = own_unet(networks), 2 ** (self.bits - 1) - 1
        for parameter in altered._pipeline.unet.parameters():
            if parameter.ndim > 1:
                numbers = parameter.data.float().flatten(1)
                scale = numbers.abs().amax(1, keepdim=True).clamp_min(1e-12) / most
                rounded = (numbers / scale).round() * scale
                parameter.data = rounded.reshape(parameter.shape).to(parameter.dtype)
        return altered


class Fp8Weights(Cheat):
    """Floating point of eight bits, which newer GPUs multiply."""

    name, saves = "fp8 (e4m3) weights", 0.5

    def networks(self, networks):
        altered = own_unet(networks)
        for parameter in altered._pipeline.unet.parameters():
            if parameter.ndim > 1:
                parameter.data = parameter.data.to(torch.float8_e4m3fn).to(parameter.dtype)
        return altered
