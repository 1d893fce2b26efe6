"""The hub: one task that reads for all connections of a host, one that writes, and one that looks after them.

Is: the place where a host waits for its sockets, the order in which it reads and writes, and the beat at
which connections look whether their remotes are alive: a timer for each would cost more than what it does.
Is not: aware of what is read or written; wires and sessions are called, and do it themselves.

A task for each connection, woken for each piece, costs a message more than ciphers and sockets together. So
all sockets stand in one set of the operating system's (epoll, kqueue) that is waited for as a whole.

**First everything that is there is read, then what that gave to write is written.** Writing waits for no
timer: it is asked for with :meth:`Hub.write_later`, and done in the next pass of the event loop, after one
more look for what has come. So what is for one peer goes out as one record by one call of the system,
consumers get what was delivered before others get copies, and a copy that crosses another on its way can be
spared. Turns are bounded, and sockets that were left over come first in the next: nobody who talks much keeps
others from being heard.
"""

from __future__ import annotations

import logging
import selectors
from collections import deque
from typing import TYPE_CHECKING, Final

import trio

from protocol.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

BEAT_MS: Final = 5_000
"""Time between two looks at a connection."""
READ_BYTES: Final = 256 * 1024
"""Bytes asked of a socket at once."""
TURN_READS_MAX: Final = 64
"""Sockets read before other tasks have their turn, once each."""

_log = logging.getLogger(__name__)


class Hub:
    """Reads and writes for the connections of one host, while :meth:`run` runs.

    :ivar read_buffer: where to read to; one for all, since nothing stays in it.
    :ivar calls_failed: calls since the start that raised, which they must not.
    """

    def __init__(self) -> None:
        self.read_buffer = memoryview(bytearray(READ_BYTES))
        self.calls_failed = 0
        self._selector = selectors.DefaultSelector()
        self._readers: dict[int, Callable[[], None]] = {}
        self._ready: deque[tuple[int, Callable[[], None]]] = deque()
        self._flushes: deque[Callable[[], None]] = deque()
        self._keepalives: dict[Callable[[], None], None] = {}
        self._writer = trio.lowlevel.ParkingLot()
        self._running = False
        self._reading = False  # then _read writes, too, when it is done

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read, write and keep alive until cancelled. :raises LocalError: it runs already, or has run."""
        if self._running:
            raise LocalError("a hub runs once")
        self._running = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write)
            nursery.start_soon(self._keep_alive)
            task_status.started()
            await self._read()

    # Reading

    def watch(self, descriptor: int, reader: Callable[[], None]) -> bool:
        """Call a reader whenever its socket has something, or its end. Returns False if the hub does not run.

        It reads once, and must not raise.
        """
        if not self._running:
            return False
        if descriptor in self._readers:
            # The wire that had this number closed its socket without a word.
            self.unwatch(descriptor, self._readers[descriptor])
        self._readers[descriptor] = reader
        self._selector.register(descriptor, selectors.EVENT_READ, reader)
        return True

    def unwatch(self, descriptor: int, reader: Callable[[], None]) -> None:
        """Call the reader no more; to be said before its socket is closed. No error if it is not watched."""
        if self._readers.get(descriptor) == reader:
            del self._readers[descriptor]
            self._selector.unregister(descriptor)

    def turn(self) -> None:
        """Read what is there, once of each socket."""
        ready = self._ready
        if not ready:
            ready += [(key.fd, key.data) for key, _ in self._selector.select(0)]
        for _ in range(min(len(ready), TURN_READS_MAX)):
            descriptor, reader = ready.popleft()
            if self._readers.get(descriptor) is reader:
                try:
                    reader()
                except Exception:  # noqa: BLE001 - a fault of ours must not end the node
                    self._note_failure()

    # Writing

    def write_later(self, flush: Callable[[], None]) -> None:
        """Have something written in the next pass of the event loop. The call must not raise."""
        if not self._flushes and not self._reading:
            self._writer.unpark()
        self._flushes.append(flush)

    def flush(self) -> None:
        """Write now what was asked for."""
        flushes = self._flushes
        while flushes:
            try:
                flushes.popleft()()
            except Exception:  # noqa: BLE001 - as above
                self._note_failure()

    # Keep-alives

    def add_keepalive(self, keepalive: Callable[[], None]) -> None:
        """Call this every BEAT_MS, the first time within that. It must not raise."""
        self._keepalives[keepalive] = None

    def remove_keepalive(self, keepalive: Callable[[], None]) -> None:
        """Call it no more. No error if it is not called."""
        self._keepalives.pop(keepalive, None)

    async def _keep_alive(self) -> None:
        while True:
            await trio.sleep(BEAT_MS / 1000)
            for keepalive in tuple(self._keepalives):
                if keepalive in self._keepalives:
                    try:
                        keepalive()
                    except Exception:  # noqa: BLE001 - as above
                        self._note_failure()

    # Tasks

    async def _read(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._selector.fileno())
            self._reading = True
            self.turn()
            while self._ready or self._flushes:
                await trio.lowlevel.checkpoint()
                self.turn()
                self.flush()
            self._reading = False

    async def _write(self) -> None:
        """Write what others than the reading task gave to write."""
        while True:
            while not self._flushes:
                await self._writer.park()
            self.turn()
            self.flush()

    def _note_failure(self) -> None:
        self.calls_failed += 1
        _log.exception("a call of the hub failed")
