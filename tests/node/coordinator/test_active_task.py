"""One task between the app and its miners: events, failover, outcome, and the end by either side."""

import pytest
import trio

from node.coordinator.active_task import EVENTS_MAX, ActiveTask, require_drawn
from node.coordinator.requests import Delivered, FailedOver, Progress, TaskFailed
from node.signing.keys import Key
from protocol.draw import EpochView, Snapshot
from protocol.errors import Refusal
from protocol.hashing import sha256
from protocol.messages import RankedMiner, ResultCommitment, TaskAcceptance
from protocol.receipt import Receipt
from protocol.signature import sign_digest
from protocol.statement import open_statement, seal
from protocol.task import CoordinatorEvent, CoordinatorState
from tests.node.builders import COORDINATOR, DOMAIN, announcement

FIRST, SECOND = (Key.of(bytes([number]) * 32) for number in (2, 3))
EPOCH = EpochView(1, bytes(32), Snapshot.of([]), Snapshot.of([]))


def sealed(message, key):
    encoded = seal(DOMAIN, message, lambda statement: sign_digest(key.secret, statement.digest))
    return open_statement(DOMAIN, encoded, type(message))


ANNOUNCEMENT = sealed(
    announcement(RankedMiner(FIRST.address, 0), RankedMiner(b"\x09" * 20, 1), RankedMiner(SECOND.address, 0)),
    COORDINATOR,
)


def acceptance(key, rank):
    return sealed(TaskAcceptance(ANNOUNCEMENT.digest, rank), key)


def delivered(key, rank):
    commitment = ResultCommitment(ANNOUNCEMENT.digest, bytes(32), 3, sha256(b"png"), bytes(32), 4)
    receipt = Receipt(DOMAIN, EPOCH, ANNOUNCEMENT, acceptance(key, rank), sealed(commitment, key))
    return Delivered(b"png", receipt)


@pytest.fixture
def task():
    return ActiveTask(ANNOUNCEMENT, EPOCH, b"input", pay=None)  # no money is moved here


async def test_delivery_ends_the_task_well(task):
    async with task.turn(acceptance(FIRST, 0)) as granted:
        assert granted
        assert (task.state, task.working_miner) == (CoordinatorState.RUNNING, FIRST.address)
        task.tell(Progress(FIRST.address, 1, 4))
        task.deliver(delivered(FIRST, 0))
    assert [event async for event in task.events] == [Progress(FIRST.address, 1, 4)]
    assert (await task.outcome()).png == b"png"
    assert (task.state, task.delivered_by) == (CoordinatorState.DELIVERED, FIRST.address)


async def test_lost_miner_gives_the_turn_to_the_next(task):
    with pytest.raises(ConnectionError):
        async with task.turn(acceptance(FIRST, 0)):
            raise ConnectionError
    assert task.state is CoordinatorState.FAILED_OVER
    async with task.turn(acceptance(SECOND, 1)) as granted:
        assert granted
        task.deliver(delivered(SECOND, 1))
    assert isinstance(task.events.receive_nowait(), FailedOver)
    assert task.delivered_by == SECOND.address


async def test_app_that_goes_away_stops_the_working_miner(task, autojump_clock):
    left = []

    async def work(task_status):
        async with task.turn(acceptance(FIRST, 0)) as granted:
            task_status.started()
            await trio.sleep_forever()
        left.append((granted, task.delivered_by))

    async with trio.open_nursery() as nursery:
        await nursery.start(work)
        task.fail(CoordinatorEvent.CANCEL, "the app went away")
    assert left == [(True, None)]
    with pytest.raises(TaskFailed, match="the app went away"):
        await task.outcome()


async def test_deadline_sends_waiting_miners_home(task, autojump_clock):
    answers = []

    async def stand_by():
        async with task.turn(acceptance(SECOND, 1)) as granted:
            answers.append(granted)

    async with trio.open_nursery() as nursery, task.turn(acceptance(FIRST, 0)):
        nursery.start_soon(stand_by)
        await trio.sleep(1)
        task.fail(CoordinatorEvent.EXPIRE, "too late")
    assert answers == [False]
    assert task.state is CoordinatorState.EXPIRED


async def test_task_that_ends_as_a_turn_begins_sends_that_miner_home(task, autojump_clock):
    answers = []

    async def stand_by():
        async with task.turn(acceptance(SECOND, 1)) as granted:
            answers.append(granted)

    async with trio.open_nursery() as nursery:
        async with task.turn(acceptance(FIRST, 0)):
            nursery.start_soon(stand_by)
            await trio.sleep(1)
        # The turn has passed on, and nobody has woken yet.
        task.fail(CoordinatorEvent.EXPIRE, "too late")
    assert answers == [False]


async def test_failing_twice_or_after_the_end_changes_nothing(task):
    async with task.turn(acceptance(FIRST, 0)):
        task.deliver(delivered(FIRST, 0))
    task.fail(CoordinatorEvent.CANCEL, "late")
    assert (await task.outcome()).png == b"png"


def test_slow_app_loses_progress_never_more(task):
    for step in range(EVENTS_MAX + 10):
        task.tell(Progress(FIRST.address, step, 4))
    assert task.events.statistics().current_buffer_used == EVENTS_MAX


@pytest.mark.parametrize(("key", "rank"), [(FIRST, 1), (SECOND, 0), (SECOND, 2), (COORDINATOR, 0)])
def test_who_was_not_drawn_at_that_rank_is_refused(key, rank):
    with pytest.raises(Refusal):
        require_drawn(ANNOUNCEMENT.message, acceptance(key, rank))


def test_drawn_miners_are_let_in_without_those_passed_over():
    require_drawn(ANNOUNCEMENT.message, acceptance(FIRST, 0))
    require_drawn(ANNOUNCEMENT.message, acceptance(SECOND, 1))
