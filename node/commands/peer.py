"""`cuckoo-peer peer …`: looking at the network from outside.

Is: flags and what is printed. It calls the bootnodes under a key for this once, and needs no chain.
Is not: the search (`p2p/lookup`).
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from node.system.control_client import NodeDown, ask
from protocol.errors import LocalError, Refusal

if TYPE_CHECKING:
    from node.peer.finding import FoundPeer

peer = App(name="peer", help="Look for peers of a running network.")
BOOTNODES_TIMEOUT_S = 10
ADDRESS_BYTES = 20


@peer.command
def find(address: str, *, network: str = "devnet", data_dir: Path | None = None) -> None:
    """Find a peer by its on-chain address, and try to reach it. Prints JSON.

    :param address: of the node, 0x and 40 digits.
    :param network: folder of the network, or the name of one that comes with the package.
    :param data_dir: of a node of yours that runs: it looks, instead of a peer that is made for this once.
    """
    account = _account_of(address)
    print(json.dumps(_by_the_node(data_dir, account) or _by_ourselves(network, account), indent=2))


def _by_the_node(data_dir: Path | None, account: bytes) -> Any:
    """The answer of a running node; None if there is not one."""
    if data_dir is None:
        return None
    try:
        return ask(data_dir, "find_peer", {"account": f"0x{account.hex()}"})
    except NodeDown:
        return None


def _by_ourselves(network: str, account: bytes) -> Any:
    import trio  # noqa: PLC0415 - `--help` should not wait for the network's libraries

    from node.system.observable import to_document  # noqa: PLC0415 - as above

    return to_document(trio.run(_find, account, network))


def _account_of(text: str) -> bytes:
    try:
        account = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        account = b""
    if len(account) != ADDRESS_BYTES:
        raise LocalError(f"not an on-chain address (0x and 40 hexadecimal digits): {text}")
    return account


async def _find(account: bytes, network_name: str) -> FoundPeer:
    import random  # noqa: PLC0415 - as above

    import trio  # noqa: PLC0415

    from node.peer.finding import find_peer  # noqa: PLC0415
    from node.peer.multiaddrs import multiaddrs_of  # noqa: PLC0415
    from node.peer.network import load_network  # noqa: PLC0415
    from p2p.network import NetworkConfig, open_network  # noqa: PLC0415

    bootnodes = multiaddrs_of(load_network(network_name).bootnodes)
    if not bootnodes:
        raise LocalError(f"the network names no bootnodes to ask: {network_name}/bootnodes.txt")
    config = NetworkConfig(bootnodes=bootnodes)
    async with open_network(secrets.token_bytes(32), config, rng=random.SystemRandom()) as peer_network:
        host = peer_network.host

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
        return await find_peer(peer_network, account)
