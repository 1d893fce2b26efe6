"""Steps whose outputs are not computed: those of the step before, or continued from the last ones."""

import numpy as np

from tests.cheats.strategy import Cheat, Foreseen


class SkippedSteps(Cheat):
    """One step in `every` is not computed.

    :param order: of what continues: 0 repeats, 1 goes on in a line, 2 in a parabola.
    """

    def __init__(self, every, order):
        how = ("repeated", "extrapolated", "extrapolated by parabola")[order]
        self.every, self.order, self.name = every, order, f"1 step in {every} {how}"
        self.saves = 1 / every
        self.kept = []

    def fakes(self, number, steps):
        return number > self.order and number % self.every == self.every - 1

    def networks(self, networks):
        return Foreseen(networks, self.predict)

    def predict(self, compute, number, latents, step, negatives, prompts):
        if number == 0:
            self.kept = []
        if not self.fakes(number, 0):
            outputs = compute(latents, step, negatives, prompts)
            self.kept = (
                [*self.kept[-self.order :], (float(step.timestep), outputs)]
                if self.order
                else [(float(step.timestep), outputs)]
            )
            return outputs
        return [self.continued(float(step.timestep), row) for row in range(len(latents))]

    def continued(self, time, row):
        """By Lagrange's polynomial through the outputs that were computed last."""
        times = [kept[0] for kept in self.kept]
        weights = [
            np.prod([(time - other) / (own - other) for other in times if other != own]) for own in times
        ]
        pair = []
        for side in range(2):
            parts = [kept[1][row][side] for kept in self.kept]
            if parts[0] is None:
                pair.append(None)
                continue
            total = sum(w * part.astype(np.float32) for w, part in zip(weights, parts, strict=True))
            pair.append(total.astype(np.float16))
        return tuple(pair)
