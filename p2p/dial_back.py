"""Dialling back those who ask whether they can be dialled: the serving side of libp2p's AutoNAT.

Is: the answer to ``/libp2p/autonat/1.0.0``. We dial over a new connection, at the address where the asker
comes from and at nobody else's, so that a liar can have nobody knocked at.
Is not: the question (:mod:`p2p.reachability`).

The library has this protocol too. Its server never asks who asks how often, and its client needs four servers
to agree, where a young network has two.

    question   DIAL with our PeerID and addresses, of which only the ports count here
    answer     DIAL_RESPONSE with OK and the address that answered, or why not
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio
from libp2p.host.autonat.pb.autonat_pb2 import Message
from multiaddr import Multiaddr

from p2p.library.streams import TRANSPORT_ERRORS
from p2p.limits import NetworkLimits, network_of
from p2p.multiaddrs import parse_multiaddr
from p2p.records import DIRECT, names_of, without_peer
from p2p.small_messages import encode_message, read_message
from protocol.errors import DecodeError, ProtocolError, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2p.host import Host
    from p2p.identity import PeerId
    from p2p.library.streams import Stream

AUTONAT_PROTOCOL: Final = "/libp2p/autonat/1.0.0"
QUESTION_TIMEOUT_MS: Final = 5_000
"""Time for a question to come, and for an answer to go."""
DIAL_BACK_TIMEOUT_MS: Final = 4_000
"""Time to dial back, all ports together."""
ADDRESSES_MAX: Final = 16
"""Addresses of one question that are looked at."""
PORTS_MAX: Final = 2
"""Ports that are dialled for one question."""
DIALS_BACK_MAX: Final = 16
"""Questions that are being answered at a time; one for each network."""
QUESTION_INTERVAL_S: Final = 20.0
"""Time between two questions that one network has answered, seconds."""
ASKERS_MAX: Final = 1_024
"""Networks whose last question is remembered; the oldest gives way."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class DialBackCounts:
    """Questions that others asked, since the start.

    :ivar reached: the asker answered where it comes from.
    :ivar not_reached: it did not.
    :ivar refused: not looked into: too often, too many, over a relay, or without an address.
    :ivar malformed: not a question.
    """

    reached: int = 0
    not_reached: int = 0
    refused: int = 0
    malformed: int = 0


class DialBack:
    """Answers the question over a host, from the moment it is made.

    :ivar counts: see `DialBackCounts`.
    """

    def __init__(self, host: Host, *, loopback_exempt: bool = False) -> None:
        """:param loopback_exempt: whether this machine counts as many networks (:mod:`p2p.limits`)."""
        self.counts = DialBackCounts()
        self._host = host
        self._loopback_exempt = loopback_exempt
        self._running = NetworkLimits(DIALS_BACK_MAX, 1, loopback_exempt=loopback_exempt)
        self._asked_s: OrderedDict[str, float] = OrderedDict()
        host.handle_streams(AUTONAT_PROTOCOL, self._serve)

    async def _serve(self, stream: Stream, peer: PeerId) -> None:
        try:
            try:
                with trio.fail_after(QUESTION_TIMEOUT_MS / 1000):
                    question = await read_message(stream, Message)
                ports = ports_of(item for item in question.dial.peer.addrs[:ADDRESSES_MAX])
            except DecodeError:
                self.counts.malformed += 1
                answer = _answer(Message.E_BAD_REQUEST)
            else:
                answer = await self._dial_back(peer, ports, relayed=stream.is_relayed)
            with trio.fail_after(QUESTION_TIMEOUT_MS / 1000):
                await stream.write(encode_message(answer))
                await stream.close()
        except (trio.TooSlowError, Refusal, ProtocolError, *TRANSPORT_ERRORS) as error:
            _log.debug("a question from %s was not answered: %r", peer, error)
            stream.abort()

    async def _dial_back(self, peer: PeerId, ports: list[int], *, relayed: bool) -> Message:
        ip = self._host.remote_ip(peer)
        if ip is None or relayed or not ports or not self._may_ask(ip) or not self._running.enter(ip):
            self.counts.refused += 1
            return _answer(Message.E_DIAL_REFUSED)
        try:
            with trio.move_on_after(DIAL_BACK_TIMEOUT_MS / 1000):
                for port in ports:
                    address = Multiaddr(f"/ip{6 if ':' in ip else 4}/{ip}/tcp/{port}")
                    if await self._host.dialler.is_at(address, peer):
                        self.counts.reached += 1
                        return _answer(Message.OK, address)
        finally:
            self._running.leave(ip)
        self.counts.not_reached += 1
        return _answer(Message.E_DIAL_ERROR)

    def _may_ask(self, ip: str) -> bool:
        network, now_s = network_of(ip), trio.current_time()
        if now_s - self._asked_s.get(network, -QUESTION_INTERVAL_S) < QUESTION_INTERVAL_S:
            return self._loopback_exempt and ip in ("127.0.0.1", "::1")
        self._asked_s.pop(network, None)
        self._asked_s[network] = now_s
        while len(self._asked_s) > ASKERS_MAX:
            self._asked_s.popitem(last=False)
        return True


def ports_of(addresses: Iterable[bytes]) -> list[int]:
    """The first few TCP ports of binary multiaddrs, each once; whatever is not an address is passed over."""
    ports: dict[int, None] = {}
    for raw in addresses:
        try:
            address = without_peer(parse_multiaddr(raw))
        except DecodeError as error:
            _log.debug("passed over: %r", error)
            continue
        if names_of(address) in DIRECT and len(ports) < PORTS_MAX:
            ports[int(str(address.value_for_protocol("tcp")))] = None
    ports.pop(0, None)
    return list(ports)


def _answer(status: Message.ResponseStatus.ValueType, address: Multiaddr | None = None) -> Message:
    answer = Message(type=Message.DIAL_RESPONSE)
    answer.dialResponse.status = status
    if address is not None:
        answer.dialResponse.addr = address.to_bytes()
    return answer
