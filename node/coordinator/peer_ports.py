"""The engine's ports on a running peer: the market as this node sees it, and its key behind the guard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from node.peer.peer import Peer
from node.system.clock import ahead_ms
from protocol.messages import Kind, Message, Offer, TaskAnnouncement
from protocol.rules.view import View
from protocol.statement import Domain, Statement


class PeerMarket:
    """`engine.MarketPort` on a peer."""

    def __init__(self, peer: Peer, reason_not_ready: Callable[[], str | None]) -> None:
        self._peer = peer
        self._reason_not_ready = reason_not_ready

    @property
    def view(self) -> View:
        """See `MarketPort`."""
        return self._peer.view

    def ahead_ms(self) -> int:
        """See `MarketPort`."""
        return ahead_ms()

    def offers(self) -> Iterator[tuple[bytes, Offer]]:
        """See `MarketPort`."""
        for miner, offer in self._peer.seen.offers.items():
            yield miner, offer.message

    def multiaddrs(self) -> tuple[bytes, ...]:
        """See `MarketPort`."""
        return self._peer.multiaddrs()

    def reason_not_ready(self) -> str | None:
        """See `MarketPort`."""
        return self._reason_not_ready()


class PeerSigner:
    """`ports.SignerPort` on a peer."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    @property
    def domain(self) -> Domain:
        """See `SignerPort`."""
        return self._peer.domain

    @property
    def address(self) -> bytes:
        """See `SignerPort`."""
        return self._peer.key.address

    def last_announcement(self) -> TaskAnnouncement | None:
        """See `SignerPort`: from the guard, which survives `kill -9`."""
        body = self._peer.guard.last_statement(Kind.TASK_ANNOUNCEMENT)
        return None if body is None else TaskAnnouncement.decode(body)

    def first_epoch(self, epoch: int) -> int:
        """See `SignerPort`: by the guard."""
        return self._peer.guard.first_epoch(epoch)

    def seal(self, message: Message) -> Statement[Any]:
        """See `SignerPort`."""
        return self._peer.seal(message)
