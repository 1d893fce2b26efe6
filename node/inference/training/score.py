"""How often the model shows what it was asked for, as a number that can go down.

Is: generated images, each compared with every icon on every background; right when the nearest one is
what the prompt named. Is not: a judgement of beauty, nor of anything outside the concept table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from node.inference.training.concepts import BACKGROUNDS, DEFAULT_BACKGROUND, captions, concepts, held_out
from node.inference.training.data import compose_all
from node.inference.training.sampling import sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Score:
    """Shares of prompts, 0 to 1. :ivar prompts: how many. :ivar missed: concepts that were wrong."""

    prompts: int
    concept: float
    background: float
    both: float
    missed: tuple[str, ...]


def nearest(
    images: NDArray[np.uint8], icons: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each image the concept and background of the training image nearest by mean square."""
    known = compose_all(icons)
    grounds = known.shape[1]
    table = known.reshape(len(icons) * grounds, -1)
    flat = (images.astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2).reshape(len(images), -1)
    # |a - b|^2 less |a|^2, which is the same for every candidate.
    distance = (table**2).sum(axis=1) - 2 * flat @ table.T
    best = distance.argmin(axis=1)
    return best // grounds, best % grounds


def score(
    pipeline: Any,
    icons: NDArray[np.float32],
    asked: Sequence[tuple[int, int]],
    prompts: Sequence[str],
) -> Score:
    """Return how many images show the concept and background that were asked for."""
    shown_concept, shown_ground = nearest(sample(pipeline, prompts), icons)
    concept = shown_concept == np.array([pair[0] for pair in asked])
    ground = shown_ground == np.array([pair[1] for pair in asked])
    names = list(concepts())
    missed = tuple(names[pair[0]] for pair, right in zip(asked, concept, strict=True) if not right)
    return Score(
        prompts=len(asked),
        concept=float(concept.mean()),
        background=float(ground.mean()),
        both=float((concept & ground).mean()),
        missed=missed,
    )


def questions(kind: str) -> tuple[list[tuple[int, int]], list[str]]:
    """Return one (concept, background) and prompt per concept; `kind` is trained, held out or bare.

    "bare" is the canonical name alone, which means the default background.
    """
    grounds = list(BACKGROUNDS)
    asked, prompts = [], []
    for index, names in enumerate(concepts().values()):
        hidden = held_out(index)
        among = sorted(hidden) if kind == "held out" else [name for name in grounds if name not in hidden]
        ground = DEFAULT_BACKGROUND if kind == "bare" else among[index % len(among)]
        asked.append((index, grounds.index(ground)))
        prompts.append(names[0] if kind == "bare" else captions(names[0], ground)[0])
    return asked, prompts


def measure(pipeline: Any, icons: NDArray[np.float32]) -> dict[str, Score]:
    """Return the score of each kind of question, at the recommended steps and guidance."""
    return {kind: score(pipeline, icons, *questions(kind)) for kind in ("trained", "held out", "bare")}
