"""Events as they happen, in batches, with a cursor that survives restarts and reorganisations.

Is: a poll that never skips an event, never reports a settled one twice, and says when some have not happened
after all.
Is not: a subscription. RPCs forget filters; a range of blocks is asked for instead, and what was read before
is checked by the hash of its last block.

Behind one address there are often several nodes, of which one may be some blocks behind the others: it has no
logs for a block that it does not have yet, and says so without an error. So the newest `OVERLAP_BLOCKS` are
read anew each time, and the cursor stays behind them.

The caller keeps what it makes of the settled events together with the cursor: written as one, they never
contradict each other.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contracts.contract import LOG_BLOCKS_MAX, Contract
from contracts.errors import AnswerTooLarge, BadChainAnswer, ChainUnreachable, RpcError
from protocol.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.logs import Event
    from contracts.rpc import Rpc

MARKS_MAX: Final = 64
"""Ends of batches that are remembered; a reorganisation that reaches behind them all is read anew."""
OVERLAP_BLOCKS: Final = 128
"""Newest blocks that are read anew each time: more than nodes behind one address lie apart."""
PAGES_BEFORE_LARGER: Final = 32
"""Answers in a row after which twice as many blocks are tried; if refused, that costs 3 % more requests."""
_HASH_BYTES: Final = 32


class BadCursor(LocalError):
    """A stored cursor, or what was stored with it, does not fit together."""


@dataclass(frozen=True, slots=True)
class BlockMark:
    """A block whose events were read. :ivar number: in the RPC's numbers. :ivar hash: 32 bytes."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far was read.

    :ivar first_block: where reading began: the block of the deployment.
    :ivar marks: ends of the last batches, ascending, at most `MARKS_MAX`.
    """

    first_block: int
    marks: tuple[BlockMark, ...] = ()

    def __post_init__(self) -> None:
        """:raises BadCursor: a number below zero, marks too many or out of order, or not a hash."""
        numbers = [self.first_block - 1, *(mark.number for mark in self.marks)]
        ordered = all(before < after for before, after in itertools.pairwise(numbers))
        hashes = all(len(mark.hash) == _HASH_BYTES for mark in self.marks)
        if self.first_block < 0 or not ordered or not hashes or len(self.marks) > MARKS_MAX:
            message = "not a cursor: its blocks are not in order, or its hashes are none"
            raise BadCursor(message)

    @property
    def next_block(self) -> int:
        """The first block that was not read yet."""
        return self.marks[-1].number + 1 if self.marks else self.first_block


@dataclass(frozen=True, slots=True)
class Batch:
    """The result of one read; first apply `undone_after`, then the events.

    :ivar undone_after: events of later blocks have not happened after all; ``None`` if all stands.
    :ivar settled: new ones up to the cursor, in the order of the chain.
    :ivar recent: those behind the cursor, in place of what was told of them before; empty while there is more
        to settle.
    :ivar cursor: to be kept together with what comes of the settled ones.
    :ivar is_caught_up: whether nothing was left to read.
    """

    undone_after: int | None
    settled: tuple[Event, ...]
    recent: tuple[Event, ...]
    cursor: Cursor
    is_caught_up: bool


class PageSize:
    """How many blocks to ask for at once: fewer where the RPC refuses, and more again after a while.

    How many an RPC allows depends on the RPC, the plan and how many logs there are, and its refusals have no
    common code.

    :ivar blocks: from 1 to `LOG_BLOCKS_MAX`.
    """

    def __init__(self) -> None:
        self.blocks = LOG_BLOCKS_MAX
        self._served = 0

    def refused(self, blocks: int) -> None:
        """So many were refused, or their answer was too large."""
        self.blocks = max(1, blocks // 2)
        self._served = 0

    def served(self) -> None:
        """An answer has come."""
        self._served += 1
        if self._served == PAGES_BEFORE_LARGER:
            self.blocks = min(2 * self.blocks, LOG_BLOCKS_MAX)
            self._served = 0


class EventFeed:
    """Some events of one contract.

    :ivar cursor: how far was read for good.
    :ivar head: the newest block at the last read; 0 before.
    """

    def __init__(
        self,
        rpc: Rpc,
        contract: Contract,
        names: Sequence[str],
        cursor: Cursor,
        *,
        overlap_blocks: int = OVERLAP_BLOCKS,
    ) -> None:
        """:param overlap_blocks: newest blocks that are never settled.

        :raises ValueError: fewer than none.
        """
        if overlap_blocks < 0:
            message = "blocks are counted from zero"
            raise ValueError(message)
        self.cursor = cursor
        self.head = 0
        self._rpc = rpc
        self._contract = contract
        self._names = tuple(names)
        self._overlap_blocks = overlap_blocks
        self._page = PageSize()

    async def read(self) -> Batch:
        """Events since the last read: a page of those that can be settled, or else all that are newer.

        If it raises, the cursor has not moved. Not to be called by two tasks at once.

        :raises ChainError: the chain fails us.
        """
        standing = await self._standing()
        undone_after = None if standing == self.cursor else standing.next_block - 1
        first = standing.next_block
        self.head = head = await self._rpc.block_number()
        settled_last = head - self._overlap_blocks
        if first > settled_last:
            recent = await self._recent(first, head)
            self.cursor = standing
            return Batch(undone_after, (), recent, standing, is_caught_up=True)
        settled, mark = await self._settled(first, settled_last)
        marks = standing.marks if mark is None else (*standing.marks, mark)
        self.cursor = Cursor(standing.first_block, marks[-MARKS_MAX:])
        return Batch(undone_after, settled, (), self.cursor, is_caught_up=False)

    async def _settled(self, first: int, last: int) -> tuple[tuple[Event, ...], BlockMark | None]:
        """The events of the next page and its end; nothing if the chain has changed meanwhile."""
        page_last = min(last, first + self._page.blocks - 1)
        before = await self._rpc.block_hash(page_last)
        if before is None:
            raise BadChainAnswer("eth_getBlockByNumber", "no block where the chain should have one")
        found, last_read = await self._events(first, page_last)
        # The same hash before and after means that the events in between are of this chain and no other.
        after = await self._rpc.block_hash(page_last)
        mark = before if last_read == page_last else await self._rpc.block_hash(last_read)
        if after != before or mark is None:
            return (), None
        return found, BlockMark(last_read, mark)

    async def _recent(self, first: int, head: int) -> tuple[Event, ...]:
        found: list[Event] = []
        while first <= head:
            page, last = await self._events(first, min(head, first + self._page.blocks - 1))
            found += page
            first = last + 1
        return tuple(found)

    async def _events(self, first: int, last: int) -> tuple[tuple[Event, ...], int]:
        """Events from `first` on, as far towards `last` as the RPC lets us, and how far that is."""
        while True:
            try:
                found = await self._contract.events(self._names, first, last)
            except (AnswerTooLarge, RpcError):
                if last == first:
                    raise
                self._page.refused(last - first + 1)
                last = first + self._page.blocks - 1
            except ChainUnreachable:
                # It may have been too much for the time that there is; the next read finds out.
                self._page.refused(last - first + 1)
                raise
            else:
                self._page.served()
                return found, last

    async def _standing(self) -> Cursor:
        """The cursor without what a reorganisation has taken."""
        marks = self.cursor.marks
        while marks and await self._rpc.block_hash(marks[-1].number) != marks[-1].hash:
            marks = marks[:-1]
        return Cursor(self.cursor.first_block, marks)
