"""The bootstrap peer: whom newcomers dial first, and who tells them of others.

Is: a host, an address book that outlives it, peer exchange, the lookup, a relay for those whom nobody can
dial, and a page that says how it is.
Is not: part of any mesh, nor a judge of messages. It answers every GRAFT with a PRUNE that names others
(gossipsub peer exchange, D = 0), forwards nothing, and so needs no chain, no stake and little memory.
Everybody dials it first, so it would be in everybody's mesh otherwise, and carry every message.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
import trio

from node.peer.address_book import BOOK_FILE, keep_saving, kept_book
from node.peer.finding import answer_finding
from node.peer.multiaddrs import multiaddrs_of
from node.peer.network import Network, load_network
from node.peer.network_status import observe_network
from node.settings import BootstrapSettings
from node.signing.keys import Key, open_keystore, read_password
from node.system.context import NodeContext, open_context
from node.system.lifetime import KEY_FILE, leave_startup_uncollected, node_file, stopped_by_signals
from p2p.connection_params import ConnectionParams
from p2p.gossip.params import WITHOUT_MESH
from p2p.mesh import Validation
from p2p.network import NetworkConfig, PeerNetwork, open_network
from p2p.relay.relay_book import RelayLimits

TOPICS: Final = ("offers", "tasks", "results", "verdicts", "evidence")
"""Subscribed to, so that who looks for peers in a topic asks us. Named here and not imported: their rules
bring the draw along, and the draw the arrays, which are a tenth of this process."""
CONNECTIONS_MAX: Final = 1_000
"""Connections, in and out together."""
RECORDS_MAX: Final = 4_096
"""Records in the address book: for a network of that many nodes, and 12 MiB at most."""
RELAY_LIMITS: Final = RelayLimits(circuits_max=16)
"""Fewer circuits than others have: if all of them stall, they hold 6 MiB of what this process may weigh."""
PARAMS: Final = ConnectionParams(
    # Newcomers come by themselves; a few of our own dials keep the bootstrap peers together.
    connections_target=8,
    outbound_target=4,
    connections_high=600,
    connections_low=500,
)

log = structlog.get_logger()


class BootstrapPeer:
    """A running bootstrap peer. Made by :func:`open_bootstrap`."""

    def __init__(self, peer_network: PeerNetwork) -> None:
        self.host = peer_network.host


@asynccontextmanager
async def open_bootstrap(
    key: Key, network: Network, settings: BootstrapSettings, context: NodeContext
) -> AsyncIterator[BootstrapPeer]:
    """A running bootstrap peer, until the `async with` ends.

    :param context: where it is seen from; the peer registers itself there.
    :raises LocalError: an address is taken or not a multiaddr.
    """
    config = NetworkConfig(
        listen=multiaddrs_of(settings.listen),
        announce=multiaddrs_of(settings.announce),
        bootnodes=multiaddrs_of(network.bootnodes),
        reachable=settings.reachable,
        relaying=True,
        relay_limits=RELAY_LIMITS,
        # Everybody who looks for somebody has our address already.
        publishes_record=False,
        loopback_exempt=network.parameters.loopback_exempt,
        connections_max=CONNECTIONS_MAX,
        records_max=RECORDS_MAX,
        connections=PARAMS,
        gossip=WITHOUT_MESH,
    )
    async with open_network(key.secret, config, rng=random.SystemRandom()) as peer_network:
        for topic in TOPICS:
            peer_network.gossip.join(network.topic(topic), _ignore)
        observe_network(context, peer_network, key.address)
        answer_finding(context.control, peer_network)
        book = settings.data_dir / BOOK_FILE
        with kept_book(book, peer_network.records):
            async with trio.open_nursery() as nursery:
                await nursery.start(peer_network.run)
                nursery.start_soon(keep_saving, book, peer_network.records)
                yield BootstrapPeer(peer_network)
                nursery.cancel_scope.cancel()


async def run_bootstrap(settings: BootstrapSettings) -> None:
    """Run until SIGINT or SIGTERM.

    :raises LocalError: something on this machine must be mended first; the text says what.
    """
    network = load_network(settings.network)
    key = open_keystore(settings.data_dir / KEY_FILE, read_password(settings.password_file))
    async with (
        stopped_by_signals(),
        open_context(settings) as context,
        open_bootstrap(key, network, settings, context) as peer,
    ):
        addresses = [str(address) for address in peer.host.addresses()]
        leave_startup_uncollected()
        context.started()
        log.info("ready", role="bootstrap", addresses=addresses, health=context.health_url)
        with node_file(settings, key.address, peer.host, context.health_url):
            await trio.sleep_forever()


def _ignore(_data: bytes, _forwarder: object) -> Validation:
    """Neither deliver nor forward: we cannot judge it."""
    return Validation.IGNORE
