"""The dice's word on a miner's own work: computed once for each piece, with epochs read off the event loop.

Is: the way from a task to its draw, with the commitment and the epoch that were kept; bounded memory.
Is not: the draw (`protocol/audit_draw.py`), or how the block of the dice is found.

Nobody may have an epoch read for nothing: what was drawn once is remembered, and work that the dice leave
out even at the rate of a newcomer needs no epoch at all.
"""

from __future__ import annotations

from collections.abc import Callable

from node.exchange.work_records import WorkRecords
from protocol.audit_draw import AuditDraw, AuditedWork, BeaconBlock, dice_of, draw_audit, selects
from protocol.bounded import Bounded
from protocol.keeping import WORKS_MAX
from protocol.messages import TaskAnnouncement
from protocol.rules.view import View


class AuditDraws:
    """The draws of one miner's works."""

    def __init__(self, records: WorkRecords, view: Callable[[], View]) -> None:
        """
        :param records: of what this miner committed to.
        :param view: what the chain says now.
        """
        self._records, self._view = records, view
        self._known: Bounded[tuple[bytes, bytes], AuditDraw] = Bounded(WORKS_MAX)

    async def draw(self, task_id: bytes, task: TaskAnnouncement, beacon: BeaconBlock) -> AuditDraw | None:
        """The draw by a block for this miner's work for a task.

        :returns: None where nobody can say it any more: the commitment or the epoch is lost.
        """
        key, view = (task_id, beacon.hash), self._view()
        known = self._known.get(key)
        if known is not None:
            return known
        commitment = self._records.commitment_of(task_id)
        if commitment is None:
            return None
        dice, most_ppm = dice_of(beacon.hash, commitment.digest), view.audit_terms.newcomer_ppm
        if not selects(dice, most_ppm):
            drawn = AuditDraw(dice, most_ppm, is_selected=False, auditors=())
        else:
            # As it was kept with the work: the chain's view forgets it sooner.
            epoch = view.epoch_of(task) or await self._records.epoch(task.epoch)
            if epoch is None:
                return None
            drawn = draw_audit(epoch, AuditedWork.of(task, commitment), beacon, view.audit_terms)
        self._known[key] = drawn
        return drawn
