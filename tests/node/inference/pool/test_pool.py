"""The pool with the embedded model in a real process: jobs, cancelling, and lost workers."""

import io
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import trio
from PIL import Image

from node.inference.jobs.audit_job import OpenedLeaf, OpenedStep
from node.inference.jobs.job import Finished, JobRefused, Preview, Progress, WorkerError
from node.inference.packages.package import pack
from node.inference.pool.pool import open_pool
from node.inference.pool.process import LocalWorkers, Machine
from node.inference.traces.trace_file import TraceFile
from protocol.audit import SKETCH_BYTES, AuditReason
from tests.limits import CHILD_TIMEOUT_S
from tests.node.inference.builders import REPOSITORY, SETTINGS, a_job, an_audit, embedded, is_alive

PACKAGE = embedded()
pytestmark = pytest.mark.process


def job(**changes):
    return a_job(**{"model_id": PACKAGE.model_id, **changes})


async def run(pool, asked):
    async with pool.run(asked) as events:
        return [event async for event in events]


async def interrupted(pool, asked, number):
    """Run a job and send the worker a signal after the second step; whatever it raises comes out."""
    (process_id,) = pool.statistics().process_ids
    async with pool.run(asked) as events:
        async for event in events:
            if event.step == 2:
                os.kill(process_id, number)


def test_importing_the_pool_loads_neither_torch_nor_diffusers():
    check = (
        "import sys, node.inference.pool.pool, node.inference.packages.package;"
        "print(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", check],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=CHILD_TIMEOUT_S,
    ).stdout
    assert printed.strip() == "[]"


async def test_jobs_of_one_worker(tmp_path):
    """One process for several laws, since starting one takes seconds."""
    async with open_pool([PACKAGE]) as pool:
        await pool.ready()
        await _a_prompt_gives_an_image(pool)
        await _the_same_seed_gives_the_same_bytes(pool)
        await _previews_arrive(pool)
        await _refusals_cost_nothing(pool)
        await _leaving_early_cancels_and_keeps_the_worker(pool)
        await _cancelled_task_cancels_the_job(pool)
        await _jobs_queue(pool)
        await _an_audit_is_a_job_too(pool, tmp_path)
        assert pool.statistics().workers_started == 1
        assert pool.statistics().workers_lost == 0
        await _killed_worker_fails_its_job_and_is_replaced(pool)
        (process_id,) = pool.statistics().process_ids
    assert not is_alive(process_id)


async def test_two_models_take_turns_in_memory_for_one(tmp_path):
    """The second evicts the first, and the first comes back."""
    folder = tmp_path / "other"
    shutil.copytree(PACKAGE.folder, folder)
    (folder / "NOTICE").write_text("another model to the network")
    other = pack(folder, replace(SETTINGS, name="other", steps_max=PACKAGE.card.steps_max))
    async with open_pool([PACKAGE, other], LocalWorkers(Machine(memory_bytes=30_000_000))) as pool:
        for package in (PACKAGE, other, PACKAGE):
            assert isinstance((await run(pool, job(model_id=package.model_id, steps=1)))[-1], Finished)
        assert pool.statistics().workers_lost == 0


async def test_a_model_too_large_for_the_memory_is_refused_by_name():
    async with open_pool([PACKAGE], LocalWorkers(Machine(memory_bytes=20_000_000))) as pool:
        with pytest.raises(WorkerError, match="the model cuckoo-icons needs 22 MiB, and 19 MiB are free"):
            await pool.ready()


async def _a_prompt_gives_an_image(pool):
    events = await run(pool, job())
    assert [event.step for event in events[:-1]] == list(range(1, 11))
    assert all(isinstance(event, Progress) and event.steps == 10 for event in events[:-1])
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert len(set(finished.leaves)) == len(finished.leaves) == 10
    image = Image.open(io.BytesIO(finished.png))
    assert (image.format, image.size, image.mode) == ("PNG", (32, 32), "RGB")
    assert 0 < finished.seconds < 30


async def _the_same_seed_gives_the_same_bytes(pool):
    first, again, other = [(await run(pool, job(seed=seed)))[-1] for seed in (1, 1, 2)]
    assert (first.png, first.leaves, first.final_latent) == (again.png, again.leaves, again.final_latent)
    assert not set(first.leaves) & set(other.leaves)
    # The prompt decides from the first step on, but not before it.
    elsewhere = (await run(pool, job(seed=1, prompt="a cat")))[-1]
    assert elsewhere.leaves[0].latent == first.leaves[0].latent
    assert elsewhere.leaves[0].unconditional == first.leaves[0].unconditional
    assert elsewhere.leaves[0].conditional != first.leaves[0].conditional
    assert elsewhere.leaves[1].latent != first.leaves[1].latent


async def _previews_arrive(pool):
    events = await run(pool, job(preview_every_steps=4))
    previews = [event for event in events if isinstance(event, Preview)]
    assert [preview.step for preview in previews] == [4, 8]
    for preview in previews:
        assert Image.open(io.BytesIO(preview.png)).size == (32, 32)
    # Looking on changes nothing.
    assert events[-1].leaves == (await run(pool, job()))[-1].leaves


async def _refusals_cost_nothing(pool):
    before = pool.statistics()
    for changes in ({"model_id": bytes(32)}, {"width": 64}, {"steps": 1000}, {"prompt": " "}):
        with pytest.raises(JobRefused):
            await run(pool, job(**changes))
    assert pool.statistics() == before


async def _leaving_early_cancels_and_keeps_the_worker(pool):
    before = pool.statistics().jobs_cancelled
    async with pool.run(job(steps=PACKAGE.card.steps_max)) as events:
        async for event in events:
            if event.step == 3:
                break
    assert isinstance((await run(pool, job(steps=1)))[-1], Finished)
    # It said that it stopped; within a step, says the worker's own test.
    assert pool.statistics().jobs_cancelled == before + 1


async def _cancelled_task_cancels_the_job(pool):
    seen = []
    with trio.move_on_after(60) as scope:
        async with pool.run(job(steps=PACKAGE.card.steps_max)) as events:
            async for event in events:
                seen.append(event)
                if len(seen) == 2:
                    scope.cancel()
    assert scope.cancelled_caught
    assert len(seen) == 2
    assert isinstance((await run(pool, job(steps=1)))[-1], Finished)


async def _jobs_queue(pool):
    ended = []

    async def one(name):
        ended.append((await run(pool, job(job_id=name, steps=2)))[-1].job_id)

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(one, str(number))
    assert sorted(ended) == ["0", "1", "2"]
    assert pool.statistics().jobs_waiting == 0
    assert pool.statistics().jobs_running == 0


async def _killed_worker_fails_its_job_and_is_replaced(pool):
    (process_id,) = pool.statistics().process_ids
    with pytest.raises(WorkerError, match="lost"):
        await interrupted(pool, job(steps=PACKAGE.card.steps_max), signal.SIGKILL)
    assert isinstance((await run(pool, job(steps=2)))[-1], Finished)
    assert not is_alive(process_id)
    assert pool.statistics().workers_lost == 1


async def _an_audit_is_a_job_too(pool, folder):
    """Of what the same worker has made, honest and not."""
    asked = job(steps=2, trace_path=str(folder / "trace"))
    (*_, made) = await run(pool, asked)
    with TraceFile(folder / "trace") as trace:
        opened = replace(
            an_audit(0),
            image=asked,
            leaves=tuple(OpenedLeaf(step, leaf) for step, leaf in enumerate(trace.leaves)),
            steps=tuple(OpenedStep(step, *trace.tensors(step)) for step in range(2)),
            final_hash=trace.final_latent,
            final_latent=trace.final(),
            picture=made.png,
        )
    (honest,) = await run(pool, opened)
    assert (honest.job_id, honest.reason, honest.to_open) == (asked.job_id, AuditReason.NONE, ())
    assert [len(checked.sketch) for checked in honest.checked] == [SKETCH_BYTES] * 2
    (found,) = await run(pool, replace(opened, image=replace(asked, guidance_milli=3_990)))
    assert (found.reason, found.place[0].step) == (AuditReason.SCHEDULER_STEP, 0)
    unreadable = replace(asked, source_png=b"no picture")
    with pytest.raises(JobRefused):
        await run(pool, replace(opened, image=unreadable))
    assert pool.statistics().audits_finished == 2
