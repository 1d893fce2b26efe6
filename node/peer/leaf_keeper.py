"""Keeps the tree's leaves true: those that a lock has left behind are brought up, by one coordinator each.

Is: a look now and then at which leaves were left behind, a wait for our turn, and a transaction if nobody
was faster.
Is not: needed for stake or draws of miners, which never ask a leaf; a node whose leaf is behind earns by the
lesser of both meanwhile, and its next change or claim brings the leaf up as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog
import trio

from contracts.errors import ChainError, ContractReverted
from contracts.leaves import Deferral
from contracts.transactions import Sender
from node.peer.seed_turns import TURN_POLLS, leaf_turn
from protocol.bounded import Bounded
from protocol.rules.view import View

LOOK_POLLS: Final = 2
"""From one look to the next, in looks of the chain watcher; a turn is longer."""
LEAVES_MAX: Final = 1_024
"""Leaves that wait to be brought up; the oldest gives way, and follows at its node's next change or claim."""
LEAVES_PER_LOOK_MAX: Final = 64
"""Leaves that are looked at in one look, three questions to the chain each."""
LEAVES_PER_EPOCH_MAX: Final = 16
"""Transactions that we send in an epoch, some 50,000 gas each, also those that fail."""
_LOCKED: Final = "WeightsAreLocked"
_LEFT: Final = "NotRegistered"

log = structlog.get_logger()


class Leaves(Protocol):
    """The part of `contracts.leaves.LeavesClient` that is used."""

    async def deferrals(self) -> list[Deferral]:
        """New ones, and the newest again."""

    async def is_locked(self) -> bool:
        """Whether nothing can be brought up now."""

    async def is_behind(self, node: bytes) -> bool:
        """Whether there is something to bring up."""

    async def bring_up(self, sender: Sender, node: bytes) -> object:
        """Pay for it."""


@dataclass(slots=True)
class LeafCounts:
    """:ivar waiting: leaves that wait for our turn now. :ivar brought_up: since the start, at our cost.

    :ivar spared: that somebody else had brought up, or were never behind, when our turn came.
    :ivar refused: attempts to bring one up that the chain refused.
    :ivar crowded_out: that were forgotten as too many waited.
    :ivar left_for_next_epoch: looks that ended as we had paid enough in this one.
    """

    waiting: int = 0
    brought_up: int = 0
    spared: int = 0
    refused: int = 0
    crowded_out: int = 0
    left_for_next_epoch: int = 0


class LeafKeeper:
    """One coordinator's. :ivar counts: what it did."""

    def __init__(self, leaves: Leaves, view: Callable[[], View], poll_ms: int) -> None:
        self._leaves = leaves
        self._view = view
        self._poll_s = poll_ms / 1000
        self._waiting: dict[bytes, float | None] = {}
        """By node, when our turn comes; None until no lock holds."""
        self._handled: Bounded[bytes, Deferral] = Bounded(4 * LEAVES_MAX)
        self._paid_epoch: int | None = None
        self._paid = 0
        self.counts = LeafCounts()

    def status(self) -> LeafCounts:
        """Now."""
        return replace(self.counts, waiting=len(self._waiting))

    async def run(self, sender: Sender) -> None:
        """Look now and then until cancelled. :param sender: pays the gas."""
        while True:
            try:
                await self.look(sender)
            except (ChainError, ContractReverted) as error:
                log.warning("leaves not brought up; trying again", error=str(error))
            await trio.sleep(LOOK_POLLS * self._poll_s)

    async def look(self, sender: Sender) -> None:
        """Look once, and bring up what it is our turn for.

        :raises ChainError: the chain fails us, in what it was asked last.
        :raises ContractReverted: likewise, by how the endpoint says it.
        """
        for deferral in await self._leaves.deferrals():
            self._note(deferral)
        if not self._waiting or await self._leaves.is_locked():
            return
        now_s, latest = trio.current_time(), self._view().latest
        for node, due_s in self._waiting.items():
            if due_s is None:
                turn = leaf_turn(latest, node, sender.address)
                self._waiting[node] = now_s + turn * TURN_POLLS * self._poll_s
        due = [node for node, due_s in self._waiting.items() if due_s is not None and now_s >= due_s]
        for node in due[:LEAVES_PER_LOOK_MAX]:
            try:
                if not await self._bring_up(sender, node, None if latest is None else latest.number):
                    return
            except ContractReverted as refusal:
                self._put_off(node, refusal)
                if refusal.name == _LOCKED:
                    return
            except ChainError:
                self._waiting[node] = self._waiting.pop(node)
                raise

    async def _bring_up(self, sender: Sender, node: bytes, epoch: int | None) -> bool:
        """Pay for one leaf, if it is behind; False if we have paid enough in this epoch."""
        if not await self._leaves.is_behind(node):
            self.counts.spared += 1
            del self._waiting[node]
            return True
        if not self._may_pay(epoch):
            self.counts.left_for_next_epoch += 1
            return False
        # Before it is known what comes of it: a transaction that is refused in its block costs gas.
        self._paid += 1
        await self._leaves.bring_up(sender, node)
        self.counts.brought_up += 1
        del self._waiting[node]
        log.info("leaf brought up", node="0x" + node.hex())
        return True

    def _put_off(self, node: bytes, refusal: ContractReverted) -> None:
        """A refusal for one node keeps no other waiting; a node that has left needs no leaf."""
        self.counts.refused += 1
        due_s = self._waiting.pop(node)
        if refusal.name != _LEFT:
            self._waiting[node] = due_s
        log.warning("leaf not brought up; others have their turn", node="0x" + node.hex(), error=str(refusal))

    def _note(self, deferral: Deferral) -> None:
        handled = self._handled.get(deferral.node)
        if handled is not None and handled >= deferral:
            return
        self._handled[deferral.node] = deferral
        self._waiting.pop(deferral.node, None)
        self._waiting[deferral.node] = None
        if len(self._waiting) > LEAVES_MAX:
            del self._waiting[next(iter(self._waiting))]
            self.counts.crowded_out += 1

    def _may_pay(self, epoch: int | None) -> bool:
        if epoch != self._paid_epoch:
            self._paid_epoch, self._paid = epoch, 0
        return self._paid < LEAVES_PER_EPOCH_MAX
