"""Events as they happen, in batches, with a cursor that survives restarts and reorganisations.

Is: a poll that never skips an event, never reports one twice, and says when some have not happened after all.
Is not: a subscription. RPCs forget filters; a range of blocks is asked for instead, and what was read before
is checked by the hash of its last block.

The caller keeps what it makes of the events together with the cursor: written as one, they never contradict
each other.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from contracts.contract import LOG_BLOCKS_MAX, Contract, Event
from protocol.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.rpc import Rpc

MARKS_MAX: Final = 64
"""Ends of batches that are remembered; a reorganisation that reaches behind them all is read anew."""
_HASH_BYTES: Final = 32


class BadCursor(LocalError):
    """A stored cursor is none."""


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
        """:raises BadCursor: a number below zero, marks too many or out of order, or a hash that is none."""
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

    def to_document(self) -> dict[str, Any]:
        """JSON object of the cursor."""
        marks = [[mark.number, mark.hash.hex()] for mark in self.marks]
        return {"first_block": self.first_block, "marks": marks}

    @classmethod
    def from_document(cls, document: Any) -> Cursor:
        """The cursor in a JSON object. :raises BadCursor: it is none."""
        try:
            marks = tuple(BlockMark(_integer(at), bytes.fromhex(digest)) for at, digest in document["marks"])
            return cls(_integer(document["first_block"]), marks)
        except (KeyError, TypeError, ValueError) as error:
            message = f"not a cursor: {type(error).__name__}: {error}"
            raise BadCursor(message) from error


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read has found; first apply `undone_after`, then the events.

    :ivar undone_after: events of later blocks have not happened after all; ``None`` if all stands.
    :ivar events: new ones, in the order of the chain.
    :ivar cursor: to be kept together with what comes of them.
    :ivar is_caught_up: whether nothing was left to read.
    """

    undone_after: int | None
    events: tuple[Event, ...]
    cursor: Cursor
    is_caught_up: bool


class EventFeed:
    """Some events of one contract.

    :ivar cursor: how far was read.
    """

    def __init__(
        self, rpc: Rpc, contract: Contract, names: Sequence[str], cursor: Cursor, *, confirmations: int = 0
    ) -> None:
        """:param confirmations: blocks that have to follow before one is read: fewer batches to be undone.

        :raises ValueError: fewer than none.
        """
        if confirmations < 0:
            message = "confirmations are counted from zero"
            raise ValueError(message)
        self.cursor = cursor
        self._rpc = rpc
        self._contract = contract
        self._names = tuple(names)
        self._confirmations = confirmations

    async def read(self) -> Batch:
        """What has happened since the last read, in at most `LOG_BLOCKS_MAX` blocks.

        If it raises, the cursor has not moved. Not to be called by two tasks at once.

        :raises ChainError: the chain fails us.
        """
        standing = await self._standing()
        undone_after = None if standing == self.cursor else standing.next_block - 1
        first = standing.next_block
        confirmed = await self._rpc.block_number() - self._confirmations
        last = min(confirmed, first + LOG_BLOCKS_MAX - 1)
        events: tuple[Event, ...] = ()
        cursor = standing
        # The same hash before and after means that the events in between are of this chain and no other.
        before = await self._rpc.block_hash(last) if last >= first else None
        if before is not None:
            found = await self._contract.events(self._names, first, last)
            if await self._rpc.block_hash(last) == before:
                events = found
                marks = (*standing.marks, BlockMark(last, before))
                cursor = Cursor(standing.first_block, marks[-MARKS_MAX:])
        self.cursor = cursor
        return Batch(undone_after, events, cursor, is_caught_up=cursor.next_block > confirmed)

    async def _standing(self) -> Cursor:
        """The cursor without what a reorganisation has taken."""
        marks = self.cursor.marks
        while marks and await self._rpc.block_hash(marks[-1].number) != marks[-1].hash:
            marks = marks[:-1]
        return Cursor(self.cursor.first_block, marks)


def _integer(value: object) -> int:
    if type(value) is not int:
        message = "not an integer"
        raise TypeError(message)
    return value
