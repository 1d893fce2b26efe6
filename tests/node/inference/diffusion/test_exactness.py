"""What an auditor on another kind of machine finds in honest work.

Machines are processes whose libraries are told to use other instruction sets and numbers of threads. S, the
initial latent, and X, the scheduler's steps, must agree to the last bit; R, the networks' outputs, within the
step's tolerance, and so E, what a source image is encoded to; the image within 1 of 255.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from node.inference.diffusion.prng import initial_latent
from node.inference.diffusion.replay import REPLAY_NAME, advance, guide, noised, read_replay
from node.inference.traces.trace_file import TraceFile
from protocol.tensor import tensor_hash
from protocol.trace import TraceLeaf
from tests.node.inference.builders import EMBEDDED_FOLDER, REPOSITORY
from tests.node.inference.exactness import KINDS, STEPS, distance, image_distance, jobs, numbers

pytestmark = pytest.mark.process
TIMEOUT_S = 300
REPLAY = read_replay(EMBEDDED_FOLDER / REPLAY_NAME)
TOLERANCE = float(REPLAY.table[0, -1])
SOURCE_TOLERANCE = REPLAY.source_tolerance_ppm / 1e6
AUDITORS = {
    "DEFAULT": ({"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}, 2),
    "AVX2": ({"ATEN_CPU_CAPABILITY": "avx2"}, 1),
}
"""By what torch calls the instruction set: variables and threads."""


def start(folder, variables, threads, *other):
    folder.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "tests.node.inference.exactness", str(folder), str(threads), *map(str, other)],
        cwd=REPOSITORY,
        # Threads that spin while they wait for each other would take minutes on a busy machine.
        env=os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"} | variables,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The miner's folder, and one for each auditor, who audits the miner and does the same work itself."""
    root = tmp_path_factory.mktemp("exactness")
    miner = root / "miner"
    assert start(miner, {}, 1).wait(TIMEOUT_S) == 0
    processes = [start(root / name, *auditor, miner) for name, auditor in AUDITORS.items()]
    assert [process.wait(TIMEOUT_S) for process in processes] == [0] * len(processes)
    return [miner, *(root / name for name in AUDITORS)]


def traces(folder, how=""):
    return [job for kind in KINDS if kind.endswith(how) for job in jobs(folder, kind)]


def test_initial_latents_follow_from_seed_and_source_to_the_last_bit(folders):
    for folder in folders:
        for job in traces(folder):
            with TraceFile(folder / job.trace_path) as trace:
                expected = initial_latent(job.seed, (4, 8, 8))
                if job.source_png:
                    first = REPLAY.steps(job.schedule_steps, STEPS)[0]
                    assert first.source > 0.1
                    expected = noised(first, numbers(trace.source()).reshape(4, 8, 8), expected)
                assert trace.leaves[0].latent == tensor_hash(expected.astype("<f2").tobytes())


def test_steps_of_the_scheduler_follow_from_the_opened_values_to_the_last_bit(folders):
    """Computed here without torch, and compared by hash alone."""
    checked = 0
    for folder in folders:
        for job in traces(folder):
            with TraceFile(folder / job.trace_path) as trace:
                hashes = [leaf.latent for leaf in trace.leaves[1:]] + [trace.final_latent]
                before = None
                for number, step in enumerate(REPLAY.steps(job.schedule_steps, STEPS)):
                    latent, unconditional, conditional = (numbers(part) for part in trace.tensors(number))
                    output = guide(unconditional, conditional, job.guidance_milli)
                    moved = advance(step, latent, output, before)
                    assert tensor_hash(moved.tobytes()) == hashes[number]
                    before, checked = (latent, output), checked + 1
    assert checked == len(folders) * 16 * STEPS


@pytest.mark.parametrize("name", AUDITORS)
def test_outputs_are_within_the_tolerance_and_images_within_one_of_255(folders, name):
    document = json.loads((folders[0].parent / name / "found.json").read_text())
    assert document["capability"] == name
    assert set(document["found"]) == set(KINDS)
    for asked, (outputs, pixels, sources) in document["found"].items():
        assert outputs <= TOLERANCE, (asked, outputs)
        assert pixels <= 1, (asked, pixels)
        assert sources <= (SOURCE_TOLERANCE if asked.startswith("image") else 0), (asked, sources)


def test_the_machines_differ(folders):
    """Else no tolerance was needed. On some processors one of them may well be as the miner."""
    documents = [json.loads((folders[0].parent / name / "found.json").read_text()) for name in AUDITORS]
    for asked in KINDS:
        outputs, _, sources = map(
            max, zip(*(document["found"][asked] for document in documents), strict=True)
        )
        assert outputs > 0, asked
        assert (sources > 0) == asked.startswith("image"), asked


def test_computed_together_is_as_good_as_alone(folders):
    """Batches change last bits, no more than another machine does."""
    miner = folders[0]
    for alone, batch in zip(traces(miner, "alone"), traces(miner, "batch"), strict=True):
        with TraceFile(miner / alone.trace_path) as one, TraceFile(miner / batch.trace_path) as other:
            # Sources are encoded one by one whatever is computed together.
            assert one.leaves[0].latent == other.leaves[0].latent
            assert distance(numbers(one.final()), numbers(other.final())) <= TOLERANCE
        pngs = [(miner / f"{job.job_id}.png").read_bytes() for job in (alone, batch)]
        assert image_distance(*pngs) <= 1


def test_the_checks_can_fail(folders):
    """Guidance a hair off, another seed, an output of other weights: each is seen."""
    job = jobs(folders[0], "noise-alone")[0]
    with TraceFile(folders[0] / job.trace_path) as trace:
        latent, unconditional, conditional = (numbers(part) for part in trace.tensors(0))
        step = REPLAY.steps(STEPS)[0]
        other = guide(unconditional, conditional, job.guidance_milli - 50)
        assert tensor_hash(advance(step, latent, other, None).tobytes()) != trace.leaves[1].latent
        another = initial_latent(job.seed + 1, (4, 8, 8)).astype("<f2").tobytes()
        assert tensor_hash(another) != trace.leaves[0].latent
        noise = 1 + 1e-3 * np.sign(np.sin(np.arange(conditional.size)))
        assert distance((conditional.astype(np.float32) * noise).astype(np.float16), conditional) > TOLERANCE
        assert TraceLeaf.of(*trace.tensors(0)) == trace.leaves[0]
