"""What the pool makes of workers that hang, die, lie or do not start: a fake model, real processes."""

import os
import shutil
import signal
from dataclasses import replace

import pytest
import trio
import trio.testing

from node.inference.jobs.job import OUT_OF_MEMORY, Failed, Finished, JobRefused, Progress, WorkerError
from node.inference.pool import pool as subject
from node.inference.pool import process, waiting
from node.inference.pool.pool import WORKERS_MAX, open_pool
from node.inference.pool.process import LocalWorkers, Machine
from node.inference.pool.tickets import EVENTS_BUFFERED_MAX, RUNS_MAX
from node.inference.worker.work_memory import NO_ROOM
from tests.limits import HANG_S
from tests.node.inference.builders import a_job, embedded, is_alive, with_card
from tests.node.inference.fake_worker import STEP_SECONDS

PACKAGE = embedded()
REAL_WORKER = process.WORKER_MODULE
pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def _fake_worker(monkeypatch):
    monkeypatch.setattr(process, "WORKER_MODULE", "tests.node.inference.fake_worker")


def job(**changes):
    return a_job(**{"model_id": PACKAGE.model_id, **changes})


async def run(pool, asked):
    async with pool.run(asked) as events:
        return [event async for event in events]


async def test_job():
    async with open_pool([PACKAGE]) as pool:
        events = await run(pool, job(steps=3))
    assert [type(event) for event in events] == [Progress] * 3 + [Finished]


@pytest.mark.parametrize("prompt", ["die 2", "raise 2"])
async def test_worker_that_dies_fails_its_job_alone(prompt):
    async with open_pool([PACKAGE]) as pool:
        with pytest.raises(WorkerError, match="lost"):
            await run(pool, job(prompt=prompt))
        assert isinstance((await run(pool, job()))[-1], Finished)
        assert pool.statistics().workers_lost == 1


async def test_hung_worker_is_replaced():
    async with open_pool([PACKAGE], silence_seconds_max=0.5) as pool:
        await pool.ready()
        (process_id,) = pool.statistics().process_ids
        with pytest.raises(WorkerError, match="hung"):
            await run(pool, job(prompt="hang 2"))
        assert isinstance((await run(pool, job()))[-1], Finished)
        assert not is_alive(process_id)


async def test_worker_that_ignores_a_cancellation_is_killed(monkeypatch):
    monkeypatch.setattr(subject, "CANCEL_SECONDS_MAX", 0.2)
    async with open_pool([PACKAGE]) as pool:
        async with pool.run(job(prompt="hang 1")) as events:
            await anext(events)
        assert isinstance((await run(pool, job()))[-1], Finished)
        assert pool.statistics().workers_lost == 1


async def test_idle_worker_that_dies_is_replaced_before_anybody_asks():
    async with open_pool([PACKAGE]) as pool:
        await pool.ready()
        (process_id,) = pool.statistics().process_ids
        os.kill(process_id, signal.SIGKILL)
        with trio.fail_after(HANG_S):
            while pool.statistics().workers_started == 1:
                await trio.testing.wait_all_tasks_blocked(0.05)
            await pool.ready()
        assert not is_alive(process_id)


async def test_prints_of_a_library_do_not_disturb_the_frames():
    async with open_pool([PACKAGE]) as pool:
        assert isinstance((await run(pool, job(prompt="print 1")))[-1], Finished)
        assert pool.statistics().workers_lost == 0


async def test_leaving_early_cancels_and_keeps_the_worker():
    async with open_pool([PACKAGE]) as pool:
        async with pool.run(job(steps=100)) as events:
            await anext(events)
        assert isinstance((await run(pool, job(steps=1)))[-1], Finished)
        statistics = pool.statistics()
        assert (statistics.jobs_cancelled, statistics.workers_started) == (1, 1)


async def test_same_name_may_run_again_after_it_was_cancelled():
    async with open_pool([PACKAGE]) as pool:
        async with pool.run(job(steps=100)) as events:
            await anext(events)
        assert isinstance((await run(pool, job(steps=2)))[-1], Finished)


async def test_slow_reader_loses_progress_but_never_the_end_and_nobody_waits_for_it():
    async with open_pool([PACKAGE]) as pool, pool.run(job(steps=100)) as events:
        with trio.fail_after(HANG_S):
            while not pool.statistics().jobs_finished:
                await trio.sleep(0.01)
        read = [event async for event in events]
        assert [event.step for event in read[:-1]] == list(range(1, EVENTS_BUFFERED_MAX + 1))
        assert isinstance(read[-1], Finished)
        assert pool.statistics().events_dropped == 100 - EVENTS_BUFFERED_MAX


async def test_workers_run_side_by_side():
    one, other = job(steps=100), job(steps=99)
    async with open_pool([PACKAGE], workers=2) as pool, pool.run(one) as first, pool.run(other) as second:
        await anext(first)
        await anext(second)
        assert pool.statistics().jobs_running == 2


async def test_waiting_jobs_of_one_shape_are_one_batch_and_each_has_its_own_events():
    async with open_pool([PACKAGE]) as pool, trio.open_nursery() as nursery:
        ended = {}

        async def one(name, steps):
            events = await run(pool, job(job_id=name, steps=steps))
            ended[name] = [event.step for event in events[:-1]], type(events[-1])

        for number in range(4):
            nursery.start_soon(one, str(number), 5)
        nursery.start_soon(one, "other", 6)
    assert ended == {str(number): ([1, 2, 3, 4, 5], Finished) for number in range(4)} | {
        "other": ([1, 2, 3, 4, 5, 6], Finished)
    }
    assert (pool.statistics().batches, pool.statistics().jobs_running) == (2, 0)


async def test_cancelled_in_a_batch_leaves_the_others_untouched():
    async with open_pool([PACKAGE]) as pool:
        await pool.ready()
        async with pool.run(job(job_id="stays", steps=30)) as stays:
            async with pool.run(job(job_id="leaves", steps=30)) as leaves:
                await anext(leaves)
            events = [event async for event in stays]
        assert [event.step for event in events[:-1]] == list(range(1, 31))
        assert isinstance(events[-1], Finished)
        statistics = pool.statistics()
        assert (statistics.batches, statistics.jobs_cancelled, statistics.jobs_finished) == (1, 1, 1)
        assert statistics.workers_started == 1


async def test_a_worker_lost_in_a_batch_fails_all_its_jobs():
    async with open_pool([PACKAGE]) as pool:
        await pool.ready()
        async with (
            pool.run(job(job_id="one", prompt="die 2")) as one,
            pool.run(job(job_id="other")) as other,
        ):
            for events in (one, other):
                with pytest.raises(WorkerError, match="lost"):
                    _ = [event async for event in events]
        assert pool.statistics().jobs_running == 0
        assert isinstance((await run(pool, job()))[-1], Finished)


async def test_out_of_memory_fails_what_is_left_restarts_the_worker_and_makes_batches_smaller():
    async with open_pool([PACKAGE]) as pool:
        await pool.ready()
        async with trio.open_nursery() as nursery:
            ended = []

            async def one(name, prompt):
                ended.append((await run(pool, job(job_id=name, prompt=prompt)))[-1])

            for number in range(4):
                nursery.start_soon(one, str(number), "swallow 2" if number == 2 else "fine")
        assert {(event.reason, event.retryable) for event in ended} == {(OUT_OF_MEMORY, True)}
        assert sorted(event.job_id for event in ended) == ["0", "1", "2", "3"]
        batches = pool.statistics().batches
        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(one, f"again {number}", "fine")
        assert sum(isinstance(event, Finished) for event in ended) == 4
        assert pool.statistics().batches == batches + 2
        assert pool.statistics().workers_lost == 1


async def all_ready(pool, workers):
    with trio.fail_after(HANG_S):
        while pool.statistics().workers_ready < workers:
            await trio.sleep(0.01)


async def test_jobs_of_one_shape_use_all_free_workers():
    async with open_pool([PACKAGE], workers=2) as pool, trio.open_nursery() as nursery:
        await all_ready(pool, 2)
        for number in range(4):
            nursery.start_soon(run, pool, job(job_id=str(number), steps=20))
        with trio.fail_after(HANG_S):
            while pool.statistics().jobs_running < 4:
                await trio.sleep(0.005)
        assert pool.statistics().batches == 2


async def test_jobs_of_a_lost_worker_run_again_on_another_and_progress_goes_forward_only():
    async with open_pool([PACKAGE], workers=2) as pool, trio.open_nursery() as nursery:
        await all_ready(pool, 2)
        ended = {}

        async def one(name):
            events = []
            async with pool.run(job(job_id=name, steps=PACKAGE.card.steps_max)) as given:
                async for event in given:
                    events.append(event)
                    if name == "0" and len(events) == 2:
                        assert pool.statistics().jobs_running == 4
                        os.kill(pool.statistics().process_ids[0], signal.SIGKILL)
            ended[name] = events

        for number in range(4):
            nursery.start_soon(one, str(number))
    assert len(ended) == 4
    for events in ended.values():
        steps = [event.step for event in events[:-1]]
        assert steps == sorted(set(steps))
        assert isinstance(events[-1], Finished)
    statistics = pool.statistics()
    assert (statistics.jobs_finished, statistics.jobs_run_again, statistics.workers_lost) == (4, 2, 1)


async def test_a_job_that_kills_workers_is_given_up_and_takes_nobody_along():
    async with open_pool([PACKAGE], workers=3) as pool, trio.open_nursery() as nursery:
        await all_ready(pool, 3)
        ended = {}

        async def one(name, prompt):
            try:
                ended[name] = type((await run(pool, job(job_id=name, prompt=prompt)))[-1])
            except WorkerError:
                ended[name] = WorkerError

        for number in range(6):
            nursery.start_soon(one, str(number), "die 3" if number == 0 else "fine")
    assert ended == {"0": WorkerError} | {str(number): Finished for number in range(1, 6)}
    # Fewer if no other worker happened to be ready; the last may not be counted yet.
    assert pool.statistics().workers_lost <= RUNS_MAX


async def test_a_batch_too_large_for_memory_runs_again_in_smaller_ones():
    """The first worker to be asked has not memory enough for more than two jobs at a time."""
    async with open_pool([PACKAGE], workers=2) as pool, pool.run(job(prompt="hang 1", steps=9)) as busy:
        await all_ready(pool, 2)
        await anext(busy)
        async with trio.open_nursery() as nursery:
            ended = []

            async def one(name):
                ended.append((await run(pool, job(job_id=name, prompt="crowd 2")))[-1])

            for number in range(4):
                nursery.start_soon(one, str(number))
        assert [type(event) for event in ended] == [Finished] * 4
        assert pool.statistics().jobs_run_again == 4
        assert pool.statistics().jobs_failed == 0


async def test_what_does_not_fit_together_runs_apart_and_what_does_not_fit_is_refused():
    async with open_pool([PACKAGE]) as pool:
        for room, ends in (2, Finished), (0, Failed):
            await run(pool, job(prompt=f"room {room}", steps=1))
            async with trio.open_nursery() as nursery:
                ended = []

                async def one(name, ended=ended):
                    ended.append((await run(pool, job(job_id=name, steps=2)))[-1])

                for number in range(5):
                    nursery.start_soon(one, str(number))
            assert [type(event) for event in ended] == [ends] * 5
        assert {(event.reason, event.retryable) for event in ended} == {(NO_ROOM, True)}
        assert pool.statistics().workers_lost == 0


async def test_a_pool_rests_when_it_is_idle_and_wakes_for_a_job():
    async with open_pool([PACKAGE], workers=2) as pool:
        await all_ready(pool, 2)
        async with pool.run(job(steps=20)) as events:
            await anext(events)
            pool.rest()
            # What was begun is finished.
            assert isinstance([event async for event in events][-1], Finished)
        assert pool.statistics().workers_ready == 2
        process_ids = pool.statistics().process_ids
        pool.rest()
        with trio.fail_after(HANG_S):
            while pool.statistics().process_ids:
                await trio.sleep(0.01)
        assert not any(map(is_alive, process_ids))
        assert (pool.statistics().workers_ready, pool.statistics().workers_lost) == (0, 0)
        assert isinstance((await run(pool, job()))[-1], Finished)
        pool.rest()
        pool.wake()
        await all_ready(pool, 1)


async def test_a_pace_leaves_the_machine_time(monkeypatch):
    half = LocalWorkers(Machine(work_percent=50, niceness=19))
    async with open_pool([PACKAGE], half) as pool:
        await pool.ready()
        (process_id,) = pool.statistics().process_ids
        assert os.getpriority(os.PRIO_PROCESS, process_id) == 19
        started = trio.current_time()
        assert isinstance((await run(pool, job(steps=20)))[-1], Finished)
        assert trio.current_time() - started > 2 * 20 * STEP_SECONDS


async def test_cancelled_while_waiting_was_never_taken():
    async with open_pool([PACKAGE]) as pool, pool.run(job(steps=50)) as events:
        await anext(events)
        with trio.move_on_after(0.05) as scope:
            await run(pool, job(job_id="waits"))
        assert scope.cancelled_caught
        assert isinstance([event async for event in events][-1], Finished)
        assert pool.statistics().jobs_cancelled == 0
        assert pool.statistics().jobs_waiting == 0


async def test_too_many_waiting_jobs_are_refused(monkeypatch):
    monkeypatch.setattr(waiting, "JOBS_WAITING_MAX", 1)
    async with (
        open_pool([PACKAGE]) as pool,
        pool.run(job(steps=100)) as events,
        trio.open_nursery() as nursery,
    ):
        await anext(events)
        nursery.start_soon(run, pool, job(job_id="waits"))
        with trio.fail_after(HANG_S):
            while not pool.statistics().jobs_waiting:
                await trio.lowlevel.checkpoint()
        with pytest.raises(JobRefused, match="too many jobs"):
            await run(pool, job(job_id="refused"))
        nursery.cancel_scope.cancel()


async def test_failed_is_an_answer_not_an_error():
    """A worker refuses what a careless pool let through: both check."""
    careless = with_card(PACKAGE, steps_max=PACKAGE.card.steps_max + 1)
    async with open_pool([careless]) as pool:
        events = await run(pool, job(steps=careless.card.steps_max))
    assert events == [Failed("job-1", "steps is not in its range of 1 to 100", 0)]


async def test_altered_package_is_not_served(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "WORKER_MODULE", REAL_WORKER)
    folder = tmp_path / "model"
    shutil.copytree(PACKAGE.folder, folder)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    async with open_pool([replace(PACKAGE, folder=folder)]) as pool:
        with pytest.raises(WorkerError, match="altered"):
            await pool.ready()
        with pytest.raises(WorkerError, match="altered"):
            await run(pool, job())


async def test_worker_that_cannot_start_at_all(monkeypatch):
    monkeypatch.setattr(process, "WORKER_MODULE", "no.such.module")
    async with open_pool([PACKAGE]) as pool:
        with pytest.raises(WorkerError, match="while it was starting"):
            await pool.ready()


@pytest.mark.parametrize(
    "wrong",
    [{"packages": []}, {"workers": 0}, {"workers": WORKERS_MAX + 1}, {"batch_max": 9}],
)
async def test_pool_with_wrong_numbers(wrong):
    arguments = {"packages": [PACKAGE], **wrong}
    with pytest.raises(ValueError, match="no package, or workers, batch_max or silence"):
        async with open_pool(**arguments):
            raise AssertionError
