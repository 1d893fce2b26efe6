"""tests/simulation/world.py"""

from tests.simulation.links import MTU_OVERHEAD_BYTES, LinkParams
from tests.simulation.world import STALE_CONNECTION_MS, World


class Recorder:
    """A party that writes down what it is told."""

    def __init__(self, world, number):
        self.world, self.heard = world, []
        world.add(number, self)

    def has_room(self):
        return True

    def connected(self, peer, *, outbound):
        self.heard.append(("connected", peer, outbound))

    def disconnected(self, peer):
        self.heard.append(("disconnected", peer))

    def receive(self, peer, rpc):
        self.heard.append((self.world.now_ms, peer, rpc))

    def stream_broke(self, peer):
        self.heard.append(("broke", peer))


def make(count=2, **params):
    world = World(1, LinkParams(latency_ms_min=10, latency_ms_max=10, **params))
    parties = [Recorder(world, number) for number in range(count)]
    world.connect(0, 1)
    return world, parties


def test_a_connection_is_told_to_both_and_carries_bytes():
    world, (a, b) = make()
    world.send(0, 1, b"hello")
    world.events.run_until(100)
    assert a.heard == [("connected", 1, True)]
    assert b.heard == [("connected", 0, False), (10.0, 0, b"hello")]
    assert not world.connect(1, 0)


def test_what_is_under_way_when_a_connection_ends_is_lost():
    world, (_, b) = make()
    world.send(0, 1, b"hello")
    world.disconnect(0, 1)
    world.events.run_until(100)
    assert b.heard == [("connected", 0, False), ("disconnected", 0)]


def test_a_node_sends_no_faster_than_its_egress():
    world, (_, b, c) = make(3, egress_bytes_per_ms=(100 + MTU_OVERHEAD_BYTES) / 5)
    world.connect(0, 2)
    for target in (1, 2):
        world.send(0, target, bytes(100))
    world.events.run_until(100)
    assert (b.heard[-1][0], c.heard[-1][0]) == (15.0, 20.0)


def test_a_loss_is_noticed_by_its_sender():
    world, (a, b) = make(loss=1.0)
    world.send(0, 1, b"hello")
    world.events.run_until(100)
    assert a.heard[-1] == ("broke", 1)
    assert b.heard == [("connected", 0, False)]


def test_a_partition_swallows_bytes_then_breaks_connections_then_heals():
    world, (a, b) = make()
    world.partition([{0}, {1}])
    world.send(0, 1, b"hello")
    world.events.run_until(STALE_CONNECTION_MS - 1)
    assert b.heard == [("connected", 0, False)]
    world.events.run_until(STALE_CONNECTION_MS + 1)
    assert a.heard[-1] == ("disconnected", 1)
    assert not world.connect(0, 1)
    world.heal()
    assert world.connect(0, 1)


def test_a_crashed_party_cannot_be_dialled():
    world, (a, _) = make()
    world.crash(1)
    assert a.heard[-1] == ("disconnected", 1)
    assert not world.connect(0, 1)
    world.restart(1)
    assert world.connect(0, 1)


def test_the_trace_is_of_what_arrives_and_when():
    def trace(rpc, at_ms):
        world, _ = make()
        world.events.run_until(at_ms)
        world.send(0, 1, rpc)
        world.events.run_until(100)
        return world.trace

    assert trace(b"a", 0) == trace(b"a", 0)
    assert len({trace(b"a", 0), trace(b"b", 0), trace(b"a", 1)}) == 3
