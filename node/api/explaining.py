"""The act `explain` of the node's socket, for commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import trio

from node.api.histories import Histories
from protocol.errors import Refusal


class UnknownTask(Refusal):
    """No task of that id is remembered."""


@dataclass(frozen=True, slots=True)
class ExplainTask:
    """:ivar task: id in hexadecimal."""

    task: str


class ExplainAct:
    """The act."""

    def __init__(self, histories: Histories) -> None:
        self._histories = histories

    async def explain(self, wish: ExplainTask) -> dict[str, Any]:
        """See `Histories.explain`. :raises UnknownTask: nothing is known of it."""
        await trio.lowlevel.checkpoint()
        document = self._histories.explain(task_id_of(wish.task))
        if document is None:
            raise UnknownTask(f"no task {wish.task!a} is remembered")
        return document


def task_id_of(text: str) -> bytes:
    """Bytes of a task's id; of anything else, none."""
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        return b""
