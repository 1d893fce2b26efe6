"""Whether a device computes a package well enough to offer it: its honest work must never be accused.

Is: some steps of the package's default schedule, computed by the device as work is, and by the processor in
single precision as audits are. Is not: the test of the device's arithmetic alone (`device.open_device`),
which knows no network; nor a calibration, which also measures cheats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from node.inference.audit.thresholds import HONEST_PARTS
from node.inference.diffusion.checks import distance, excess
from node.inference.diffusion.device import DeviceError
from node.inference.jobs.job import ImageJob

if TYPE_CHECKING:
    from node.inference.audit.thresholds import Thresholds
    from node.inference.diffusion.networks import Networks

PROBED_STEPS: Final = 3
"""First, middle and last: so many calls of the denoiser on the processor."""
_PROMPT: Final = "a red apple on a blue background"


def worst_score(networks: Networks, reference: Networks, thresholds: Thresholds) -> float:
    """The largest score of an output that `networks` give, as an audit by `reference` would find it."""
    card = networks.package.card
    job = ImageJob(
        job_id="probe",
        model_id=networks.package.model_id,
        prompt=_PROMPT,
        negative_prompt="",
        seed=0,
        steps=card.default_steps,
        guidance_milli=card.default_guidance_milli,
        width=networks.package.width,
        height=networks.package.height,
        preview_every_steps=0,
        schedule_steps=card.default_steps,
        source_png=b"",
        trace_path="",
    )
    rows = networks.replay.steps(card.default_steps)
    asked, given = (one.encode_prompts([job]) for one in (networks, reference))
    latent, worst = networks.noise(job).astype(np.float16)[None], 0.0
    for number in np.linspace(0, len(rows) - 1, PROBED_STEPS).astype(int):
        step = rows[number]
        (found,) = networks.predict(latent, step, asked[1], asked[0])
        (expected,) = reference.outputs(latent, [step], given[1], given[0])
        for one, other in zip(found, expected, strict=True):
            if one is not None and other is not None:
                far = (
                    distance(one, other) / float(step.tolerance)
                    if thresholds.by_tolerance
                    else excess(one, other)
                )
                worst = max(worst, far)
    return worst


def require_honest(networks: Networks, reference: Networks, thresholds: Thresholds) -> None:
    """Look whether the device of `networks` may offer their package.

    :param reference: the same package in single precision on the processor.
    :raises DeviceError: it is off by more than a fifth of what accuses, or in class B by more than three
        quarters of a tolerance.
    """
    bound = thresholds.accuse_mean if thresholds.by_tolerance else thresholds.accuse_single / HONEST_PARTS
    worst = worst_score(networks, reference, thresholds)
    if not worst <= bound:
        raise DeviceError(
            f"the device computes {networks.package.name} with an error of {worst:.1e}, where {bound:.1e} is"
            " the most; its honest work could be taken for a cheat's"
        )
