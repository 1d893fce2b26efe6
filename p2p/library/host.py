"""A host of the library, put together from its parts and ours.

Is: TCP, noise and yamux and nothing else; what the library would do besides is switched off here.
Is not: what nodes use; :mod:`p2p.host` is.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

import trio
from libp2p.host.basic_host import BasicHost
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.transport.tcp.tcp import TCP

from p2p.library.streams import StreamGuard
from p2p.library.swarm import NEGOTIATE_TIMEOUT_S, UPGRADE_TIMEOUT_S, GuardedSwarm, SessionUpgrader
from p2p.limits import CIRCUITS_INBOUND_MAX, CIRCUITS_PER_RELAY_MAX, InboundLimits, NetworkLimits
from protocol.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from libp2p.crypto.keys import KeyPair
    from multiaddr import Multiaddr

    from p2p.library.swarm import Connection


class IdentifyObservations:
    """Takes the place of the library's manager of observed addresses: hands them on, announces none."""

    def __init__(self, observe: Callable[[Connection, Multiaddr], None]) -> None:
        self._observe = observe

    def record_observation(
        self, connection: Connection, observed: Multiaddr, local_addresses: Sequence[Multiaddr]
    ) -> None:
        """A peer said in identify where it sees us come from."""
        del local_addresses
        self._observe(connection, observed)

    def remove_conn(self, connection: Connection) -> None:
        """Nothing is kept here."""

    def addrs(self) -> list[Multiaddr]:
        """None: what we announce is chosen in :mod:`p2p.own_addresses`."""
        return []


def hear_observations(host: BasicHost, observe: Callable[[Connection, Multiaddr], None]) -> None:
    """Call ``observe`` with what peers say in identify about where we come from."""
    host._observed_addr_manager = IdentifyObservations(observe)  # noqa: SLF001 - it has no other door


def silence_library() -> None:
    """Keep the library's own lines out of the log; its failures reach us as exceptions, and are counted.

    At its import it cuts its loggers off from everybody else's, without a handler, so that Python prints
    their warnings as a last resort: seven lines for each peer that does not speak a protocol, a traceback for
    each connection that ends early. With its variable LIBP2P_DEBUG it prints as it says.
    """
    library = logging.getLogger("libp2p")
    if "LIBP2P_DEBUG" not in os.environ and not library.handlers:
        library.addHandler(logging.NullHandler())
        library.propagate = False


def build_host(
    key_pair: KeyPair,
    connections_max: int,
    *,
    loopback_exempt: bool = False,
    is_staked: Callable[[ID], bool] = lambda _peer: False,
) -> tuple[BasicHost, GuardedSwarm, StreamGuard]:
    """A host with TCP, noise and yamux and nothing else; not yet listening."""
    silence_library()
    peer_id = ID.from_pubkey(key_pair.public_key)
    peerstore = PeerStore()
    peerstore.add_key_pair(peer_id, key_pair)
    config = ConnectionConfig(
        max_connections=connections_max,
        min_connections=0,
        # Both at nought: the library's own dialler aims between them, so it never dials.
        low_watermark=0,
        high_watermark=0,
        inbound_upgrade_timeout=UPGRADE_TIMEOUT_S,
        outbound_upgrade_timeout=UPGRADE_TIMEOUT_S,
        inbound_stream_protocol_negotiation_timeout=NEGOTIATE_TIMEOUT_S,
        outbound_stream_protocol_negotiation_timeout=NEGOTIATE_TIMEOUT_S,
    )
    swarm = GuardedSwarm(
        peer_id,
        peerstore,
        SessionUpgrader(key_pair),
        transports=[TCP()],
        retry_config=RetryConfig(max_retries=0),
        connection_config=config,
    )
    swarm.limits = InboundLimits(connections_max, loopback_exempt=loopback_exempt)
    swarm.circuit_limits = NetworkLimits(CIRCUITS_INBOUND_MAX, CIRCUITS_PER_RELAY_MAX)
    # The library's own counts nothing and tells nobody; ours stands behind it.
    swarm._inbound_limiter = trio.CapacityLimiter(max(1, connections_max))  # noqa: SLF001
    host = BasicHost(swarm, disable_identify_address_discovery=True)
    guard = StreamGuard(host, is_staked)
    swarm.set_stream_handler(guard.handle)
    return host, swarm, guard


def require_free(address: Multiaddr) -> None:
    """Refuse an address to listen at. The library shares ports: a second node would take half the calls.

    :raises LocalError: it is no such address, or in use.
    """
    try:
        port = int(str(address.value_for_protocol("tcp")))
        version = next(item.name for item in address.protocols() if item.name in ("ip4", "ip6"))
        ip = str(address.value_for_protocol(version))
    except Exception as error:
        raise LocalError(f"not an address to listen at: {address}") from error
    if port == 0:
        return
    family = socket.AF_INET if version == "ip4" else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError as error:
            raise LocalError(f"cannot listen at {address}: {error.strerror}") from error
