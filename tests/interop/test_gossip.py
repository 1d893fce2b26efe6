"""A js-libp2p peer in the mesh of our nodes: it hears and is heard, and neither blames the other."""

import json
import random
from contextlib import asynccontextmanager
from itertools import chain

import pytest
import trio
from multiaddr import Multiaddr

from node.peer.peer import RULES
from p2p.gossip.actions import Count
from p2p.gossip.params import GossipParams
from p2p.gossip.router import MESHSUB_1_2
from p2p.gossip.service import GossipService
from p2p.mesh import Validation
from protocol.rules.view import Seen
from tests.interop.peer import FOLDER, js_peer, until_async
from tests.p2p.nodes import connect, hear, open_gossip, open_hosts, secret, until
from tests.protocol.test_vectors import view_of

pytestmark = pytest.mark.process
TOPIC = "cuckoo/1/31337-c0ffee00/tasks"
JS = secret(77)
NARROW = {"d": 1, "d_low": 1, "d_high": 1, "d_out": 0, "d_score": 1}
"""Room for one peer in each mesh."""
JS_NARROW = {"D": 1, "Dlo": 1, "Dhi": 1, "Dout": 0, "Dscore": 1}
BACKOFF = {"heartbeat_ms": 200, "prune_backoff_ms": 2_000, "backoff_slack_ms": 400}
LARGE = bytes(2_000)


def accept(_data, _peer):
    return Validation.ACCEPT


class Inbox:
    """Subscribes a service and keeps what it gets."""

    def __init__(self, nursery, service, topic=TOPIC, validator=accept):
        self.found = []
        nursery.start_soon(self._collect, hear(service, topic, validator))

    async def _collect(self, channel):
        async for data in channel:
            self.found.append(data)

    async def until_has(self, *expected):
        await until(lambda: set(expected) <= set(self.found))
        assert [self.found.count(data) for data in expected] == [1] * len(expected)


@asynccontextmanager
async def open_mesh(count, **changes):
    """Services of ours that run, an inbox of TOPIC for each, and a nursery."""
    async with open_gossip(count, **changes) as (hosts, services), trio.open_nursery() as nursery:
        yield hosts, services, [Inbox(nursery, service) for service in services]
        nursery.cancel_scope.cancel()


async def meet(js, host, *, dial=False):
    """Connect. :param dial: whether it is we who call."""
    if dial:
        await host.connect(Multiaddr(js.multiaddr))
    else:
        await js.do("connect", multiaddr=str(host.listen_addresses()[0]))
    await until(lambda: host.is_connected(js.peer_id))


async def test_it_joins_a_mesh_of_ours__and_everybody_hears_everybody():
    async with open_mesh(4) as (hosts, services, inboxes), js_peer(JS) as js:
        await js.do("subscribe", topic=TOPIC)
        # A line, with the other implementation in its middle.
        await connect(hosts[1], hosts[0])
        await meet(js, hosts[1])
        await meet(js, hosts[2], dial=True)
        await connect(hosts[3], hosts[2])
        await js.until_meshed(TOPIC, hosts[1].peer_id, hosts[2].peer_id)
        await until(lambda: [len(service.mesh_peers(TOPIC)) for service in services] == [1, 2, 2, 1])
        ours = [[b"%d of %d" % (number, index) for number in range(50)] for index in range(4)]
        theirs = [b"%d of theirs" % number for number in range(50)]
        for number in range(50):
            for service, sent in zip(services, ours, strict=True):
                await service.publish(TOPIC, sent[number])
            await js.do("publish", topic=TOPIC, data=theirs[number].hex())
        for index, inbox in enumerate(inboxes):
            others = [sent for place, sent in enumerate(ours) if place != index]
            await inbox.until_has(*theirs, *chain.from_iterable(others))
        await js.until_received(TOPIC, *chain.from_iterable(ours))
        state = await js.do("state", topic=TOPIC)
        assert set(state["protocols"].values()) == {MESHSUB_1_2}
        assert min(state["scores"].values()) >= 0
        assert all(service.score(js.peer_id) >= 0 for service in services[1:3])


def accepted_case(topic):
    """The first accepted message of a topic among the vectors, what goes before it, and the view."""
    cases = json.loads((FOLDER.parent / "vectors" / "rules" / f"{topic}.json").read_text())
    case = next(case for case in cases if case["expected"] == "accept" and "padded_to" not in case["message"])
    return [*case["before"], case["message"]], view_of(case["view"])


class Node:
    """A node of ours that judges all topics by the production rules, with view and clock of a vector."""

    def __init__(self, nursery, service):
        self.seen, self.view, self.now_ms, self.accepted = Seen(), None, 0, []
        for topic in RULES:
            Inbox(nursery, service, name_of(topic), self._validator(topic))

    def judge(self, topic, data):
        RULES[topic](self.seen, self.view, data, self.now_ms)
        self.accepted.append(data)
        return Validation.ACCEPT

    def _validator(self, topic):
        return lambda data, _peer: self.judge(topic, data)


def name_of(topic):
    return f"cuckoo/1/31337-c0ffee00/{topic}"


@pytest.mark.parametrize("whose", ["ours", "theirs"])
async def test_valid_statements_on_every_topic__pass_through_it(whose):
    """Ours: from one node of ours to another, whom only the js peer connects. Theirs: to both."""
    async with open_gossip(2) as (hosts, services), js_peer(JS) as js, trio.open_nursery() as nursery:
        nodes = [Node(nursery, service) for service in services]
        for topic in RULES:
            await js.do("subscribe", topic=name_of(topic))
        for host in hosts:
            await meet(js, host)
        await until(
            lambda: all(service.mesh_peers(name_of(topic)) for service in services for topic in RULES)
        )
        travelled = set()
        for messages, view in map(accepted_case, RULES):
            for node in nodes:
                node.seen, node.view, node.accepted = Seen(), view, []
            for message in messages:
                topic, data = message["topic"], bytes.fromhex(message["data"])
                for node in nodes:
                    node.now_ms = message["now_ms"]
                if data in travelled:  # for another topic's case; a mesh does not carry it twice
                    for node in nodes:
                        node.judge(topic, data)
                elif whose == "ours":
                    nodes[0].judge(topic, data)
                    await services[0].publish(name_of(topic), data)
                    await js.until_received(name_of(topic), data)
                else:
                    await js.do("publish", topic=name_of(topic), data=data.hex())
                travelled.add(data)
                await until(lambda data=data: all(data in node.accepted for node in nodes))
        assert len(travelled) >= len(RULES)
        nursery.cancel_scope.cancel()


async def test_pruned_by_us__it_hears_by_gossip_and_comes_back_after_the_backoff():
    async with open_hosts(2) as hosts, js_peer(JS) as js, trio.open_nursery() as nursery:
        narrow, other = (
            GossipService(host, random.Random(0), params=GossipParams(**BACKOFF, **changes))
            for host, changes in zip(hosts, (NARROW, {}), strict=True)
        )
        for service in (narrow, other):
            await nursery.start(service.run)
            Inbox(nursery, service)
        await connect(hosts[1], hosts[0])
        await until(lambda: narrow.mesh_peers(TOPIC) == (hosts[1].peer_id,))
        await js.do("subscribe", topic=TOPIC)
        await meet(js, hosts[0])
        await until(lambda: narrow.router.counts[Count.GRAFT_REFUSED] == 1)
        await js.until_meshed(TOPIC)
        # Nobody forwards to it, but it hears IHAVE, asks by IWANT, and gets.
        await other.publish(TOPIC, b"while pruned")
        await js.until_received(TOPIC, b"while pruned")
        await hosts[1].disconnect(hosts[0].peer_id)
        await until(lambda: narrow.mesh_peers(TOPIC) == (js.peer_id,), 15)
        await js.until_meshed(TOPIC, hosts[0].peer_id)
        assert narrow.router.counts[Count.GRAFT_IN_BACKOFF] == 0
        assert narrow.score(js.peer_id) >= 0
        assert (await js.do("state", topic=TOPIC))["scores"] == {str(hosts[0].peer_id): 0}
        nursery.cancel_scope.cancel()


async def test_pruned_by_it__we_hear_by_gossip_and_come_back_after_the_backoff():
    async with (
        open_mesh(2, **BACKOFF) as (hosts, services, inboxes),
        js_peer(JS, pruneBackoff=2_000, **JS_NARROW) as js,
    ):
        await js.do("subscribe", topic=TOPIC)
        await meet(js, hosts[0], dial=True)
        await js.until_meshed(TOPIC, hosts[0].peer_id)
        await meet(js, hosts[1], dial=True)
        await until(lambda: services[1].peers(TOPIC) == (js.peer_id,))
        await until(lambda: services[1].mesh_peers(TOPIC) == ())
        await services[0].publish(TOPIC, b"while pruned")
        await inboxes[1].until_has(b"while pruned")
        assert services[1].mesh_peers(TOPIC) == ()
        await hosts[0].disconnect(js.peer_id)
        await js.until_meshed(TOPIC, hosts[1].peer_id)
        await until(lambda: services[1].mesh_peers(TOPIC) == (js.peer_id,))
        assert (await js.do("state", topic=TOPIC))["scores"] == {str(hosts[1].peer_id): 0}


async def test_large_messages__are_announced_by_idontwant_both_ways():
    # It forgets what was not wanted with its cache: a long one.
    async with open_mesh(3) as (hosts, services, inboxes), js_peer(JS, mcacheLength=100) as js:
        # 0 - js - 1 - 2, and the other implementation takes its time to judge.
        await js.do("subscribe", topic=TOPIC, delay_ms=2_000)
        for host in hosts[:2]:
            await meet(js, host)
        await connect(hosts[2], hosts[1])
        await js.until_meshed(TOPIC, hosts[0].peer_id, hosts[1].peer_id)
        await until(lambda: len(services[1].mesh_peers(TOPIC)) == 2)
        await until(lambda: services[2].mesh_peers(TOPIC))
        await services[0].publish(TOPIC, LARGE)
        await until(lambda: services[1].router.overlay.peers[js.peer_id].unwanted)
        # It has not forwarded it yet. When it comes another way, we know that it need not be sent there.
        await services[2].publish(TOPIC, LARGE)
        await inboxes[1].until_has(LARGE)
        assert services[1].router.counts[Count.FORWARD_UNWANTED] == 1
        # And we have told it that it need not send it to us.
        await until_async(lambda: unwanted_by(js, hosts[1].peer_id))
        await js.until_received(TOPIC, LARGE)
        await trio.sleep(0.2)
        assert services[1].router.counts[Count.DUPLICATE] == 0


async def unwanted_by(js, peer_id):
    return (await js.do("state", topic=TOPIC))["unwanted"].get(str(peer_id), 0) >= 1
