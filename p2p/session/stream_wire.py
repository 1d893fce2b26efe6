"""A session over a stream of another session: what a relayed connection stands on.

Is: :class:`p2p.session.wires.Wire`, and the raw connection that py-libp2p's upgrader asks for around it.
Is not: a relay, nor aware of one. Noise and yamux run over it as over a socket, from end to end, so who
carries the stream can neither read nor change what it carries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from libp2p.abc import IRawConnection
from libp2p.connection_types import ConnectionType

from p2p.session.errors import ConnectionLost, StreamIsClosed, StreamWasReset

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiaddr import Multiaddr


class CarryingStream(Protocol):
    """The stream below, as it is needed."""

    async def read(self, n: int | None = None) -> bytes:
        """Some bytes; nothing at the end."""

    async def write(self, data: bytes) -> None:
        """Write everything."""

    def write_nowait(self, data: bytes) -> bool:
        """Write everything at once, or nothing."""

    def abort(self) -> None:
        """End both directions at once."""


class StreamWire:
    """A stream of another session, as a session's wire."""

    def __init__(self, stream: CarryingStream) -> None:
        self._stream = stream

    async def receive(self) -> bytes:
        """See :meth:`p2p.session.wires.Wire.receive`."""
        try:
            return await self._stream.read()
        except (StreamWasReset, StreamIsClosed) as error:
            raise ConnectionLost("the circuit broke") from error

    async def send(self, data: bytes) -> None:
        """See :meth:`p2p.session.wires.Wire.send`."""
        try:
            await self._stream.write(data)
        except (StreamWasReset, StreamIsClosed) as error:
            raise ConnectionLost("the circuit broke") from error

    def send_nowait(self, data: bytes) -> int:
        """Send everything at once or nothing: a window that has room for a part will have more soon."""
        return len(data) if self._stream.write_nowait(data) else 0

    def listen(self, listener: Callable[[bytes], None]) -> bool:
        """Not here: the stream's own session is in the middle of its turn when something comes."""
        del listener
        return False

    def close(self) -> None:
        """Reset the stream; whoever waits for it hears of it. Closing twice is no error."""
        self._stream.abort()


class StreamConnection(IRawConnection):  # type: ignore[misc, unused-ignore] # the library counts as untyped
    """A raw connection that a stream carries.

    :ivar wire: what the session reads and writes.
    """

    def __init__(self, stream: CarryingStream, address: Multiaddr, *, initiator: bool) -> None:
        """:param address: of the other end, through ``/p2p-circuit``."""
        self.wire = StreamWire(stream)
        self.is_initiator = initiator
        self._stream = stream
        self._address = address

    async def read(self, n: int | None = None) -> bytes:
        """Up to `n` bytes; nothing at the end."""
        return await self._stream.read(n)

    async def write(self, data: bytes) -> None:
        """Write everything."""
        await self._stream.write(data)

    async def close(self) -> None:
        """Reset the stream."""
        self._stream.abort()

    def get_remote_address(self) -> None:
        """None: where the other end is, only the relay knows."""
        return

    def get_transport_addresses(self) -> list[Multiaddr]:
        """The circuit's address."""
        return [self._address]

    def get_connection_type(self) -> ConnectionType:
        """Relayed."""
        return ConnectionType.RELAYED
