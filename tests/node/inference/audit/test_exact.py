"""The exact checks of opened work, without torch: honest traces fit, one changed number never does."""

from dataclasses import replace

import numpy as np
import pytest

from node.inference.audit.exact import ReadWork, check_start, check_steps
from node.inference.audit.opened import Check, Finding, OpenedWork
from node.inference.diffusion.checks import first_latent, next_latent
from node.inference.diffusion.replay import REPLAY_NAME, read_replay
from protocol.audit import TraceTensor
from protocol.tensor import NO_TENSOR, tensor_hash
from protocol.trace import TraceLeaf
from tests.node.inference.builders import EMBEDDED_FOLDER, a_job, a_source

REPLAY = read_replay(EMBEDDED_FOLDER / REPLAY_NAME)
SHAPE = (4, 8, 8)
STEPS = 5
ONE_STEP = REPLAY.steps(8, STEPS)
LOOKING_BACK = {"latent_before": np.float32(0.25), "output_before": np.float32(-0.5)}
TWO_STEP = tuple(replace(step, **LOOKING_BACK) for step in ONE_STEP)


def data(tensor):
    return b"" if tensor is None else tensor.astype("<f2").tobytes()


def a_work(steps, *, guided=True, source=False, numbers=range(STEPS), change=None):
    """Opened work of random outputs, whose latents follow; `change` is made before it is committed."""
    job = a_job(
        bytes(32),
        seed=3,
        steps=STEPS,
        schedule_steps=8,
        guidance_milli=4000 if guided else 1000,
        source_png=a_source() if source else b"",
    )
    rng = np.random.default_rng(1)
    encoded = rng.standard_normal(SHAPE).astype(np.float16) if source else None
    latents, opened, before = [first_latent(steps[0], job.seed, SHAPE, encoded)], [], None
    for step in steps:
        u, c = (rng.standard_normal(SHAPE).astype(np.float16) for _ in range(2))
        opened.append((latents[-1], u if guided else None, c))
        latents.append(next_latent(step, opened[-1], before, job.guidance_milli))
        before = opened[-1]
    if change:
        change(latents, opened)
    tensors = [(data(latents[n]), data(u), data(c)) for n, (_, u, c) in enumerate(opened)]
    leaves = [TraceLeaf.of(*row) for row in tensors]
    return OpenedWork(
        job=job,
        leaves={n: leaves[n] for n in {0, *numbers, *(n + 1 for n in numbers)} if n < STEPS},
        final_hash=tensor_hash(data(latents[-1])),
        source_hash=tensor_hash(data(encoded)) if source else NO_TENSOR,
        tensors={number: tensors[number] for number in numbers},
        final_latent=data(latents[-1]),
        source_latent=data(encoded),
        picture=b"",
    )


def findings(work, steps):
    read = ReadWork(work, SHAPE)
    return [*read.findings, *check_start(work, read, steps[0], SHAPE), *check_steps(work, read, steps)]


@pytest.mark.parametrize("steps", [ONE_STEP, TWO_STEP], ids=["one step", "two steps"])
@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize("source", [True, False])
@pytest.mark.parametrize("numbers", [range(STEPS), (0,), (2,), (4,), (1, 2, 4)])
def test_honest_work_fits(steps, guided, source, numbers):
    assert findings(a_work(steps, guided=guided, source=source, numbers=numbers), steps) == []


def nudge(which, number):
    def change(latents, opened):
        latents[which] = latents[which].copy()
        latents[which].flat[number] += np.float16(0.01)

    return change


@pytest.mark.parametrize("steps", [ONE_STEP, TWO_STEP], ids=["one step", "two steps"])
def test_attack_one_number_of_a_latent_is_named(steps):
    work = a_work(steps, change=nudge(0, 17))
    assert Finding(Check.START, 0, 17) in findings(work, steps)
    for number in range(STEPS):
        found = findings(a_work(steps, change=nudge(number + 1, 100)), steps)
        assert found[0] == Finding(Check.STEP, number, 100)


def test_attack_what_is_known_by_its_hash_alone_has_to_be_opened():
    work = a_work(ONE_STEP, numbers=(2,), change=nudge(3, 5))
    assert findings(work, ONE_STEP) == [Finding(Check.STEP, 2)]
    more = a_work(ONE_STEP, numbers=(2, 3), change=nudge(3, 5))
    assert Finding(Check.STEP, 2, 5) in findings(more, ONE_STEP)


def test_a_zero_of_the_other_sign_is_no_fault():
    """A step that leads to zeros; the trace has them with the other sign, and so another hash."""

    def still(latents, opened):
        latents[-2] = latents[-2].copy()
        latents[-2].flat[:8] = 0
        opened[-1] = (latents[-2], np.zeros(SHAPE, np.float16), np.zeros(SHAPE, np.float16))
        honest = next_latent(ONE_STEP[-1], opened[-1], opened[-2], 4000)
        latents[-1] = np.where(honest == 0, -honest, honest)
        assert tensor_hash(data(latents[-1])) != tensor_hash(data(honest))

    # Only the step before, which does not lead to the changed latent, is wrong.
    found = findings(a_work(ONE_STEP, change=still), ONE_STEP)
    assert [finding.step for finding in found] == [3]


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_attack_a_number_that_is_none_is_a_fault_of_its_own(number):
    def spoil(latents, opened):
        opened[2][2].flat[9] = number

    found = findings(a_work(ONE_STEP, change=spoil), ONE_STEP)
    assert found == [Finding(Check.FINITE, 2, 9, TraceTensor.CONDITIONAL)]

    def spoil_end(latents, opened):
        latents[-1] = latents[-1].copy()
        latents[-1].flat[4] = number

    found = findings(a_work(ONE_STEP, change=spoil_end), ONE_STEP)
    assert found == [Finding(Check.FINITE, -1, 4), Finding(Check.STEP, STEPS - 1)]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"final_latent": bytes(512)}, Finding(Check.HASH)),
        ({"final_latent": b""}, Finding(Check.HASH)),
        ({"final_latent": bytes(3)}, Finding(Check.HASH)),
        ({"final_latent": bytes(6), "final_hash": tensor_hash(bytes(6))}, Finding(Check.HASH)),
        ({"source_hash": bytes(32)}, Finding(Check.HASH, tensor=TraceTensor.SOURCE)),
    ],
)
def test_attack_what_is_not_under_its_hash_or_of_another_size(change, finding):
    assert finding in findings(replace(a_work(ONE_STEP), **change), ONE_STEP)


def test_attack_tensors_of_another_step_or_size():
    work = a_work(ONE_STEP)
    swapped = dict(work.tensors) | {1: work.tensors[2]}
    assert Finding(Check.HASH, 1) in findings(replace(work, tensors=swapped), ONE_STEP)
    short = tuple(part[:-2] for part in work.tensors[1])
    leaves = dict(work.leaves) | {1: TraceLeaf.of(*short)}
    found = findings(replace(work, tensors=dict(work.tensors) | {1: short}, leaves=leaves), ONE_STEP)
    assert Finding(Check.HASH, 1) in found


def test_attack_an_output_without_the_prompt_where_there_is_none():
    work = a_work(ONE_STEP, guided=False)
    more = (work.tensors[1][0], work.tensors[1][2], work.tensors[1][2])
    leaves = dict(work.leaves) | {1: TraceLeaf.of(*more)}
    found = findings(replace(work, tensors=dict(work.tensors) | {1: more}, leaves=leaves), ONE_STEP)
    assert Finding(Check.HASH, 1, tensor=TraceTensor.UNCONDITIONAL) in found


def test_attack_no_output_without_the_prompt_where_there_must_be_one():
    work = a_work(ONE_STEP)
    less = (work.tensors[1][0], b"", work.tensors[1][2])
    leaves = dict(work.leaves) | {1: TraceLeaf.of(*less)}
    found = findings(replace(work, tensors=dict(work.tensors) | {1: less}, leaves=leaves), ONE_STEP)
    assert Finding(Check.HASH, 1, tensor=TraceTensor.UNCONDITIONAL) in found


def test_attack_a_source_latent_without_a_source_or_not_its_own():
    work = a_work(ONE_STEP, source=True)
    found = findings(replace(work, source_latent=bytes(512)), ONE_STEP)
    assert found == [Finding(Check.HASH, tensor=TraceTensor.SOURCE)]
