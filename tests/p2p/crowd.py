"""Several peers in one process, for tests of many: `python -m tests.p2p.crowd FIRST COUNT BOOTNODE`.

Each has a host, gossip in one topic, a connection keeper and lookups, as a node has. Once a line on standard
input comes, one line of JSON on standard output says how all of them are; `find ADDRESS` first lets each look
for that on-chain address.
"""

from __future__ import annotations

import json
import random
import sys
from contextlib import AsyncExitStack

import trio
from multiaddr import Multiaddr

from node.peer.named_peers import name_peer, take_named_peers
from p2p.connections import ConnectionKeeper, ConnectionParams
from p2p.gossip.params import GossipParams
from p2p.gossip.service import GossipHooks, GossipService
from p2p.host import open_host
from p2p.identity import address_of_peer
from p2p.lookup import Lookup
from p2p.mesh import Validation
from p2p.record_store import PeerRecords
from p2p.records import peer_of
from tests.p2p.nodes import LOOPBACK, secret

TOPIC = "crowd"
BOOTNODE_SCORE = 100.0
# Shorter than a node's, so that a test need not wait, and long enough for twenty peers on two cores.
PARAMS = ConnectionParams(
    ask_interval_ms=10_000, ping_interval_ms=4_000, ping_timeout_ms=4_000, backoff_max_ms=4_000
)


class Member:
    """One peer of the crowd."""

    def __init__(self, number, host, bootnode):
        rng = random.Random(number)
        records = PeerRecords(secret(number))
        hooks = GossipHooks(
            application_score=lambda peer: BOOTNODE_SCORE if peer == peer_of(bootnode) else 0.0,
            record=name_peer(records),
            peers_named=take_named_peers(records, host.remote_ip),
        )
        self.host = host
        self.heard = set()
        self.discovered = set()
        self.gossip = GossipService(host, rng, params=GossipParams(), hooks=hooks)
        self.keeper = ConnectionKeeper(host, records, [bootnode], rng, params=PARAMS)
        self.lookup = Lookup(host, self.keeper)

    async def run(self):
        async with trio.open_nursery() as nursery:
            await nursery.start(self.gossip.run)
            nursery.start_soon(self._listen, self.gossip.subscribe(TOPIC, lambda *_: Validation.ACCEPT))
            await nursery.start(self.keeper.run)

    async def _listen(self, channel):
        async for message in channel:
            self.heard.add(message.decode())

    def report(self, found):
        records = [entry.record.peer for entry in self.keeper.records.entries()]
        self.discovered |= {str(peer) for peer in (*records, *self.host.connected_peers())}
        return {
            "account": address_of_peer(self.host.peer_id).hex(),
            "connected": [str(peer) for peer in self.host.connected_peers()],
            "mesh": [str(peer) for peer in self.gossip.mesh_peers(TOPIC)],
            "peer": str(self.host.peer_id),
            "discovered": sorted(self.discovered),
            "heard": sorted(self.heard),
            "frozen": self.keeper.statistics().get("frozen", 0),
            "found": None if found is None else str(found),
        }


async def answer(members):
    stdin = trio.lowlevel.FdStream(0)
    rest = b""
    while data := await stdin.receive_some():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            command, _, argument = line.decode().partition(" ")
            found = dict.fromkeys(members)
            if command == "find":
                for member in members:
                    found[member] = await member.lookup.find(bytes.fromhex(argument))
            if command == "say":
                for member in members:
                    await member.gossip.publish(TOPIC, f"{argument} {member.host.peer_id}".encode())
            sys.stdout.write(json.dumps([member.report(found[member]) for member in members]) + "\n")
            sys.stdout.flush()


async def main(first, count, bootnode):
    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        members = []
        for number in range(first, first + count):
            host = await stack.enter_async_context(open_host(secret(number), LOOPBACK, loopback_exempt=True))
            members.append(Member(number, host, bootnode))
            nursery.start_soon(members[-1].run)
        await answer(members)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), int(sys.argv[2]), Multiaddr(sys.argv[3]))
