"""The picture of another prompt."""

from dataclasses import replace

from tests.cheats.strategy import Cheat


class OtherPrompt(Cheat):
    """One that was paid before, say."""

    name, saves = "another prompt", 0.0

    def job(self, job):
        return replace(job, prompt="a penguin on a green background")
