"""The miner's engine when the machine's clock is set: no wait ends later for it, or at once."""

import pytest

from node.miner.actions import CheckCredit, Dial, TaskOver
from protocol.task import MinerState
from tests.node.miner.engine_world import LIFE_MS, OTHERS, PATIENCE_MS, START_MS, World, announce

QUARTER_MS = 15 * 60 * 1000


@pytest.fixture(params=(-QUARTER_MS, QUARTER_MS), ids=("back", "forth"))
def step_ms(request):
    return request.param


def test_attack_a_clock_that_is_set_before_a_task_is_heard(step_ms):
    """The task is announced by the true time, which this clock shows since it was set."""
    world = World()
    world.ahead_ms = step_ms
    task = announce(rank=1, at_ms=START_MS + step_ms)
    (check,) = world.heard(task)
    assert isinstance(check, CheckCredit)
    world.credit(task)
    assert world.wait(2_999) == []
    assert world.wait(1) == [Dial(task)]
    world.open(task)
    world.wait(LIFE_MS - 3_001)
    assert world.over(task) is None
    world.wait(1)
    assert world.over(task) == (MinerState.GIVEN_UP, "its deadline has passed")


def test_attack_a_clock_that_is_set_while_a_task_is_followed(step_ms):
    world = World()
    task = announce(rank=2)
    world.heard(task)
    world.credit(task)
    world.ahead_ms = step_ms
    assert world.wait(5_999) == []
    assert world.wait(1) == [Dial(task)]


def test_attack_a_clock_that_is_set_while_a_coordinator_owes(step_ms):
    world = World()
    task = announce()
    world.working(task)
    world.progress(task, 20)
    world.ahead_ms = step_ms
    world.wait(PATIENCE_MS - 1)
    assert world.over(task) is None
    (*_, over) = world.wait(1)
    assert isinstance(over, TaskOver)


def test_a_task_that_is_over_by_the_time_of_day_is_not_followed(step_ms):
    world = World()
    world.ahead_ms = step_ms
    over = announce(at_ms=START_MS + step_ms - LIFE_MS)
    assert world.heard(over) == []
    assert world.call(over)
    assert world.engine.snapshot().followed == 0


def test_attack_a_clock_that_is_set_back_before_a_call_stretches_no_life():
    """The task is remembered, and its coordinator calls for it when this clock has been set back."""
    world = World()
    task = announce()
    world.heard(task)
    world.note(world.engine.heard_result(task.digest, OTHERS[0].address))
    world.ahead_ms = -QUARTER_MS
    world.call(task)
    world.wait(LIFE_MS)
    assert world.engine.snapshot().followed == 0
