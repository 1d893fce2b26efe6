"""Leaves of the tree of weights, from which juries are drawn and to which the stream flows, as typed Python.

Is: which of them were left behind by a change under a lock, and bringing them up.
Is not: `claim`, which brings up the leaf of the node that it is for (`rewards`), nor whose turn it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contracts.contract import Contract
from contracts.events import Cursor, EventFeed

if TYPE_CHECKING:
    from contracts.rpc import Receipt, Rpc
    from contracts.transactions import Sender

LOOK_BACK_BLOCKS: Final = 2 * 7_200
"""So far back is looked at first: twice as long as locks in a row may last. What was left behind before has
had the turns of others, or follows at its node's next change or claim."""
_EVENT: Final = "LeafDeferred"
_WEIGHT_PER_LEAF_WEIGHT: Final = 10**6
"""A weight is in micro-CAI, a leaf in whole CAI."""


@dataclass(frozen=True, slots=True, order=True)
class Deferral:
    """A change of a node that its leaf has not followed, by its place in the chain. :ivar node: 20 bytes."""

    block_number: int
    log_index: int
    node: bytes


class LeavesClient:
    """The tree of one staking contract."""

    def __init__(self, rpc: Rpc, staking: bytes, first_block: int) -> None:
        """:param first_block: the block of the deployment."""
        self._rpc = rpc
        self._contract = Contract(rpc, staking, "Staking")
        self._first_block = first_block
        self._feed: EventFeed | None = None

    async def deferrals(self) -> list[Deferral]:
        """Those that were not read yet, and the newest ones again. Not to be called by two tasks at once."""
        if self._feed is None:
            first = max(self._first_block, await self._rpc.block_number() - LOOK_BACK_BLOCKS)
            self._feed = EventFeed(self._rpc, self._contract, (_EVENT,), Cursor(first))
        found: list[Deferral] = []
        is_caught_up = False
        while not is_caught_up:
            batch = await self._feed.read()
            is_caught_up = batch.is_caught_up
            found += [
                Deferral(event.block_number, event.log_index, event.arguments["node"])
                for event in (*batch.settled, *batch.recent)
            ]
        return found

    async def is_locked(self) -> bool:
        """Whether leaves stay as they are, now or soon."""
        _, until_block = await self._contract.read("weightsLock")
        return bool(until_block)

    async def is_behind(self, node: bytes) -> bool:
        """Whether a node's leaf weighs something else than the node, in whole CAI."""
        weight: int = await self._contract.read("weightOf", node)
        leaf: int = await self._contract.read("leafWeight", await self._contract.read("leafOf", node))
        return leaf != weight // _WEIGHT_PER_LEAF_WEIGHT

    async def bring_up(self, sender: Sender, node: bytes) -> Receipt:
        """Bring a leaf to what its node weighs; anybody may.

        Reverts with ``WeightsAreLocked`` or ``NotRegistered``.
        """
        return await self._contract.transact(sender, "syncLeaf", node)
