"""Another PNG than the trace leads to."""

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from tests.cheats.strategy import Cheat


class SwappedPicture(Cheat):
    """Mirrored, which keeps every statistic of it."""

    name = "swapped picture"

    def finished(self, event):
        pixels, buffer = np.asarray(Image.open(io.BytesIO(event.png))), io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels[:, ::-1])).save(buffer, "PNG")
        return replace(event, png=buffer.getvalue())

    def fakes(self, number, steps):
        return False
