"""The history of each task, as it happened: for whoever asks why.

Is: an answer in words and times, from the node's own events and the signed announcement. Bounded, in memory.
Is not: a proof; the receipt is one. After a restart, a task that was delivered is explained by its receipt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from node.coordinator.coordinator import Coordinator
from node.peer.miner_story import DECISION_WORDS
from node.system import events
from node.system.events import EventBus, Published
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.bounded import Bounded
from protocol.messages import PassedOver, TaskAnnouncement

TASKS_MAX: Final = 2_000
"""Tasks whose history is remembered; the oldest is forgotten first."""
TURNS_MAX: Final = 64
"""Turns of one task that are told of, as many as can be assigned."""
NOT_YET: Final = "only coordinators check their own tasks yet; drawn are those that would have to"
READERS: Final = {
    "prompt": "this coordinator, and each miner that was given the task; it goes to them encrypted, and "
    "gossip has a salted commitment to it alone",
    "picture": "the same, and two auditors if dice select the work when it is over, who may ask its miner "
    "for the latent that the picture is decoded from",
}
"""The readers of what an app sends and gets."""


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
    :ivar ranking: in words, by rank.
    """

    announced_at_ms: int
    model_id: bytes
    placed_at_ms: int = 0
    order_id: bytes = b""
    price_micro_cai: int = 0
    ranking: list[dict[str, Any]] = field(default_factory=list)
    turns: dict[bytes, Turn] = field(default_factory=dict)
    delivered_by: bytes = b""
    ended_at_ms: int = 0
    failure: str = ""


class Histories:
    """Those of one coordinator."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._histories: Bounded[bytes, History] = Bounded(TASKS_MAX)

    async def run(self, bus: EventBus) -> None:
        """Follow what happens, until cancelled."""
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
        """Something happened to a task."""
        event, at_ms = published.event, published.at_ms
        if isinstance(event, events.TaskAnnounced):
            self._histories[event.task_id] = self._announced(event, at_ms)
            return
        history = self._histories.get(getattr(event, "task_id", b""))
        if history is None:
            return
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
        history = self._histories.get(task_id)
        if history is None:
            return self._by_receipt(task_id)
        others = [
            f"0x{other.hex()}"
            for other, item in self._histories.items()
            if history.order_id and item.order_id == history.order_id
        ]
        return {
            "task": f"0x{task_id.hex()}",
            "tasks_of_the_order": others,
            "model_id": history.model_id.hex(),
            "outcome": _outcome(history),
            "ranking": history.ranking,
            "turns": [_turn_document(history, miner, turn) for miner, turn in history.turns.items()],
            "phases_ms": _phases(history),
            "price_micro_cai": history.price_micro_cai,
            "paid_wei": str(sum(turn.paid_wei for turn in history.turns.values())),
            "audits": [NOT_YET, *self._coordinator.explain_audits(task_id)],
            "readers": READERS,
        }

    # Internals

    def _announced(self, event: events.TaskAnnounced, at_ms: int) -> History:
        history = History(at_ms, event.model_id)
        order = self._coordinator.engine.book.tasks.get(event.task_id)
        if order is not None and order.task is not None:
            message = order.task.message
            history.order_id, history.placed_at_ms = order.order_id, order.placed_at_ms
            history.ranking, history.price_micro_cai = ranking_document(message), message.price_micro_cai
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
            "ranking": ranking_document(message),
            "turns": [],
            "phases_ms": {},
            "price_micro_cai": message.price_micro_cai,
            "paid_wei": str(message.price_micro_cai * WEI_PER_MICRO_CAI),
            "audits": [NOT_YET, *self._coordinator.explain_audits(task_id)],
            "readers": READERS,
        }


def ranking_document(message: TaskAnnouncement) -> list[dict[str, Any]]:
    """The miners that were drawn, in the order of the draw, and what the coordinator made of each."""
    return [
        {
            "rank": rank,
            "miner": f"0x{place.miner.hex()}",
            "decision": DECISION_WORDS[PassedOver(place.passed_over)],
        }
        for rank, place in enumerate(message.ranking)
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
