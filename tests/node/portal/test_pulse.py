"""The live feed: what everybody can hear, in a memory that nothing outgrows."""

from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from node.portal.errors import Busy
from node.portal.pulse import HAPPENINGS_MAX, KNOWN_MAX, MINUTE_MS, READERS_MAX, WAITING_MAX, Pulse
from node.system.events import EventBus, NodeSlashed, PeerJoined, TaskAnnounced, TaskDelivered, TaskPaid
from protocol.audit import Verdict
from protocol.evidence import Fault, Offence
from protocol.statement import Kind

OWN, OTHER, MINER = b"o" * 20, b"c" * 20, b"m" * 20


class Clock:
    ms = 100 * MINUTE_MS

    def __call__(self):
        return self.ms


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pulse(clock):
    return Pulse(OWN, clock)


def task(number, coordinator=OTHER):
    message = SimpleNamespace(coordinator=coordinator, assigned=(MINER,))
    return SimpleNamespace(digest=number.to_bytes(32, "big"), message=message)


def result(number):
    message = SimpleNamespace(task_id=number.to_bytes(32, "big"))
    return SimpleNamespace(message=message, signer=SimpleNamespace(address=MINER))


async def heard(pulse):
    with pulse.follow() as reader:
        return [await reader.receive() for _ in range(len(reader._queue))]


async def test_a_task_and_its_result_are_told_in_the_words_of_gossip(pulse, clock):
    pulse.hear_task(task(1))
    pulse.hear_result(result(1))
    task_id = "0x" + (1).to_bytes(32, "big").hex()
    assert await heard(pulse) == [
        {
            "event": "task_announced",
            "sequence": 1,
            "at_ms": clock.ms,
            "task_id": task_id,
            "node": "0x" + OTHER.hex(),
            "drawn": ["0x" + MINER.hex()],
        },
        {
            "event": "task_done",
            "sequence": 2,
            "at_ms": clock.ms,
            "task_id": task_id,
            "node": "0x" + MINER.hex(),
        },
    ]


async def test_a_coordinators_own_task_is_told_once__though_bus_and_gossip_say_it(pulse):
    task_id = (1).to_bytes(32, "big")
    pulse.hear_event(TaskAnnounced(task_id, b"x" * 32, (MINER,)))
    pulse.hear_task(task(1, OWN))
    pulse.hear_event(TaskDelivered(task_id, MINER))
    pulse.hear_result(result(1))
    assert [happening["event"] for happening in await heard(pulse)] == ["task_announced", "task_done"]
    assert (pulse.counts.tasks, pulse.counts.results) == (1, 1)


async def test_what_only_this_node_knows_is_not_told(pulse, autojump_clock):
    bus = EventBus()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pulse.follow_bus, bus)
        await trio.testing.wait_all_tasks_blocked()
        bus.publish(TaskPaid(b"t" * 32, MINER, 5))
        bus.publish(PeerJoined("peer", outbound=True))
        bus.publish(NodeSlashed(MINER, 7))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    (told,) = await heard(pulse)
    assert (told["event"], told["node"], told["amount_wei"]) == ("node_slashed", "0x" + MINER.hex(), "7")


@pytest.mark.parametrize(
    ("verdict", "event", "failed"),
    [
        (Verdict.HONEST, "audit_passed", 0),
        (Verdict.FAULT, "audit_failed", 1),
        (Verdict.NO_OPENING, "audit_unanswered", 1),
    ],
)
async def test_a_verdict_is_told_and_counted_once(pulse, verdict, event, failed):
    message = SimpleNamespace(task_id=b"t" * 32, miner=MINER, verdict=int(verdict))
    for _ in range(2):
        pulse.hear_verdict(SimpleNamespace(message=message, signer=SimpleNamespace(address=OTHER)))
    (told,) = await heard(pulse)
    assert (told["event"], told["node"], told["miner"]) == (event, "0x" + OTHER.hex(), "0x" + MINER.hex())
    assert (pulse.counts.audits, pulse.counts.audits_failed) == (1, failed)


async def test_a_proven_fault_is_told_once_for_each_sort_and_signer(pulse):
    offence = Offence(Fault.EQUIVOCATION, MINER, Kind.RESULT_COMMITMENT, bytes(32))
    for found in (offence, offence, replace(offence, fault=Fault.FALSE_STEP), replace(offence, signer=OTHER)):
        pulse.hear_evidence((None, found))
    told = await heard(pulse)
    assert {happening["event"] for happening in told} == {"fault_proven"}
    assert [(happening["node"], happening["fault"]) for happening in told] == [
        ("0x" + MINER.hex(), 1),
        ("0x" + MINER.hex(), 5),
        ("0x" + OTHER.hex(), 1),
    ]
    assert pulse.counts.faults == 3


def test_tasks_are_counted_by_the_minute__and_minutes_that_are_over_go(pulse, clock):
    pulse.hear_task(task(1))
    pulse.hear_task(task(2))
    clock.ms += MINUTE_MS
    pulse.hear_task(task(3))
    assert pulse.per_minute()[-2:] == [2, 1]
    clock.ms += 59 * MINUTE_MS
    assert pulse.per_minute()[0] == 1
    assert sum(pulse.per_minute()) == 1
    for number in range(200):
        clock.ms += MINUTE_MS
        pulse.hear_task(task(10 + number))
    assert len(pulse._by_minute) == len(pulse.per_minute()) == 60


async def test_a_flood_of_tasks_leaves_no_more_than_the_bounds(pulse):
    for number in range(KNOWN_MAX + 50):
        pulse.hear_task(task(number))
    assert len(pulse._known) == KNOWN_MAX
    told = await heard(pulse)
    assert len(told) == HAPPENINGS_MAX
    assert told[-1]["sequence"] == KNOWN_MAX + 50


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many(pulse):
    with pulse.follow() as reader:
        for number in range(WAITING_MAX + 3):
            pulse.hear_task(task(number))
        assert (await reader.receive())["sequence"] == 4
        assert reader.dropped == 3


def test_one_reader_more_than_the_bound_is_refused__until_one_leaves(pulse):
    with ExitStack() as stack:
        for _ in range(READERS_MAX):
            stack.enter_context(pulse.follow())
        with pytest.raises(Busy), pulse.follow():
            pass
        assert pulse.counts.refused == 1
    with pulse.follow():
        assert pulse.counts.readers == 1
