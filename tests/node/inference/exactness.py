"""One machine of the test of exactness: `python -m tests.node.inference.exactness OUT THREADS [OTHER]`.

Runs four jobs alone and as one batch, from noise and from images, and keeps their traces and images in OUT.
With the folder OTHER of another such machine, it audits that one's work, and writes to OUT what it found as
`found.json`.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from node.inference.jobs.job import Finished
from node.inference.traces.trace_file import TraceFile
from tests.node.inference.builders import a_job, embedded

STEPS = 4
SCHEDULE_STEPS = {"noise": STEPS, "image": 6}
KINDS = ("noise-alone", "noise-batch", "image-alone", "image-batch")
"""What a job starts from, and how it is computed."""
PROMPTS = ("a red apple on a blue background", "a cat", "rocket, black background", "a green apple")


def source(number):
    """A plain PNG like no other."""
    pixels = (
        np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    )
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def jobs(folder, kind):
    start = kind.partition("-")[0]
    return [
        a_job(
            embedded().model_id,
            job_id=f"{kind}-{number}",
            prompt=prompt,
            seed=number,
            steps=STEPS,
            schedule_steps=SCHEDULE_STEPS[start],
            source_png=source(number) if start == "image" else b"",
            trace_path=str(folder / f"{kind}-{number}.trace"),
        )
        for number, prompt in enumerate(PROMPTS)
    ]


def work(model, folder):
    """Four jobs in one batch, and the same four one by one."""

    def emit(event):
        if isinstance(event, Finished):
            (folder / f"{event.job_id}.png").write_bytes(event.png)

    for start in SCHEDULE_STEPS:
        model.run(jobs(folder, f"{start}-batch"), emit, lambda _: False)
        for job in jobs(folder, f"{start}-alone"):
            model.run([job], emit, lambda _: False)


def numbers(data):
    return np.frombuffer(data, dtype="<f2").astype(np.float16)


def distance(found, expected):
    """Relative L2."""
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def audit(model, other, kind, together):
    """Largest distance of all outputs, asked one by one or together, of all images' bytes, of all sources."""
    asked = jobs(other, kind)
    prompts, negatives = model.encode_prompts(asked)
    steps = model.replay.steps(asked[0].schedule_steps, STEPS)
    traces = [TraceFile(Path(job.trace_path)) for job in asked]
    outputs, images, sources = 0.0, 0, 0.0
    groups = [list(range(4))] if together else [[place] for place in range(4)]
    for group in groups:
        for number, step in enumerate(steps):
            opened = [traces[place].tensors(number) for place in group]
            latents = np.stack([numbers(row[0]).reshape(4, 8, 8) for row in opened])
            predicted = model.predict(latents, step, negatives[group], prompts[group])
            for row, (unconditional, conditional) in zip(opened, predicted, strict=True):
                outputs = max(outputs, distance(unconditional.ravel(), numbers(row[1])))
                outputs = max(outputs, distance(conditional.ravel(), numbers(row[2])))
        finals = np.stack([numbers(traces[place].final()).reshape(4, 8, 8) for place in group])
        for place, png in zip(group, model.decode(finals), strict=True):
            images = max(images, image_distance(png, (other / f"{kind}-{place}.png").read_bytes()))
        if asked[0].source_png:
            encoded = model.encode_sources([asked[place] for place in group])
            for place, found in zip(group, encoded, strict=True):
                sources = max(sources, distance(found.ravel(), numbers(traces[place].source())))
    return outputs, images, sources


def image_distance(one, other):
    pixels = [np.asarray(Image.open(io.BytesIO(png))).astype(int) for png in (one, other)]
    return int(np.abs(pixels[0] - pixels[1]).max())


def main(out, threads, other=None):
    import torch

    from node.inference.diffusion.pipeline import Model

    torch.set_num_threads(int(threads))
    model, out = Model(embedded()), Path(out)
    work(model, out)
    if other is not None:
        found = {
            # Each kind is audited as the other was made.
            kind: audit(model.networks, Path(other), kind, together=kind.endswith("alone"))
            for kind in KINDS
        }
        document = {"found": found, "capability": torch.backends.cpu.get_cpu_capability()}
        (out / "found.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main(*sys.argv[1:])
