"""Every cheat, made by the real model and held against the audit of it."""

import itertools

import numpy as np
import pytest
import torch

from node.inference.audit.audit import audit
from node.inference.audit.opened import Check
from node.inference.audit.thresholds import class_a
from node.inference.diffusion.checks import distance, excess, half_tensor
from node.inference.diffusion.pipeline import Model
from node.inference.diffusion.replay import FP32_TOLERANCE
from node.inference.traces.trace_file import TraceFile
from tests.cheats.catalogue import CAUGHT, NOT_CAUGHT
from tests.cheats.half_precision import HalfInHalfPrecision
from tests.cheats.miner import draw, opened, work
from tests.cheats.noise import Noise
from tests.cheats.tf32 import Tf32
from tests.node.inference.builders import a_job, a_source, embedded

STEPS = 12
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def model():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Model(embedded())
    torch.set_num_threads(threads)


def made(model, folder, cheat, *, source=False):
    """One job done by a cheat, and what an audit of all its steps finds."""
    job = a_job(
        model.networks.package.model_id,
        job_id=str(next(NUMBERS)),
        seed=7,
        steps=STEPS,
        schedule_steps=20 if source else STEPS,
        source_png=a_source() if source else b"",
    )
    (done,) = work(model, [job], folder, cheat)
    return done, audit(model.networks, opened(*done), class_a(), draw)


@pytest.mark.parametrize("entry", CAUGHT, ids=lambda entry: entry.cheat.name)
def test_attack_is_found_in_every_step_that_it_fakes(model, tmp_path, entry):
    if hasattr(entry.cheat, "steps"):
        entry.cheat.steps = STEPS
    _, report = made(model, tmp_path, entry.cheat, source=entry.source)
    seen = {finding.step for finding in report.findings if finding.check is entry.seen_by}
    # The picture and the source are of no step.
    faked = {number for number in range(STEPS) if entry.cheat.fakes(number, STEPS)} or {-1}
    assert seen == faked
    assert not report.honest


@pytest.mark.parametrize("source", [False, True])
def test_honest_work_has_no_findings(model, tmp_path, source):
    _, report = made(model, tmp_path, None, source=source)
    assert report.findings == ()
    assert report.worst < 1e-5 / 5
    assert len(report.sketches) == STEPS


@pytest.mark.parametrize("entry", NOT_CAUGHT, ids=lambda entry: entry.cheat.name)
def test_what_is_too_small_is_not_found(model, tmp_path, entry):
    """Said openly: an audit does not see these, and they gain nothing."""
    _, report = made(model, tmp_path, entry.cheat)
    assert report.honest


@pytest.mark.parametrize("cheat", [HalfInHalfPrecision(), Tf32(), Noise(1e-4)], ids=lambda cheat: cheat.name)
def test_attack_that_a_distance_of_rounded_tensors_lets_pass_is_seen_by_its_excess(model, tmp_path, cheat):
    """Rounding both sides hides a hundred times what honest machines differ by; all three were under it."""
    (job, path, _), report = made(model, tmp_path, cheat)
    prompts, negatives = model.networks.encode_prompts([job])
    rounded, found = [], []
    with TraceFile(path) as trace:
        for number, step in enumerate(model.networks.replay.steps(STEPS)):
            latent, unconditional, conditional = (
                half_tensor(part, (4, 8, 8)) for part in trace.tensors(number)
            )
            ((u, c),) = model.networks.outputs(latent[None], [step], negatives, prompts)
            for one, other in ((unconditional, u), (conditional, c)):
                rounded.append(distance(one, other.astype(np.float16)))
                found.append(excess(one, other))
    assert np.median(rounded) <= FP32_TOLERANCE
    assert min(found) > class_a().accuse_single
    assert {finding.check for finding in report.findings} == {Check.OUTPUT}
