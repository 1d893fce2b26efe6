"""Lets go of traces that nobody may ask for any more, so that there is room for those that somebody may.

Is: the shell of `protocol/keeping.py`: it goes through the traces now and then.
Is not: the bounds of the store, which hold in any case.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final, TypeAlias

import structlog
import trio

from node.exchange.audit_draws import AuditDraws
from node.inference.traces.trace_store import HELD_BYTES_MAX, TraceStore
from protocol.audit import Audits
from protocol.audit_draw import AuditDraw
from protocol.bounded import Bounded
from protocol.errors import CuckooError
from protocol.keeping import DICE_SETTLING_MS, WORKS_MAX, may_go
from protocol.messages import TaskAnnouncement
from protocol.rules.view import View
from protocol.statement import open_statement

LOOKED_AT_MAX: Final = 256
"""Traces looked at in one go: the rest has its turn next time."""
LOOK_S: Final = 5.0
"""From one look to the next."""
ASK_AGAIN_MS: Final = 60_000
"""After so long a trace is looked at again of which the dice are not known yet."""

Clock: TypeAlias = Callable[[], int]
log = structlog.get_logger()


class Holds:
    """Traces that are held beyond their time, for one reason: the newest, up to a bound in bytes."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._sizes: OrderedDict[bytes, int] = OrderedDict()
        self._bytes = 0

    def __contains__(self, task_id: bytes) -> bool:
        """Whether a trace is held."""
        return task_id in self._sizes

    def add(self, task_id: bytes, size_bytes: int) -> None:
        """Hold a trace, and let go of the oldest of what is too much."""
        self.discard(task_id)
        self._sizes[task_id] = size_bytes
        self._bytes += size_bytes
        while self._bytes > self._bytes_max or len(self._sizes) > WORKS_MAX:
            self.discard(next(iter(self._sizes)))

    def discard(self, task_id: bytes) -> None:
        """Hold a trace no longer."""
        self._bytes -= self._sizes.pop(task_id, 0)

    def keep_only(self, task_ids: Collection[bytes]) -> None:
        """Forget traces that are gone."""
        for task_id in self._sizes.keys() - set(task_ids):
            self.discard(task_id)


class TraceKeeper:
    """The traces of one miner, from the point of view of audits."""

    def __init__(
        self,
        store: TraceStore,
        draws: AuditDraws,
        view: Callable[[], View],
        want_beacon: Callable[[int], None],
        clock: Clock,
    ) -> None:
        """:param draws, view, want_beacon, clock: as of `OpeningServer`."""
        self._store, self._draws, self._view = store, draws, view
        self._want_beacon, self._clock = want_beacon, clock
        self._asked, self._contested = Holds(HELD_BYTES_MAX), Holds(HELD_BYTES_MAX)
        self._next_look_ms: Bounded[bytes, int] = Bounded(WORKS_MAX)

    def asked(self, task_id: bytes) -> None:
        """The buyer of a task has asked for an opening: it may ask again, or complain."""
        self._hold(self._asked, task_id)

    def contested(self, task_id: bytes) -> None:
        """A verdict has found a fault in the work for a task, or no opening of it."""
        self._hold(self._contested, task_id)

    def _hold(self, holds: Holds, task_id: bytes) -> None:
        size_bytes = self._store.bytes_of(task_id)
        if size_bytes:
            holds.add(task_id, size_bytes)

    async def look(self) -> None:
        """Go through the traces whose turn it is, and let go of those that may go; others run in between."""
        now_ms = self._clock()
        looked_at, task_ids = 0, self._store.task_ids(now_ms)
        self._asked.keep_only(task_ids)
        self._contested.keep_only(task_ids)
        for task_id in task_ids:
            if self._next_look_ms.get(task_id, 0) > now_ms:
                continue
            looked_at += 1
            if looked_at > LOOKED_AT_MAX:
                return
            await trio.lowlevel.checkpoint()
            await self._look_at(task_id, now_ms)

    async def _look_at(self, task_id: bytes, now_ms: int) -> None:
        self._next_look_ms[task_id] = now_ms + ASK_AGAIN_MS
        task, view = self._task_of(task_id, now_ms), self._view()
        if task is None:
            return
        due_ms = view.audit_terms.beacon_from_ms(task.deadline_ms) + DICE_SETTLING_MS
        if now_ms < due_ms:
            self._next_look_ms[task_id] = due_ms
        elif may_go(
            task,
            await self._draw(task_id, task, view),
            view.audit_terms,
            now_ms,
            is_held=task_id in self._asked or task_id in self._contested,
        ):
            self._next_look_ms.pop(task_id, None)
            self._store.release(task_id)

    async def _draw(self, task_id: bytes, task: TaskAnnouncement, view: View) -> AuditDraw | None:
        """The draw of the dice; None where there is none, or this node cannot know it."""
        if task.audits != Audits.PUBLIC:
            return None
        beacon = view.beacons.get(task.deadline_ms)
        if beacon is None:
            self._want_beacon(task.deadline_ms)
            return None
        return await self._draws.draw(task_id, task, beacon)

    def _task_of(self, task_id: bytes, now_ms: int) -> TaskAnnouncement | None:
        announcement = self._store.announcement_of(task_id, now_ms)
        if announcement is None:
            return None
        try:
            return open_statement(self._view().domain, announcement, TaskAnnouncement).message
        except CuckooError as error:
            log.warning("an announcement beside a trace cannot be read", error=str(error))
            return None
