"""Another source image than the task's."""

import io
from dataclasses import replace

from PIL import Image

from tests.cheats.strategy import Cheat


class SwappedSource(Cheat):
    """Every step is honest; only the encoding is of another image, one that it has encoded before."""

    name = "swapped source"

    def job(self, job):
        buffer = io.BytesIO()
        Image.new("RGB", (job.width, job.height), (90, 140, 60)).save(buffer, "PNG")
        return replace(job, source_png=buffer.getvalue())

    def fakes(self, number, steps):
        return False
