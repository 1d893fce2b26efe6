"""Wires: what carries a connection's sealed bytes.

Is: the few calls that a session makes of what is below it, and a TCP socket that answers them.
Is not: sealed or framed in any way; :mod:`p2p.session.secure` is.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Protocol

import trio

from p2p.session.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p.session.hub import Hub


class Wire(Protocol):
    """Bytes both ways, in order. One task may receive while another sends."""

    async def receive(self) -> bytes:
        """Bytes that have come, none at the end. :raises ConnectionLost: it broke or was closed."""

    async def send(self, data: bytes) -> None:
        """Send everything. :raises ConnectionLost: the connection broke or was closed."""

    def send_nowait(self, data: bytes) -> int:
        """Send what is taken at once. Returns how many bytes, from the start, that was; it may be none.

        :raises ConnectionLost: the connection broke or was closed.
        """

    def listen(self, listener: Callable[[bytes], None]) -> bool:
        """From now on, have what comes handed over by a call, nothing at the end or when it breaks.

        Returns False if that cannot be, and then :meth:`receive` must be used; else it must not. The listener
        must neither block nor raise, and may close the wire.
        """

    def close(self) -> None:
        """Close it; whoever waits for it hears of it, a listener nothing more. Twice is no error."""


class SocketWire:
    """A TCP socket, without the locks and task switches that two layers put around each of its calls.

    The descriptor is asked for anew each time: a socket that somebody has closed has none, and its number may
    be another's by then.
    """

    def __init__(self, stream: trio.SocketStream, hub: Hub) -> None:
        """:param hub: reads for all of a host's wires."""
        self._socket = stream.socket
        # Writers gather what they have by themselves, so nothing is gained by the system's waiting for more.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._hub = hub
        self._read_buffers = [hub.read_buffer]
        self._listener: Callable[[bytes], None] | None = None
        self._watched: int | None = None

    async def receive(self) -> bytes:
        """See :meth:`Wire.receive`."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._descriptor())
                try:
                    count = os.readv(self._descriptor(), self._read_buffers)
                except BlockingIOError:
                    continue
                return self._read_buffers[0][:count].tobytes()
        except (OSError, trio.ClosedResourceError) as error:
            raise ConnectionLost("the connection broke") from error

    async def send(self, data: bytes) -> None:
        """See :meth:`Wire.send`."""
        view = memoryview(data)
        while view:
            view = view[self.send_nowait(view) :]
            if view:
                try:
                    await trio.lowlevel.wait_writable(self._descriptor())
                except (OSError, trio.ClosedResourceError) as error:
                    raise ConnectionLost("the connection broke") from error

    def send_nowait(self, data: bytes | memoryview) -> int:
        """See :meth:`Wire.send_nowait`."""
        try:
            return os.write(self._descriptor(), data)
        except BlockingIOError:
            return 0
        except (OSError, trio.ClosedResourceError) as error:
            raise ConnectionLost("the connection broke") from error

    def listen(self, listener: Callable[[bytes], None]) -> bool:
        """See :meth:`Wire.listen`. :raises ConnectionLost: the socket is closed."""
        try:
            descriptor = self._descriptor()
        except trio.ClosedResourceError as error:
            raise ConnectionLost("the connection broke") from error
        if not self._hub.watch(descriptor, self._hand_over):
            return False
        self._listener, self._watched = listener, descriptor
        return True

    def close(self) -> None:
        """See :meth:`Wire.close`."""
        self._listener = None
        if self._watched is not None:
            self._hub.unwatch(self._watched, self._hand_over)
            self._watched = None
        self._socket.close()

    def _hand_over(self) -> None:
        if self._listener is None:
            return
        descriptor = self._socket.fileno()
        try:
            count = os.readv(descriptor, self._read_buffers)  # EBADF if somebody has closed it
        except BlockingIOError:
            return
        except OSError:
            count = 0
        self._listener(self._read_buffers[0][:count].tobytes())

    def _descriptor(self) -> int:
        descriptor = self._socket.fileno()
        if descriptor < 0:
            raise trio.ClosedResourceError("the socket is closed")
        return descriptor
