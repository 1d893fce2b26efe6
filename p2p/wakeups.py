"""Waking tasks that wait for a change of something that others change.

Is: trio's events, one after another. Whoever waits looks again at what it waited for.
Is not: a queue; a signal carries nothing, and changes that nobody waited for are not counted.
"""

from __future__ import annotations

import trio


class Signal:
    """Wakes all that wait, again and again.

    Between a look at the state and :meth:`wait` there must be no checkpoint, or a change is missed. A task
    that works in between takes :meth:`next_event` before it looks, and waits for that.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: trio.Event | None = None

    def notify(self) -> None:
        """Wake all that wait now, or took the next event before now."""
        if self._event is not None:
            self._event.set()
            self._event = None

    def next_event(self) -> trio.Event:
        """The event that the next :meth:`notify` sets."""
        if self._event is None:
            self._event = trio.Event()
        return self._event

    async def wait(self) -> None:
        """Return when :meth:`notify` is called next."""
        await self.next_event().wait()
