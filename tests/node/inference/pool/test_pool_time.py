"""What the pool does by the clock, with workers in memory: pauses between starts, patience, slow readers."""

from itertools import pairwise

import pytest
import trio
import trio.testing

from node.inference.jobs.frames import Ready, Unplaced
from node.inference.jobs.job import Finished, Preview, Progress, WorkerError
from node.inference.pool import pool as subject
from node.inference.pool.pool import BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN, START_FAILURES_MAX, open_pool
from node.inference.pool.tickets import EVENTS_BUFFERED_MAX
from tests.node.builders import PACKAGE
from tests.node.inference.builders import a_job
from tests.node.inference.memory_workers import STEP_SECONDS, MemoryWorkers

HOUR_SECONDS = 3600
UNPLACED = Unplaced("no host has room")


def job(name="job-1", **changes):
    return a_job(PACKAGE.model_id, job_id=name, **changes)


async def test_pauses_between_failed_starts_double_up_to_a_bound(autojump_clock):
    backend = MemoryWorkers(lambda number: True)
    async with open_pool([PACKAGE], backend):
        await trio.sleep(10 * BACKOFF_SECONDS_MAX)
        moments = [when for _, when in backend.starts]
    pauses = [later - sooner for sooner, later in pairwise(moments)]
    expected = [min(BACKOFF_SECONDS_MIN * 2**number, BACKOFF_SECONDS_MAX) for number in range(len(pauses))]
    assert pauses == pytest.approx(expected)
    assert pauses[-1] == pytest.approx(BACKOFF_SECONDS_MAX)


async def test_whoever_waits_hears_of_failed_starts_and_a_later_one_mends_it(autojump_clock):
    backend = MemoryWorkers(lambda number: number <= START_FAILURES_MAX)
    async with open_pool([PACKAGE], backend) as pool:
        with pytest.raises(WorkerError, match="no process"):
            await pool.ready()
        with pytest.raises(WorkerError, match="no process"):
            async with pool.run(job()):
                raise AssertionError
        await trio.sleep(BACKOFF_SECONDS_MAX)
        await pool.ready()


async def test_workers_that_no_host_has_room_for_are_not_waited_for(autojump_clock):
    """As those that were counted on a host which was lost a moment later."""
    backend = MemoryWorkers(says=lambda slot: [(slot, Ready(0))] if slot < 2 else [(20, UNPLACED)] * 1000)
    async with open_pool([PACKAGE], backend, workers=3) as pool:
        started = trio.current_time()
        with trio.fail_after(HOUR_SECONDS):
            await pool.ready(3)
        assert [await pool.ready(workers) for workers in (1, 2, 3)] == [2, 2, 2]
        assert trio.current_time() - started == pytest.approx(20)
        assert pool.statistics().workers_unplaced == 1


async def test_a_worker_waits_for_a_host_with_room_and_is_not_started_again_meanwhile(autojump_clock):
    waiting = [(20, UNPLACED)] * (HOUR_SECONDS // 20)
    backend = MemoryWorkers(says=lambda slot: [*(waiting if slot else []), (1, Ready(0))])
    async with open_pool([PACKAGE], backend, workers=2) as pool:
        with trio.fail_after(HOUR_SECONDS):
            assert await pool.ready(2) == 1
        await trio.sleep(HOUR_SECONDS + 2)
        assert await pool.ready(2) == 2
        assert (pool.statistics().workers_unplaced, len(backend.starts)) == (0, 2)


async def test_where_no_host_has_room_for_any_worker_whoever_waits_is_told_so(autojump_clock):
    waiting = [(20, UNPLACED)] * 2
    backend = MemoryWorkers(says=lambda slot: [*waiting, (slot, Ready(0))])
    async with open_pool([PACKAGE], backend, workers=2) as pool:
        with pytest.raises(WorkerError, match="no host has room"), trio.fail_after(HOUR_SECONDS):
            await pool.ready()
        with pytest.raises(WorkerError, match="no host has room"):
            async with pool.run(job()):
                raise AssertionError
        await trio.sleep(25)
        assert await pool.ready(2) == 2
        async with pool.run(job(steps=1)) as events:
            assert isinstance([event async for event in events][-1], Finished)


async def test_a_worker_whose_starts_fail_is_not_waited_for_where_others_are_ready(autojump_clock):
    """As one of a device that is not there."""
    backend = MemoryWorkers(slot_fails=lambda slot: slot == 1)
    async with open_pool([PACKAGE], backend, workers=2) as pool:
        with trio.fail_after(HOUR_SECONDS):
            assert await pool.ready(2) == 1
        assert [slot for slot, _ in backend.starts].count(1) == START_FAILURES_MAX


async def test_whoever_waits_hears_of_no_failed_starts_of_one_worker_while_another_begins(autojump_clock):
    backend = MemoryWorkers(slot_fails=lambda slot: slot == 0, says=lambda slot: [(60, Ready(0))])
    async with open_pool([PACKAGE], backend, workers=2) as pool:
        assert await pool.ready(2) == 1
        assert [slot for slot, _ in backend.starts].count(0) > START_FAILURES_MAX


async def test_work_that_was_done_makes_the_pause_short_again(autojump_clock):
    backend = MemoryWorkers(lambda number: number <= 5)
    async with open_pool([PACKAGE], backend) as pool:
        await trio.sleep(BACKOFF_SECONDS_MAX)
        async with pool.run(job()) as events:
            assert isinstance([event async for event in events][-1], Finished)
        lost_at = trio.current_time()
        backend.workers[-1].kill()
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(2 * BACKOFF_SECONDS_MIN)
        assert backend.starts[-1][1] - lost_at == pytest.approx(BACKOFF_SECONDS_MIN)


async def test_each_worker_is_replaced_in_its_own_slot(autojump_clock):
    backend = MemoryWorkers()
    async with open_pool([PACKAGE], backend, workers=3) as pool:
        await pool.ready(3)
        slots = [slot for slot, _ in backend.starts]
        assert sorted(slots) == [0, 1, 2]
        backend.workers[1].kill()
        await trio.sleep(1)
        assert [slot for slot, _ in backend.starts][3:] == [slots[1]]


async def test_a_reader_that_does_not_read_holds_up_neither_the_worker_nor_the_others_of_its_batch(
    autojump_clock,
):
    """As a coordinator with a slow line does: its progress is lost, not its image, and nobody's time."""
    slow, quick = job("slow", steps=100, preview_every_steps=1), job("quick", steps=100)
    async with open_pool([PACKAGE], MemoryWorkers()) as pool:
        started = trio.current_time()
        async with pool.run(slow) as unread, pool.run(quick) as read:
            told = [event async for event in read]
            assert [type(event) for event in told] == [Progress] * 100 + [Finished]
            assert trio.current_time() - started == pytest.approx(101 * STEP_SECONDS, abs=1)
            assert (pool.statistics().jobs_finished, pool.statistics().batches) == (2, 1)
            rest = [event async for event in unread]
        assert isinstance(rest[-1], Finished)
        assert len(rest) == EVENTS_BUFFERED_MAX + 1
        assert any(isinstance(event, Preview) for event in rest)
        assert pool.statistics().events_dropped == 200 - EVENTS_BUFFERED_MAX


async def test_who_leaves_is_cancelled_at_once_and_the_others_of_the_batch_go_on(autojump_clock):
    backend = MemoryWorkers()
    async with open_pool([PACKAGE], backend) as pool, pool.run(job("stays", steps=20)) as stays:
        async with pool.run(job("leaves", steps=20)) as leaves:
            await anext(leaves)
            left_at = trio.current_time()
        assert isinstance([event async for event in stays][-1], Finished)
        assert backend.workers[0].cancelled_at["leaves"] == pytest.approx(left_at)
        assert (pool.statistics().jobs_cancelled, pool.statistics().workers_lost) == (1, 0)


async def test_silence_is_borne_for_so_long_and_no_longer(autojump_clock, monkeypatch):
    monkeypatch.setattr("tests.node.inference.memory_workers.STEP_SECONDS", 1000.0)
    async with open_pool([PACKAGE], MemoryWorkers(), silence_seconds_max=60) as pool:
        started = trio.current_time()
        with pytest.raises(WorkerError, match="hung"):
            async with pool.run(job()) as events:
                await anext(events)
        assert trio.current_time() - started == pytest.approx(60, abs=1)


async def test_a_lost_worker_without_another_fails_its_jobs_at_once(autojump_clock):
    backend = MemoryWorkers()
    async with open_pool([PACKAGE], backend) as pool, pool.run(job(steps=50)) as events:
        await anext(events)
        lost_at = trio.current_time()
        backend.workers[0].kill()
        with pytest.raises(WorkerError, match="lost"):
            _ = [event async for event in events]
        assert trio.current_time() - lost_at <= subject.LAST_WORDS_SECONDS_MAX


async def test_jobs_of_a_lost_worker_are_the_first_that_another_takes(autojump_clock):
    backend = MemoryWorkers()
    async with open_pool([PACKAGE], backend, workers=2, batch_max=1) as pool, trio.open_nursery() as nursery:
        await pool.ready(2)

        async def one(name):
            async with pool.run(job(name)) as events:
                assert isinstance([event async for event in events][-1], Finished)

        for name in ("a", "b", "c"):
            nursery.start_soon(one, name)
            await trio.sleep(0.1)
        await trio.sleep(3)
        victim = next(worker for worker in backend.workers if worker.batches == [["a"]])
        victim.kill()
    assert backend.workers[2].batches[0] == ["a"]
