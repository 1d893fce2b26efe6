"""Whether and how others reach us: one object of all that a node has for it.

Is: the wiring of :mod:`p2p.reachability` and :mod:`p2p.relay` over one host, for bootstrap peers and others.
Is not: a decision whom to dial, which is :mod:`p2p.connections`'s.

A node that nobody can dial keeps reservations at two relays and announces addresses through them. A node that
relays, as bootstrap peers do, also answers those who ask whether they can be dialled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import trio

from p2p.dial_back import DialBack
from p2p.identity import key_pair_from_secret
from p2p.reachability import Reachability, ReachabilityMode
from p2p.relay.client import RelayClient
from p2p.relay.hole_punch import HolePuncher
from p2p.relay.server import RelayServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

    from p2p.dial_back import DialBackCounts
    from p2p.host import Host
    from p2p.identity import PeerId
    from p2p.reachability import ReachabilityCounts
    from p2p.relay.client import RelayClientCounts
    from p2p.relay.hole_punch import HolePunchCounts
    from p2p.relay.relay_book import RelayLimits
    from p2p.relay.server import RelayServerStatistics


@dataclass(frozen=True, slots=True)
class ConnectivityStatistics:
    """How a node is reached, and reaches others.

    :ivar relays: that lead others to us now; :ivar client: our dealings with relays.
    :ivar reachability: our questions whether we can be dialled.
    :ivar relaying: what we do as a relay, if we are one; :ivar dial_back: others' questions to us, likewise.
    """

    relays: int
    client: RelayClientCounts
    hole_punch: HolePunchCounts
    reachability: ReachabilityCounts
    relaying: RelayServerStatistics | None
    dial_back: DialBackCounts | None


class Connectivity:
    """A node's ways to be reached. Serves others once it is made; looks after itself while it runs.

    :ivar reachability: whether others can dial us.
    :ivar relays: those that lead others to us.
    :ivar hole_puncher: finds a direct way where there is a circuit.
    :ivar relay: what leads others to others, if we do that.
    """

    def __init__(
        self,
        host: Host,
        node_secret: bytes,
        *,
        preferred: Sequence[PeerId] = (),
        addresses_changed: Callable[[], None] = lambda: None,
        reachable: ReachabilityMode = "auto",
        relaying: bool = False,
        limits: RelayLimits | None = None,
        loopback_exempt: bool = False,
    ) -> None:
        """Take what the operator says.

        :param node_secret: the host's, 32 bytes.
        :param preferred: peers that are asked first whether they can dial us and whether they relay.
        :param addresses_changed: called when relays lead others to us at other addresses than before.
        :param reachable: see :class:`p2p.reachability.Reachability`.
        :param relaying: whether to relay for others, and to dial back those who ask.
        :param limits: of the relay.
        :param loopback_exempt: whether this machine counts as many networks (:mod:`p2p.limits`).
        """
        self.reachability = Reachability(host, mode=reachable, preferred=preferred)
        self.relays = RelayClient(
            host,
            is_wanted=lambda: self.reachability.reachable is False,
            preferred=preferred,
            addresses_changed=addresses_changed,
        )
        self.hole_puncher = HolePuncher(host)
        self.relay: RelayServer | None = None
        self._dial_back: DialBack | None = None
        if relaying:
            key_pair = key_pair_from_secret(node_secret)
            self.relay = RelayServer(host, key_pair, limits=limits, loopback_exempt=loopback_exempt)
            self._dial_back = DialBack(host, loopback_exempt=loopback_exempt)

    def is_protected(self, peer: PeerId) -> bool:
        """Whether somebody's way to somebody leads over a connection: it must not be let go."""
        return self.relays.is_relay(peer) or (self.relay is not None and self.relay.has_reservation(peer))

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Find out whether we can be dialled, and keep relays if not, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.reachability.run)
            await nursery.start(self.relays.run)
            await nursery.start(self.hole_puncher.run)
            task_status.started()

    def statistics(self) -> ConnectivityStatistics:
        """All that an operator may want to see, now."""
        return ConnectivityStatistics(
            relays=len(self.relays.addresses()),
            client=replace(self.relays.counts),
            hole_punch=replace(self.hole_puncher.counts),
            reachability=replace(self.reachability.counts),
            relaying=None if self.relay is None else self.relay.statistics(),
            dial_back=None if self._dial_back is None else replace(self._dial_back.counts),
        )
