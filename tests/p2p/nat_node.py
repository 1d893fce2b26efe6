"""One node for tests behind NAT: `python -m tests.p2p.nat_node NUMBER PORT [--relaying] [BOOTNODE…]`.

It has what a node has to be found and reached, without chain and topics. For each line on standard input it
does as told and answers with one line of JSON how it is: `report`, `connect ADDRESS`, `find ACCOUNT`,
`echo PEER BYTES`.
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import asdict

import trio
from multiaddr import Multiaddr

from p2p.connection_params import ConnectionParams
from p2p.identity import address_of_peer, peer_id_from_text
from p2p.network import NetworkConfig, open_network
from protocol.errors import CuckooError
from tests.p2p.nodes import secret
from tests.p2p.relay.circuits import echo

ECHO = "/echo/1"
# Nobody dials strangers here of its own accord: who is connected was told to.
PARAMS = ConnectionParams(connections_target=1, outbound_target=1, ask_interval_ms=1_000)


class NatNode:
    """The node."""

    def __init__(self, network):
        self.host, self.connectivity, self.lookup = network.host, network.connectivity, network.lookup

    async def do(self, name, argument):
        """Do as told; what came of it."""
        if name == "connect":
            return str(await self.host.connect(Multiaddr(argument)))
        if name == "find":
            return str(await self.lookup.connect(bytes.fromhex(argument)))
        if name == "echo":
            peer, size = argument.split()
            payload = random.Random(1).randbytes(int(size))
            async with self.host.open_direct_stream(peer_id_from_text(peer), ECHO) as stream:
                await stream.send(payload)
                return await stream.receive() == payload
        return None

    def report(self):
        """How it is."""
        return {
            "peer": str(self.host.peer_id),
            "account": address_of_peer(self.host.peer_id).hex(),
            "reachable": self.connectivity.reachability.describe(),
            "addresses": [str(address) for address in self.host.addresses()],
            "connected": {str(peer): self.host.is_relayed(peer) for peer in self.host.connected_peers()},
            "relaying": asdict(self.connectivity.statistics())["relaying"],
        }


async def answer(node):
    """Serve standard input until it ends."""
    stdin = trio.lowlevel.FdStream(0)
    rest = b""
    while data := await stdin.receive_some():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            name, _, argument = line.decode().partition(" ")
            try:
                result = await node.do(name, argument)
            except CuckooError as error:
                result = f"{type(error).__name__}: {error}"
            sys.stdout.write(json.dumps({**node.report(), "result": result}) + "\n")
            sys.stdout.flush()


async def main(number, port, *bootnodes, relaying=False):
    """Run one node."""
    config = NetworkConfig(
        listen=(Multiaddr(f"/ip4/0.0.0.0/tcp/{port}"),),
        bootnodes=tuple(Multiaddr(text) for text in bootnodes),
        relaying=relaying,
        connections=PARAMS,
        publishes_record=False,
    )
    opened = open_network(secret(number), config, rng=random.Random(number))
    async with opened as network, trio.open_nursery() as nursery:
        network.host.handle_direct_streams(ECHO, echo)
        await nursery.start(network.run)
        await answer(NatNode(network))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    flags = [item for item in sys.argv[1:] if item == "--relaying"]
    plain = [item for item in sys.argv[1:] if item != "--relaying"]
    trio.run(lambda: main(int(plain[0]), int(plain[1]), *plain[2:], relaying=bool(flags)))
