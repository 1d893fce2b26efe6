"""One stream of a session, on trio.

Is: what py-libp2p knows as a muxed stream: where bytes wait for whoever reads, and writers for room.
Is not: a judge of how long anything may take: a read or write waits until it is done or cancelled, or the
stream or the connection is gone.

A write returns when its bytes have a place in the session's output or are under way; no more than a window of
the stream's bytes is ahead of the remote's reading. A read never loses bytes: it takes them without waiting,
or waits without taking them, so it may be cancelled and repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import trio
from libp2p.abc import IMuxedStream

from p2p.session.errors import ConnectionLost, StreamIsClosed, StreamWasReset
from protocol.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

NOTED_BYTES: Final = 16 * 1024
"""Bytes that a consumer takes before the remote's window hears of them; a small part of any window."""


class Carrier(Protocol):
    """The session as a stream needs it. :ivar why: why it ended, in few words."""

    why: str

    def send(self, stream_id: int, data: bytes | memoryview) -> int:
        """Queue what there is room for; returns how many bytes that was. :raises StreamWasReset: it was."""

    def send_nowait(self, stream_id: int, data: bytes) -> bool:
        """Queue everything, or nothing if there is no room. Returns whether it was queued."""

    def wake_writers(self) -> None:
        """Have those who wait for room look again; one of them waits in vain."""

    async def wait_for_room(self, window: trio.lowlevel.ParkingLot) -> None:
        """Wait for what kept :meth:`send` from taking all: room in the output, or in the stream's window."""

    def note_read(self, stream_id: int, count: int) -> None:
        """The application has read so many bytes."""

    def finish(self, stream_id: int) -> None:
        """End our direction."""

    def abandon(self, stream_id: int) -> None:
        """We want no more of it."""

    def reset(self, stream_id: int) -> None:
        """End both directions at once."""

    def get_remote_address(self) -> tuple[str, int] | None:
        """IP address and port at the other end."""


class SessionStream(IMuxedStream):  # type: ignore[misc, unused-ignore] # the library counts as untyped
    """One stream. Any number of tasks may read and write; a write's bytes stay together."""

    def __init__(self, session: Carrier, stream_id: int) -> None:
        self.muxed_conn = session
        self.stream_id = stream_id
        self._session = session
        self._first = b""  # what came first; most often it is read before anything follows
        self._rest = bytearray()
        self._taken = 0  # by the consumer, and not noted yet
        self._consumer: Callable[[bytes], bool] | None = None
        self._readers = trio.lowlevel.ParkingLot()
        self._writers = trio.lowlevel.ParkingLot()
        self._turns = trio.lowlevel.ParkingLot()
        self._writing = False
        self._finished = False
        self._closed_reading = False
        self._closed_writing = False
        self._gone: type[StreamWasReset | ConnectionLost] | None = None

    async def read(self, n: int | None = None) -> bytes:
        """One to `n` bytes as soon as there are any, by default all there are; nothing at the end.

        :raises StreamWasReset: the stream was reset; what had come before was read.
        :raises ConnectionLost: so with the connection.
        :raises StreamIsClosed: we have closed the stream.
        """
        if self._first and not self._closed_reading:
            await trio.lowlevel.checkpoint_if_cancelled()
        while not self._first or self._closed_reading:
            if self._closed_reading:
                raise StreamIsClosed("the stream is closed")
            if self._finished:
                await trio.lowlevel.checkpoint()
                return b""
            self._raise_if_gone()
            await self._readers.park()
        taken = self._take(n)
        self._session.note_read(self.stream_id, len(taken))
        return taken

    async def write(self, data: bytes) -> None:
        """Write everything, waiting as long as the remote reads nothing.

        When cancelled, some of the bytes may be under way.

        :raises StreamIsClosed: we have ended our direction.
        :raises StreamWasReset: the stream was reset.
        :raises ConnectionLost: the connection is gone.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while self._writing:
            await self._turns.park()
        self._raise_if_unwritable()
        sent = self._session.send(self.stream_id, data)
        if sent == len(data):
            return
        self._writing = True
        try:
            view = memoryview(data)[sent:]
            while view:
                await self._session.wait_for_room(self._writers)
                self._raise_if_unwritable()
                view = view[self._session.send(self.stream_id, view) :]
        finally:
            self._writing = False
            self._turns.unpark_all()

    def write_nowait(self, data: bytes) -> bool:
        """Write everything now and return True; or nothing, if that would mean to wait or cannot be."""
        if self._writing or self._closed_writing or self._gone is not None:
            return False
        return self._session.send_nowait(self.stream_id, data)

    def offer(self, consumer: Callable[[bytes], bool] | None) -> None:
        """From now on, offer what comes to a consumer first, by a call instead of a task's turn.

        It returns whether it took the bytes; what it leaves is kept for :meth:`read`, and so is everything as
        long as something is unread. It must neither block nor raise. None ends this.
        """
        self._consumer = consumer

    async def close_write(self) -> None:
        """Say that we will write no more. Reading goes on."""
        self._end_writing()
        self._session.finish(self.stream_id)
        await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        """Write and read no more. What was written still goes out; what still comes resets the stream."""
        self._end_writing()
        self._closed_reading = True
        self._first = b""
        self._rest.clear()
        self._readers.unpark_all()
        self._session.abandon(self.stream_id)
        await trio.lowlevel.checkpoint()

    async def reset(self) -> None:
        """End both directions at once; the remote hears of it. No error if they have ended."""
        self.abort()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """The same, without a pause."""
        self._session.reset(self.stream_id)
        self.note_gone(StreamWasReset)

    def set_deadline(self, ttl: int) -> None:
        """Refused. :raises LocalError: deadlines are the caller's, by trio's cancel scopes."""
        del ttl
        raise LocalError("a stream has no deadline; use a cancel scope")

    def get_remote_address(self) -> tuple[str, int] | None:
        """IP address and port at the other end."""
        return self._session.get_remote_address()

    async def __aenter__(self) -> Self:
        return self

    # For the session

    def note_data(self, data: bytes) -> None:
        """Bytes have come."""
        if self._consumer is not None and not self._first and self._consumer(data):
            # Not each of many small pieces by itself.
            self._taken += len(data)
            if self._taken >= NOTED_BYTES:
                self._session.note_read(self.stream_id, self._taken)
                self._taken = 0
            return
        if not self._first:
            self._first = data
        else:
            # In one piece: crumbs kept one by one would take many times their size.
            self._rest += data
        self._readers.unpark_all()

    def note_finished(self) -> None:
        """The remote will send no more."""
        self._finished = True
        self._readers.unpark_all()

    def note_writable(self) -> None:
        """There is room in the window."""
        self._writers.unpark_all()

    def note_gone(self, why: type[StreamWasReset | ConnectionLost]) -> None:
        """The stream has ended on both sides, not in good order."""
        if self._gone is None:
            self._gone = why
        self._readers.unpark_all()
        self._wake_writers()

    # Internals

    def _take(self, n: int | None) -> bytes:
        first = self._first
        if n is not None and len(first) >= n:
            self._first = first[n:]
            taken = first[:n]
        elif not self._rest:
            self._first = b""
            return first
        else:
            room = len(self._rest) if n is None else n - len(first)
            self._first = b""
            taken = first + self._rest[:room]
            del self._rest[:room]
        if not self._first and self._rest:
            self._first = bytes(self._rest)
            self._rest.clear()
        return taken

    def _end_writing(self) -> None:
        self._closed_writing = True
        self._wake_writers()

    def _wake_writers(self) -> None:
        self._writers.unpark_all()
        self._session.wake_writers()

    def _raise_if_unwritable(self) -> None:
        if self._closed_writing:
            raise StreamIsClosed("this direction of the stream is closed")
        self._raise_if_gone()

    def _raise_if_gone(self) -> None:
        if self._gone is not None:
            raise self._gone(self._session.why if self._gone is ConnectionLost else "the stream was reset")
