"""Follows who has stake behind which node, while somebody asks for it.

Is: a task that reads the chain's events page by page, no faster than `PAGE_S`, and rests when nobody has
asked for a while.
Is not: what is read (`contracts.positions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog
import trio

from contracts.errors import ChainError
from contracts.positions import Positions
from node.system.clock import steady_ms
from p2p.wakeups import Signal

PAGE_S: Final = 0.25
"""From one page to the next while there is more."""
LOOK_S: Final = 2.0
"""From one look to the next when all was read, and after a failure."""
ASKED_FOR_MS: Final = 300_000
"""So long after the last question the chain is followed."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LedgerStatus:
    """:ivar next_block: the first that was not read for good. :ivar head: the chain's, when it was read last.

    :ivar passed_over: events beyond the bound of the table.
    """

    pairs: int
    next_block: int
    head: int
    is_caught_up: bool
    passed_over: int


class Ledger:
    """One node's."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._asked_at_ms: int | None = None
        self._asked = Signal()

    def of(self, account: bytes) -> dict[bytes, frozenset[int]]:
        """As `Positions.of`, of what is read so far; the rest is read from now on."""
        self._asked_at_ms = steady_ms()
        self._asked.notify()
        return self._positions.of(account)

    def status(self) -> LedgerStatus:
        """How far it is."""
        found = self._positions
        return LedgerStatus(found.pairs, found.next_block, found.head, found.is_caught_up, found.passed_over)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            while self._asked_at_ms is None or steady_ms() - self._asked_at_ms > ASKED_FOR_MS:
                await self._asked.wait()
            pause_s = LOOK_S
            try:
                await self._positions.advance()
            except ChainError as error:
                log.debug("the chain tells no positions now", error=str(error))
            else:
                pause_s = LOOK_S if self._positions.is_caught_up else PAGE_S
            await trio.sleep(pause_s)
