"""The prompt without its last word."""

from dataclasses import replace

from tests.cheats.strategy import Cheat


class OneWordLess(Cheat):
    """Saves nothing; the smallest change of a prompt."""

    name = "one word less"

    def job(self, job):
        return replace(job, prompt=job.prompt.rpartition(" ")[0])
