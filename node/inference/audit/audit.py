"""One audit: what was opened of a miner's work held against the package, in numbers.

Is: every check of `opened.Check`, cheapest first; one call of the denoiser for all opened steps, in single
precision; the sketches that show it was run. Is not: who is audited, which steps are opened, or what follows.

Faults to the last bit are found without any network, and the networks run all the same: an auditor's
sketch is of every opened step, whatever it found.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from node.inference.audit.exact import ReadWork, check_start, check_steps
from node.inference.audit.opened import Check, Finding, OpenedWork, Report
from node.inference.audit.sketch import sketch
from node.inference.diffusion.checks import distance, excess
from node.inference.diffusion.source_image import UnreadableImage, read_source
from protocol.audit import TraceTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from node.inference.audit.sketch import Draw
    from node.inference.audit.thresholds import Thresholds
    from node.inference.diffusion.networks import Networks
    from node.inference.diffusion.replay import Step

    Half = NDArray[np.float16]
    Single = NDArray[np.float32]
    Outputs = tuple[Single | None, Single]

ROWS_MAX: Final = 8
"""Most steps in one call of the denoiser; more are asked for in several, so that memory is bounded."""
PICTURE_LEVELS_MAX: Final = 1
"""Most levels of 255 by which a decoded picture may differ: one rounding of another kernel."""
PPM: Final = 1_000_000
_OUTPUTS: Final = (TraceTensor.UNCONDITIONAL, TraceTensor.CONDITIONAL)


def audit(
    networks: Networks, work: OpenedWork, thresholds: Thresholds, draw: Draw, rows_max: int = ROWS_MAX
) -> Report:
    """Check everything that was opened.

    :param networks: of the package that the task names, in single precision.
    :param draw: of the places of sketches (`sketch.Draw`).
    :param rows_max: most steps in one call of the denoiser, from 1.
    :raises ValueError: the networks are not of single precision, or a step is not one of the job's.
    :raises UnreadableImage: the source image, which the task brought and no miner made, cannot be read.
    """
    if networks.precision != "fp32":
        raise ValueError("audits are computed in single precision")
    steps = networks.replay.steps(work.job.schedule_steps, work.job.steps)
    if not all(0 <= number < len(steps) for number in (*work.tensors, *work.leaves)):
        raise ValueError("no such step")
    shape = networks.noise(work.job).shape
    read = ReadWork(work, shape)
    findings = [*read.findings, *check_start(work, read, steps[0], shape), *check_steps(work, read, steps)]
    findings += _check_source(networks, work, read.source)
    latents = {n: opened[0] for n, opened in read.steps.items()}
    outputs = expected_outputs(networks, work, latents, steps, rows_max)
    all_scores: list[float] = []
    scores, sketches = {}, {}
    for number, (_, *opened) in read.steps.items():
        # Without guidance there is no output without the prompt, neither opened nor computed.
        compared = {
            tensor: (one, other)
            for tensor, one, other in zip(_OUTPUTS, opened, outputs[number], strict=True)
            if one is not None and other is not None
        }
        found = [_score(one, other, steps[number], thresholds) for one, other in compared.values()]
        all_scores += found
        scores[number] = max(found)
        sketches[number] = sketch(number, compared, draw, own=thresholds.by_tolerance)
    mean = float(np.mean(all_scores)) if all_scores else 0.0
    findings += _check_outputs(scores, mean, thresholds)
    findings += _check_picture(networks, work, read.final)
    return Report(
        findings=tuple(findings),
        scores=scores,
        mean=mean,
        convicts=thresholds.convicts(max(scores.values(), default=0.0), mean),
        sketches=sketches,
    )


def expected_outputs(
    networks: Networks,
    work: OpenedWork,
    latents: Mapping[int, Half],
    steps: tuple[Step, ...],
    rows_max: int,
) -> dict[int, Outputs]:
    """The denoiser's outputs for opened latents, by step, not rounded; `rows_max` steps a call."""
    prompts, negatives = networks.encode_prompts([work.job])
    numbers = sorted(latents)
    found: dict[int, Outputs] = {}
    for start in range(0, len(numbers), rows_max):
        rows = numbers[start : start + rows_max]
        repeated = None if negatives is None else negatives.expand(len(rows), *negatives.shape[1:])
        outputs = networks.outputs(
            np.stack([latents[number] for number in rows]),
            [steps[number] for number in rows],
            repeated,
            prompts.expand(len(rows), *prompts.shape[1:]),
        )
        found.update(zip(rows, outputs, strict=True))
    return found


def _score(found: Half, expected: Single, step: Step, thresholds: Thresholds) -> float:
    if thresholds.by_tolerance:
        return distance(found, expected) / float(step.tolerance)
    return excess(found, expected)


def _check_outputs(scores: Mapping[int, float], mean: float, thresholds: Thresholds) -> list[Finding]:
    """Check R: each step that accuses by itself; where only the mean does, the worst of them."""
    found = [
        Finding(Check.OUTPUT, number, amount=score)
        for number, score in scores.items()
        if thresholds.accuses(score, 0.0)
    ]
    if not found and scores and thresholds.accuses(0.0, mean):
        worst = max(scores, key=lambda number: scores[number])
        return [Finding(Check.OUTPUT, worst, amount=mean)]
    return found


def _check_source(networks: Networks, work: OpenedWork, source: Half | None) -> list[Finding]:
    """Check E."""
    if source is None:
        return []
    (expected,) = networks.source_means([work.job])
    found = distance(source, expected)
    if found <= networks.replay.source_tolerance_ppm / PPM:
        return []
    return [Finding(Check.SOURCE, amount=found)]


def _check_picture(networks: Networks, work: OpenedWork, final: Half | None) -> list[Finding]:
    """Check V. A picture that cannot be read is as far off as one can be."""
    if final is None:
        return []
    (png,) = networks.decode(final[None])
    try:
        delivered = np.asarray(read_source(work.picture, work.job.width, work.job.height)).astype(np.int16)
    except UnreadableImage:
        return [Finding(Check.PICTURE, amount=255.0)]
    levels = int(np.abs(np.asarray(Image.open(io.BytesIO(png))).astype(np.int16) - delivered).max())
    return [] if levels <= PICTURE_LEVELS_MAX else [Finding(Check.PICTURE, amount=float(levels))]
