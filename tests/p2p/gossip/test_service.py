"""p2p/gossip/service.py on real hosts: everybody gets everything once, and no rubbish ends anybody."""

import random
from contextlib import asynccontextmanager, suppress
from itertools import cycle, pairwise

import pytest
import trio
import trio.testing
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pb import rpc_pb2 as pb
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service

from p2p.gossip import link as link_module
from p2p.gossip import service as service_module
from p2p.gossip.actions import Count
from p2p.gossip.framing import frame
from p2p.gossip.hooks import GossipHooks
from p2p.gossip.link import PROTOCOLS
from p2p.gossip.outbox import Outbox
from p2p.gossip.params import WITHOUT_MESH, GossipParams
from p2p.gossip.score_params import ScoreParams
from p2p.gossip.service import GossipService
from p2p.gossip.wire import PxPeer, encode_messages, encode_subscriptions
from p2p.host import open_host
from p2p.identity import peer_id_from_secret
from p2p.library.host import build_host
from p2p.library.streams import TRANSPORT_ERRORS
from p2p.mesh import Mesh, Validation
from protocol.errors import GossipIgnore, GossipReject, LocalError, Refusal
from tests.limits import HANG_S
from tests.p2p.nodes import LOOPBACK, connect, hear, open_gossip, open_hosts, secret, settled, until

TOPIC = "tasks"


# Offers messages for 10 s: on a busy machine even a reconnection takes its time.
LONG_MEMORY = {"heartbeat_ms": 200, "history_length": 50, "history_gossip": 50}


def accept(_data, _peer):
    return Validation.ACCEPT


def reject_bad(data, _peer):
    return Validation.REJECT if data.startswith(b"bad") else Validation.ACCEPT


async def collect(channel, found):
    async for data in channel:
        found.append(data)


class Consumers:
    """Subscribes every service and keeps what each gets."""

    def __init__(self, nursery, services, validator=accept):
        self.found = [[] for _ in services]
        for found, service in zip(self.found, services, strict=True):
            nursery.start_soon(collect, hear(service, TOPIC, validator), found)


async def line_up(hosts, services):
    """Connect hosts in a line, and wait until each is in the mesh of its neighbours."""
    for left, right in pairwise(hosts):
        await connect(right, left)
    await until(lambda: sum(len(service.mesh_peers(TOPIC)) for service in services) == 2 * len(hosts) - 2)


async def speak(host, peer_id, *chunks):
    """Open a gossip stream as a rude peer does, and write."""
    stream = await host.open_stream(peer_id, PROTOCOLS)
    for chunk in chunks:
        await stream.write(chunk)
    return stream


async def test_five_nodes_in_a_line__all_get_everything_once():
    async with open_gossip(5) as (hosts, services), trio.open_nursery() as nursery:
        consumers = Consumers(nursery, services)
        await line_up(hosts, services)
        sent = [b"%d" % number for number in range(25)]
        for number, data in enumerate(sent):
            await services[number % 5].publish(TOPIC, data)
        for number, found in enumerate(consumers.found):
            expected = [data for index, data in enumerate(sent) if index % 5 != number]
            await until(lambda found=found, expected=expected: len(found) >= len(expected))
            assert sorted(found) == sorted(expected)
        nursery.cancel_scope.cancel()


async def test_five_nodes_around_a_sixth__and_late_subscribers_too():
    async with open_gossip(6) as (hosts, services), trio.open_nursery() as nursery:
        for host in hosts[1:]:
            await connect(host, hosts[0])
        consumers = Consumers(nursery, services)
        await until(lambda: len(services[0].mesh_peers(TOPIC)) == 5)
        await until(lambda: all(service.mesh_peers(TOPIC) for service in services))
        await services[1].publish(TOPIC, b"x")
        await until(lambda: all(consumers.found[index] == [b"x"] for index in (0, 2, 3, 4, 5)))
        assert len(services[0].peers(TOPIC)) == 5
        nursery.cancel_scope.cancel()


async def test_a_burst_of_500__arrives_whole_over_two_hops():
    async with open_gossip(3) as (hosts, services), trio.open_nursery() as nursery:
        consumers = Consumers(nursery, services)
        await line_up(hosts, services)
        sent = [number.to_bytes(4) * 100 for number in range(500)]
        for data in sent:
            await services[0].publish(TOPIC, data)
        for found in consumers.found[1:]:
            await until(lambda found=found: len(found) >= 500)
            assert sorted(found) == sent
        nursery.cancel_scope.cancel()


async def test_a_piece_of_many_crumbs__makes_the_next_wait_for_the_task_and_all_arrive_in_order():
    async with open_gossip(2) as (hosts, services), trio.open_nursery() as nursery:
        consumers = Consumers(nursery, services)
        await line_up(hosts, services)
        crumbs = [number.to_bytes(4) for number in range(1_000)]
        pieces = b"".join(frame(encode_messages([(TOPIC, data)])) for data in crumbs)
        stream = await speak(hosts[1], hosts[0].peer_id)
        # Pieces of every size: handled as they come, by the task, and cut within an RPC.
        start = 0
        for size in cycle((1, 40, link_module.INLINE_BYTES_MAX, 3, link_module.INLINE_BYTES_MAX + 1)):
            if start >= len(pieces):
                break
            await stream.write(pieces[start : start + size])
            start += size
        await until(lambda: len(consumers.found[0]) == len(crumbs))
        assert consumers.found[0] == crumbs
        nursery.cancel_scope.cancel()


async def test_large_messages__pass_and_too_large_ones_are_refused():
    async with open_gossip(2) as (hosts, services), trio.open_nursery() as nursery:
        consumers = Consumers(nursery, services)
        await line_up(hosts, services)
        largest = bytes(services[0].router.params.message_bytes_max)
        await services[0].publish(TOPIC, largest)
        await until(lambda: consumers.found[1] == [largest])
        with pytest.raises(Refusal):
            await services[0].publish(TOPIC, largest + b"x")
        nursery.cancel_scope.cancel()


async def test_a_service__is_a_mesh_and_tells_its_counts():
    async with open_gossip(2) as (hosts, services), trio.open_nursery() as nursery:
        mesh: Mesh = services[0]
        Consumers(nursery, services)
        with pytest.raises(LocalError):
            mesh.join(TOPIC, accept)
        with pytest.raises(LocalError):
            await services[0].run()
        await line_up(hosts, services)
        await mesh.publish(TOPIC, b"x")
        assert mesh.peers(TOPIC) == mesh.mesh_peers(TOPIC) == (hosts[1].peer_id,)
        assert mesh.score(hosts[1].peer_id) == 0
        found = services[0].statistics()
        assert found.peers == found.router.counts[Count.PUBLISHED] == found.router.topics[TOPIC].mesh == 1
        assert found.outbox_frames == found.outbox_frames_longest <= 1
        nursery.cancel_scope.cancel()


def rubbish():
    rng = random.Random(7)
    signed = pb.RPC()
    signed.publish.add(topicIDs=[TOPIC], data=b"x", seqno=b"1", from_id=b"2", signature=b"3")
    yield frame(b"\xff" * 50)
    yield b"\xff" * 100
    yield frame(bytes(300_000))
    yield frame(signed.SerializeToString())
    yield frame(encode_messages([(TOPIC, b"bad")]))
    yield frame(encode_subscriptions([("t" * 500, True)]))
    yield frame(b"") * 1000
    for _ in range(20):
        yield frame(rng.randbytes(rng.randint(1, 60)))


async def test_rubbish_of_every_kind__ends_nobody_and_costs_its_sender():
    async with (
        open_gossip(2) as (hosts, services),
        open_host(secret(9), []) as rude,
        trio.open_nursery() as nursery,
    ):
        consumers = Consumers(nursery, services, reject_bad)
        await line_up(hosts, services)
        for chunk in rubbish():
            await rude.connect(hosts[0].listen_addresses()[0])
            with suppress(Refusal, *TRANSPORT_ERRORS):  # it may be cut off already
                await speak(rude, hosts[0].peer_id, chunk)
        await until(lambda: not hosts[0].is_connected(rude.peer_id))
        assert services[0].router.counts[Count.GRAYLISTED] == 1
        assert services[0].score(rude.peer_id) < services[0].router.params.score.graylist_threshold
        await services[1].publish(TOPIC, b"good")
        await until(lambda: consumers.found[0] == [b"good"])
        assert services[1].score(hosts[0].peer_id) >= 0
        nursery.cancel_scope.cancel()


async def test_a_peer_that_spreads_invalid_messages__is_cut_off_and_kept_out():
    async with open_gossip(3) as (hosts, services), trio.open_nursery() as nursery:
        consumers = Consumers(nursery, services[:2], reject_bad)
        services[2].join(TOPIC, accept)
        await line_up(hosts[:2], services[:2])
        await connect(hosts[2], hosts[0])
        await until(lambda: hosts[2].peer_id in services[0].mesh_peers(TOPIC))
        for number in range(10):
            await services[2].publish(TOPIC, b"bad %d" % number)
        await until(lambda: not hosts[0].is_connected(hosts[2].peer_id))
        await hosts[2].connect(hosts[0].listen_addresses()[0])
        await until(lambda: not hosts[0].is_connected(hosts[2].peer_id))
        assert consumers.found == [[], []]
        nursery.cancel_scope.cancel()


async def test_validators__answer_by_exceptions_too_and_a_faulty_one_blames_nobody():
    def judge(data, _peer):
        if data == b"reject":
            raise GossipReject("rule")
        if data == b"ignore":
            raise GossipIgnore("rule")
        if data == b"fault":
            raise KeyError
        return Validation.ACCEPT

    async with open_gossip(2) as (hosts, services), trio.open_nursery() as nursery:
        consumers = Consumers(nursery, services, judge)
        await line_up(hosts, services)
        for data in (b"ignore", b"fault", b"reject", b"good"):
            await services[1].publish(TOPIC, data)
        await until(lambda: consumers.found[0] == [b"good"])
        found = services[0].statistics()
        counts = found.router.counts
        assert (counts[Count.IGNORED], counts[Count.REJECTED], found.counts.validator_failed) == (2, 1, 1)
        assert services[0].score(hosts[1].peer_id) == pytest.approx(-820, abs=1)
        nursery.cancel_scope.cancel()


async def test_a_link_that_breaks_and_comes_back__loses_nothing():
    async with open_gossip(2, **LONG_MEMORY) as (hosts, services), trio.open_nursery() as nursery:
        consumers = Consumers(nursery, services)
        await line_up(hosts, services)
        for number in range(3):
            await hosts[1].disconnect(hosts[0].peer_id)
            await until(lambda: not hosts[0].connected_peers() and not hosts[1].connected_peers())
            await services[0].publish(TOPIC, b"%d" % number)
            await connect(hosts[1], hosts[0])
            await until(lambda number=number: len(consumers.found[1]) == number + 1)
        assert consumers.found[1] == [b"0", b"1", b"2"]
        nursery.cancel_scope.cancel()


async def test_a_stream_that_breaks__is_opened_again_and_loses_nothing():
    async with open_gossip(2, **LONG_MEMORY) as (hosts, services), trio.open_nursery() as nursery:
        consumers = Consumers(nursery, services)
        await line_up(hosts, services)
        services[1]._links[hosts[0].peer_id]._reading.cancel()
        for number in range(5):
            await services[0].publish(TOPIC, b"%d" % number)
            await settled()
        await until(lambda: len(consumers.found[1]) == 5)
        assert services[0].statistics().counts.stream_broken >= 1
        nursery.cancel_scope.cancel()


async def test_a_peer_whose_streams_keep_breaking__is_disconnected(monkeypatch):
    monkeypatch.setattr(link_module, "OPEN_RETRY_MS", 1)

    async def hang_up(stream, _peer):
        await stream.read(1)
        await stream.reset()

    async with open_gossip(1) as (hosts, services), open_host(secret(9), []) as rude:
        for protocol in PROTOCOLS:
            rude.handle_streams(protocol, hang_up)
        await connect(rude, hosts[0])
        await speak(rude, hosts[0].peer_id, frame(encode_subscriptions([(TOPIC, True)])))
        services[0].join(TOPIC, accept)
        with trio.fail_after(HANG_S):
            while hosts[0].is_connected(rude.peer_id):
                await services[0].publish(TOPIC, random.randbytes(8))
                await trio.sleep(0.01)
        assert services[0].statistics().counts.peer_streams_broken == 1


async def test_publishing__waits_for_room_but_not_for_ever_and_counts_what_is_lost(monkeypatch):
    monkeypatch.setattr(service_module, "PUBLISH_TIMEOUT_MS", 50)
    async with open_gossip(2) as (hosts, services), trio.open_nursery() as nursery:
        Consumers(nursery, services)
        await line_up(hosts, services)
        link = services[0]._links[hosts[1].peer_id]
        link.outbox = Outbox(services[0]._dropped, frames_max=1)
        link._stream = None  # as towards a peer that reads nothing
        link.outbox.put(b"x")
        started = trio.current_time()
        await services[0].publish(TOPIC, b"lost")
        assert 0.05 <= trio.current_time() - started < 5
        assert services[0].statistics().outbox_dropped.own == 1
        nursery.cancel_scope.cancel()


async def test_a_peer_without_gossip__is_left_alone():
    async with open_gossip(1) as (hosts, services), open_host(secret(9), []) as silent:
        await connect(silent, hosts[0])
        await until(lambda: services[0].statistics().counts.peer_without_gossip == 1)
        assert services[0].statistics().peers == 0
        assert silent.is_connected(hosts[0].peer_id)
        # And if it learns to speak later, it is heard.
        await speak(silent, hosts[0].peer_id, frame(encode_subscriptions([(TOPIC, True)])))
        await until(lambda: services[0].peers(TOPIC) == (silent.peer_id,))


async def test_a_service__runs_once():
    async with open_hosts(1) as (host,):
        service = GossipService(host, random.Random(0))
        async with trio.open_nursery() as nursery:
            await nursery.start(service.run)
            nursery.cancel_scope.cancel()
        with pytest.raises(LocalError):
            await service.run()


# What the rest of a node brings


@asynccontextmanager
async def running(host, params=None, **hooks):
    """A gossip service on a host, with these hooks."""
    service = GossipService(host, random.Random(1), params=params, hooks=GossipHooks(**hooks))
    async with trio.open_nursery() as nursery:
        await nursery.start(service.run)
        yield service
        nursery.cancel_scope.cancel()


async def test_a_bootstrap_peer__names_those_it_knows_and_whoever_trusts_it_hears_of_them():
    named = []
    async with (
        open_hosts(3) as (hub, early, late),
        running(hub, WITHOUT_MESH) as bootstrap,
        running(early) as first,
        running(
            late, application_score=lambda _: 100.0, peers_named=lambda peers, by: named.append((peers, by))
        ) as second,
    ):
        for service in (bootstrap, first):
            service.join(TOPIC, accept)
        await connect(early, hub)
        await until(lambda: bootstrap.peers(TOPIC) == (early.peer_id,))
        second.join(TOPIC, accept)
        await connect(late, hub)
        await until(lambda: named)
        assert named == [((PxPeer(early.peer_id.to_bytes()),), hub.peer_id)]
        assert bootstrap.mesh_peers(TOPIC) == ()


async def test_the_application__is_asked_of_a_new_peer_and_again_from_time_to_time(monkeypatch):
    monkeypatch.setattr(service_module, "APPLICATION_SCORE_HEARTBEATS", 1)
    opinion = {"score": 3.0}
    async with (
        open_hosts(2) as (ours, theirs),
        running(ours, GossipParams(heartbeat_ms=50), application_score=lambda _: opinion["score"]) as service,
        running(theirs),
    ):
        await connect(theirs, ours)
        await until(lambda: service.score(theirs.peer_id) == 3)
        opinion["score"] = -4.0
        await until(lambda: service.score(theirs.peer_id) == -4)


async def test_two_of_ours__agree_on_1_2_and_know_where_the_other_is():
    seen_from_everywhere = GossipParams(score=ScoreParams(colocation_exempt=()))
    async with (
        open_hosts(2) as (ours, theirs),
        running(ours, seen_from_everywhere) as service,
        running(theirs) as other,
    ):
        await connect(theirs, ours)
        for here, there in ((service, theirs), (other, ours)):
            await until(
                lambda here=here, there=there: (
                    there.peer_id in here.router.overlay.peers
                    and here.router.overlay.peers[there.peer_id].hears_idontwant
                )
            )
        assert service.router.scores.get(theirs.peer_id).ip == "127.0.0.1"


async def test_a_large_message__comes_once_to_each_of_a_full_mesh():
    async with open_gossip(4) as (hosts, services), trio.open_nursery() as nursery:
        consumers = Consumers(nursery, services)
        for index, host in enumerate(hosts):
            for other in hosts[:index]:
                await connect(host, other)
        await until(lambda: all(len(service.mesh_peers(TOPIC)) == 3 for service in services))
        large = [bytes((number,)) * 20_000 for number in range(20)]
        for number, data in enumerate(large):
            await services[number % 4].publish(TOPIC, data)
        for number, found in enumerate(consumers.found):
            expected = sorted(data for index, data in enumerate(large) if index % 4 != number)
            await until(lambda found=found, expected=expected: sorted(found) == expected)
        nursery.cancel_scope.cancel()


async def test_a_message__goes_over_each_connection_of_a_full_mesh_once_where_nodes_are_near():
    async with open_gossip(6) as (hosts, services), trio.open_nursery() as nursery:
        consumers = Consumers(nursery, services)
        for index, host in enumerate(hosts):
            for other in hosts[:index]:
                await connect(host, other)
        await until(lambda: all(len(service.mesh_peers(TOPIC)) == 5 for service in services))
        before = sum(service.router.counts[Count.DUPLICATE] for service in services)
        for number in range(20):
            await services[number % 6].publish(TOPIC, b"%d" % number)
            await until(lambda number=number: sum(map(len, consumers.found)) == 5 * (number + 1))
            await trio.testing.wait_all_tasks_blocked(0.005)
        copies = sum(service.router.counts[Count.DUPLICATE] for service in services) - before
        spared = sum(service.statistics().counts.forwards_spared for service in services)
        # Five receivers forward to the four others each: ten connections, both ways.
        assert copies + spared == 20 * 5 * 4
        assert spared >= 20 * 10 * 0.9
        nursery.cancel_scope.cancel()


# Others who speak the protocol


async def test_stock_py_libp2p__takes_our_messages():
    from libp2p.crypto.secp256k1 import create_new_key_pair

    stock, _, _ = build_host(create_new_key_pair(secret(9)), 50)
    gossipsub = GossipSub(list(PROTOCOLS), degree=8, degree_low=6, degree_high=12, heartbeat_interval=1)
    pubsub = Pubsub(stock, gossipsub, strict_signing=False)
    async with open_gossip(1) as (hosts, services), stock.run(LOOPBACK):
        async with background_trio_service(pubsub), background_trio_service(gossipsub):
            await pubsub.wait_until_ready()
            subscription = await pubsub.subscribe(TOPIC)
            services[0].join(TOPIC, accept)
            await hosts[0].connect(stock.get_addrs()[0])
            stranger = peer_id_from_secret(secret(9))
            await until(lambda: services[0].mesh_peers(TOPIC) == (stranger,))
            await services[0].publish(TOPIC, b"from us")
            with trio.fail_after(HANG_S):
                message = await subscription.get()
            assert message.data == b"from us"
            # It cannot leave its name out, so what it publishes is not for our network.
            await pubsub.publish(TOPIC, b"from stock")
            await until(lambda: services[0].router.counts[Count.DROPPED_SIGNED] >= 1)
        await stock.close()
