"""Guidance at less than two calls a step: the output without the prompt is seldom or never asked for."""

import numpy as np

from tests.cheats.strategy import Cheat, Foreseen


class LazyGuidance(Cheat):
    """Every second output without the prompt: that of the step before, or continued in a line from two."""

    def __init__(self, *, extrapolated=False):
        self.extrapolated = extrapolated
        self.name = f"lazy guidance, every 2nd u {'extrapolated' if extrapolated else 'repeated'}"
        self.saves, self.kept = 0.25, []

    def fakes(self, number, steps):
        return number % 2 == 1 and number > 2 * self.extrapolated

    def networks(self, networks):
        return Foreseen(networks, self.predict)

    def predict(self, compute, number, latents, step, negatives, prompts):
        if number == 0:
            self.kept = []
        outputs, time = compute(latents, step, negatives, prompts), float(step.timestep)
        if not self.fakes(number, 0):
            self.kept = [*self.kept[-1:], (time, [u for u, _ in outputs])]
            return outputs
        if not self.extrapolated:
            return [(u, c) for u, (_, c) in zip(self.kept[-1][1], outputs, strict=True)]
        (first, ones), (second, others) = self.kept
        share = np.float32((time - second) / (second - first))
        return [
            ((b.astype(np.float32) + share * (b.astype(np.float32) - a)).astype(np.float16), c)
            for a, b, (_, c) in zip(ones, others, outputs, strict=True)
        ]


class NoGuidance(Cheat):
    """The output with the prompt in both places."""

    name, saves = "guidance left out (u := c)", 0.5

    def networks(self, networks):
        return Foreseen(networks, self.predict)

    def predict(self, compute, number, latents, step, negatives, prompts):
        return [(c, c) for _, c in compute(latents, step, negatives, prompts)]
