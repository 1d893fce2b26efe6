"""How a node's network is, as typed snapshots, and who comes and goes, as events.

Is: the services of `p2p/` under their names in the observable, and its own summary of them.
Is not: part of any service; each takes its own snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from node.system.context import NodeContext
from node.system.events import EventBus, PeerJoined, PeerLeft
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


def observe_network(context: NodeContext, network: PeerNetwork, address: bytes) -> None:
    """Show how `network` is in the observable, and tell of its peers on the bus, as long as it is open.

    :param address: the node's own, 20 bytes.
    """
    observable = context.observable
    observable.register("network", lambda: _network(network, address))
    observable.register("connections", network.host.statistics)
    observable.register("discovery", network.keeper.statistics)
    observable.register("lookup", network.lookup.statistics)
    if network.local_discovery is not None:
        observable.register("local_discovery", network.local_discovery.statistics)
    observable.register("relay", network.connectivity.statistics)
    observable.register("gossip", network.gossip.statistics)
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
