"""One miner's stream at its coordinator: what the engine says goes out in order, what comes in goes to the
engine.

Is: the I/O of one stream, with a bounded outbox. Is not: a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import trio

from node.coordinator.actions import CloseStream, Send, SendInput
from p2p.stream_errors import StreamTimeout
from p2p.streams import DirectStream
from protocol.errors import CuckooError, Refusal
from protocol.messages import ReplyKind, TaskReply, parts_of

OUTBOX_MAX: Final = 64
"""Actions of the engine that wait to go out on a stream: more than all vouchers of a task."""
SEND_TIMEOUT_MS: Final = 10_000
"""How long one reply may take to go out to a miner that does not read."""


class MinerStream:
    """A stream that a miner has opened."""

    def __init__(self, stream: DirectStream, source: Callable[[bytes], bytes]) -> None:
        """:param source: bytes of a source by its hash."""
        self._stream = stream
        self._source = source
        self._put, self._outbox = trio.open_memory_channel[Send | SendInput | CloseStream](OUTBOX_MAX)

    def put(self, action: Send | SendInput | CloseStream) -> None:
        """Have something go out after what waits already.

        :raises Refusal: too much waits; the miner does not read.
        """
        try:
            self._put.send_nowait(action)
        except trio.WouldBlock:
            raise Refusal("it does not read what it is sent") from None

    async def serve(self, hear: Callable[[bytes], None]) -> None:
        """Send and receive until the engine closes the stream.

        :param hear: takes each payload.
        :raises Refusal: the miner went away, does not read, or is told a reason at the end.
        :raises ProtocolError: it broke the rules of direct streams.
        """
        failed: CuckooError | None = None

        async def listen() -> None:
            nonlocal failed
            try:
                while True:
                    try:
                        payload = await self._stream.receive()
                    except StreamTimeout:
                        continue  # how long a miner may be silent is the engine's matter
                    if payload is None:
                        raise Refusal("its stream ended")
                    hear(payload)
            except CuckooError as error:
                failed = error
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            await self._send_all()
            nursery.cancel_scope.cancel()
        if failed is not None:
            raise failed

    async def _send_all(self) -> None:
        async for action in self._outbox:
            if isinstance(action, CloseStream):
                if action.reason:
                    raise Refusal(action.reason)
                return
            for payload in self._payloads(action):
                # Whole or not at all: a voucher that is cut in the middle could be followed by nothing.
                with trio.CancelScope(shield=True):
                    await self._stream.send(payload, timeout_ms=SEND_TIMEOUT_MS)

    def _payloads(self, action: Send | SendInput) -> Iterator[bytes]:
        if isinstance(action, Send):
            yield from action.replies
            return
        yield TaskReply(ReplyKind.INPUT, action.input, "").encode()
        for source in action.sources:
            for part in parts_of(self._source(source.hash)):
                yield TaskReply(ReplyKind.SOURCE_PART, part, "").encode()
