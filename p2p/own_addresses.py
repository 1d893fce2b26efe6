"""Where others can dial us, as far as we know: what the operator says, else what we listen on and are told.

Is: the choice of the addresses in our own peer record, pure.
Is not: a test of them, which is :mod:`p2p.reachability`'s.

An operator who names addresses (``--announce``) is believed. Otherwise a listener on one address announces
it; a listener on all of them announces each of the machine's own, and the public address that other peers
see us come from (identify, ``observedAddr``), once two peers with different addresses agree on it.

A peer that can be reached through relays only (``relayed``) announces those, and besides them what leads to
it within its own network; not the public address, whose router lets nobody in.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Final

from multiaddr import Multiaddr

from p2p.records import ADDRESSES_KEPT_MAX, ip_of, without_peer
from protocol.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

OBSERVERS_MAX: Final = 64
"""Observers that are remembered; the oldest gives way."""
OBSERVERS_AGREED: Final = 2
"""Observers, at different addresses, that make an observation believed."""


class OwnAddresses:
    """Our announced and observed addresses.

    :ivar relayed: through relays; set while nobody outside our network can dial us.
    """

    def __init__(self, announce: Sequence[Multiaddr] = ()) -> None:
        """Take what the operator announces, with or without our ``/p2p/``.

        :raises LocalError: more than 4 addresses, or one that is not ``/ip4|ip6/…/tcp/…``.
        """
        self._announce = tuple(without_peer(address) for address in announce)
        names = [[item.name for item in address.protocols()] for address in self._announce]
        if len(names) > ADDRESSES_KEPT_MAX or any(
            name not in (["ip4", "tcp"], ["ip6", "tcp"]) for name in names
        ):
            raise LocalError(
                f"announce at most {ADDRESSES_KEPT_MAX} addresses such as /ip4/192.0.2.7/tcp/4001"
            )
        self.relayed: tuple[Multiaddr, ...] = ()
        self._observations: OrderedDict[str, str] = OrderedDict()

    @property
    def is_announced(self) -> bool:
        """Whether the operator named our addresses."""
        return bool(self._announce)

    def observe(self, observer_ip: str, seen_ip: str) -> None:
        """Take what a peer at ``observer_ip`` says it sees us come from; one opinion for each address."""
        self._observations.pop(observer_ip, None)
        self._observations[observer_ip] = seen_ip
        while len(self._observations) > OBSERVERS_MAX:
            self._observations.popitem(last=False)

    def observed(self) -> dict[str, int]:
        """How many peers see us come from which IP address, the most agreed on first."""
        return dict(Counter(self._observations.values()).most_common())

    def choose(self, listening: Iterable[Multiaddr], interface_ips: Sequence[str]) -> tuple[Multiaddr, ...]:
        """The addresses to announce: at most 4, without our ``/p2p/``.

        :param listening: where our sockets listen.
        :param interface_ips: the machine's own addresses, loopback among them or not.
        """
        if self._announce:
            return self._announce
        chosen: dict[Multiaddr, None] = dict.fromkeys(self.relayed)
        for address in map(without_peer, listening):
            if not ip_of(address).is_unspecified:
                if not self.relayed or _is_local(ip_of(address)):
                    chosen[address] = None
                continue
            port = address.value_for_protocol("tcp")
            for ip in (*self.believed(), *sorted(interface_ips, key=_nearness)):
                parsed = ipaddress.ip_address(ip)
                if self.relayed and not _is_local(parsed):
                    continue
                if parsed.version == ip_of(address).version and not parsed.is_link_local:
                    chosen[Multiaddr(f"/ip{parsed.version}/{ip}/tcp/{port}")] = None
        return tuple(chosen)[:ADDRESSES_KEPT_MAX]

    def public(self, listening: Iterable[Multiaddr]) -> tuple[Multiaddr, ...]:
        """Where our listener would be dialled from the internet, whether routers let anybody in or not.

        The public address that others see us come from, with the ports that we listen at: most routers of
        homes keep them.

        :param listening: where our sockets listen.
        """
        chosen = dict.fromkeys(self._announce)
        places = [(ip_of(address).version, address.value_for_protocol("tcp")) for address in listening]
        for seen in map(ipaddress.ip_address, self.observed()):
            if seen.is_global:
                chosen |= {
                    Multiaddr(f"/ip{version}/{seen}/tcp/{port}"): None
                    for version, port in places
                    if version == seen.version
                }
        return tuple(chosen)

    def believed(self) -> list[str]:
        """The public IP address that we come from, if enough observers agree on one."""
        return [
            ip
            for ip, count in self.observed().items()
            if count >= OBSERVERS_AGREED and ipaddress.ip_address(ip).is_global
        ][:1]


def _is_local(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return not ip.is_global and not ip.is_loopback


def _nearness(ip: str) -> tuple[bool, bool]:
    parsed = ipaddress.ip_address(ip)
    return parsed.is_loopback, not parsed.is_global
