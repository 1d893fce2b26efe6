"""`python -m node.inference.calibration_machine`: one machine of a calibration, in a process of its own.

Is: a package loaded as its flags say, which works, and keeps the traces; or audits kept traces, and keeps
what its denoiser says; or, in single precision, tells how far both are off, and how far cheats are. Started
by `calibration`, which tells torch's libraries by the environment which instructions they may use. Is not: a
judge; it prints distances.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from PIL import Image

from node.inference.audit.sketch import APART_MAX, asked_about, bins_apart, positions
from node.inference.calibration_cheats import CHEATS
from node.inference.diffusion.checks import distance, excess, half_tensor
from node.inference.diffusion.device import open_device
from node.inference.diffusion.networks import Networks
from node.inference.diffusion.pipeline import Model
from node.inference.jobs.job import ImageJob
from node.inference.packages.package import load
from node.inference.traces.trace_file import TraceFile
from protocol.work import WorkKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from node.inference.diffusion.replay import Step
    from node.inference.packages.package import ModelPackage

    Half = NDArray[np.float16]
    Single = NDArray[np.float32]

OUTPUTS_NAME: Final = "outputs.npy"
EXPECTED_NAME: Final = "expected.npy"
CHEATED_JOBS: Final = 2
"""So many of the jobs are computed by each cheat: half precision takes ten times as long on a processor."""
_SOURCE_SQUARES = 8


def jobs_of(package: ModelPackage, prompts: Sequence[str], folder: Path) -> list[ImageJob]:
    """One job a prompt, of the package's defaults, seeds counting up; every second from a source image."""
    return [
        ImageJob(
            job_id=str(seed),
            model_id=package.model_id,
            prompt=prompt,
            negative_prompt="",
            seed=seed,
            steps=package.card.default_steps,
            guidance_milli=package.card.default_guidance_milli,
            width=package.width,
            height=package.height,
            preview_every_steps=0,
            schedule_steps=package.card.default_steps,
            source_png=_source(package, seed) if seed % 2 else b"",
            trace_path=str(folder / f"{seed}.trace"),
        )
        for seed, prompt in enumerate(prompts)
    ]


def _source(package: ModelPackage, seed: int) -> bytes:
    """Coloured squares, like no other seed's; none, where the package is not for images."""
    if WorkKind.IMAGE_TO_IMAGE not in package.card.work_kinds:
        return b""
    shape = (_SOURCE_SQUARES, _SOURCE_SQUARES, 3)
    colours = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    image = Image.fromarray(colours).resize((package.width, package.height), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def work(package: ModelPackage, device: torch.device, jobs: Sequence[ImageJob], batch: int) -> None:
    """Run the jobs, so many at a time."""
    model = Model(package, device)
    for start in range(0, len(jobs), batch):
        model.run(jobs[start : start + batch], lambda _: None, lambda _: False)


def opened_steps(
    networks: Networks, jobs: Sequence[ImageJob], batch: int = 1
) -> Iterator[tuple[int, list[Half], list[Single]]]:
    """Of each step of each kept trace: its number, the outputs in it, and those of `networks`, not rounded.

    :param batch: steps in one call of the denoiser.
    """
    for job in jobs:
        shape = networks.noise(job).shape
        prompts, negatives = networks.encode_prompts([job])
        steps = networks.replay.steps(job.schedule_steps, job.steps)
        with TraceFile(Path(job.trace_path)) as trace:
            parts = [filter(None, trace.tensors(number)) for number in range(len(steps))]
            rows = [[half_tensor(part, shape) for part in row] for row in parts]
        for start in range(0, len(steps), batch):
            opened, chosen = rows[start : start + batch], steps[start : start + batch]
            outputs = _outputs(networks, [row[0] for row in opened], chosen, negatives, prompts)
            for place, (row, output) in enumerate(zip(opened, outputs, strict=True)):
                yield start + place, row[1:], output


def _outputs(
    networks: Networks,
    latents: Sequence[Half],
    steps: Sequence[Step],
    negatives: torch.Tensor | None,
    prompts: torch.Tensor,
) -> list[list[Single]]:
    count = len(latents)
    found = networks.outputs(
        np.stack(latents),
        steps,
        None if negatives is None else negatives.expand(count, *negatives.shape[1:]),
        prompts.expand(count, *prompts.shape[1:]),
    )
    return [[one for one in pair if one is not None] for pair in found]


def audit(networks: Networks, jobs: Sequence[ImageJob], batch: int) -> NDArray[np.float32]:
    """The outputs for kept traces, not rounded: of all steps of all jobs, in order."""
    return np.stack([output for _, _, outputs in opened_steps(networks, jobs, batch) for output in outputs])


def compare(networks: Networks, jobs: Sequence[ImageJob]) -> dict[str, Any]:
    """How far kept traces are from single precision on the processor.

    :returns: under ``steps`` of each step the largest distance of an output, under ``excess`` the largest of
        all, under ``source`` the largest distance of a source latent.
    """
    steps, largest, source = [0.0] * jobs[0].steps, 0.0, 0.0
    for number, found, expected in opened_steps(networks, jobs):
        for one, other in zip(found, expected, strict=True):
            steps[number] = max(steps[number], distance(one, other))
            largest = max(largest, excess(one, other))
    for job in jobs:
        if job.source_png:
            (encoded,) = networks.source_means([job])
            with TraceFile(Path(job.trace_path)) as trace:
                source = max(source, distance(half_tensor(trace.source(), encoded.shape), encoded))
    return {"steps": steps, "excess": largest, "source": source}


def compare_audits(
    jobs: Sequence[ImageJob], outputs: NDArray[np.float32], expected: NDArray[np.float32], *, own: bool
) -> dict[str, Any]:
    """How far two auditors of kept traces are from each other.

    :param own: whether sketches are of the auditor's own rounding, as in class B.
    :returns: under ``excess`` the largest of the first auditor; under ``beyond`` the shares of sketched
        places that are more than 0, 1, … `APART_MAX` bins apart.
    """
    largest, beyond, places, row = 0.0, np.zeros(APART_MAX + 1), 0, 0
    for job in jobs:
        with TraceFile(Path(job.trace_path)) as trace:
            for number in range(job.steps):
                for part in filter(None, trace.tensors(number)[1:]):
                    found, one, other = half_tensor(part, outputs.shape[1:]), outputs[row], expected[row]
                    asked, row = asked_about(found), row + 1
                    bins = [positions(found, numbers, own=own)[asked] for numbers in (one, other)]
                    apart = bins_apart(*bins, circular=own)
                    beyond += [(apart > bound).sum() for bound in range(APART_MAX + 1)]
                    places += apart.size
                    largest = max(largest, excess(found, one))
    return {"excess": largest, "beyond": (beyond / places).tolist()}


def cheats(networks: Networks, reference: Networks, jobs: Sequence[ImageJob]) -> list[dict[str, Any]]:
    """How near the outputs of cheats are to single precision.

    :param networks: in the package's own precision; they are what cheats alter.
    :returns: of each its ``name``, under ``excess`` its least, under ``steps`` the least distance of each.
    """
    expected = [outputs for _, _, outputs in opened_steps(reference, jobs)]
    found = []
    for name, change in CHEATS[networks.precision].items():
        least, steps = float("inf"), [float("inf")] * jobs[0].steps
        calls = opened_steps(networks.altered(change), jobs)
        for (number, _, outputs), right in zip(calls, expected, strict=True):
            for one, other in zip(outputs, right, strict=True):
                half = one.astype(np.float16)
                least = min(least, excess(half, other))
                steps[number] = min(steps[number], distance(half, other))
        found.append({"name": name, "excess": least, "steps": steps})
    return found


def run(arguments: argparse.Namespace, package: ModelPackage) -> dict[str, Any]:
    """Do as the command line says."""
    folder, reference = arguments.folder, arguments.reference
    jobs, kept = (jobs_of(package, arguments.prompts, place) for place in (folder, reference))
    if arguments.verb == "work":
        device = open_device(arguments.device).torch_device
        work(package, device, jobs, arguments.batch)
        outputs = audit(Networks(package, device, precision="fp32"), kept, arguments.batch)
        np.save(folder / OUTPUTS_NAME, outputs)
        return {"torch": torch.__version__, "instructions": torch.backends.cpu.get_cpu_capability()}
    networks = Networks(package, precision="fp32")
    if arguments.verb == "cheats":
        return {"cheats": cheats(Networks(package), networks, kept[:CHEATED_JOBS])}
    if not (reference / EXPECTED_NAME).exists():
        np.save(reference / EXPECTED_NAME, audit(networks, kept, 1))
    outputs, expected = np.load(folder / OUTPUTS_NAME), np.load(reference / EXPECTED_NAME)
    own = package.card.precision_class == "B"
    return compare(networks, jobs) | {"auditor": compare_audits(kept, outputs, expected, own=own)}


def main() -> None:
    """Read the command line, and print what was found as the last line."""
    parser = argparse.ArgumentParser(description="One machine of a calibration; started by it, not by hand.")
    parser.add_argument("verb", choices=("work", "compare", "cheats"))
    parser.add_argument("package", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reference", type=Path, required=True, help="folder of the traces that all audit")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--no-onednn", action="store_true")
    parser.add_argument("--prompts", nargs="+", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.no_onednn:
        torch.backends.mkldnn.set_flags(_enabled=False)
    # The last line is for `calibration`; libraries may have printed before.
    sys.stdout.write(json.dumps(run(arguments, load(arguments.package))) + "\n")


if __name__ == "__main__":
    main()
