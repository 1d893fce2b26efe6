"""What others can make the miner's engine hold: slots, tasks, inputs and results, each with its bound."""

import dataclasses

from node.miner.actions import (
    CheckCredit,
    CloseStream,
    Count,
    Dial,
    RefuseCall,
    StartJob,
)
from node.miner.followed import FOLLOWED_MAX, FOLLOWED_PER_SLOT
from protocol.messages import DeclineKind, ReplyKind
from protocol.task import MinerState
from protocol.work import Work, WorkKind
from tests.node.miner.engine_world import (
    COORDINATORS,
    OTHERS,
    OUTPUT,
    PATIENCE_MS,
    PNG,
    UNITS,
    World,
    announce,
    input_of,
    kinds,
    reply,
)

# Slots


def test_a_rank_that_waits_holds_no_slot(world):
    """Two tasks at a miner of one slot: it accepts both, and works on the one whose input comes."""
    first, second = announce(0), announce(1)
    world.accepted(first)
    stream = world.working(second)
    assert world.engine.snapshot().jobs == 1
    assert [one.task for one in world.log if isinstance(one, StartJob)] == [second]
    assert not any(isinstance(one, CloseStream) and one.stream_id == stream for one in world.log)


def test_without_a_free_slot_it_declines_at_once(world):
    world.working(announce(0))
    second = announce(1)
    stream = world.working(second)
    assert world.decline(stream) == (DeclineKind.BUSY, "all slots of this miner are taken")
    assert world.over(second) == (MinerState.DECLINED, "all slots of this miner are taken")
    assert world.engine.counts[Count.BUSY] == 1


def test_the_slot_is_free_when_the_work_is_done_though_pay_is_awaited(world):
    world.working(announce(0))
    world.finish(announce(0))
    assert world.engine.snapshot().jobs == 0
    world.working(announce(1))
    assert world.engine.snapshot().jobs == 1


def test_attack_a_coordinator_that_answers_no_acceptance_holds_no_slot(world):
    silent = [announce(number) for number in range(FOLLOWED_PER_SLOT)]
    for task in silent:
        world.accepted(task)
    assert world.engine.snapshot().accepted == FOLLOWED_PER_SLOT
    honest = announce(coordinator=COORDINATORS[1])
    world.working(honest)
    assert [one.task for one in world.log if isinstance(one, StartJob)] == [honest]


def test_attack_half_an_input_holds_no_slot_and_is_not_waited_for(world):
    source = PNG.ljust(4_000, b"s")
    task_input = input_of(WorkKind.IMAGE_TO_IMAGE, source)
    task = announce(work=Work.image(WorkKind.IMAGE_TO_IMAGE, 32, 32, UNITS), task_input=task_input)
    stream = world.working(task, task_input)
    assert world.engine.snapshot().jobs == 0
    world.wait(PATIENCE_MS)
    assert world.decline(stream) == (DeclineKind.NOT_HERE, "the input did not arrive whole in time")


# Bounds


def test_attack_64_hostile_announcements_leave_room(world):
    for number in range(64):
        world.heard(announce(number, rank=number % 3))
    assert world.engine.snapshot().followed == FOLLOWED_PER_SLOT
    assert world.engine.counts[Count.OVERFLOW_COORDINATOR] == 64 - FOLLOWED_PER_SLOT
    honest = announce(coordinator=COORDINATORS[1])
    assert kinds(world.heard(honest)) == ["CheckCredit"]
    assert world.credit(honest) == [Dial(honest)]


def test_all_coordinators_together_are_bounded(world):
    for coordinator in COORDINATORS[: FOLLOWED_MAX // FOLLOWED_PER_SLOT]:
        for number in range(FOLLOWED_PER_SLOT):
            world.heard(announce(number, coordinator=coordinator))
    assert world.engine.snapshot().followed == FOLLOWED_MAX
    world.heard(announce(coordinator=COORDINATORS[-1]))
    assert world.engine.snapshot().followed == FOLLOWED_MAX
    assert world.engine.counts[Count.OVERFLOW_ALL] == 1


def test_no_capacity_lets_one_coordinator_have_all(world):
    world = World(capacity=255)
    for number in range(3_000):
        world.engine.heard(_cheap(number), world.now_ms)
    assert world.engine.snapshot().followed == FOLLOWED_PER_SLOT * 255 // 2


def _cheap(number, base=announce()):  # noqa: B008 - read only, and signing 3,000 takes a second
    return dataclasses.replace(base, digest=number.to_bytes(32, "big"))


def test_a_task_counts_only_while_it_can_be_had(world):
    tasks = [announce(number, rank=1) for number in range(FOLLOWED_PER_SLOT)]
    for task in tasks:
        world.heard(task)
    for task in tasks[:2]:
        world.note(world.engine.heard_result(task.digest, OTHERS[0].address))
    assert world.engine.snapshot().followed == FOLLOWED_PER_SLOT - 2
    assert world.heard(announce(FOLLOWED_PER_SLOT, rank=1)) == []  # its credit is looked at in its turn
    assert world.engine.snapshot().followed == FOLLOWED_PER_SLOT - 1


def test_a_task_that_did_not_fit_is_followed_when_it_is_called_for(world):
    tasks = [announce(number, rank=1) for number in range(FOLLOWED_PER_SLOT + 1)]
    for task in tasks:
        world.heard(task)
    assert world.call(tasks[-1]) == [RefuseCall("no task of yours waits here")]
    world.note(world.engine.heard_result(tasks[0].digest, OTHERS[0].address))
    world.call(tasks[-1])
    assert world.engine.snapshot().followed == FOLLOWED_PER_SLOT
    for task in tasks[:1] + tasks[1:-1]:
        world.credit(task)
    assert world.credit(tasks[-1]) == [Dial(tasks[-1])]


def test_credit_is_looked_at_for_one_task_of_a_coordinator_at_a_time(world):
    first, second = announce(0), announce(1)
    assert kinds(world.heard(first)) == ["CheckCredit"]
    assert world.heard(second) == []
    assert kinds(world.heard(announce(coordinator=COORDINATORS[1]))) == ["CheckCredit"]
    assert world.credit(first) == [Dial(first), CheckCredit(second.digest, second.message)]


def test_the_bound_of_inputs_that_come_in(world, monkeypatch):
    monkeypatch.setattr("node.miner.conversation.INPUT_BYTES_MAX", 6_000)
    source = PNG.ljust(4_000, b"s")
    task_input = input_of(WorkKind.IMAGE_TO_IMAGE, source)
    work = Work.image(WorkKind.IMAGE_TO_IMAGE, 32, 32, UNITS)
    world.working(announce(0, work=work, task_input=task_input), task_input)
    stream = world.working(announce(1, work=work, task_input=task_input), task_input)
    assert world.decline(stream)[0] == DeclineKind.BUSY


def test_results_that_wait_are_bounded(monkeypatch):
    monkeypatch.setattr("node.miner.delivery.RESULTS_MAX", 2)
    world = World(capacity=4)
    tasks = [announce(number) for number in range(4)]
    streams = [world.working(task) for task in tasks]
    world.finish(tasks[0])
    world.lose(streams[0])
    for task in tasks[1:]:
        world.finish(task)
    assert world.engine.snapshot().results_held == 2
    assert world.over(tasks[0]) is None
    assert world.over(tasks[1]) == (MinerState.GIVEN_UP, "the result is not held any more")
    assert world.engine.counts[Count.RESULT_FORGOTTEN] == 2


def test_a_result_that_was_forgotten_is_made_again_in_the_same_words(monkeypatch):
    monkeypatch.setattr("node.miner.delivery.RESULT_BYTES_MAX", len(OUTPUT))
    world = World(capacity=2)
    first, second = announce(0, price=0), announce(1)
    stream = world.working(first)
    world.finish(first)
    before = world.commitment(stream)
    world.lose(stream)
    other = world.working(second)
    world.finish(second)
    world.lose(other)
    world.wait(1_000)
    stream, _ = world.open(first)
    assert kinds(world.say(stream, reply(ReplyKind.INPUT, input_of().encode()))) == ["StartJob"]
    world.finish(first)
    assert world.commitment(stream) == before
