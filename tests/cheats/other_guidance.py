"""Guidance a hair off: 3.99 for 4. The outputs are honest, and no pixel moves by more than a level or two."""

from dataclasses import replace

from tests.cheats.strategy import Cheat


class OtherGuidance(Cheat):
    """Saves nothing; what no distance of outputs can see."""

    name = "guidance 3.99 for 4"

    def job(self, job):
        return replace(job, guidance_milli=job.guidance_milli - 10)
