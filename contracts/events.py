"""Registrations as they happen, read with a cursor.

Is: a poll that never skips a block and never reports one twice, across restarts if the caller keeps the
cursor.
Is not: a subscription. RPCs forget filters; a range of blocks is asked for again and again instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.contract import LOG_BLOCKS_MAX, Contract
from contracts.records import NodeRegistered, Role

if TYPE_CHECKING:
    from contracts.rpc import Rpc


class RegistrationFeed:
    """Node registrations from a block on.

    :ivar next_block: the first block that was not read yet, in the RPC's numbers; keep it to go on later.
    """

    def __init__(self, rpc: Rpc, staking_address: bytes, *, first_block: int, confirmations: int = 0) -> None:
        """:param confirmations: blocks that have to follow before one is read; against reorganisations.

        :raises ValueError: a number below zero.
        """
        if first_block < 0 or confirmations < 0:
            message = "blocks are counted from zero"
            raise ValueError(message)
        self.next_block = first_block
        self._rpc = rpc
        self._contract = Contract(rpc, staking_address, "Staking")
        self._confirmations = confirmations

    async def read(self) -> tuple[NodeRegistered, ...]:
        """Registrations since the last read, of at most `LOG_BLOCKS_MAX` blocks; empty if there are none.

        If it raises, the cursor has not moved. Not to be called by two tasks at once.
        """
        confirmed = await self._rpc.block_number() - self._confirmations
        last = min(confirmed, self.next_block + LOG_BLOCKS_MAX - 1)
        if last < self.next_block:
            return ()
        found = await self._contract.events("NodeRegistered", self.next_block, last)
        registrations = tuple(
            NodeRegistered(
                node=event.arguments["node"],
                owner=event.arguments["owner"],
                role=Role(event.arguments["role"]),
                metadata=event.arguments["metadata"],
                block_number=event.block_number,
                transaction_hash=event.transaction_hash,
            )
            for event in found
        )
        self.next_block = last + 1
        return registrations
