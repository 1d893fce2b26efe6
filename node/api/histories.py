"""The history of each task, as it happened: for whoever asks why.

Is: an answer in words and times, from the node's own events and the signed announcement. Bounded. What has
changed is written to the journal's file once a second (`node/coordinator/told`), so that a restart forgets
nothing else; what a file cannot tell any more of a delivered task, its receipt does.
Is not: a proof; the receipt is one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from node.api.readers import readers_of
from node.coordinator.coordinator import Coordinator
from node.coordinator.told import Told, ToldTask
from node.peer.miner_story import DECISION_WORDS
from node.system import events
from node.system.events import EventBus, Published
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.audit import Audits
from protocol.bounded import Bounded
from protocol.messages import PassedOver, RankedMiner

TASKS_MAX: Final = 2_000
"""Tasks whose history is in memory; the oldest is forgotten there first."""
UNWRITTEN_MAX: Final = 256
"""Tasks with news that is not written yet; with more it is written at once."""
WRITE_S: Final = 1.0
"""How long news waits: one write to the disk is for all that happened meanwhile."""
TURNS_MAX: Final = 64
"""Turns of one task that are told of, as many as can be assigned."""


@dataclass(slots=True)
class Turn:
    """One miner's part. Times in ms, 0 for never. :ivar words: why it ended without a result."""

    rank: int | None = None
    accepted_at_ms: int = 0
    lost_at_ms: int = 0
    words: str = ""
    paid_wei: int = 0


@dataclass(slots=True)
class History:
    """One task's.

    :ivar placed_at_ms: when its order came; 0 if that is not known.
    :ivar ranking: miners and what the coordinator made of each, by rank.
    :ivar audits: an `Audits`.
    """

    announced_at_ms: int
    model_id: bytes
    placed_at_ms: int = 0
    order_id: bytes = b""
    price_micro_cai: int = 0
    ranking: tuple[RankedMiner, ...] = ()
    turns: dict[bytes, Turn] = field(default_factory=dict)
    delivered_by: bytes = b""
    ended_at_ms: int = 0
    failure: str = ""
    audits: int = Audits.PUBLIC

    def encode(self) -> bytes:
        """JSON, for the file."""
        document = {name: getattr(self, name) for name in (*_NUMBERS, "failure")}
        document |= {name: getattr(self, name).hex() for name in _BYTES}
        document["ranking"] = [[place.miner.hex(), int(place.passed_over)] for place in self.ranking]
        document["turns"] = {
            miner.hex(): [turn.rank, turn.accepted_at_ms, turn.lost_at_ms, turn.words, str(turn.paid_wei)]
            for miner, turn in self.turns.items()
        }
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: bytes) -> History | None:
        """The history that `encode` wrote; None if another version of this program did, in another form."""
        try:
            document = json.loads(data)
            values = {name: document[name] for name in (*_NUMBERS, "failure")}
            values |= {name: bytes.fromhex(document[name]) for name in _BYTES}
            places = [(bytes.fromhex(miner), PassedOver(kind)) for miner, kind in document["ranking"]]
            turns = {
                bytes.fromhex(miner): Turn(rank, accepted_at_ms, lost_at_ms, words, int(paid_wei))
                for miner, (rank, accepted_at_ms, lost_at_ms, words, paid_wei) in document["turns"].items()
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return cls(**values, ranking=tuple(RankedMiner(*place) for place in places), turns=turns)


_NUMBERS: Final = ("announced_at_ms", "placed_at_ms", "price_micro_cai", "ended_at_ms", "audits")
_BYTES: Final = ("model_id", "order_id", "delivered_by")


class Histories:
    """Those of one coordinator."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._told: Told = coordinator.told
        self._histories: Bounded[bytes, History] = Bounded(TASKS_MAX)
        self._unwritten: dict[bytes, History] = {}

    async def run(self, bus: EventBus) -> None:
        """Follow what happens and write it down, until cancelled.

        :raises JournalUnavailable: the journal's file failed.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._follow, bus)
                while True:
                    await trio.sleep(WRITE_S)
                    self.write()
        finally:
            self.write()

    def write(self) -> None:
        """Write what is new. :raises JournalUnavailable: the journal's file failed."""
        items = [ToldTask(task_id, item.order_id, item.encode()) for task_id, item in self._unwritten.items()]
        self._unwritten.clear()
        if items:
            self._told.keep(items)

    async def _follow(self, bus: EventBus) -> None:
        kinds = (
            events.TaskAnnounced,
            events.TaskAccepted,
            events.MinerLost,
            events.TaskPaid,
            events.TaskDelivered,
            events.TaskFailed,
        )
        with bus.subscribe(*kinds) as subscription:
            while True:
                self.note(await subscription.receive())

    def note(self, published: Published) -> None:
        """Something happened to a task; one that was announced before a restart goes on."""
        event, at_ms = published.event, published.at_ms
        task_id: bytes = getattr(event, "task_id", b"")
        history = self._find(task_id)
        if history is None and isinstance(event, events.TaskAnnounced):
            history = self._announced(event, at_ms)
        if history is None:
            return
        self._histories[task_id] = self._unwritten[task_id] = history
        self._note(history, published)
        if len(self._unwritten) >= UNWRITTEN_MAX:
            self.write()

    @staticmethod
    def _note(history: History, published: Published) -> None:
        event, at_ms = published.event, published.at_ms
        match event:
            case events.TaskAccepted(miner=miner, rank=rank):
                turn = _turn(history, miner)
                turn.rank, turn.accepted_at_ms = rank, at_ms
            case events.MinerLost(miner=miner, reason=reason):
                turn = _turn(history, miner)
                turn.lost_at_ms, turn.words = at_ms, reason
            case events.TaskPaid(miner=miner, paid_wei=paid_wei):
                _turn(history, miner).paid_wei = paid_wei
            case events.TaskDelivered(miner=miner):
                history.delivered_by, history.ended_at_ms = miner, at_ms
            case events.TaskFailed(reason=reason):
                history.failure, history.ended_at_ms = reason, at_ms

    def explain(self, task_id: bytes) -> dict[str, Any] | None:
        """All that is known of a task, for JSON; None if nothing is."""
        history = self._find(task_id)
        if history is None:
            return self._by_receipt(task_id)
        return {
            "task": f"0x{task_id.hex()}",
            "tasks_of_the_order": [f"0x{other.hex()}" for other in self._tasks_of(history.order_id)],
            "model_id": history.model_id.hex(),
            "outcome": _outcome(history),
            "ranking": ranking_document(history.ranking),
            "turns": [_turn_document(history, miner, turn) for miner, turn in history.turns.items()],
            "phases_ms": _phases(history),
            "price_micro_cai": history.price_micro_cai,
            "paid_wei": str(sum(turn.paid_wei for turn in history.turns.values())),
            "audits": list(self._coordinator.explain_audits(task_id)),
            "readers": readers_of(history.audits),
        }

    # Internals

    def _find(self, task_id: bytes) -> History | None:
        """The history of a task, from memory or else the file."""
        history = self._histories.get(task_id) or self._unwritten.get(task_id)
        if history is None and (data := self._told.find(task_id)) is not None:
            history = History.decode(data)
        return history

    def _tasks_of(self, order_id: bytes) -> list[bytes]:
        """Tasks of an order, in the order in which they were announced."""
        if not order_id:
            return []
        ids = dict.fromkeys(self._told.tasks_of(order_id))
        ids |= dict.fromkeys(
            task_id for task_id, item in self._unwritten.items() if item.order_id == order_id
        )
        return list(ids)

    def _announced(self, event: events.TaskAnnounced, at_ms: int) -> History:
        history = History(at_ms, event.model_id)
        order = self._coordinator.engine.book.tasks.get(event.task_id)
        if order is not None and order.task is not None:
            message = order.task.message
            history.order_id, history.placed_at_ms = order.order_id, order.placed_at_ms
            history.ranking, history.price_micro_cai = message.ranking, message.price_micro_cai
            history.audits = message.audits
        return history

    def _by_receipt(self, task_id: bytes) -> dict[str, Any] | None:
        receipt = self._coordinator.receipt(task_id)
        if receipt is None:
            return None
        message, miner = receipt.announcement.message, receipt.commitment.signer.address
        return {
            "task": f"0x{task_id.hex()}",
            "tasks_of_the_order": [f"0x{task_id.hex()}"],
            "model_id": message.model_id.hex(),
            "outcome": f"delivered by 0x{miner.hex()}; what happened on the way is forgotten",
            "ranking": ranking_document(message.ranking),
            "turns": [],
            "phases_ms": {},
            "price_micro_cai": message.price_micro_cai,
            "paid_wei": str(message.price_micro_cai * WEI_PER_MICRO_CAI),
            "audits": list(self._coordinator.explain_audits(task_id)),
            "readers": readers_of(message.audits),
        }


def ranking_document(ranking: Sequence[RankedMiner]) -> list[dict[str, Any]]:
    """The miners that were drawn, in the order of the draw, and what the coordinator made of each."""
    return [
        {
            "rank": rank,
            "miner": f"0x{place.miner.hex()}",
            "decision": DECISION_WORDS[PassedOver(place.passed_over)],
        }
        for rank, place in enumerate(ranking)
    ]


def _turn(history: History, miner: bytes) -> Turn:
    if miner not in history.turns and len(history.turns) >= TURNS_MAX:
        return Turn()
    return history.turns.setdefault(miner, Turn())


def _outcome(history: History) -> str:
    if history.delivered_by:
        return f"delivered by 0x{history.delivered_by.hex()}"
    if history.failure:
        return f"failed: {history.failure}"
    return "under way, cancelled, or drawn again as another task"


def _turn_document(history: History, miner: bytes, turn: Turn) -> dict[str, Any]:
    if turn.words:
        came_to = f"lost: {turn.words}"
    else:
        came_to = "delivered" if miner == history.delivered_by else "not ended"
    return {
        "miner": f"0x{miner.hex()}",
        "rank": turn.rank,
        "accepted_at_ms": turn.accepted_at_ms or None,
        "lost_at_ms": turn.lost_at_ms or None,
        "came_to": came_to,
        "paid_wei": str(turn.paid_wei),
    }


def _phases(history: History) -> dict[str, int]:
    """How long each phase took: waiting for a draw, until a miner accepted, its work, and all of it."""
    phases = {}
    if history.placed_at_ms:
        phases["waited"] = max(0, history.announced_at_ms - history.placed_at_ms)
    accepted = [turn.accepted_at_ms for turn in history.turns.values() if turn.accepted_at_ms]
    if accepted:
        phases["until_accepted"] = min(accepted) - history.announced_at_ms
    if history.ended_at_ms:
        if accepted:
            phases["worked"] = history.ended_at_ms - max(accepted)
        phases["in_all"] = history.ended_at_ms - (history.placed_at_ms or history.announced_at_ms)
    return phases
