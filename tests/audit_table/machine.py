"""`python -m tests.audit_table.machine VERB SETTING FOLDER JOBS PART`: one machine of the table.

`work` runs jobs in a setting, and audits them with the same kernels, keeping sketches and, of some, what the
denoiser said before rounding; `judge` audits all of it with other kernels, every step of every job, and
prints what it found.
"""

import itertools
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from node.inference.audit.audit import ROWS_MAX, audit, expected_outputs
from node.inference.audit.exact import ReadWork
from node.inference.audit.sketch import sketches_agree
from node.inference.audit.thresholds import class_a
from node.inference.diffusion.pipeline import Model
from tests.cheats.lazy_auditors import sketch_of
from tests.cheats.miner import draw, opened, work
from tests.node.inference.builders import a_job, a_source, embedded

SHAPE = (4, 8, 8)
COMPARED_JOBS = 8
"""Of so many jobs the numbers of both auditors are compared before rounding."""
JUDGED_TOGETHER = 5
"""Steps in one call of the auditor's denoiser: never as many as the miner had."""
PLAIN = {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}
THINGS = (
    "a red apple",
    "a cat",
    "a rocket",
    "a green apple",
    "a dog",
    "a house",
    "a sunflower",
    "a blue fish",
)
GROUNDS = ("blue", "black", "pink", "purple", "yellow", "green")


@dataclass(frozen=True)
class Setting:
    """How a miner runs. :ivar share: of the jobs that the others run."""

    name: str
    batch: int = 4
    threads: int = 1
    variables: dict = field(default_factory=dict)
    onednn: bool = True
    steps: int = 20
    schedule_steps: int = 20
    share: float = 1.0


SETTINGS = (
    Setting("alone", batch=1),
    Setting("four together"),
    Setting("eight together", batch=8),
    Setting("two threads", threads=2),
    Setting("AVX2", batch=8, variables={"ATEN_CPU_CAPABILITY": "avx2"}),
    Setting("no SIMD (ATen default, MKL SSE4.2)", variables=PLAIN),
    Setting("without oneDNN", onednn=False),
    Setting("from images, 12 of 20 steps", batch=8, steps=12),
    Setting("50 steps", batch=8, steps=50, schedule_steps=50, share=0.4),
)


def jobs_of(setting, count, part):
    """Jobs like no other setting's or part's."""
    first = 10_000 * (1 + SETTINGS.index(setting)) + part * count
    prompts = [f"{thing} on a {ground} background" for thing, ground in itertools.product(THINGS, GROUNDS)]
    return [
        a_job(
            embedded().model_id,
            job_id=str(first + number),
            seed=first + number,
            prompt=prompts[(first + number) % len(prompts)],
            steps=setting.steps,
            schedule_steps=setting.schedule_steps,
            source_png=a_source() if setting.steps < setting.schedule_steps else b"",
        )
        for number in range(count)
    ]


def outputs_of(networks, given, rows_max=ROWS_MAX):
    """The denoiser's word of all opened steps, by step, and what was opened of it."""
    read = ReadWork(given, SHAPE)
    steps = networks.replay.steps(given.job.schedule_steps, given.job.steps)
    latents = {number: row[0] for number, row in read.steps.items()}
    return read.steps, expected_outputs(networks, given, latents, steps, rows_max)


def do_work(jobs, setting, folder):
    """Work, and keep sketches by step for each job."""
    model = Model(embedded())
    sketches, kept = {}, []
    for start in range(0, len(jobs), setting.batch):
        for job, path, png in work(model, jobs[start : start + setting.batch], folder):
            path.with_suffix(".png").write_bytes(png)
            found, expected = outputs_of(model.networks, opened(job, path, png))
            sketches[job.job_id] = [
                sketch_of(number, found[number], expected[number], draw) for number in sorted(found)
            ]
            if len(kept) < COMPARED_JOBS:
                kept.append([expected[number] for number in sorted(expected)])
    (folder / "sketches.json").write_text(json.dumps(sketches))
    np.save(folder / "outputs.npy", np.array(kept))
    return {"instructions": torch.backends.cpu.get_cpu_capability(), "torch": torch.__version__}


def do_judge(jobs, _, folder):
    """Audit all of it."""
    networks = Model(embedded()).networks
    theirs = json.loads((folder / "sketches.json").read_text())
    outputs, rule = np.load(folder / "outputs.npy"), class_a().sketch
    found = {"scores": [], "findings": [], "held": 0, "sketches": 0, "distances": []}
    for place, job in enumerate(jobs):
        path = folder / f"{job.job_id}.trace"
        given = opened(job, path, path.with_suffix(".png").read_bytes())
        report = audit(networks, given, class_a(), draw, JUDGED_TOGETHER)
        found["findings"] += [str(finding) for finding in report.findings]
        found["scores"] += report.scores.values()
        mine = [report.sketches[number] for number in sorted(report.sketches)]
        found["held"] += sum(
            sketches_agree(*pair, rule) for pair in zip(mine, theirs[job.job_id], strict=True)
        )
        found["sketches"] += len(mine)
        if place < len(outputs):
            _, expected = outputs_of(networks, given, JUDGED_TOGETHER)
            for number, pair in expected.items():
                for side, right in enumerate(pair):
                    other = outputs[place][number][side]
                    found["distances"].append(float(np.linalg.norm(other - right) / np.linalg.norm(right)))
    return found


def main(verb, number, folder, count, part):
    setting = SETTINGS[int(number)]
    torch.set_num_threads(setting.threads if verb == "work" else 1)
    if verb == "work" and not setting.onednn:
        torch.backends.mkldnn.set_flags(_enabled=False)
    jobs = jobs_of(setting, int(count), int(part))
    answer = {"work": do_work, "judge": do_judge}[verb](jobs, setting, Path(folder))
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
