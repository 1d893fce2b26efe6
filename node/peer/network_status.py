"""How a node's network is, as typed snapshots, and who comes and goes, as events.

Is: the adapters between the services of `p2p/`, which count by name, and the observable. What is read by name
elsewhere is a field; the rest of a service's counts stand together under `counts`.
Is not: part of any service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from node.system.context import NodeContext
from node.system.events import EventBus, PeerJoined, PeerLeft
from p2p.gossip.snapshot import RouterSnapshot
from p2p.identity import PeerId
from p2p.network import PeerNetwork


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """Where a node is.

    :ivar address: on chain, 20 bytes.
    :ivar peers: connected.
    :ivar records: in the address book.
    :ivar seen_from_outside_as: how many peers see us come from which IP address.
    :ivar reachable: ``yes``, ``no`` or ``unknown``: whether others can dial us.
    """

    address: bytes
    peers: int
    records: int
    multiaddrs: tuple[str, ...]
    seen_from_outside_as: Mapping[str, int]
    reachable: str


@dataclass(frozen=True, slots=True)
class ConnectionsStatus:
    """The host's counts. :ivar counts: further ones, of limits, sessions, the hub and streams."""

    connected_peers: int
    dialled: int
    dial_failed: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DiscoveryStatus:
    """The keeper's and the lookup's. :ivar connected: connections since the start."""

    connected: int
    lookups: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """As one who is reached through relays, and as a relay.

    :ivar relays: at which we have a reservation now.
    :ivar relaying_circuits_now: that we carry. :ivar relaying_circuits: since the start, as the bytes.
    """

    relays: int
    relaying_reservations: int
    relaying_circuits_now: int
    relaying_circuits: int
    relaying_bytes: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class GossipStatus:
    """The service's own, and its router's. :ivar outbox_bytes: that wait to be written, of all peers."""

    peers: int
    outbox_frames: int
    outbox_bytes: int
    router: RouterSnapshot
    counts: Mapping[str, int]


def observe_network(context: NodeContext, network: PeerNetwork, address: bytes) -> None:
    """Show how `network` is in the observable, and tell of its peers on the bus, as long as it is open.

    :param address: the node's own, 20 bytes.
    """
    observable = context.observable
    observable.register("network", lambda: _network(network, address))
    observable.register("connections", lambda: _connections(network))
    observable.register("discovery", lambda: _discovery(network))
    observable.register("relay", lambda: _relay(network))
    observable.register("gossip", lambda: _gossip(network))
    network.host.observe(_PeerEvents(context.events))


class _PeerEvents:
    """Tells of peers. A PeerObserver."""

    def __init__(self, events: EventBus) -> None:
        self._events = events

    def peer_connected(self, peer_id: PeerId, *, outbound: bool) -> None:
        """The first connection with a peer is up."""
        self._events.publish(PeerJoined(str(peer_id), outbound))

    def peer_disconnected(self, peer_id: PeerId) -> None:
        """The last one is gone."""
        self._events.publish(PeerLeft(str(peer_id)))


def _network(network: PeerNetwork, address: bytes) -> NetworkStatus:
    host = network.host
    return NetworkStatus(
        address=address,
        peers=len(host.connected_peers()),
        records=len(network.records),
        multiaddrs=tuple(str(item) for item in host.addresses()),
        seen_from_outside_as=host.own_addresses.observed(),
        reachable=network.connectivity.reachability.describe(),
    )


def _connections(network: PeerNetwork) -> ConnectionsStatus:
    counts = dict(network.host.statistics())
    return ConnectionsStatus(
        connected_peers=counts.pop("connected_peers", 0),
        dialled=counts.pop("dialled", 0),
        dial_failed=counts.pop("dial_failed", 0),
        counts=counts,
    )


def _discovery(network: PeerNetwork) -> DiscoveryStatus:
    counts = {**network.keeper.statistics(), **network.lookup.statistics()}
    counts.pop("records", None)
    return DiscoveryStatus(
        connected=counts.pop("connected", 0), lookups=counts.pop("lookup_lookups", 0), counts=counts
    )


def _relay(network: PeerNetwork) -> RelayStatus:
    counts = dict(network.connectivity.statistics())
    return RelayStatus(
        relays=counts.pop("relays", 0),
        relaying_reservations=counts.pop("relaying_reservations", 0),
        relaying_circuits_now=counts.pop("relaying_circuits_now", 0),
        relaying_circuits=counts.pop("relaying_circuits", 0),
        relaying_bytes=counts.pop("relaying_bytes", 0),
        counts=counts,
    )


def _gossip(network: PeerNetwork) -> GossipStatus:
    router = network.gossip.router.snapshot()
    told = router.flat()
    counts = {name: count for name, count in network.gossip.statistics().items() if name not in told}
    return GossipStatus(
        peers=counts.pop("gossip_peers", 0),
        outbox_frames=counts.pop("outbox_frames", 0),
        outbox_bytes=counts.pop("outbox_bytes", 0),
        router=router,
        counts=counts,
    )
