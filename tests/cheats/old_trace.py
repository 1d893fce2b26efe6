"""An honest trace of a former task, delivered for a new one of the same prompt."""

from dataclasses import replace

from tests.cheats.strategy import Cheat


class OldTrace(Cheat):
    """Nothing is computed for the new task. Every output is honest; the first latent is another seed's."""

    name, saves = "old honest trace for a new task", 1.0

    def job(self, job):
        return replace(job, seed=123_456_789)

    def fakes(self, number, steps):
        return number == 0
