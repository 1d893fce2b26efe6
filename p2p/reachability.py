"""Can others dial us? Asked of those who can try: libp2p's AutoNAT, ``/libp2p/autonat/1.0.0``.

Is: the question, and a belief from the answers: what most of the networks say that we asked last. One liar
among three changes nothing, and a majority of them has us use relays without need, or announce an address
that leads nowhere.
Is not: the answer (:mod:`p2p.dial_back`), nor a way to be reached; :mod:`p2p.relay.client` is.
"""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import trio
from libp2p.host.autonat.pb.autonat_pb2 import Message

from p2p.dial_back import ADDRESSES_MAX, AUTONAT_PROTOCOL
from p2p.host_streams import StreamRefused
from p2p.library.streams import TRANSPORT_ERRORS, reset_stream
from p2p.limits import network_of
from p2p.records import without_peer
from p2p.small_messages import encode_message, read_message
from p2p.wakeups import Signal
from protocol.errors import ProtocolError, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2p.host import Host
    from p2p.identity import PeerId

ANSWER_TIMEOUT_MS: Final = 15_000
"""Time for an answer."""
OPINIONS_MAX: Final = 8
"""Networks whose last answer counts; the oldest gives way."""
SERVERS_ASKED: Final = 3
"""Peers that are asked in one round."""
ROUND_S: Final = 900.0
"""Time between two rounds, once there is an answer, seconds."""
ASKED_AGAIN_S: Final = 60.0
"""Time after which a connected peer that does not speak this protocol is asked again, seconds."""
FIRST_ROUNDS_S: Final = 5.0
"""The same before, and after a change of what we are told, seconds."""

ReachabilityMode = Literal["auto", "yes", "no"]
_log = logging.getLogger(__name__)


class Opinions:
    """The answers of the peers that we asked, one opinion for each network, the newest few. Pure."""

    def __init__(self) -> None:
        self._opinions: OrderedDict[str, bool] = OrderedDict()

    def note(self, network: str, *, reachable: bool) -> None:
        """Take an opinion in place of an older one of the same network."""
        self._opinions.pop(network, None)
        self._opinions[network] = reachable
        while len(self._opinions) > OPINIONS_MAX:
            self._opinions.popitem(last=False)

    def verdict(self) -> bool | None:
        """The opinion of most of them; None without any. Half is not most: a relay too many does no harm."""
        if not self._opinions:
            return None
        return 2 * sum(self._opinions.values()) > len(self._opinions)


@dataclass(slots=True)
class ReachabilityCounts:
    """Questions that we asked, since the start. :ivar answered: by a peer that tried to dial us."""

    asked: int = 0
    answered: int = 0


class Reachability:
    """Knows whether others can dial us, as far as it can be known.

    :ivar counts: see `ReachabilityCounts`.
    """

    def __init__(
        self, host: Host, *, mode: ReachabilityMode = "auto", preferred: Iterable[PeerId] = ()
    ) -> None:
        """Take what the operator says.

        :param mode: ``yes`` or ``no`` is believed; ``auto`` asks, unless addresses are announced by hand.
        :param preferred: peers to ask first, such as bootnodes.
        """
        self.counts = ReachabilityCounts()
        self.opinions = Opinions()
        self._host = host
        self._preferred = tuple(preferred)
        self._met = Signal()
        self._refused_s: dict[PeerId, float] = {}
        self._given: bool | None = None
        if mode != "auto":
            self._given = mode == "yes"
        elif host.own_addresses.is_announced:
            self._given = True
        elif not host.listen_addresses():
            self._given = False

    @property
    def reachable(self) -> bool | None:
        """Whether others can dial us; None as long as nobody has said."""
        return self.opinions.verdict() if self._given is None else self._given

    def describe(self) -> str:
        """``yes``, ``no`` or ``unknown``, for people."""
        return {True: "yes", False: "no", None: "unknown"}[self.reachable]

    async def run(self) -> None:
        """Ask now and then, until cancelled; at once when it was told."""
        if self._given is not None:
            return
        self._host.observe(self)
        try:
            while True:
                before = self.reachable
                met = self._met.next_event()
                await self._ask_round()
                is_settled = self.reachable is not None and self.reachable == before
                if self.reachable != before:
                    _log.info("can others dial us: %s", self.describe())
                with trio.move_on_after(ROUND_S if is_settled else FIRST_ROUNDS_S):
                    await met.wait()
        finally:
            self._host.unobserve(self)

    # PeerObserver

    def peer_connected(self, peer_id: PeerId, *, outbound: bool) -> None:
        """Somebody who may know what nobody has said yet."""
        del peer_id, outbound
        if self.reachable is None:
            self._met.notify()

    def peer_disconnected(self, peer_id: PeerId) -> None:
        """Its answer still counts, but not that it did not speak the protocol."""
        self._refused_s.pop(peer_id, None)

    async def _ask_round(self) -> None:
        due_s = trio.current_time() - ASKED_AGAIN_S
        connected = [
            peer
            for peer in self._host.connected_peers()
            if not self._host.is_relayed(peer) and self._refused_s.get(peer, -math.inf) <= due_s
        ]
        networks: set[str] = set()
        for peer in sorted(connected, key=lambda item: item not in self._preferred):
            network = network_of(self._host.remote_ip(peer) or "")
            if len(networks) < SERVERS_ASKED and network not in networks and await self._ask(peer, network):
                networks.add(network)

    async def _ask(self, peer: PeerId, network: str) -> bool:
        self.counts.asked += 1
        question = Message(type=Message.DIAL)
        question.dial.peer.id = self._host.peer_id.to_bytes()
        addresses = [without_peer(address) for address in self._host.listen_addresses()]
        question.dial.peer.addrs.extend(address.to_bytes() for address in addresses[:ADDRESSES_MAX])
        try:
            with trio.fail_after(ANSWER_TIMEOUT_MS / 1000):
                stream = await self._host.open_stream(peer, [AUTONAT_PROTOCOL])
                try:
                    await stream.write(encode_message(question))
                    answer = await read_message(stream, Message)
                finally:
                    await reset_stream(stream)
        except (trio.TooSlowError, Refusal, ProtocolError, *TRANSPORT_ERRORS) as error:
            _log.debug("%s does not say whether we can be dialled: %r", peer, error)
            if isinstance(error, StreamRefused) and self._host.is_connected(peer):
                self._refused_s[peer] = trio.current_time()
            return False
        if answer.type != Message.DIAL_RESPONSE or answer.dialResponse.status not in (
            Message.OK,
            Message.E_DIAL_ERROR,
        ):
            return False
        self.counts.answered += 1
        self.opinions.note(network, reachable=answer.dialResponse.status == Message.OK)
        return True
