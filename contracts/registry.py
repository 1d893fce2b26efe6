"""All nodes that were ever registered, rebuilt from events: the contract itself keeps no list of them.

Is: a list that follows the chain, also backwards, held against the contract's own count, and kept in a file
from one run to the next.
Is not: weights; those are asked of the contract for an epoch, since they count only at its first block. Nor
what owners say of their nodes, which anybody can write for gas alone: see `metadata`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from contracts.contract import Contract
from contracts.errors import BadChainAnswer
from contracts.events import BadCursor, Cursor, EventFeed
from contracts.logs import Event
from contracts.records import Role
from contracts.registry_store import Entry, RegistryStore, StoreFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from contracts.rpc import Rpc

NODES_MAX: Final = 1 << 24
"""As many as the contract has room for. Each costs its owner more than 20,000 CAI for the unbonding delay, of
which there are 50,000 times as many: an RPC that tells of more invents them."""
INCOMPLETE_MAX: Final = 5
"""Looks in a row that find fewer nodes than the contract counts, after which all is read anew."""
_EVENT: Final = "NodeRegistered"


class Registry:
    """The nodes of one staking contract.

    :ivar is_complete: whether the last look has found as many nodes as the contract counts. If not, the RPC
        has answered from a node that is behind, and the next look may find the rest.
    :ivar fault: why nothing can be kept on disk; ``None`` while all is well.
    """

    def __init__(self, rpc: Rpc, staking: bytes, first_block: int, file: Path | None = None) -> None:
        """:param first_block: the block of the deployment.

        :param file: where the list is kept from one run to the next; ``None`` keeps none.
        """
        self._contract = Contract(rpc, staking, "Staking")
        self._feed = EventFeed(rpc, self._contract, (_EVENT,), Cursor(first_block))
        self._first_block = first_block
        self._store = None if file is None else RegistryStore(file, staking)
        self._is_loaded = False
        self._settled: dict[bytes, Entry] = {}
        self._recent: dict[bytes, Entry] = {}
        self._incomplete = 0
        self._count = 0
        self._is_reading = True
        self.is_complete = False
        self.fault: str | None = None

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self._settled) + len(self._recent)

    def nodes(self, role: Role | None = None) -> tuple[Entry, ...]:
        """Nodes of a role, or all, in the order of their registration."""
        entries = (*self._settled.values(), *self._recent.values())
        return entries if role is None else tuple(entry for entry in entries if entry.role is role)

    def progress(self) -> str:
        """How far the list is, for people."""
        if self._is_reading:
            return f"registrations are read up to block {self._feed.cursor.next_block} of {self._feed.head}"
        return f"the chain's RPC tells of {len(self)} nodes where the contract counts {self._count}"

    async def sync(self) -> None:
        """Read all that has happened since; what was read stays read if it raises half-way.

        Not to be called by two tasks at once.

        :raises ChainError: the chain fails us.
        """
        if not self._is_loaded:
            await self._load()
        # Asked before the list is read, so that a registration meanwhile makes it no shorter than the count.
        self._count = count = await self._contract.read("nodeCount")
        self._is_reading = True
        while not await self._advance():
            pass
        self._is_reading = False
        self.is_complete = len(self) >= count
        self._incomplete = 0 if self.is_complete else self._incomplete + 1
        if self._incomplete >= INCOMPLETE_MAX:
            # Something was settled from a node that was further behind than any should be.
            await self._begin_anew()

    async def _advance(self) -> bool:
        """Read one batch; returns whether nothing was left to read."""
        before = self._feed.cursor
        batch = await self._feed.read()
        try:
            settled = [_entry_of(event) for event in batch.settled]
            recent = [_entry_of(event) for event in batch.recent]
        except BadChainAnswer:
            self._feed.cursor = before
            raise
        if len(self._settled) + len(settled) + len(recent) > NODES_MAX:
            self._feed.cursor = before
            raise BadChainAnswer("eth_getLogs", "more nodes than the contract has room for")
        if batch.undone_after is not None:
            limit = batch.undone_after
            self._settled = {k: entry for k, entry in self._settled.items() if entry.block_number <= limit}
        self._settled |= {entry.address: entry for entry in settled}
        self._recent = {entry.address: entry for entry in recent if entry.address not in self._settled}
        if batch.cursor != before:
            await self._keep(lambda store: store.apply(batch.undone_after, settled, batch.cursor))
        return batch.is_caught_up

    async def _load(self) -> None:
        """Take the list from its file; one that is broken is read anew."""
        if self._store is not None:
            try:
                cursor, entries = await trio.to_thread.run_sync(self._store.load, self._first_block)
            except BadCursor:
                await self._begin_anew()
            except StoreFailed as error:
                self.fault = str(error)
            else:
                self._feed.cursor = cursor
                self._settled = {entry.address: entry for entry in entries}
        self._is_loaded = True

    async def _begin_anew(self) -> None:
        self._incomplete = 0
        self._feed.cursor = Cursor(self._first_block)
        self._settled, self._recent = {}, {}
        await self._keep(RegistryStore.forget)

    async def _keep(self, change: Callable[[RegistryStore], None]) -> None:
        """Change the file. After a fault it is left as it is: it fits together, and goes on from there."""
        if self._store is None or self.fault is not None:
            return
        try:
            # The state in memory goes on from here: a file that missed this would miss it for good.
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(change, self._store)
        except (StoreFailed, BadCursor) as error:
            self.fault = str(error)


def _entry_of(event: Event) -> Entry:
    arguments = event.arguments
    try:
        role = Role(arguments["role"])
        return Entry(event.block_number, event.log_index, arguments["node"], arguments["owner"], role)
    except ValueError as error:
        raise BadChainAnswer(_EVENT, str(error)) from error
