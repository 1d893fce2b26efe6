"""Scores of peers: the book of all standings, connected and lately gone.

Is: the peer score of gossipsub v1.1, P1 to P7, kept over a disconnect: coming back does not wash clean.
Is not: a judge; the router says what happened, and asks for a number.

Three things differ from the specification, all to spare honest peers. P3 expects a share of what a topic
really carried, not a fixed rate, and only where somebody else could take the place. P6 counts no peer that
the application vouches for: a hall of staked miners behind one address is no Sybil attack. And whoever is
gone is remembered with its good score too.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from p2p.gossip.standing import PeerStanding, TopicRules, TopicStanding, decay_factor, decayed

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p.gossip.score_params import ScoreParams
    from p2p.identity import PeerId

_FORGOTTEN_AT_ONCE_SHARE: Final = 10
"""When too many are remembered, one in so many is forgotten; sorting them once for each would be slow."""
_IPV6_PREFIX_BITS: Final = 64
_RELAYED_PREFIX: Final = "/p2p/"
_EXPECTED_MIN: Final = 1.0
"""Expectations below this do not count: chance alone would miss them."""


class PeerScores:
    """Standings of peers.

    :ivar evicted: standings forgotten because too many were held.
    """

    def __init__(self, params: ScoreParams) -> None:
        self._params = params
        self._present: dict[PeerId, PeerStanding] = {}
        self._gone: OrderedDict[PeerId, tuple[PeerStanding, int | None]] = OrderedDict()
        self._by_ip: dict[str, dict[PeerStanding, None]] = {}
        self._rules: dict[str, TopicRules] = {}
        self._carried: dict[str, float] = {}
        self._behaviour_decay = decay_factor(params.decay_interval_ms, params.behaviour_decay_ms)
        self._exempt = [ipaddress.ip_network(text) for text in params.colocation_exempt]
        self._decayed_ms: int | None = None
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._present) + len(self._gone)

    # Peers

    def connected(self, peer: PeerId, ip: str | None) -> PeerStanding:
        """A peer has come, maybe again. :param ip: its address, ``/p2p/`` and its relay, or None."""
        standing = self._present.get(peer)
        if standing is None:
            gone = self._gone.pop(peer, None)
            standing = PeerStanding(peer) if gone is None else gone[0]
            self._present[peer] = standing
        standing.connected = True
        standing.cut_off = False
        self._leave_ip(standing)
        standing.ip = self._colocation_key(ip)
        self._enter_ip(standing)
        self._work_out(standing)
        return standing

    def disconnected(self, peer: PeerId) -> None:
        """A peer has gone; it is remembered for a while."""
        standing = self._present.pop(peer, None)
        if standing is None:
            return
        standing.connected = False
        for topic in standing.topics.values():
            if topic.in_mesh:
                topic.leave_mesh()
        self._leave_ip(standing)
        standing.ip = None
        self._work_out(standing)
        self._gone[peer] = (standing, None)
        if len(self._gone) > self._params.retained_max:
            self._forget_the_best()

    def get(self, peer: PeerId) -> PeerStanding | None:
        """The standing of a peer, if it is known."""
        standing = self._present.get(peer)
        if standing is None:
            gone = self._gone.get(peer)
            standing = None if gone is None else gone[0]
        return standing

    def score(self, peer: PeerId) -> float:
        """A peer's score; 0 for an unknown one."""
        standing = self.get(peer)
        return 0.0 if standing is None else self.score_of(standing)

    def score_of(self, standing: PeerStanding) -> float:
        """The score of a standing."""
        return self._work_out(standing) if standing.stale else standing.score

    def is_graylisted(self, peer: PeerId) -> bool:
        """Whether nothing of the peer is to be read."""
        return self.score(peer) < self._params.graylist_threshold

    def first_deliveries(self, standing: PeerStanding, topic: str) -> float:
        """How many messages of a topic a peer brought first, lately."""
        found = standing.topics.get(topic)
        return 0.0 if found is None else found.first_deliveries

    def scores(self) -> list[float]:
        """The scores of all connected peers."""
        return [self.score_of(standing) for standing in self._present.values()]

    # Events

    def grafted(self, standing: PeerStanding, topic: str, now_ms: int) -> None:
        """The peer is in a topic's mesh from now on."""
        found = self._in_topic(standing, topic)
        found.in_mesh = True
        found.grafted_ms = now_ms
        found.mesh_ms = 0
        found.mesh_due = 0.0

    def pruned(self, standing: PeerStanding, topic: str) -> None:
        """The peer is not in a topic's mesh any more, whoever wanted it."""
        found = standing.topics.get(topic)
        if found is not None and found.in_mesh:
            found.leave_mesh()
            self._work_out(standing)

    def accepted(self, topic: str, forwarders: dict[PeerStanding, None]) -> None:
        """A message was valid. :param forwarders: who had brought it by then, the first one first."""
        self._carried[topic] = self._carried.get(topic, 0.0) + 1
        first = True
        for standing in forwarders:
            if first:
                self._in_topic(standing, topic).first_delivery()
                standing.stale = True
                first = False
            else:
                self.delivered_again(standing, topic)

    def delivered_again(self, standing: PeerStanding, topic: str) -> None:
        """A peer brought a valid message too, within the window."""
        found = standing.topics.get(topic)
        if found is not None and found.in_mesh:
            found.mesh_delivery()
            standing.stale = True

    def window_ms(self, topic: str) -> int:
        """Time after acceptance in which a copy counts as delivered."""
        return self._rules_of(topic).params.mesh_deliveries_window_ms

    def invalid(self, standing: PeerStanding, topic: str) -> None:
        """A peer brought an invalid message."""
        self._in_topic(standing, topic).invalid += 1
        self._work_out(standing)

    def misbehaved(self, standing: PeerStanding, misdeeds: float = 1.0) -> None:
        """A peer broke the rules of gossip itself."""
        standing.behaviour += misdeeds
        self._work_out(standing)

    def set_application_score(self, peer: PeerId, value: float) -> None:
        """The application's score of a peer, from now on; within bounds, nothing for an unknown peer."""
        standing = self.get(peer)
        if standing is None or value != value:  # noqa: PLR0124 - not a number
            return
        bound = self._params.application_score_max
        standing.application = max(-bound, min(bound, value))
        if standing.application > 0:
            self._leave_ip(standing)
        else:
            self._enter_ip(standing)
        self._work_out(standing)

    # Time

    def refresh(self, now_ms: int, is_contested: Callable[[str], bool]) -> bool:
        """Let counts decay if it is time, and forget whoever is gone too long; whether counts did decay.

        :param is_contested: whether a topic has peers enough that P3 may cost one its place.
        """
        self._forget_expired(now_ms)
        if self._decayed_ms is None:
            self._decayed_ms = now_ms
        intervals = (now_ms - self._decayed_ms) // self._params.decay_interval_ms
        if intervals <= 0:
            return False
        self._decayed_ms += intervals * self._params.decay_interval_ms
        # After a long silence once is enough: a machine that slept has heard nothing either.
        due = self._decay_traffic(is_contested)
        for standing in self._present.values():
            standing.behaviour = decayed(
                standing.behaviour, self._behaviour_decay, self._params.decay_to_zero
            )
            for topic, found in standing.topics.items():
                found.decay(self._params.decay_to_zero)
                if found.in_mesh:
                    found.mesh_ms = max(0, now_ms - found.grafted_ms)
                    active = found.mesh_ms > found.rules.params.mesh_deliveries_activation_ms
                    found.mesh_due = due.get(topic, 0.0) if active else 0.0
            self._work_out(standing)
        return True

    # Internals

    def _decay_traffic(self, is_contested: Callable[[str], bool]) -> dict[str, float]:
        due: dict[str, float] = {}
        for topic, carried in list(self._carried.items()):
            rules = self._rules_of(topic)
            count = decayed(carried, rules.mesh_deliveries_decay, self._params.decay_to_zero)
            if not count:
                del self._carried[topic]
                continue
            self._carried[topic] = count
            expected = min(rules.params.mesh_deliveries_threshold, rules.params.mesh_deliveries_share * count)
            if expected >= _EXPECTED_MIN and is_contested(topic):
                due[topic] = expected
        return due

    def _rules_of(self, topic: str) -> TopicRules:
        rules = self._rules.get(topic)
        if rules is None:
            params = self._params.of_topic(topic)
            rules = self._rules[topic] = TopicRules.of(params, self._params.decay_interval_ms)
        return rules

    def _in_topic(self, standing: PeerStanding, topic: str) -> TopicStanding:
        found = standing.topics.get(topic)
        if found is None:
            found = standing.topics[topic] = TopicStanding(self._rules_of(topic))
        return found

    def _work_out(self, standing: PeerStanding) -> float:
        surplus = 0
        neighbours = None if standing.ip is None else self._by_ip.get(standing.ip)
        if neighbours is not None and standing in neighbours:
            surplus = len(neighbours) - self._params.colocation_threshold
        return standing.work_out(self._params, surplus)

    def _colocation_key(self, ip: str | None) -> str | None:
        if ip is not None and ip.startswith(_RELAYED_PREFIX):
            return ip  # only the relay knows where it is: whoever one relay leads here is in one place
        try:
            address = ipaddress.ip_address(ip or "")
        except ValueError:
            return None
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        if any(address in network for network in self._exempt):
            return None
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((int(address), _IPV6_PREFIX_BITS), strict=False))
        return str(address)

    def _enter_ip(self, standing: PeerStanding) -> None:
        # An identity that the application vouches for was not free, so it is not counted.
        if standing.ip is None or standing.application > 0:
            return
        neighbours = self._by_ip.setdefault(standing.ip, {})
        if standing not in neighbours:
            neighbours[standing] = None
            self._work_out_all(neighbours)

    def _leave_ip(self, standing: PeerStanding) -> None:
        neighbours = None if standing.ip is None else self._by_ip.get(standing.ip)
        if neighbours is None or standing not in neighbours:
            return
        del neighbours[standing]
        if neighbours:
            self._work_out_all(neighbours)
        elif standing.ip is not None:
            del self._by_ip[standing.ip]

    def _work_out_all(self, neighbours: dict[PeerStanding, None]) -> None:
        if len(neighbours) >= self._params.colocation_threshold:
            for standing in neighbours:
                self._work_out(standing)

    def _forget_the_best(self) -> None:
        count = max(1, self._params.retained_max // _FORGOTTEN_AT_ONCE_SHARE)
        best = sorted(self._gone, key=lambda peer: self._gone[peer][0].score, reverse=True)
        for peer in best[:count]:
            del self._gone[peer]
        self.evicted += count

    def _forget_expired(self, now_ms: int) -> None:
        # In order of leaving. Whoever left since the last heartbeat gets its time now.
        fresh = list(itertools.takewhile(lambda peer: self._gone[peer][1] is None, reversed(self._gone)))
        for peer in fresh:
            self._gone[peer] = (self._gone[peer][0], now_ms + self._params.retain_ms)
        while self._gone:
            peer, (_, until_ms) = next(iter(self._gone.items()))
            if until_ms is None or until_ms > now_ms:
                return
            del self._gone[peer]
