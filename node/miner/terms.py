"""The terms of a miner: its models and prices in offers, and its "no" to a task that is not for it.

Is: pure; model packages and a price are given.
Is not: when it pauses (`throttle`), or whom it trusts (`node/pay`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from node.inference.packages.limits import LimitExceeded, check_work
from node.inference.packages.package import ModelPackage
from node.miner.ports import Decline
from protocol.errors import ProtocolError
from protocol.messages import DeclineKind, ModelOffer, TaskAnnouncement, WorkOffer
from protocol.pay import Price, price_of, unit_price_wei

NO_MODEL: Final = Decline(DeclineKind.NOT_HERE, "this miner does not serve the model")
NO_SENSE: Final = Decline(DeclineKind.NOBODY, "the task's work makes no sense")
TOO_CHEAP: Final = Decline(DeclineKind.NOT_HERE, "the task pays less than this miner asks for")


class ModelTerms:
    """One miner's terms.

    :ivar capacity: tasks at a time.
    """

    def __init__(self, packages: Sequence[ModelPackage], price_micro_cai: int, capacity: int) -> None:
        """:param price_micro_cai: for a model's default image."""
        self.packages = {package.model_id: package for package in packages}
        self.capacity = capacity
        self._prices_wei = {
            package.model_id: (unit_price_wei(price_micro_cai, package.default_work),) for package in packages
        }

    def why_not(self, task: TaskAnnouncement) -> Decline | None:
        """Why a task that names this miner is not for it; None if it is."""
        package = self.packages.get(task.model_id)
        if package is None:
            return NO_MODEL
        try:
            check_work(package, task.work)
            least = price_of(task.work, self._prices_wei[task.model_id])
        except LimitExceeded as error:
            return Decline(DeclineKind.NOBODY, error.reason)
        except ProtocolError:
            return NO_SENSE
        offered = Price(task.price_micro_cai, task.upfront_micro_cai)
        return None if offered.covers(least) else TOO_CHEAP

    def models(self, typical_ms: Mapping[bytes, int]) -> tuple[ModelOffer, ...]:
        """The models of an offer. :param typical_ms: of each model's default work, by model id."""
        return tuple(
            ModelOffer(
                model_id,
                tuple(
                    WorkOffer(int(kind), self._prices_wei[model_id], typical_ms[model_id])
                    for kind in package.card.work_kinds
                ),
            )
            for model_id, package in self.packages.items()
        )
