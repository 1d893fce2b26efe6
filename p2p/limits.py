"""How many connections strangers may have with us: in total, and from one network.

Is: the count, pure; :class:`p2p.library.swarm.GuardedSwarm` asks it before it shakes hands.
Is not: whom to drop when there are many (:mod:`p2p.trimming`), nor a limit on our own dials.

One network is an IPv4 address or an IPv6 /64, what one customer of a provider commonly has. Homes and offices
share one, so the limit is not 1; whoever wants to fill a node needs many networks, and those cost money.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import dataclass
from typing import Final

CONNECTIONS_MAX: Final = 300
"""Connections of a host, in and out together."""
OUTBOUND_CONNECTIONS_SHARE: Final = 4
"""One in so many connections is kept for our own dials, however many strangers call."""
INBOUND_PER_NETWORK_MAX: Final = 8
"""Inbound connections from one network, those that have not shaken hands included."""
CIRCUITS_INBOUND_MAX: Final = 64
"""Inbound connections that lead through relays; nobody knows which networks those come from."""
CIRCUITS_PER_RELAY_MAX: Final = 16
"""Of them, those through one relay."""
_IPV6_PREFIX_BITS: Final = 64


@dataclass(slots=True)
class LimitCounts:
    """Refusals since the start.

    :ivar refused_network_full: the network that asked has as much as one may.
    :ivar refused_full: all of it is taken.
    """

    refused_network_full: int = 0
    refused_full: int = 0


class NetworkLimits:
    """Counts what strangers have of ours, in total and by the network that they come from.

    :ivar counts: refusals; see `LimitCounts`.
    """

    def __init__(self, total_max: int, per_network_max: int, *, loopback_exempt: bool = False) -> None:
        """Take the limits.

        :param loopback_exempt: whether this machine itself counts as any number of networks: for development
            networks, where everybody is here. Not behind a proxy on the same machine.
        """
        self.counts = LimitCounts()
        self._total_max = total_max
        self._per_network_max = per_network_max
        self._loopback_exempt = loopback_exempt
        self._open: Counter[str] = Counter()

    @property
    def open_count(self) -> int:
        """How much of it is taken now."""
        return self._open.total()

    def enter(self, ip: str) -> bool:
        """Whether somebody at an IP address may have one more; if so, call :meth:`leave` at its end."""
        network = network_of(ip)
        exempt = self._loopback_exempt and _is_loopback(ip)
        if not exempt and self._open[network] >= self._per_network_max:
            self.counts.refused_network_full += 1
            return False
        if self._open.total() >= self._total_max:
            self.counts.refused_full += 1
            return False
        self._open[network] += 1
        return True

    def leave(self, ip: str) -> None:
        """A thing that was entered has ended."""
        network = network_of(ip)
        self._open[network] -= 1
        if self._open[network] <= 0:
            del self._open[network]


class InboundLimits(NetworkLimits):
    """Counts inbound connections, from before their handshake until they are closed."""

    def __init__(
        self,
        connections_max: int = CONNECTIONS_MAX,
        *,
        per_network_max: int = INBOUND_PER_NETWORK_MAX,
        loopback_exempt: bool = False,
    ) -> None:
        """Take the limits.

        :param connections_max: in and out together; a quarter is kept for our own dials.
        """
        total_max = max(1, connections_max - connections_max // OUTBOUND_CONNECTIONS_SHARE)
        super().__init__(total_max, per_network_max, loopback_exempt=loopback_exempt)


def network_of(ip: str) -> str:
    """The network that counts as one customer; what is no IP address counts as itself."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _IPV6_PREFIX_BITS), strict=False))
    return str(address)


def public_network_of(ip: str | None) -> str | None:
    """The same of a public address; None for others."""
    try:
        is_public = ipaddress.ip_address(ip or "").is_global
    except ValueError:
        return None
    return network_of(ip or "") if is_public else None


def _is_loopback(ip: str) -> bool:
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
