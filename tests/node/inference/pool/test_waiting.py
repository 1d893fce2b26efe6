"""Which jobs are computed together, and that a job waits neither for company for long nor for ever."""

from dataclasses import replace

import pytest
import trio
import trio.testing

from node.inference.jobs.job import JobRefused
from node.inference.pool.tickets import RUNS_TOGETHER_MAX, ticket_for
from node.inference.pool.waiting import AUDITS_WAITING_MAX, JOBS_WAITING_MAX, LINGER_SECONDS, Waiting
from tests.node.inference.builders import a_job, an_audit

MODEL_ID = b"\x01" * 32


def ticket(name, **changes):
    return ticket_for(a_job(MODEL_ID, job_id=name, **changes))


def an_audit_ticket(name):
    job = an_audit(1, model_id=MODEL_ID)
    return ticket_for(replace(job, image=replace(job.image, job_id=name)))


def filled(batch_max, *tickets):
    waiting = Waiting(batch_max)
    for one in tickets:
        waiting.add(one)
    return waiting


async def names(waiting):
    return [one.job.job_id for one in await waiting.take()]


async def test_the_first_goes_with_those_of_its_shape(autojump_clock):
    waiting = filled(8, ticket("a"), ticket("b", steps=9), ticket("c"), ticket("d", guidance_milli=0))
    assert await names(waiting) == ["a", "c"]
    assert await names(waiting) == ["b"]
    assert await names(waiting) == ["d"]
    assert len(waiting) == 0


async def test_no_more_than_the_bound(autojump_clock):
    waiting = filled(2, *(ticket(name) for name in "abc"))
    started = trio.current_time()
    assert await names(waiting) == ["a", "b"]
    assert trio.current_time() == started
    assert await names(waiting) == ["c"]


async def test_one_name_once(autojump_clock):
    """Events are told apart by the name of their job."""
    waiting = filled(8, ticket("a"), ticket("a"))
    assert await names(waiting) == ["a"]
    assert await names(waiting) == ["a"]


async def test_a_lone_job_waits_for_others_no_longer_than_the_bound(autojump_clock):
    waiting = filled(8, ticket("a"))
    started = trio.current_time()
    assert await names(waiting) == ["a"]
    assert trio.current_time() - started == pytest.approx(LINGER_SECONDS)


async def test_who_comes_meanwhile_joins(autojump_clock):
    waiting = filled(8, ticket("a"))
    async with trio.open_nursery() as nursery:
        taken = []

        async def take():
            taken.extend(await names(waiting))

        nursery.start_soon(take)
        await trio.sleep(LINGER_SECONDS / 2)
        waiting.add(ticket("b"))
        waiting.add(ticket("c", width=64))
    assert taken == ["a", "b"]
    assert len(waiting) == 1


async def test_whose_reader_leaves_meanwhile_is_not_taken(autojump_clock):
    leaving = ticket("a")
    waiting = filled(8, leaving, ticket("b"))
    async with trio.open_nursery() as nursery:
        taken = []

        async def take():
            taken.extend(await names(waiting))

        nursery.start_soon(take)
        await trio.sleep(LINGER_SECONDS / 2)
        leaving.abandoned.set()
        assert waiting.remove(leaving)
    assert taken == ["b"]


async def test_a_worker_lost_while_it_lingers_has_taken_nothing(autojump_clock):
    waiting = filled(8, ticket("a"), ticket("b", steps=9), ticket("c"))
    with trio.move_on_after(LINGER_SECONDS / 2):
        await waiting.take()
    assert len(waiting) == 3
    assert await names(waiting) == ["a", "c"]


async def test_two_free_workers_share_what_waits(autojump_clock):
    """Half of the jobs each, although one could take all; and different shapes go to different workers."""
    for shapes in ("same", "two"):
        waiting, taken = Waiting(8), []

        async def take(waiting=waiting, taken=taken):
            taken.append(await names(waiting))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
            nursery.start_soon(take)
            await trio.testing.wait_all_tasks_blocked()
            for name in "abcd":
                waiting.add(ticket(name, steps=9 if shapes == "two" and name in "bd" else 10))
        assert sorted(taken) == ([["a", "b"], ["c", "d"]] if shapes == "same" else [["a", "c"], ["b", "d"]])


async def test_one_job_for_two_free_workers(autojump_clock):
    waiting, taken = Waiting(8), []

    async def take():
        taken.append(await names(waiting))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        nursery.start_soon(take)
        await trio.testing.wait_all_tasks_blocked()
        waiting.add(ticket("a"))
        await trio.sleep(1)
        assert taken == [["a"]]
        waiting.add(ticket("b"))
    assert taken == [["a"], ["b"]]


async def test_a_job_that_has_lost_two_workers_goes_first_and_alone(autojump_clock):
    waiting = filled(8, ticket("a"), ticket("b"))
    once, twice = ticket("c"), ticket("d")
    once.runs, twice.runs = RUNS_TOGETHER_MAX - 1, RUNS_TOGETHER_MAX
    waiting.put_back([twice, once])
    assert await names(waiting) == ["d"]
    assert await names(waiting) == ["c", "a", "b"]


async def test_too_many():
    waiting = filled(8, *(ticket(str(number)) for number in range(JOBS_WAITING_MAX)))
    with pytest.raises(JobRefused, match="too many jobs"):
        waiting.add(ticket("one more"))


async def test_removed():
    one = ticket("a")
    waiting = filled(8, one)
    assert waiting.remove(one)
    assert not waiting.remove(one)
    assert len(waiting) == 0


async def test_an_audit_waits_until_no_image_does_and_goes_alone(autojump_clock):
    waiting = filled(
        8, an_audit_ticket("audit 1"), ticket("a"), an_audit_ticket("audit 2"), ticket("b", steps=9)
    )
    assert (len(waiting), waiting.audits) == (4, 2)
    assert await names(waiting) == ["a"]
    waiting.add(ticket("c"))
    assert await names(waiting) == ["b"]
    assert await names(waiting) == ["c"]
    assert await names(waiting) == ["audit 1"]
    waiting.add(ticket("d"))
    # One that has lost its worker is no paid work either.
    waiting.put_back([an_audit_ticket("audit 1")])
    assert await names(waiting) == ["d"]
    assert await names(waiting) == ["audit 1"]
    assert await names(waiting) == ["audit 2"]


def test_audits_take_no_images_place_and_are_bounded_by_themselves():
    waiting = filled(8, *(an_audit_ticket(str(number)) for number in range(AUDITS_WAITING_MAX)))
    with pytest.raises(JobRefused, match=r"^too many audits are waiting$"):
        waiting.add(an_audit_ticket("one too many"))
    for number in range(JOBS_WAITING_MAX):
        waiting.add(ticket(str(number)))
    with pytest.raises(JobRefused, match=r"^too many jobs are waiting$"):
        waiting.add(ticket("one too many"))
    assert (len(waiting), waiting.audits) == (JOBS_WAITING_MAX + AUDITS_WAITING_MAX, AUDITS_WAITING_MAX)
