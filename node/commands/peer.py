"""`cuckoo-peer peer …`: looking at the network from outside.

Is: flags and what is printed. It calls the bootnodes under a key for this once, and needs no chain.
Is not: the search (`p2p/lookup`).
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from cyclopts import App

from protocol.errors import LocalError, Refusal

peer = App(name="peer", help="Look for peers of a running network.")
BOOTNODES_TIMEOUT_S = 10
ADDRESS_BYTES = 20


@peer.command
def find(address: str, *, network: str = "devnet") -> None:
    """Find a peer by its on-chain address, and try to reach it. Prints JSON.

    :param address: of the node, 0x and 40 digits.
    :param network: folder of the network, or the name of one that comes with the package.
    """
    import trio  # noqa: PLC0415 - `--help` should not wait for the network's libraries

    print(json.dumps(trio.run(_find, _account_of(address), network), indent=2))


def _account_of(text: str) -> bytes:
    try:
        account = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        account = b""
    if len(account) != ADDRESS_BYTES:
        raise LocalError(f"not an on-chain address (0x and 40 hexadecimal digits): {text}")
    return account


async def _find(account: bytes, network_name: str) -> dict[str, Any]:
    import random  # noqa: PLC0415 - as above

    import trio  # noqa: PLC0415

    from node.peer.multiaddrs import multiaddrs_of  # noqa: PLC0415
    from node.peer.network import load_network  # noqa: PLC0415
    from p2p.network import NetworkConfig, open_network  # noqa: PLC0415

    bootnodes = multiaddrs_of(load_network(network_name).bootnodes)
    if not bootnodes:
        raise LocalError(f"the network names no bootnodes to ask: {network_name}/bootnodes.txt")
    config = NetworkConfig(bootnodes=bootnodes)
    async with open_network(secrets.token_bytes(32), config, rng=random.SystemRandom()) as peer_network:
        host, lookup = peer_network.host, peer_network.lookup

        async def greet(bootnode: Any) -> None:
            try:
                await host.connect(bootnode)
            except Refusal:
                return

        with trio.move_on_after(BOOTNODES_TIMEOUT_S):
            async with trio.open_nursery() as nursery:
                for bootnode in bootnodes:
                    nursery.start_soon(greet, bootnode)
        if not host.connected_peers():
            raise LocalError("none of the network's bootnodes answers; is the network running?")
        found = await lookup.find(account)
        if found is None:
            raise Refusal("no peer with this on-chain address is known on the network")
        return {
            "peer": str(found),
            "addresses": [str(item) for item in peer_network.records.addresses(found)],
            "reached": await lookup.reach(found),
            "through_a_relay": host.is_relayed(found),
        }
