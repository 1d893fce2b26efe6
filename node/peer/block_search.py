"""The search for the first block whose time has reached a moment: which block to ask for next.

Is: the blocks that were read, bounded, and the choice of the next question; without I/O.
Is not: the asking (`beacon_watcher`), or when a block is final.

Times of blocks never fall. So between the last known block that is too early and the first one that is not,
the next question is where the moment would be if blocks came evenly, and every third one is the middle: two
questions on an even chain, and never more than three times the logarithm of its length.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final

from contracts.errors import ChainError

if TYPE_CHECKING:
    from contracts.blocks import Block

BLOCKS_KEPT_MAX: Final = 4096
"""Blocks remembered; one more, and all but that one are forgotten."""
HALVE_EVERY: Final = 3
"""Of so many questions one is for the middle."""
STEP_BACK: Final = 16
"""Blocks from the first known one to the first question before it; twice as many each time."""


class BlocksDisagree(ChainError):
    """Two blocks that were read are not of one chain: it was reorganised, or somebody lies."""


class KnownBlocks:
    """Blocks of one chain that were read, by number."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._blocks: dict[int, Block] = {}

    def __len__(self) -> int:
        """How many are known."""
        return len(self._numbers)

    @property
    def highest(self) -> Block | None:
        """The last one."""
        return self._blocks[self._numbers[-1]] if self._numbers else None

    def clear(self) -> None:
        """Forget all."""
        self._numbers.clear()
        self._blocks.clear()

    def add(self, block: Block) -> None:
        """Note a block. :raises BlocksDisagree: it is not of the chain of those that are known."""
        at = bisect_left(self._numbers, block.number)
        if block.number in self._blocks:
            if self._blocks[block.number].hash != block.hash:
                raise BlocksDisagree("a block has changed")
            return
        before = self._blocks[self._numbers[at - 1]] if at else None
        after = self._blocks[self._numbers[at]] if at < len(self._numbers) else None
        if (before is not None and not _follows(before, block)) or (
            after is not None and not _follows(block, after)
        ):
            raise BlocksDisagree("blocks are not of one chain")
        insort(self._numbers, block.number)
        self._blocks[block.number] = block
        if len(self._numbers) > BLOCKS_KEPT_MAX:
            self._numbers, self._blocks = [block.number], {block.number: block}

    def first_from(self, moment_ms: int) -> Block | None:
        """The first block whose time is so late or later, if those that are known show which it is."""
        at = self._first_late(moment_ms)
        if at == len(self._numbers):
            return None
        late = self._blocks[self._numbers[at]]
        if late.number == 0 or (at and self._numbers[at - 1] == late.number - 1):
            return late
        return None

    def question(self, moment_ms: int, *, halve: bool) -> int | None:
        """Number of the block to ask for next; None if no known block is so late, or if the answer is known.

        :param halve: to ask for the middle: every third time.
        """
        at = self._first_late(moment_ms)
        if at == len(self._numbers) or self.first_from(moment_ms) is not None:
            return None
        late = self._blocks[self._numbers[at]]
        if at == 0:
            # As far back again as it is to the last one: twice as far each time.
            return max(0, late.number - max(STEP_BACK, self._numbers[-1] - late.number))
        early = self._blocks[self._numbers[at - 1]]
        blocks, span_ms = late.number - early.number, 1000 * (late.time_s - early.time_s)
        ahead = blocks // 2 if halve else -(-(moment_ms - 1000 * early.time_s) * blocks // span_ms)
        return early.number + min(max(ahead, 1), blocks - 1)

    def _first_late(self, moment_ms: int) -> int:
        return bisect_left(self._numbers, moment_ms, key=lambda one: 1000 * self._blocks[one].time_s)


def _follows(one: Block, other: Block) -> bool:
    """Whether a block can come after another one on one chain, both of which were read."""
    is_next = other.number == one.number + 1
    return one.time_s <= other.time_s and (not is_next or other.parent_hash == one.hash)
