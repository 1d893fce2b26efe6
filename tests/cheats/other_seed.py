"""Another seed than the task's."""

from dataclasses import replace

from tests.cheats.strategy import Cheat


class OtherSeed(Cheat):
    """Lets a miner sell one picture of a popular prompt many times. Its outputs are honest."""

    name, saves = "another seed", 1.0

    def job(self, job):
        return replace(job, seed=job.seed + 1)

    def fakes(self, number, steps):
        return number == 0
