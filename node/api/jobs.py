"""A request whose pictures are watched from elsewhere, and ended one by one: for dialects that poll.

Is: progress, the unfinished picture, and the end by word. Is not: whose it is, or how it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from node.api.serving import RequestName, Serving
from node.coordinator.outcomes import Delivered, OrderEvent, Preview, Progress
from node.coordinator.requests import ImageRequest
from node.system.clock import now_ms
from protocol.errors import Refusal


class Job:
    """A request under way, or over.

    :ivar requests: its pictures.
    :ivar started_at_ms: when it was made.
    :ivar delivered: pictures that came, by number.
    :ivar steps: shown and in all, of the picture that moved last.
    :ivar preview: unfinished picture, as a PNG; empty before the first.
    :ivar interrupted, skipped: whether it was ended so.
    :ivar is_placed: whether all its orders were taken.
    """

    def __init__(self, requests: Sequence[ImageRequest]) -> None:
        self.requests = tuple(requests)
        self.started_at_ms = now_ms()
        self.delivered: dict[int, Delivered] = {}
        self.steps = (0, 0)
        self.preview = b""
        self.interrupted = False
        self.skipped = False
        self.is_placed = False
        self._placed = 0
        self._done = [0.0] * len(self.requests)
        self._scopes: dict[int, trio.CancelScope] = {}

    @property
    def progress(self) -> float:
        """The share that is done, 0 to 1."""
        return sum(self._done) / len(self._done)

    @property
    def left_s(self) -> float:
        """An estimate of the seconds that are left, by those that have passed; 0 before the first step."""
        done = self.progress
        return (now_ms() - self.started_at_ms) / 1000 * (1 - done) / done if done else 0.0

    @property
    def working(self) -> int:
        """Pictures that have begun and are not finished."""
        return sum(self._done[index] > 0 for index in self._scopes)

    async def run(
        self, serving: Serving, name: RequestName, placed: Callable[[], None] | None = None
    ) -> None:
        """Have all pictures made, side by side, but those that are skipped or interrupted.

        :param placed: called when all orders were taken.
        :raises Refusal: one was refused, or failed; the others are cancelled.
        """
        refused: list[Refusal] = []

        async def make(index: int) -> None:
            with trio.CancelScope() as scope:
                self._scopes[index] = scope
                try:
                    async with serving.placed(admitted, name, index) as order:
                        self._note_placed(placed)
                        self.delivered[index] = await order.follow(lambda event: self._note(index, event))
                except Refusal as refusal:
                    refused.append(refusal)
                    nursery.cancel_scope.cancel()
            del self._scopes[index]
            self._done[index] = 1.0

        with serving.admitted(self.requests, name) as admitted:
            async with trio.open_nursery() as nursery:
                for index in range(len(self.requests)):
                    nursery.start_soon(make, index)
        if refused:
            raise refused[0]

    def interrupt(self) -> None:
        """End all of it; what is finished stays."""
        self.interrupted = True
        for scope in self._scopes.values():
            scope.cancel()

    def skip(self) -> None:
        """End the next picture; the others go on."""
        self.skipped = True
        for scope in list(self._scopes.values())[:1]:
            scope.cancel()

    def _note_placed(self, placed: Callable[[], None] | None) -> None:
        self._placed += 1
        if self._placed == len(self.requests):
            self.is_placed = True
            if placed is not None:
                placed()

    async def _note(self, index: int, event: OrderEvent) -> None:
        match event:
            case Progress(units=units, units_all=units_all):
                self.steps = units, units_all
                self._done[index] = units / max(1, units_all)
            case Preview(png=png):
                self.preview = png
        await trio.lowlevel.checkpoint()
