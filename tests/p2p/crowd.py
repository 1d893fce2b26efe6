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

from p2p.connection_params import ConnectionParams
from p2p.identity import address_of_peer
from p2p.mesh import Validation
from p2p.network import NetworkConfig, PeerPolicy, open_network
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

    def __init__(self, network):
        self.host, self.lookup, self.gossip = network.host, network.lookup, network.gossip
        self.keeper = network.keeper
        self.heard = set()
        self.discovered = set()
        self.gossip.join(TOPIC, self._hear)

    def _hear(self, message, _forwarder):
        self.heard.add(message.decode())
        return Validation.ACCEPT

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
            "frozen": self.keeper.statistics().pings.frozen,
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
    config = NetworkConfig(
        listen=tuple(LOOPBACK),
        bootnodes=(bootnode,),
        loopback_exempt=True,
        connections=PARAMS,
        publishes_record=False,
    )
    policy = PeerPolicy(score=lambda peer: BOOTNODE_SCORE if peer == peer_of(bootnode) else 0.0)
    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        members = []
        for number in range(first, first + count):
            opened = open_network(secret(number), config, rng=random.Random(number), policy=policy)
            network = await stack.enter_async_context(opened)
            members.append(Member(network))
            nursery.start_soon(network.run)
        await answer(members)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), int(sys.argv[2]), Multiaddr(sys.argv[3]))
