"""The bus: bounded, in order, and never in the publisher's way."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from node.system.events import (
    EVENT_KINDS,
    EVENTS_QUEUED_MAX,
    SUBSCRIBERS_MAX,
    ChainReorganised,
    EventBus,
    PeerJoined,
    PeerLeft,
    Published,
    TaskPaid,
    TooManySubscribers,
    name_of,
)


@pytest.fixture
def bus():
    return EventBus(clock_ms=lambda: 7)


async def test_subscribers_hear_their_kinds_in_order(bus):
    with bus.subscribe() as everything, bus.subscribe(PeerLeft, ChainReorganised) as some:
        bus.publish(PeerJoined("p", outbound=True))
        bus.publish(PeerLeft("p"))
        bus.publish(ChainReorganised(3))
        heard = [await everything.receive() for _ in range(3)]
        assert heard == [
            Published(1, 7, PeerJoined("p", outbound=True)),
            Published(2, 7, PeerLeft("p")),
            Published(3, 7, ChainReorganised(3)),
        ]
        assert [(await some.receive()).sequence for _ in range(2)] == [2, 3]


async def test_a_reader_that_waits__is_woken(bus):
    heard = []

    async def read(subscription):
        heard.append((await subscription.receive()).event)

    with bus.subscribe() as subscription:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, subscription)
            await wait_all_tasks_blocked()
            bus.publish(PeerLeft("p"))
    assert heard == [PeerLeft("p")]


async def test_a_slow_reader__loses_the_oldest_and_the_loss_is_counted(bus):
    with bus.subscribe() as slow:
        for number in range(EVENTS_QUEUED_MAX + 3):
            bus.publish(ChainReorganised(number))
        assert (slow.dropped, bus.counts.dropped) == (3, 3)
        assert [(await slow.receive()).event.epoch for _ in range(EVENTS_QUEUED_MAX)] == list(
            range(3, EVENTS_QUEUED_MAX + 3)
        )


def test_a_subscription_ends_with_its_context(bus):
    with bus.subscribe() as subscription:
        assert bus.counts.subscribers == 1
    bus.publish(PeerLeft("p"))
    assert bus.counts.subscribers == 0
    assert subscription.put(Published(1, 0, PeerLeft("p"))) is False  # nothing was in it


def test_subscribers_beyond_the_most__are_refused_and_counted(bus):
    from contextlib import ExitStack

    with ExitStack() as stack:
        for _ in range(SUBSCRIBERS_MAX):
            stack.enter_context(bus.subscribe())
        with (
            pytest.raises(TooManySubscribers, match=r"^as many follow this node's events as it serves"),
            bus.subscribe(),
        ):
            pass
    assert (bus.counts.refused, bus.counts.subscribers) == (1, 0)


def test_documents_and_names():
    assert Published(2, 7, TaskPaid(b"\x01", b"\x02", 5)).document() == {
        "event": "task_paid",
        "sequence": 2,
        "at_ms": 7,
        "task_id": "0x01",
        "miner": "0x02",
        "paid_wei": "5",
    }
    assert list(EVENT_KINDS) == [name_of(kind) for kind in EVENT_KINDS.values()]
    assert set(EVENT_KINDS) >= {"task_announced", "miner_lost", "node_slashed", "peer_joined"}
