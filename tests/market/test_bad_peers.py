"""A stranger on the real network says what no honest peer would: nothing dies, nobody works for it."""

import dataclasses
import json
import os
import random
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from multiaddr import Multiaddr

from contracts.clients import Clients
from contracts.rpc import connect
from node.exchange.protocols import TASK_PROTOCOL
from node.peer.chain_watcher import ChainWatcher
from node.peer.network import load_network
from node.signing.keys import Key, open_keystore, read_password
from node.system.clock import now_ms
from p2p.gossip.service import GossipService
from p2p.host import open_host
from p2p.identity import address_of_peer
from p2p.mesh import Validation
from p2p.stream_errors import ERROR_REFUSED, RemoteAborted
from protocol.draw import rank_for_task, task_seed
from protocol.errors import ProtocolError, Refusal
from protocol.hashing import sha256
from protocol.messages import NO_TASK, PassedOver, TaskAcceptance, TaskAnnouncement
from protocol.rules import tasks
from protocol.signature import sign_digest
from protocol.statement import seal
from protocol.terms import TaskTerms
from protocol.work import Work, WorkKind
from tests.limits import HANG_S

pytestmark = pytest.mark.process


class Stranger:
    """A peer of ours in this process, connected to the market's bootstrap peer and able to say anything."""

    def __init__(self, key, host, gossip, network, view, coordinator):
        self.key = key
        self.host, self.gossip, self.network, self.view = host, gossip, network, view
        self.coordinator = coordinator

    @property
    def topic(self):
        return self.network.topic(tasks.TOPIC)

    def sealed(self, message, key=None):
        key = key or self.key
        return seal(self.network.domain, message, lambda unsigned: sign_digest(key.secret, unsigned.digest))

    def announcement(self, signer, number):
        """A well-formed announcement whose draw is right for `signer`."""
        epoch = self.view.latest
        seed = task_seed(epoch.seed, signer.address, number)
        now = now_ms()
        return TaskAnnouncement(
            coordinator=signer.address,
            epoch=epoch.number,
            number=number,
            previous=sha256(b"the task before") if number else NO_TASK,
            model_id=bytes(32),
            work=Work.image(WorkKind.TEXT_TO_IMAGE, 32, 32, 1),
            input_commitment=bytes(32),
            price_micro_cai=1_000_000,  # enough for any miner of the market
            upfront_micro_cai=0,
            announced_at_ms=now,
            deadline_ms=now + 60_000,
            ranking=rank_for_task(epoch.miners, seed, lambda miner: PassedOver.ASSIGNED, 3),
            multiaddrs=tuple(
                address.decapsulate_code(0x01A5).to_bytes() for address in self.host.listen_addresses()
            ),
        )


@asynccontextmanager
async def stranger_in(market, key=None):
    # Another one each time: the market remembers who misbehaved.
    key = key or Key.of(os.urandom(32))
    network = load_network(market.description["network"])
    data_dir = Path(market.description["nodes"]["coordinator"]["data_dir"])
    password = read_password(Path(market.description["password_file"]))
    coordinator = open_keystore(data_dir / "node-key.json", password)
    async with (
        connect(market.description["rpc_url"]) as rpc,
        open_host(key.secret, [Multiaddr("/ip4/127.0.0.1/tcp/0")]) as host,
        trio.open_nursery() as nursery,
    ):
        clients = Clients(rpc, network.deployment)
        parameters = network.parameters
        terms = TaskTerms(parameters.head_start_ms, parameters.task_life_ms)
        watcher = ChainWatcher(
            clients.epochs, clients.registry(), network.domain, terms, 1000, parameters.seed_confirmations
        )
        await watcher.refresh()
        gossip = GossipService(host, random.Random(1))
        await nursery.start(gossip.run)
        gossip.join(network.topic(tasks.TOPIC), lambda data, peer: Validation.ACCEPT)
        # Miners, for a bootstrap peer forwards nothing.
        miners = [
            Path(node["data_dir"]) for name, node in market.description["nodes"].items() if "miner" in name
        ]
        for folder in miners:
            await host.connect(Multiaddr(json.loads((folder / "node.json").read_text())["multiaddrs"][0]))
        with trio.fail_after(HANG_S):
            while len(gossip.peers(network.topic(tasks.TOPIC))) < len(miners):
                await trio.sleep(0.05)
        yield Stranger(key, host, gossip, network, watcher.view, coordinator)
        nursery.cancel_scope.cancel()


def assert_market_works(market):
    for name in market.description["nodes"]:
        os.kill(market.process_of(name), 0)
    with market.client() as client:
        answer = client.post("/v1/images/generations", json={"prompt": "a star", "steps": 2})
    assert answer.status_code == 200, answer.text


def bad_announcements(stranger):
    """(name, envelope) of what must neither be forwarded nor worked on."""
    good = stranger.announcement(stranger.coordinator, 1_000_000)
    unregistered = stranger.sealed(stranger.announcement(stranger.key, 0))
    yield "unregistered coordinator", unregistered
    yield "bad signature", unregistered[:-1] + b"\x63"
    yield (
        "wrong ranking",
        stranger.sealed(
            dataclasses.replace(good, ranking=tuple(reversed(good.ranking))), stranger.coordinator
        ),
    )
    yield "truncated", unregistered[: len(unregistered) // 2]
    yield "garbage", os.urandom(200)
    yield "empty", b""


async def test_bad_announcements_find_no_miner_and_kill_nobody(market):
    """That each is refused for its fault alone, the attack of 64 announcements shows: they find miners."""
    asked = []
    async with stranger_in(market) as stranger:

        async def hear(stream, peer_id):
            asked.append(address_of_peer(peer_id))
            await stream.receive()

        stranger.host.handle_direct_streams(TASK_PROTOCOL, hear)
        with trio.move_on_after(HANG_S):
            # Whoever sends only what is rejected is shown the door.
            while stranger.host.connected_peers():
                for _, envelope in bad_announcements(stranger):
                    await stranger.gossip.publish(stranger.topic, envelope)
                    await trio.sleep(0.05)
        assert not stranger.host.connected_peers()
    assert asked == []
    assert_market_works(market)


def garbage_streams(stranger, task_id):
    yield "garbage", os.urandom(100)
    yield "acceptance of an unknown task", stranger.sealed(TaskAcceptance(bytes(32), 0))
    yield "acceptance by who was not drawn", stranger.sealed(TaskAcceptance(task_id, 0))
    yield (
        "acceptance signed by another key",
        stranger.sealed(TaskAcceptance(task_id, 0), Key.of(b"\x12" * 32)),
    )


async def test_bad_direct_streams_are_refused_and_kill_nobody(market):
    with market.client() as client:
        answer = client.post("/v1/images/generations", json={"prompt": "a star", "steps": 2}).json()
    task_id = bytes.fromhex(answer["cuckoo"]["tasks"][0])
    async with stranger_in(market) as stranger:
        multiaddr = json.loads((market.folder / "coordinator" / "node.json").read_text())["multiaddrs"][0]
        coordinator = await stranger.host.connect(Multiaddr(multiaddr))
        for name, payload in garbage_streams(stranger, task_id):
            with pytest.raises((ProtocolError, Refusal)):  # noqa: PT012 - one exchange
                async with stranger.host.open_direct_stream(coordinator, TASK_PROTOCOL) as stream:
                    await stream.send(payload)
                    reply = await stream.receive(timeout_ms=5_000)
                    raise AssertionError((name, reply))
        # A frame that claims more than the limit, and one that is cut off.
        for raw in (b"\xff\xff\xff\xff", (1000).to_bytes(4, "big") + b"\x00half"):
            stream = await stranger.host.open_stream(coordinator, [TASK_PROTOCOL])
            await stream.write(raw)
            await stream.close()
        with pytest.raises(RemoteAborted) as caught:  # noqa: PT012 - one exchange
            async with stranger.host.open_direct_stream(coordinator, TASK_PROTOCOL) as stream:
                await stream.send(stranger.sealed(TaskAcceptance(bytes(32), 0)))
                await stream.receive(timeout_ms=5_000)
        # A coordinator has no stream at all for strangers.
        reason = "this protocol is not for peers that are not waited for"
        assert (caught.value.code, str(caught.value)) == (ERROR_REFUSED, reason)
    assert_market_works(market)
