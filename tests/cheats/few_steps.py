"""A quarter of the steps computed, each output standing for four steps."""

from tests.cheats.strategy import Cheat, Foreseen


class FewSteps(Cheat):
    """Twenty steps are paid, five computed."""

    name, saves = "5 steps of 20 computed", 0.75

    def __init__(self):
        self.kept = None

    def fakes(self, number, steps):
        return number % 4 != 0

    def networks(self, networks):
        return Foreseen(networks, self.predict)

    def predict(self, compute, number, latents, step, negatives, prompts):
        if not self.fakes(number, 0):
            self.kept = compute(latents, step, negatives, prompts)
        return self.kept
