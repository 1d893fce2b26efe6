"""Honest outputs, moved as far as a tolerance lets them towards another picture, in every step."""

import numpy as np

from tests.cheats.strategy import Cheat, Foreseen


class ToleranceSpender(Cheat):
    """Spends nine tenths of a tolerance, of relative L2, before rounding."""

    def __init__(self, tolerance):
        self.tolerance, self.name = tolerance, f"tolerance spender, 0.9 x {tolerance:.0e}"

    def networks(self, networks):
        return Foreseen(networks, lambda _, *call: self.predict(networks, *call))

    def predict(self, networks, number, latents, step, negatives, prompts):
        honest = networks.outputs(latents, [step] * len(latents), negatives, prompts)
        return [(self.moved(u), self.moved(c)) for u, c in honest]

    def moved(self, output):
        towards = np.random.default_rng(9).normal(0, 1, output.shape)
        towards *= 0.9 * self.tolerance * np.linalg.norm(output) / np.linalg.norm(towards)
        return (output + towards).astype(np.float16)
