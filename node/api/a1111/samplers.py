"""Samplers and schedulers as the models on offer have them, by the names that clients show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from node.inference.packages.model import Model

SAMPLERS: Final = {
    "DDIMScheduler": "DDIM",
    "DPMSolverMultistepScheduler": "DPM++ 2M",
    "FlowMatchEulerDiscreteScheduler": "Euler",
}
"""A package's scheduler decides how its model samples; nothing else can be proved."""
AUTOMATIC: Final = "Automatic"


def sampler_of(model: Model) -> str:
    """The one sampler of a model."""
    return SAMPLERS.get(model.card.scheduler, model.card.scheduler)


def sampler_documents(models: Iterable[Model]) -> list[dict[str, Any]]:
    """`GET /sdapi/v1/samplers`."""
    names = sorted({sampler_of(model) for model in models})
    return [{"name": name, "aliases": [], "options": {}} for name in names]


def scheduler_documents() -> list[dict[str, Any]]:
    """`GET /sdapi/v1/schedulers`: the model's own, whatever it is."""
    document = {
        "name": AUTOMATIC.lower(),
        "label": AUTOMATIC,
        "aliases": None,
        "default_rho": -1.0,
        "need_inner_model": False,
    }
    return [document]
