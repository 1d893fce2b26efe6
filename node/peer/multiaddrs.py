"""Addresses as operators write them."""

from __future__ import annotations

from collections.abc import Sequence

from multiaddr import Multiaddr

from p2p.multiaddrs import parse_multiaddr
from protocol.errors import DecodeError, LocalError


def multiaddrs_of(texts: Sequence[str]) -> tuple[Multiaddr, ...]:
    """The multiaddrs that an operator wrote. :raises LocalError: one of them is not a multiaddr."""
    try:
        return tuple(parse_multiaddr(text) for text in texts)
    except DecodeError as error:
        raise LocalError(f"not a multiaddr among: {', '.join(texts)}") from error
