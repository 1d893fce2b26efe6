"""Rankings that are wrong by our own look at the chain, held back until it had time to say otherwise.

Is: why a reorganisation of which others heard before us makes no evidence against anybody honest.
Is not: the rule (`protocol/rules/tasks`), which refuses such an announcement at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from contracts.errors import ChainError, ContractReverted
from node.peer.evidence_queue import FoundEvidence
from protocol.evidence import WrongRanking
from protocol.rules.view import SEED_SETTLING_MS

DOUBT_S: Final = SEED_SETTLING_MS / 1000
"""How long one is held back before the chain is asked for the epoch's seed once more."""
DOUBTED_MAX: Final = 256
"""Most that are held back; each holds its epoch."""
ASK_AGAIN_S: Final = 10.0
"""After a chain that did not answer."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Doubted:
    due_s: float
    found: FoundEvidence
    epoch: int


class DoubtedRankings:
    """Wrong rankings of one node.

    :ivar dropped: since the start, because too many came at once.
    """

    def __init__(
        self, seed_of: Callable[[int], Awaitable[bytes | None]], confirmed: Callable[[FoundEvidence], None]
    ) -> None:
        """
        :param seed_of: the seed of an epoch, by number, as the chain has it now; raises ChainError or
            ContractReverted.
        :param confirmed: is given what stands; must neither block nor raise.
        """
        self._seed_of = seed_of
        self._confirmed = confirmed
        self._waiting: deque[_Doubted] = deque()
        self._came = trio.Event()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, found: FoundEvidence, ranking: WrongRanking) -> bool:
        """Hold a piece back, unless one of this signer is; returns whether one is now.

        :raises DecodeError: it is no announcement.
        """
        if any(item.found.offence.key == found.offence.key for item in self._waiting):
            return True
        if len(self._waiting) >= DOUBTED_MAX:
            self.dropped += 1
            return False
        self._waiting.append(_Doubted(trio.current_time() + DOUBT_S, found, ranking.epoch()))
        self._came.set()
        return True

    async def run(self) -> None:
        """Decide each when its time has come, for as long as the node runs."""
        try:
            while True:
                await self._decide_next()
        finally:
            if self._waiting:
                log.warning("the node stopped while wrong rankings were in doubt", pieces=len(self._waiting))

    async def _decide_next(self) -> None:
        if not self._waiting:
            self._came = trio.Event()
            await self._came.wait()
        item = self._waiting[0]
        await trio.sleep_until(item.due_s)
        try:
            seed = await self._seed_of(item.epoch)
        # Some clients' failures look like a contract's refusal; none is an answer.
        except (ChainError, ContractReverted):
            await trio.sleep(ASK_AGAIN_S)
            return
        self._waiting.popleft()
        if seed == item.found.epochs[item.epoch].seed:
            self._confirmed(item.found)
        else:
            log.info("not a wrong ranking: the chain was reorganised", epoch=item.epoch)
