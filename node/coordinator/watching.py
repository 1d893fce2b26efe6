"""How an app watches its order: events on the way, and the outcome."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import trio

from node.coordinator.actions import Failure
from node.coordinator.outcomes import Delivered, OrderEvent, OrderLost

EVENTS_MAX: Final = 512
"""Events kept for an app that reads slowly; further progress is dropped, the outcome never is."""


class Watch:
    """One watcher of one order. :ivar order_id: 32 bytes. :ivar events: until the order is over."""

    def __init__(self, order_id: bytes) -> None:
        self.order_id = order_id
        self._send, self.events = trio.open_memory_channel[OrderEvent](EVENTS_MAX)
        self._over = trio.Event()
        self._outcome: Delivered | Failure | None = None

    @property
    def over(self) -> bool:
        """Whether there is an outcome."""
        return self._over.is_set()

    def tell(self, event: OrderEvent) -> None:
        """Hear `event`; it is dropped if the app reads too slowly."""
        with suppress(trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            self._send.send_nowait(event)

    def finish(self, outcome: Delivered | Failure) -> None:
        """The order is over."""
        self._outcome = outcome
        self._over.set()
        self._send.close()

    async def outcome(self) -> Delivered:
        """Wait for the result.

        :raises OrderLost: the order ended without one.
        """
        await self._over.wait()
        if isinstance(self._outcome, Delivered):
            return self._outcome
        assert self._outcome is not None
        raise OrderLost(self._outcome.kind, self._outcome.reason)
