"""Sums set aside for auditors beside the prices of tasks, so that a verdict that earns pay can be paid.

Is: sums by task, held in the purse from the announcement until the dice leave the work out, its verdicts are
paid, or none of them counts any more. In memory: after a restart it is told again, from the journal.
Is not: the sum (`protocol/audit_pay.py`), or a promise (`node/pay/audit_promises.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.audit_draw import dice_of, selected_ppm, selects
from protocol.audit_pay import reserve_wei

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.coordinator.ports import PursePort
    from node.coordinator.records import OrderRequest
    from protocol.messages import ResultCommitment, TaskAnnouncement
    from protocol.rules.view import View
    from protocol.statement import Statement


TASKS_MAX: Final = 8_192
"""Tasks for whose auditors something is set aside; those of further ones are paid from what is free."""


@dataclass(slots=True)
class _Held:
    """:ivar commitment: of the work that was delivered; None before."""

    wei: int
    task: TaskAnnouncement
    commitment: Statement[ResultCommitment] | None = None


class AuditReserve:
    """One coordinator's."""

    def __init__(self, purse: PursePort, pays: Callable[[bytes], bool] = lambda _: False) -> None:
        """:param pays: whether verdicts on work of a model, by id, can be checked here, and so paid."""
        self._purse, self._pays = purse, pays
        self._held: dict[bytes, _Held] = {}

    def __len__(self) -> int:
        """Tasks for whose auditors something is set aside."""
        return len(self._held)

    def needed_wei(self, request: OrderRequest, price_micro_cai: int) -> int:
        """The sum for a task of an order at a price."""
        if not self._pays(request.model_id):
            return 0
        return reserve_wei(price_micro_cai * WEI_PER_MICRO_CAI, request.work.units, request.audits)

    def hold(self, task_id: bytes, task: TaskAnnouncement) -> None:
        """A task was drawn: set aside for its auditors, whether it is free or not."""
        if not self._pays(task.model_id):
            return
        wei = reserve_wei(task.price_micro_cai * WEI_PER_MICRO_CAI, task.work.units, task.audits)
        if wei and len(self._held) < TASKS_MAX:
            self._purse.hold(wei)
            self._held[task_id] = _Held(wei, task)

    def delivered(self, task_id: bytes, commitment: Statement[ResultCommitment]) -> None:
        """The work for a task was delivered: now the dice decide."""
        if task_id in self._held:
            self._held[task_id].commitment = commitment

    def release(self, task_id: bytes) -> None:
        """No verdict on a task will be paid any more."""
        held = self._held.pop(task_id, None)
        if held is not None:
            self._purse.release(held.wei)

    def take(self, task_id: bytes, fee_wei: int) -> None:
        """Set free what one verdict earns, as far as it is held: it is promised next."""
        held = self._held.get(task_id)
        if held is not None:
            wei = min(fee_wei, held.wei)
            held.wei -= wei
            self._purse.release(wei)

    def look(self, view: View, now_ms: int) -> None:
        """Release what nobody can earn any more. :param now_ms: Unix milliseconds."""
        for task_id, held in list(self._held.items()):
            if held.commitment is None:
                continue
            is_over = view.audit_terms.ends_at_ms(held.task.deadline_ms) <= now_ms
            if is_over or _is_left_out(view, held.task, held.commitment):
                self.release(task_id)


def _is_left_out(view: View, task: TaskAnnouncement, commitment: Statement[ResultCommitment]) -> bool:
    """Whether the dice have not selected some work; False as long as that is not known."""
    beacon, epoch = view.beacons.get(task.deadline_ms), view.epoch_of(task)
    if beacon is None or epoch is None:
        return False
    # The dice alone: to draw auditors among many nodes takes milliseconds, and nobody asks for them here.
    ppm = selected_ppm(epoch, commitment.signer.address, beacon, view.audit_terms)
    return not selects(dice_of(beacon.hash, commitment.digest), ppm)
