"""`python -m node.inference.calibration_machine`: one machine of a calibration, in a process of its own.

Is: a package loaded as its flags say, which either works, and keeps the traces, or computes the kept traces
again in single precision and tells how far they are off. Started by `calibration`, which tells torch's
libraries by the environment which instructions they may use. Is not: a judge; what it prints are distances.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from node.inference.diffusion.checks import distance, half_tensor
from node.inference.diffusion.device import open_device
from node.inference.diffusion.networks import Networks
from node.inference.diffusion.pipeline import Model
from node.inference.jobs.job import ImageJob
from node.inference.packages.package import load
from node.inference.traces.trace_file import TraceFile
from protocol.work import WorkKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.inference.packages.package import ModelPackage

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


def compare(package: ModelPackage, jobs: Sequence[ImageJob]) -> dict[str, Any]:
    """How far the kept traces are from single precision on the processor.

    :returns: under ``steps`` of each step the largest distance of an output, under ``source`` of a source
        latent.
    """
    networks = Networks(package, precision="fp32")
    steps, source = [0.0] * package.card.default_steps, 0.0
    for job in jobs:
        shape = networks.noise(job).shape
        prompts, negatives = networks.encode_prompts([job])
        with TraceFile(Path(job.trace_path)) as trace:
            if job.source_png:
                (encoded,) = networks.encode_sources([job])
                source = max(source, distance(half_tensor(trace.source(), shape), encoded))
            for number, step in enumerate(networks.replay.steps(job.schedule_steps, job.steps)):
                latent, unconditional, conditional = trace.tensors(number)
                given = half_tensor(latent, shape)[None]
                ((expected_u, expected_c),) = networks.predict(given, step, negatives, prompts)
                found = [distance(half_tensor(conditional, shape), expected_c)]
                if expected_u is not None:
                    found.append(distance(half_tensor(unconditional, shape), expected_u))
                steps[number] = max(steps[number], *found)
    return {"steps": steps, "source": source}


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(description="One machine of a calibration; started by it, not by hand.")
    parser.add_argument("verb", choices=("work", "compare"))
    parser.add_argument("package", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--prompts", nargs="+", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    package = load(arguments.package)
    jobs = jobs_of(package, arguments.prompts, arguments.folder)
    if arguments.verb == "work":
        device = open_device(arguments.device).torch_device
        work(package, device, jobs, arguments.batch)
        answer: dict[str, Any] = {
            "torch": torch.__version__,
            "instructions": torch.backends.cpu.get_cpu_capability(),
        }
    else:
        answer = compare(package, jobs)
    # The last line is for `calibration`; libraries may have printed before.
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
