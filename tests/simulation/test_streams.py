"""tests/simulation/streams.py"""

import pytest

from tests.simulation.links import LinkParams
from tests.simulation.randomness import generator
from tests.simulation.streams import DIAL_TIMEOUT_MS, Process, Streams
from tests.simulation.world import STALE_CONNECTION_MS, World


class Role:
    """A party, and an end that writes down what it hears."""

    def __init__(self, world, streams, number):
        self.world, self.heard = world, []
        world.add(number, self)
        streams.roles[number] = self

    def has_room(self):
        return True

    def connected(self, peer, *, outbound):
        pass

    def disconnected(self, peer):
        pass

    def stream_heard(self, stream_id, payload):
        self.heard.append((self.world.now_ms, payload))

    def stream_ended(self, stream_id, reason, *, refused):
        self.heard.append((self.world.now_ms, reason, refused))


@pytest.fixture
def world():
    return World(1, LinkParams(latency_ms_min=10, latency_ms_max=10))


@pytest.fixture
def streams(world):
    return Streams(world, generator(1, "streams"))


@pytest.fixture
def roles(world, streams):
    return [Role(world, streams, number) for number in range(2)]


def opened(world, streams):
    """A stream from 0 to 1, which opens in one round trip."""
    found = []
    streams.dial(0, 1, found.append, found.append)
    world.events.run_until(20)
    return found[0]


def test_payloads_come_in_order_and_the_end_behind_them(world, streams, roles):
    stream = opened(world, streams)
    streams.send(stream, 0, b"one")
    streams.send(stream, 0, b"two")
    streams.end(stream, 0, "you talk too much")
    world.events.run_until(100)
    assert roles[1].heard == [(30.0, b"one"), (30.0, b"two"), (30.0, "you talk too much", True)]
    assert roles[0].heard == []


def test_an_end_without_a_reason_is_no_refusal(world, streams, roles):
    streams.end(opened(world, streams), 1)
    world.events.run_until(100)
    assert roles[0].heard == [(30.0, "it ended the stream", False)]


def test_nothing_is_heard_after_ones_own_end(world, streams, roles):
    stream = opened(world, streams)
    streams.send(stream, 1, b"late")
    streams.end(stream, 0)
    world.events.run_until(100)
    assert roles[0].heard == []


def test_the_other_end_notices_a_crash(world, streams, roles):
    stream = opened(world, streams)
    streams.send(stream, 0, b"last words")
    world.crash(1)
    streams.crash(1)
    world.events.run_until(100)
    assert roles[1].heard == []
    assert roles[0].heard == [(30.0, "the connection broke", False)]


@pytest.mark.parametrize("speaks", [True, False])
def test_a_partition_takes_streams_across_it(world, streams, roles, speaks):
    stream = opened(world, streams)
    world.partition([{0}, {1}])
    if speaks:
        streams.send(stream, 0, b"into the void")
        world.events.run_until(100)
        world.heal()
        streams.send(stream, 0, b"behind a gap")
    world.events.run_until(2 * STALE_CONNECTION_MS)
    assert [said[1:] for said in roles[0].heard] == [("the connection broke", False)]
    assert [said[1:] for said in roles[1].heard] == [("the connection broke", False)]


def test_a_stream_on_which_nothing_was_said_outlives_a_short_partition(world, streams, roles):
    stream = opened(world, streams)
    world.partition([{0}, {1}])
    world.heal()
    streams.send(stream, 0, b"still here")
    world.events.run_until(2 * STALE_CONNECTION_MS)
    assert roles[1].heard == [(30.0, b"still here")]


def test_a_dial_fails_at_once_where_nobody_listens_and_late_into_a_partition(world, streams, roles):
    failed = []
    world.crash(1)
    streams.dial(0, 1, failed.append, lambda reason: failed.append(world.now_ms))
    world.events.run_until(100)
    world.restart(1)
    world.partition([{0}, {1}])
    streams.dial(0, 1, failed.append, lambda reason: failed.append(world.now_ms))
    world.events.run_until(100 + DIAL_TIMEOUT_MS)
    assert failed == [20.0, 100 + DIAL_TIMEOUT_MS]


def test_a_caller_that_crashes_hears_nothing_of_its_dial(world, streams, roles):
    heard = []
    streams.dial(0, 1, heard.append, heard.append)
    streams.crash(0)
    world.events.run_until(100)
    assert heard == []


def test_a_call_needs_a_connection(world, streams, roles):
    rung = []
    assert not streams.call(0, 1, lambda: rung.append(world.now_ms))
    world.connect(0, 1)
    assert streams.call(0, 1, lambda: rung.append(world.now_ms))
    world.events.run_until(100)
    assert rung == [10.0]


def test_what_a_process_wanted_to_do_later_dies_with_it(world):
    process, done = Process(world), []
    process.later(10, done.append, "before")
    process.later(30, done.append, "after")
    world.events.after(20, process.die)
    world.events.run_until(100)
    assert done == ["before"]
