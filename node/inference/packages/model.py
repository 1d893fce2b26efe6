"""A model as requests see it: its id and its card, wherever the weights are.

Is: what API, coordinator, miner and worker share; a package on disk is one of these with a folder.
Is not: files (`package`), or the check of a request (`limits`).
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.model_card import ModelCard
from protocol.work import ImageDetails, Work


@dataclass(frozen=True, slots=True)
class Model:
    """A model. :ivar model_id: 32 bytes, the content address that tasks name. :ivar card: what it is."""

    model_id: bytes
    card: ModelCard

    @property
    def name(self) -> str:
        """Its packager's word for it."""
        return self.card.name

    @property
    def width(self) -> int:
        """Default width in pixels."""
        return self.card.sizes[0][0]

    @property
    def height(self) -> int:
        """Default height in pixels."""
        return self.card.sizes[0][1]

    @property
    def default_work(self) -> Work:
        """An image at the default size and steps, of the model's first kind of work."""
        card = self.card
        return Work(card.work_kinds[0], card.default_steps, ImageDetails(self.width, self.height).encode())
