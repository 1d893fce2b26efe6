"""Tasks that this node heard, and the stakes and seed behind their draw, for a page that draws again.

Is: documents of what the rules accepted, and of epochs as this node read them from the chain, within bounds.
Is not: the draw; that the page does (`static/checks/draw.js`), so that nobody has to believe this node's.
"""

from __future__ import annotations

import json
from typing import Any, Final

from node.peer.peer import Peer
from node.portal.errors import PortalRefusal
from node.portal.questions import Questions
from node.system.observable import to_document
from protocol.draw import EpochView

EPOCH_LIFE_MS: Final = 60_000
MINERS_SHOWN_MAX: Final = 20_000
"""Miners of an epoch that is told whole: some 1.5 MB. Beyond it, receipts have what a check needs."""


class Tasks:
    """One portal's."""

    def __init__(self, peer: Peer, questions: Questions) -> None:
        self._peer = peer
        self._questions = questions

    def task(self, task_id: bytes) -> dict[str, Any]:
        """A task by its id, 32 bytes. :raises PortalRefusal: ``unknown_task``: it was not heard, or is
        forgotten.
        """
        seen = self._peer.seen
        statement = seen.tasks.get(task_id)
        if statement is None:
            raise PortalRefusal("unknown_task")
        task = statement.message
        done = [place.miner for place in task.ranking if (task_id, place.miner) in seen.commitments]
        document: dict[str, Any] = to_document(
            {
                "task_id": task_id,
                "coordinator": task.coordinator,
                "epoch": str(task.epoch),
                "number": str(task.number),
                "model_id": task.model_id,
                "price_micro_cai": str(task.price_micro_cai),
                "announced_at_ms": task.announced_at_ms,
                "deadline_ms": task.deadline_ms,
                "ranking": [
                    {"miner": place.miner, "passed_over": int(place.passed_over)} for place in task.ranking
                ],
                "done": done,
            }
        )
        return document

    async def epoch(self, number: int) -> bytes:
        """All that a draw of an epoch is made of, as JSON. :raises PortalRefusal: ``unknown_epoch``, or
        ``large_epoch``: it has more than `MINERS_SHOWN_MAX` miners.
        """
        view = self._peer.view
        epoch = view.epochs.get(number) or view.past_epochs.get(number)
        if epoch is None:
            raise PortalRefusal("unknown_epoch")
        if len(epoch.miners) > MINERS_SHOWN_MAX:
            raise PortalRefusal("large_epoch")
        # Made once for all who ask: who asks again and again costs this node no more than the sending.
        key = ("epoch", number, epoch.seed)
        return await self._questions.ask(key, EPOCH_LIFE_MS, 0, lambda: _whole(epoch))


async def _whole(epoch: EpochView) -> bytes:
    miners = epoch.miners
    pairs = [
        [f"0x{miner.hex()}", str(weight)] for miner, weight in zip(miners.miners, miners.weights, strict=True)
    ]
    document = {"number": str(epoch.number), "seed": to_document(epoch.seed), "miners": pairs}
    return json.dumps(document, separators=(",", ":")).encode()
