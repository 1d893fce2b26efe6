"""How much of a batch's time may go into previews: an app chooses how many, but not at the others' cost.

Is: a count of time. Is not: the previews.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

PREVIEW_SHARE_MAX: Final = 0.2
"""Previews may take this share of the time since the batch began; what would come beyond it is left out."""


class PreviewBudget:
    """One batch's. A context around the making of each preview. :ivar dropped: how many were left out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """:param clock: seconds; the batch begins now."""
        self.dropped = 0
        self._clock = clock
        self._began_s = clock()
        self._spent_s = 0.0
        self._entered_s = 0.0

    def affordable(self) -> bool:
        """Whether there is time for another preview; a no is counted."""
        allowed = self._spent_s <= PREVIEW_SHARE_MAX * (self._clock() - self._began_s)
        self.dropped += not allowed
        return allowed

    def __enter__(self) -> Self:
        self._entered_s = self._clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._spent_s += self._clock() - self._entered_s
