"""An audit of real work of the embedded model; every cheat of it is in `tests/cheats/`."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from node.inference.audit import audit as audit_module
from node.inference.audit.audit import audit
from node.inference.audit.opened import Check, Finding
from node.inference.audit.sketch import PLACES, sketches_agree
from node.inference.audit.thresholds import class_a, class_b
from node.inference.diffusion.checks import excess
from node.inference.diffusion.pipeline import Model
from protocol.trace import TraceLeaf
from tests.cheats.miner import draw, opened, work
from tests.node.inference.builders import a_job, a_source, embedded

RULE = class_a().sketch


@pytest.fixture(scope="module")
def model():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Model(embedded())
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def done(model, tmp_path_factory):
    """A job of six steps, its trace and its picture."""
    job = a_job(model.networks.package.model_id, steps=6)
    return work(model, [job], tmp_path_factory.mktemp("traces"))[0]


def test_several_steps_in_one_call_are_as_one_by_one(model):
    """Each row has a timestep of its own; the numbers are those of one call a step, kernels apart."""
    networks = model.networks
    steps = networks.replay.steps(20)
    prompts, negatives = networks.encode_prompts([a_job(networks.package.model_id)])
    latents = np.random.default_rng(1).standard_normal((20, 4, 8, 8)).astype(np.float16)
    numbers = (1, 7, 19)
    together = networks.outputs(
        latents[list(numbers)],
        [steps[number] for number in numbers],
        negatives.expand(3, *negatives.shape[1:]),
        prompts.expand(3, *prompts.shape[1:]),
    )
    for number, row in zip(numbers, together, strict=True):
        (alone,) = networks.predict(latents[number][None], steps[number], negatives, prompts)
        for one, other in zip(alone, row, strict=True):
            assert excess(one, other) < class_a().accuse_single / 5
    # They are not those of another step.
    (other,) = networks.predict(latents[1][None], steps[7], negatives, prompts)
    assert excess(other[1], together[0][1]) > 1e-3


def test_without_guidance_there_is_one_output(model, tmp_path):
    job = a_job(model.networks.package.model_id, steps=3, guidance_milli=1000)
    (own,) = work(model, [job], tmp_path)
    report = audit(model.networks, opened(*own), class_a(), draw)
    assert report.honest
    assert all(len(places) == PLACES for places in report.sketches.values())


def test_opened_steps_are_judged_and_no_others(model, done):
    report = audit(model.networks, opened(*done, numbers=(1, 4)), class_a(), draw)
    assert report.honest
    assert set(report.scores) == set(report.sketches) == {1, 4}
    assert report.to_open == ()
    assert 0 <= report.mean <= report.worst < 2e-6
    assert not report.convicts


def test_many_steps_are_asked_for_in_several_calls(model, done, monkeypatch):
    whole = audit(model.networks, opened(*done), class_a(), draw)
    parts = audit(model.networks, opened(*done), class_a(), draw, rows_max=4)
    assert parts.honest
    assert all(sketches_agree(parts.sketches[n], whole.sketches[n], RULE) for n in range(6))


def test_attack_false_work_is_named_cheapest_check_first(model, done):
    job, path, png = done
    lied = opened(replace(job, seed=8, guidance_milli=4010, prompt="a cat"), path, png, (0, 3))
    report = audit(model.networks, lied, class_a(), draw)
    kinds = [finding.check for finding in report.findings]
    assert kinds == [Check.START, Check.STEP, Check.STEP, Check.OUTPUT, Check.OUTPUT]
    assert report.to_open == (1, 4)
    assert report.convicts
    assert report.worst > 0.1


@pytest.mark.parametrize("picture", [b"", b"\x89PNG\r\n\x1a\n", a_source(64, 32)])
def test_attack_a_picture_that_is_none_is_far_off(model, done, picture):
    report = audit(model.networks, replace(opened(*done, numbers=(1,)), picture=picture), class_a(), draw)
    assert report.findings == (Finding(Check.PICTURE, amount=255.0),)


def test_attack_numbers_as_large_as_they_can_be_stop_no_auditor(model, done):
    job, path, png = done
    large = np.full((4, 8, 8), 65504, "<f2").tobytes()
    given = opened(job, path, png, (2,))
    leaves = dict(given.leaves) | {2: TraceLeaf.of(large, large, large)}
    spoilt = replace(given, leaves=leaves, tensors={2: (large, large, large)})
    report = audit(model.networks, spoilt, class_a(), draw)
    assert Check.OUTPUT in {finding.check for finding in report.findings}
    assert report.convicts


def test_attack_a_trace_without_readable_steps_is_no_honest_one(model, done):
    given = opened(*done, numbers=(2,))
    report = audit(model.networks, replace(given, tensors={2: (b"", b"", b"")}), class_a(), draw)
    assert report.findings == (Finding(Check.HASH, 2),)
    assert (report.scores, report.sketches, report.worst, report.convicts) == ({}, {}, 0.0, False)


def test_a_mean_accuses_in_class_b_where_no_step_does(model, done, monkeypatch):
    monkeypatch.setattr(audit_module, "distance", lambda found, expected: 0.9 * 5e-4)
    report = audit(model.networks, opened(*done, numbers=(1, 2)), class_b(), draw)
    assert [(finding.check, finding.step) for finding in report.findings] == [(Check.OUTPUT, 1)]
    assert report.findings[0].amount == pytest.approx(0.9)


def test_an_audit_in_half_precision_or_of_no_step_is_refused(model, done):
    given = opened(*done, numbers=(1,))
    with pytest.raises(ValueError, match=r"^no such step$"):
        audit(model.networks, replace(given, tensors={6: given.tensors[1]}), class_a(), draw)
    half = copy.copy(model.networks)
    half.precision = "fp16"
    with pytest.raises(ValueError, match=r"^audits are computed in single precision$"):
        audit(half, given, class_a(), draw)
