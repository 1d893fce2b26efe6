"""Simulated time: a heap of events.

Is: what happens when, in an order that the seed alone decides.
Is not: aware of what the events do.

An entry is a plain tuple, so that the heap compares times and then numbers in C and never looks further.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any


class Events:
    """Events to come.

    :ivar now_ms: simulated time since the start, milliseconds.
    :ivar handled: events so far.
    """

    def __init__(self) -> None:
        self.now_ms = 0.0
        self.handled = 0
        self._heap: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._number = 0

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, time_ms: float, action: Callable[..., Any], *arguments: Any) -> None:
        """Do something at a time; at equal times in the order of these calls.

        :raises ValueError: the time is over.
        """
        if time_ms < self.now_ms:
            raise ValueError("an event in the past")
        self._number += 1
        heappush(self._heap, (time_ms, self._number, action, arguments))

    def after(self, delay_ms: float, action: Callable[..., Any], *arguments: Any) -> None:
        """Do something in a while."""
        self.at(self.now_ms + delay_ms, action, *arguments)

    def run_until(self, time_ms: float) -> None:
        """Let everything happen that is due before or at a time; then it is that time."""
        heap, handled = self._heap, 0
        while heap and heap[0][0] <= time_ms:
            self.now_ms, _, action, arguments = heappop(heap)
            handled += 1
            action(*arguments)
        self.now_ms = time_ms
        self.handled += handled
