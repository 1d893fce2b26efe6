"""A node's part in the peer-to-peer network, wired once: all that bootstrap peers and staked peers share.

Is: host, address book, connections, gossip, reachability and relays, lookup and local discovery, made
together, so that each knows what it needs of the others from its constructor on.
Is not: a judge of messages (validators are given to :attr:`PeerNetwork.gossip` for each topic), nor a file: a
node that keeps its address book fills :attr:`PeerNetwork.records` before :meth:`PeerNetwork.run`.

Differences between kinds of peers are values of :class:`NetworkConfig`; what only the node knows of a peer,
its stake, comes in as a :class:`PeerPolicy`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from p2p.connection_params import ConnectionParams
from p2p.connections import ConnectionKeeper
from p2p.connectivity import Connectivity
from p2p.gossip.hooks import GossipHooks
from p2p.gossip.params import GossipParams
from p2p.gossip.service import GossipService
from p2p.host import Host, open_host
from p2p.limits import CONNECTIONS_MAX
from p2p.lookup import Lookup
from p2p.mdns import LocalDiscovery
from p2p.named_peers import name_peer, take_named_peers
from p2p.record_store import RECORDS_MAX, PeerRecords

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable

    from multiaddr import Multiaddr
    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

    from p2p.identity import PeerId
    from p2p.reachability import ReachabilityMode
    from p2p.relay.relay_book import RelayLimits


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkConfig:
    """How one node takes part. The defaults are a staked peer's that only dials."""

    listen: tuple[Multiaddr, ...] = ()
    """TCP addresses to listen at, such as ``/ip4/0.0.0.0/tcp/4001``; without any, the node only dials."""

    announce: tuple[Multiaddr, ...] = ()
    """Where others can dial us, if that is not where we listen."""

    bootnodes: tuple[Multiaddr, ...] = ()
    """Peers to call first, each ending in ``/p2p/<PeerID>``; our own address among them is passed over."""

    reachable: ReachabilityMode = "auto"
    """Whether others can dial us (:mod:`p2p.reachability`)."""

    relaying: bool = False
    """Whether to relay for those whom nobody can dial, and to dial back those who ask."""

    relay_limits: RelayLimits | None = None
    """Limits of the relay; its own defaults if None."""

    mdns: bool = False
    """Whether to look for peers on the local network, too (:mod:`p2p.mdns`)."""

    publishes_record: bool = True
    """Whether our record is given to the peers nearest to our address, so that lookups end at us."""

    loopback_exempt: bool = False
    """Whether this machine counts as many networks (:mod:`p2p.limits`): for development networks."""

    connections_max: int = CONNECTIONS_MAX
    """Connections, in and out together."""

    instance: int = 0
    """Drawn at this start, for our record; 0 leaves it out."""

    records_max: int = RECORDS_MAX
    """Records of others in the address book."""

    connections: ConnectionParams = field(default_factory=ConnectionParams)
    """Whom we stay connected to."""

    gossip: GossipParams = field(default_factory=GossipParams)
    """The meshes; :data:`p2p.gossip.params.WITHOUT_MESH` for a peer that is in none."""


def _unknown(_peer: PeerId) -> float:
    return 0.0


def _nobody(_peer: PeerId) -> bool:
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class PeerPolicy:
    """The node's own knowledge of peers. Both are synchronous and quick, and must not raise.

    :ivar is_staked: whether a peer has stake: its connection is kept when others are let go, and it has a
        share of streams of its own (:mod:`p2p.admission`).
    :ivar score: P5 of a peer's gossip score, what the application thinks of it.
    """

    is_staked: Callable[[PeerId], bool] = _nobody
    score: Callable[[PeerId], float] = _unknown


class PeerNetwork:
    """One node on the network. Made by :func:`open_network`; answers streams at once, dials while it runs.

    :ivar host: listens, dials, opens and serves streams.
    :ivar records: the address book, and our own record.
    :ivar keeper: decides whom we stay connected to.
    :ivar gossip: the meshes; join topics before :meth:`run`, or at any time.
    :ivar connectivity: whether and how others reach us.
    :ivar lookup: finds peers by on-chain address.
    :ivar local_discovery: finds peers on the local network, if it is to.
    """

    def __init__(
        self, host: Host, node_secret: bytes, config: NetworkConfig, policy: PeerPolicy, rng: random.Random
    ) -> None:
        self._config = config
        self._policy = policy
        self.host = host
        self.records = PeerRecords(
            node_secret,
            records_max=config.records_max,
            is_kept=self._is_record_kept,
            instance=config.instance,
        )
        self.keeper = ConnectionKeeper(
            host,
            self.records,
            config.bootnodes,
            rng,
            params=config.connections,
            is_protected=self._is_protected,
        )
        hooks = GossipHooks(
            application_score=policy.score,
            record=name_peer(self.records),
            peers_named=take_named_peers(self.records, host.remote_ip),
        )
        self.gossip = GossipService(host, rng, params=config.gossip, hooks=hooks)
        self.connectivity = Connectivity(
            host,
            node_secret,
            preferred=self.keeper.bootnodes,
            addresses_changed=self.keeper.renew,
            reachable=config.reachable,
            relaying=config.relaying,
            limits=config.relay_limits,
            loopback_exempt=config.loopback_exempt,
        )
        self.lookup = Lookup(host, self.keeper)
        self.local_discovery = LocalDiscovery(host) if config.mdns else None

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Gossip, dial, and look after our addresses until cancelled, once.

        :raises LocalError: it runs already, or has run.
        """
        async with trio.open_nursery() as nursery:
            await nursery.start(self.gossip.run)
            await nursery.start(self.keeper.run)
            await nursery.start(self.connectivity.run)
            if self._config.publishes_record:
                nursery.start_soon(self.lookup.keep_publishing)
            if self.local_discovery is not None:
                nursery.start_soon(self.local_discovery.run)
            task_status.started()

    def _is_protected(self, peer: PeerId) -> bool:
        """Whether a peer is kept when others are let go, whatever its connection is used for now."""
        return (
            self._policy.is_staked(peer)
            or self.connectivity.is_protected(peer)
            or self.gossip.is_mesh_peer(peer)
        )

    def _is_record_kept(self, peer: PeerId) -> bool:
        return self.host.is_connected(peer) or self._is_protected(peer)


@asynccontextmanager
async def open_network(
    node_secret: bytes,
    config: NetworkConfig,
    *,
    rng: random.Random,
    policy: PeerPolicy | None = None,
) -> AsyncIterator[PeerNetwork]:
    """A node's part in the network until the context is left. It dials nobody before it runs.

    :param node_secret: 32 bytes; the node key, which is the registered address and signs every message.
    :param policy: what the node knows of peers; without it, nobody has stake.
    :raises LocalError: the secret is not a key, an address cannot be listened at or announced, or there are
        too many bootnodes.
    :raises ProtocolError: a bootnode's address names no peer with a secp256k1 key.
    """
    policy = policy or PeerPolicy()
    async with open_host(
        node_secret,
        config.listen,
        connections_max=config.connections_max,
        loopback_exempt=config.loopback_exempt,
        announce=config.announce,
        is_staked=policy.is_staked,
    ) as host:
        yield PeerNetwork(host, node_secret, config, policy, rng)
