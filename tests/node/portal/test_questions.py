"""No reader can have a node ask its chain without end."""

import pytest
import trio
import trio.testing

from contracts.errors import ChainUnreachable
from node.portal.errors import Busy
from node.portal.questions import ANSWERS_MAX, BURST_MAX, FAULT_LIFE_MS, PER_S, Questions


class Clock:
    def __init__(self):
        self.ms = 1_000

    def __call__(self):
        return self.ms


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def questions(clock):
    return Questions(clock)


async def test_an_answer_is_kept_for_its_life_and_no_longer(questions, clock):
    asked = []

    async def work():
        asked.append(clock.ms)
        return len(asked)

    assert [await questions.ask("head", 100, 1, work) for _ in range(3)] == [1, 1, 1]
    clock.ms += 99
    assert await questions.ask("head", 100, 1, work) == 1
    clock.ms += 1
    assert await questions.ask("head", 100, 1, work) == 2
    assert (questions.counts.asked, questions.counts.kept) == (2, 3)


async def test_who_asks_the_same_meanwhile_waits_for_the_one_question(questions):
    asked, found = 0, []

    async def work():
        nonlocal asked
        asked += 1
        await trio.testing.wait_all_tasks_blocked()
        return asked

    async def ask():
        found.append(await questions.ask("head", 100, BURST_MAX, work))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(ask)
    assert (asked, found) == (1, [1] * 50)


async def test_who_leaves_in_the_midst_of_a_question_takes_nobodys_answer_away(questions):
    found = []

    async def never():
        await trio.sleep_forever()

    async def work():
        return 7

    async def ask():
        found.append(await questions.ask("head", 100, 1, work))

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as leaving:
            nursery.start_soon(_until_asked, questions, leaving)
            nursery.start_soon(_then, questions, ask)
            await questions.ask("head", 100, 1, never)
    assert found == [7]


async def _until_asked(questions, leaving):
    await trio.testing.wait_all_tasks_blocked()
    leaving.cancel()


async def _then(questions, ask):
    await ask()


async def test_beyond_the_budget_nobody_asks__and_is_told_when_to_come_again(questions, clock):
    async def work():
        return 1

    for number in range(BURST_MAX):
        await questions.ask(number, 0, 1, work)
    with pytest.raises(Busy) as refusal:
        await questions.ask("more", 0, PER_S, work)
    assert refusal.value.retry_after_s == 1
    assert questions.counts.refused == 1
    clock.ms += 1_000
    assert await questions.ask("more", 0, PER_S, work) == 1
    with pytest.raises(Busy):
        await questions.ask("one more", 0, 1, work)


async def test_after_a_pause_there_is_no_more_than_the_burst(questions, clock):
    async def work():
        return 1

    clock.ms += 10**9
    await questions.ask("all", 0, BURST_MAX, work)
    with pytest.raises(Busy):
        await questions.ask("one", 0, 1, work)


async def test_a_failure_is_the_answer_for_a_moment(questions, clock):
    asked = []

    async def work():
        asked.append(1)
        raise ChainUnreachable("host", "gone")

    for _ in range(3):
        with pytest.raises(ChainUnreachable):
            await questions.ask("head", 60_000, 1, work)
    assert len(asked) == 1
    clock.ms += FAULT_LIFE_MS
    with pytest.raises(ChainUnreachable):
        await questions.ask("head", 60_000, 1, work)
    assert len(asked) == 2


async def test_of_too_many_answers_the_oldest_goes(questions):
    asked = []

    async def ask(key):
        async def work():
            asked.append(key)

        await questions.ask(key, 60_000, 0, work)

    for key in range(ANSWERS_MAX + 1):
        await ask(key)
    await ask(1)
    assert len(asked) == ANSWERS_MAX + 1
    await ask(0)
    assert asked[-1] == 0
