"""Our peer record among our peers, for `doppelganger`: signed anew, given away, and asked for.

Is: `OwnRecord` on a running `PeerNetwork`.
Is not: the record's form (`p2p/records`) or the walk (`p2p/lookup`).
"""

from __future__ import annotations

from collections.abc import Callable

from node.peer.doppelganger import Look
from p2p.network import PeerNetwork


class PublishedRecord:
    """`doppelganger.OwnRecord` on a peer's network."""

    def __init__(
        self, network: PeerNetwork, note: Callable[[int, int], None], now_ms: Callable[[], int]
    ) -> None:
        """:param note: remembers instance and sequence of a record before anybody gets it."""
        self._network = network
        self._note = note
        self._now_ms = now_ms

    async def look(self) -> Look:
        """See `OwnRecord`."""
        answers = await self._network.lookup.look_up_self()
        return Look(self._network.records.double, answers)

    def tell_of_signing(self) -> None:
        """See `OwnRecord`."""
        self._network.records.tell_of_signing()

    async def give(self) -> None:
        """See `OwnRecord`."""
        own = self._network.records.renew_own(self._network.host.addresses(), self._now_ms(), anew=True)
        self._note(own.start, own.sequence)
        await self._network.lookup.give_record()
