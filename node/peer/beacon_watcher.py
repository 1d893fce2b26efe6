"""Finds the blocks that throw the dice of audits: for each deadline the first block past it by the margin.

Is: the questions to the chain, as few as do and bounded, and what is found, as a value for the peer's view.
Is not: the dice (`protocol/audit_draw.py`), nor which deadlines matter; whoever hears of work says so.

Where nobody has said a deadline, nothing is asked. A chain that cannot be reached is asked again; what was
found stays.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog
import trio

from contracts.errors import ChainError
from node.peer.beacon_wishes import QUESTIONS_OF, QUESTIONS_PER_LOOK_MAX, WISHES_MAX, BeaconWishes, Wish
from node.peer.block_search import HALVE_EVERY, BlocksDisagree, KnownBlocks
from node.system import clock
from protocol.audit_draw import BeaconBlock
from protocol.bounded import Bounded
from protocol.rules.view import SEED_SETTLING_MS
from protocol.terms import AuditTerms

if TYPE_CHECKING:
    from contracts.blocks import Block, BlocksClient

WANTED_AGE_MS_MAX: Final = 24 * 60 * 60 * 1000
"""So long ago may a deadline be: past it nothing is kept that could be audited."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Beacons:
    """Blocks that decide, as far as they are known.

    :ivar known: final ones, by deadline in ms.
    :ivar settling_until_ms: until when others may know another block.
    :ivar newest_block_ms: time of the newest block that was seen; 0 before the first.
    """

    known: Mapping[int, BeaconBlock] = field(default_factory=dict)
    settling_until_ms: int = 0
    newest_block_ms: int = 0


@dataclass(frozen=True, slots=True)
class BeaconsStatus:
    """The search, since the start.

    :ivar known: deadlines. :ivar wanted: likewise; once for each reason. :ivar questions: blocks asked for.
    :ivar given_up: deadlines that were one too many.
    :ivar doubts: how often a block was passed over because a majority of the endpoints has another one.
    :ivar fault: why nothing is found now; None when all is well.
    """

    known: int
    wanted: int
    questions: int
    given_up: int
    doubts: int
    fault: str | None


class BeaconWatcher:
    """The blocks of one peer's chain."""

    def __init__(
        self,
        blocks: BlocksClient,
        terms: AuditTerms,
        poll_ms: int,
        confirmations: int,
        tell: Callable[[Beacons], None],
        now_ms: Callable[[], int] = clock.now_ms,
    ) -> None:
        """
        :param confirmations: blocks under which a block lies before it decides.
        :param tell: hears what is known whenever that changes; must neither block nor raise.
        """
        self._blocks = blocks
        self._terms = terms
        self._poll_s = poll_ms / 1000
        self._confirmations = confirmations
        self._tell = tell
        self._now_ms = now_ms
        self._wishes = BeaconWishes()
        self._known: Mapping[int, BeaconBlock] = {}
        self._believed: Bounded[bytes, None] = Bounded(sum(WISHES_MAX.values()))
        self._chain = KnownBlocks()
        self._settling_until_ms = self._newest_ms = 0
        self._questions = self._doubts = 0
        self._fault: str | None = None

    def status(self) -> BeaconsStatus:
        """For people and monitors."""
        known, wanted, given_up = len(self._known), len(self._wishes), self._wishes.given_up
        return BeaconsStatus(known, wanted, self._questions, given_up, self._doubts, self._fault)

    def want(self, deadline_ms: int, kind: Wish = Wish.FRESH) -> None:
        """Look for the block that decides for the tasks of a deadline, as soon as there is one."""
        if deadline_ms >= self._now_ms() - WANTED_AGE_MS_MAX:
            self._wishes.want(deadline_ms, kind)

    async def run(self) -> None:
        """Look for what is wanted for as long as the peer runs."""
        while True:
            try:
                await self.look()
            except ChainError as error:
                if self._fault is None:
                    log.warning("blocks that decide about audits are not to be had now", error=str(error))
                self._fault = str(error)
            await trio.sleep(self._poll_s)

    async def look(self) -> None:
        """Ask the chain once, if something is wanted.

        :raises ChainError: it cannot be reached, answers nonsense, or was reorganised meanwhile.
        """
        if not self._wishes:
            return
        self._wishes.begin_look()
        try:
            newest = await self._blocks.newest()
            # An endpoint that lags takes nothing back; what one tells of the future lasts until the next.
            self._newest_ms = max(1000 * newest.time_s, min(self._newest_ms, self._now_ms()))
            final = newest.number - self._confirmations
            if final >= 0 and any(self._due(kind, self._newest_ms) for kind in Wish):
                await self._find(final)
            else:
                self._fault = None
        except BlocksDisagree:
            self._forget_chain()
            raise
        finally:
            self._tell(Beacons(self._known, self._settling_until_ms, self._newest_ms))

    def _due(self, kind: Wish, block_ms: int) -> list[int]:
        """Deadlines of a kind for which a block of this time may decide, or one before it."""
        return self._wishes.due(kind, block_ms - self._terms.beacon_from_ms(0))

    async def _find(self, final_number: int) -> None:
        highest = self._chain.highest
        if highest is not None:
            # If it has changed, so may have those that have decided.
            await self._read(highest.number)
        if highest is None or highest.number < final_number:
            highest = await self._read(final_number)
        self._fault, begun = None, self._questions
        doubted: set[bytes] = set()
        # Each kind has its share first, and after that what is left of all.
        shares = [(kind, QUESTIONS_OF[kind]) for kind in Wish]
        try:
            for kind, share in (*shares, *((kind, QUESTIONS_PER_LOOK_MAX) for kind in Wish)):
                most = min(self._questions + share, begun + QUESTIONS_PER_LOOK_MAX)
                await self._serve(self._due(kind, 1000 * highest.time_s), most, doubted)
        finally:
            if doubted:
                self._chain.clear()  # it may be another chain that was read
            self._known = self._wishes.found

    async def _serve(self, due: list[int], most: int, doubted: set[bytes]) -> None:
        """Find the blocks of deadlines, one after the other, with so many questions at most.

        :param doubted: hashes of blocks that were doubted in this look; more are added.
        """
        for deadline_ms in due:
            await trio.lowlevel.checkpoint()  # one whose block is known asks nobody
            block = await self._search(self._terms.beacon_from_ms(deadline_ms), most)
            if block is None:
                return
            if block.hash in doubted or not await self._is_believed(block):
                doubted.add(block.hash)
                self._wishes.put_off(deadline_ms)
            else:
                self._wishes.find(deadline_ms, BeaconBlock(block.number, block.hash, 1000 * block.time_s))

    async def _search(self, moment_ms: int, most: int) -> Block | None:
        """The first block from a moment on. :param most: questions in all, after which it gives None."""
        for count in itertools.count(1):
            asked = self._chain.question(moment_ms, halve=count % HALVE_EVERY == 0)
            if asked is None:
                break
            if self._questions >= most:
                return None
            await self._read(asked)
        return self._chain.first_from(moment_ms)

    async def _read(self, number: int) -> Block:
        self._questions += 1
        block = await self._blocks.block(number)
        if block is None:
            message = f"the chain's RPC does not have block {number}, which is below its newest"
            raise ChainError(message)
        self._chain.add(block)
        return block

    async def _is_believed(self, block: Block) -> bool:
        """Whether no majority of the endpoints says something else of a block."""
        if block.hash not in self._believed:
            doubt = await self._blocks.doubt_about(block)
            if doubt is not None:
                self._fault = doubt
                self._doubts += 1
                return False
            self._believed[block.hash] = None
        return True

    def _forget_chain(self) -> None:
        """Final blocks have changed: nobody is blamed for a while; what has decided is looked for anew."""
        log.warning("final blocks have changed: the chain was reorganised")
        self._chain.clear()
        if self._wishes.forget_found():
            self._settling_until_ms = self._now_ms() + SEED_SETTLING_MS
        self._known = {}
