"""Addresses as operators write them."""

from __future__ import annotations

from collections.abc import Sequence

from multiaddr import Multiaddr

from protocol.errors import LocalError


def multiaddrs_of(texts: Sequence[str]) -> tuple[Multiaddr, ...]:
    """The multiaddrs that an operator wrote. :raises LocalError: one of them is not a multiaddr."""
    try:
        return tuple(Multiaddr(text) for text in texts)
    except Exception as error:  # the multiaddr library raises what it likes
        raise LocalError(f"not a multiaddr among: {', '.join(texts)}") from error
