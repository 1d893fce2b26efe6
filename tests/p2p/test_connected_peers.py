"""p2p/connected_peers.py on real sockets: who is told of whom."""

from tests.p2p.nodes import connect, open_hosts, until


class Recorder:
    """An observer of peers that writes down what it is told."""

    def __init__(self):
        self.events = []

    def peer_connected(self, peer_id, *, outbound):
        self.events.append(("connected", peer_id, outbound))

    def peer_disconnected(self, peer_id):
        self.events.append(("disconnected", peer_id))


async def test_connecting__tells_both_sides_once_and_again_costs_nothing():
    async with open_hosts(2) as (alice, bob):
        at_alice, at_bob = Recorder(), Recorder()
        alice.observe(at_alice)
        await connect(bob, alice)
        bob.observe(at_bob)
        await connect(bob, alice)
        assert at_alice.events == [("connected", bob.peer_id, False)]
        assert at_bob.events == [("connected", alice.peer_id, True)]
        assert bob.connected_peers() == (alice.peer_id,)
        assert alice.remote_ip(bob.peer_id) == "127.0.0.1"
        assert bob.statistics().dials.begun == 1
        await bob.disconnect(alice.peer_id)
        await until(lambda: not alice.connected_peers() and not bob.connected_peers())
        assert at_alice.events[1:] == [("disconnected", bob.peer_id)]
        assert at_bob.events[1:] == [("disconnected", alice.peer_id)]
        assert alice.remote_ip(bob.peer_id) is None


async def test_an_observer_that_fails__is_counted_and_the_others_hear():
    class Broken(Recorder):
        def peer_connected(self, *_arguments, **_options):
            raise RuntimeError("fault")

        def peer_disconnected(self, *_arguments):
            raise RuntimeError("fault")

    async with open_hosts(2) as (alice, bob):
        recorder = Recorder()
        bob.observe(Broken())
        bob.observe(recorder)
        await connect(bob, alice)
        await bob.disconnect(alice.peer_id)
        await until(lambda: len(recorder.events) == 2)
        assert bob.statistics().observer_failed == 2
