"""Turn-taking among the drawn miners of one task."""

import pytest
import trio

from node.coordinator.race import Race
from protocol.errors import Refusal


async def test_first_comer_works_at_once_and_others_wait():
    race = Race()
    async with race.turn(1) as granted:
        assert granted
        assert race.working == 1
        with trio.move_on_after(0) as scope:
            async with race.turn(0):
                raise AssertionError("two at a time")
        assert scope.cancelled_caught


async def test_turn_passes_to_the_lowest_waiting_rank(autojump_clock):
    race = Race()
    order = []

    async def take(rank, delay):
        await trio.sleep(delay)
        async with race.turn(rank) as granted:
            order.append((rank, granted))
            await trio.sleep(10)

    async with trio.open_nursery() as nursery:
        for rank, delay in ((0, 0), (3, 1), (2, 2), (1, 3)):
            nursery.start_soon(take, rank, delay)
    assert order == [(0, True), (1, True), (2, True), (3, True)]


async def test_end_sends_everybody_home(autojump_clock):
    race = Race()
    answers = []

    async def wait(rank):
        async with race.turn(rank) as granted:
            answers.append(granted)

    async with race.turn(0), trio.open_nursery() as nursery:
        nursery.start_soon(wait, 1)
        nursery.start_soon(wait, 2)
        await trio.sleep(1)
        race.end()
    async with race.turn(0) as granted:
        answers.append(granted)
    assert answers == [False, False, False]


async def test_cancelled_waiter_does_not_keep_the_turn(autojump_clock):
    race = Race()

    async def worker(task_status):
        async with race.turn(0):
            task_status.started()
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        await nursery.start(worker)
        # Cancelled in the very moment in which its turn comes.
        with trio.move_on_after(1):
            async with race.turn(1):
                await trio.sleep_forever()
    async with race.turn(2) as granted:
        assert granted


async def test_same_rank_twice_is_refused():
    race = Race()
    async with race.turn(0):
        with pytest.raises(Refusal):
            async with race.turn(0):
                pass


async def test_failure_gives_the_turn_back():
    race = Race()
    with pytest.raises(ZeroDivisionError):
        async with race.turn(0):
            raise ZeroDivisionError
    assert race.working is None
