"""Calls to the next drawn miner: whom, when, and what a peer may do with them."""

import pytest
import trio
import trio.testing

from node.coordinator.active_task import ActiveTask
from node.coordinator.calling import ARRIVAL_TIMEOUT_MS, CALLS_WAITING_MAX, Caller, CallerCounts, reach_by
from node.exchange.calls import Callee, CalleeCounts
from node.exchange.protocols import CALLS_PROTOCOL
from node.signing.keys import Key
from p2p.host import NotConnected
from protocol.draw import EpochView, Snapshot
from protocol.errors import Refusal
from protocol.messages import RankedMiner, TaskAcceptance, TaskCall
from protocol.signature import sign_digest
from protocol.statement import open_statement, seal
from protocol.task import CoordinatorEvent
from tests.limits import HANG_S
from tests.node.builders import COORDINATOR, DOMAIN, announcement
from tests.p2p.nodes import connect, open_hosts, secret
from tests.protocol.builders import offer

MINERS = [Key.of(bytes([number]) * 32) for number in (2, 3, 4)]


def sealed(message, key):
    encoded = seal(DOMAIN, message, lambda statement: sign_digest(key.secret, statement.digest))
    return open_statement(DOMAIN, encoded, type(message))


ANNOUNCEMENT = sealed(announcement(*(RankedMiner(miner.address, 0) for miner in MINERS)), COORDINATOR)


def new_task():
    epoch = EpochView(1, bytes(32), Snapshot.of([]), Snapshot.of([]))
    return ActiveTask(ANNOUNCEMENT, epoch, b"input", pay=None)  # no money is moved here


def turn(task, rank):
    return task.turn(sealed(TaskAcceptance(ANNOUNCEMENT.digest, rank), MINERS[rank]))


async def lose(task, rank):
    with pytest.raises(ConnectionError):
        async with turn(task, rank):
            raise ConnectionError


class Reached:
    """In place of a network: who was called when, and who does not hear."""

    def __init__(self, *deaf):
        self.calls, self._deaf = [], deaf

    async def __call__(self, miner, task_id):
        await trio.lowlevel.checkpoint()
        assert task_id == ANNOUNCEMENT.digest
        rank = [key.address for key in MINERS].index(miner)
        self.calls.append((rank, round(trio.current_time(), 3)))
        if rank in self._deaf:
            raise NotConnected("not connected")


@pytest.fixture
def task():
    return new_task()


async def calls_after_a_loss(task, reached, *, seconds=10.0):
    caller = Caller(reached)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(caller.run)
        start = trio.current_time()
        caller.note_lost(task)
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()
    return caller, [(rank, pytest.approx(at - start, abs=0.01)) for rank, at in reached.calls]


async def test_next_rank_is_called_at_once_and_the_one_after_it_when_it_does_not_come(task, autojump_clock):
    await lose(task, 0)
    caller, calls = await calls_after_a_loss(task, Reached())
    assert calls == [(1, 0), (2, ARRIVAL_TIMEOUT_MS / 1000)]
    assert caller.counts == CallerCounts(heard=2)


async def test_who_does_not_hear_is_passed_over_at_once(task, autojump_clock):
    await lose(task, 0)
    caller, calls = await calls_after_a_loss(task, Reached(1))
    assert calls == [(1, 0), (2, 0)]
    assert caller.counts == CallerCounts(not_heard=1, heard=1)


async def test_nobody_is_called_who_has_worked_or_was_called_before(task, autojump_clock):
    for rank in (0, 2):
        await lose(task, rank)
    assert task.rank_to_call() == 1
    _, calls = await calls_after_a_loss(task, Reached())
    assert [rank for rank, _ in calls] == [1]
    _, calls = await calls_after_a_loss(task, Reached())
    assert calls == []


async def test_nobody_is_called_while_somebody_works(task, autojump_clock):
    await lose(task, 0)
    async with turn(task, 1):
        _, calls = await calls_after_a_loss(task, Reached())
    assert calls == []


async def test_called_miner_that_comes_is_the_last_to_be_called(task, autojump_clock):
    await lose(task, 0)

    class Comes(Reached):
        async def __call__(self, miner, task_id):
            await super().__call__(miner, task_id)
            nursery.start_soon(work)

    async def work():
        async with turn(task, 1):
            await trio.sleep(5)

    async with trio.open_nursery() as nursery:
        _, calls = await calls_after_a_loss(task, Comes(), seconds=4)
        assert [rank for rank, _ in calls] == [1]
        nursery.cancel_scope.cancel()


async def test_nobody_is_called_for_a_task_that_is_over(task, autojump_clock):
    await lose(task, 0)
    task.fail(CoordinatorEvent.CANCEL, "the app went away")
    _, calls = await calls_after_a_loss(task, Reached())
    assert calls == []


async def test_calls_that_nobody_makes_are_bounded():
    caller = Caller(Reached())
    for _ in range(CALLS_WAITING_MAX + 3):
        task = new_task()
        await lose(task, 0)
        caller.note_lost(task)
    assert caller.counts == CallerCounts(dropped=3)


async def test_a_wait_ends_by_itself(autojump_clock):
    start = trio.current_time()
    await Callee().wait(ANNOUNCEMENT, 3)
    assert trio.current_time() - start == pytest.approx(3)


async def call(hosts, callee, miner_offer):
    """Have the first host call the second for the task."""
    coordinator, miner = hosts
    await connect(miner, coordinator)
    miner.handle_direct_streams(CALLS_PROTOCOL, callee.handle)
    await reach_by(coordinator, lambda _: miner_offer)(MINERS[0].address, ANNOUNCEMENT.digest)


def host_offer():
    """An offer by the key of the second host."""
    return sealed(offer(), Key.of(secret(1)))


async def test_call_over_real_sockets_ends_the_wait():
    async with open_hosts(2) as hosts:
        # The first host's key stands in for the coordinator's.
        key = Key.of(secret(0))
        task = sealed(announcement(RankedMiner(MINERS[0].address, 0), coordinator=key.address), key)
        callee = Callee()
        with trio.fail_after(HANG_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(callee.wait, task, 60)
                await trio.testing.wait_all_tasks_blocked()
                coordinator, miner = hosts
                await connect(miner, coordinator)
                miner.handle_direct_streams(CALLS_PROTOCOL, callee.handle)
                await reach_by(coordinator, lambda _: host_offer())(MINERS[0].address, task.digest)
        assert callee.counts == CalleeCounts(heard=1)


async def test_call_by_a_stranger_or_for_an_unknown_task_moves_nobody():
    async with open_hosts(2) as hosts, trio.open_nursery() as nursery:
        callee = Callee()
        nursery.start_soon(callee.wait, ANNOUNCEMENT, 60)  # of another coordinator than the first host
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Refusal):
            await call(hosts, callee, host_offer())
        assert callee.counts == CalleeCounts(not_awaited=1)
        nursery.cancel_scope.cancel()


async def test_what_is_no_call_ends_its_stream_alone():
    async with open_hosts(2) as hosts:
        coordinator, miner = hosts
        callee = Callee()
        peer = await connect(coordinator, miner)
        miner.handle_direct_streams(CALLS_PROTOCOL, callee.handle)
        for payload in (b"\xff", TaskCall(bytes(32)).encode() + b"\0"):
            async with coordinator.open_direct_stream(peer, CALLS_PROTOCOL) as stream:
                await stream.send(payload)
                with pytest.raises(Refusal):
                    await stream.receive()
        assert coordinator.is_connected(peer)


async def test_a_miner_without_an_offer_cannot_be_reached():
    async with open_hosts(1) as hosts:
        with pytest.raises(NotConnected):
            await reach_by(hosts[0], lambda _: None)(MINERS[0].address, ANNOUNCEMENT.digest)
