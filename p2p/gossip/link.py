"""The link with one peer: our stream to it, its streams to us, and what waits for it.

Is: the I/O of gossip with one peer. Each side opens a stream of its own and only writes on it, as every
libp2p gossip does.
Is not: a rule of gossip, nor a table of peers; :mod:`p2p.gossip.service` has both.

Data to be sent goes to the stream by a call, and with whatever else waits there onto the network in the
hub's next pass (:mod:`p2p.session.hub`). What the stream does not take waits in the outbox for the writing
task. Likewise a small piece that has come is handled by the call that brings it; the reading task is for
more.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import trio

from p2p.gossip.framing import FrameSplitter
from p2p.gossip.outbox import Outbox
from p2p.gossip.router import MESHSUB_1_0, MESHSUB_1_1, MESHSUB_1_2
from p2p.host_streams import NotConnected, StreamRefused
from p2p.library.streams import TRANSPORT_ERRORS, reset_stream
from protocol.errors import DecodeError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from p2p.gossip.actions import Rank
    from p2p.gossip.snapshot import GossipCounts
    from p2p.host import Host
    from p2p.identity import PeerId
    from p2p.library.streams import Stream

PROTOCOLS: Final = (MESHSUB_1_2, MESHSUB_1_1, MESHSUB_1_0)
"""Protocols that we offer and accept, the best one first."""
WRITE_BATCH_BYTES: Final = 60 * 1024
"""Bytes written at once: several RPCs share one frame of the muxer, of 64 KiB less its header."""
READ_BYTES: Final = 64 * 1024
"""Bytes read at once."""
INLINE_BYTES_MAX: Final = 4 * 1024
"""Bytes that are handled as they come, before the reading task has its turn; more waits for it."""
INLINE_RPCS_MAX: Final = 16
"""RPCs in such a piece after which the next piece waits for the reading task: others have turns too."""
RPCS_BETWEEN_CHECKPOINTS: Final = 64
"""RPCs handled before other tasks get their turn; tiny ones come by the thousand in one read."""
WRITE_TIMEOUT_MS: Final = 8_000
"""Time for one write; a peer that lets it pass is disconnected."""
OPEN_ATTEMPTS_MAX: Final = 3
"""Attempts in a row to open a stream before a peer counts as not speaking gossip."""
OPEN_RETRY_MS: Final = 250
"""Pause before the second attempt to open a stream; doubles."""
STREAM_PROVEN_MS: Final = 30_000
"""A stream that lived so long wipes out the failures before it."""

_log = logging.getLogger(__name__)


class Link:
    """One peer. :meth:`write` runs as long as it is connected, :meth:`read` for each stream that it opens.

    :ivar outbox: what waits to be written.
    """

    def __init__(self, host: Host, peer: PeerId, dropped: Counter[Rank], counts: GossipCounts) -> None:
        """:param dropped: counts what goes overboard; :param counts: of all links."""
        self.peer = peer
        self.outbox = Outbox(dropped)
        self._host = host
        self._counts = counts
        self._stream: Stream | None = None  # while it takes what is written, and nothing waits
        self._unsent = b""
        self._stuck = trio.lowlevel.ParkingLot()
        self._writing = trio.CancelScope()
        self._reading: trio.CancelScope | None = None

    def cancel(self) -> None:
        """The peer has gone."""
        self._writing.cancel()
        if self._reading is not None:
            self._reading.cancel()

    # Writing

    def send(self, frame: bytes, rank: Rank, message_id: bytes | None = None) -> None:
        """Send a framed RPC in the hub's next pass, or when there is a stream and it has room.

        :param message_id: of the message that it forwards, if it does.
        """
        if self._stream is not None:
            if self._stream.write_nowait(frame):
                return
            self._stream = None
            self._stuck.unpark()
        self.outbox.put(frame, rank, message_id)

    def spare(self, message_id: bytes) -> None:
        """The peer has a message by itself: forward it no more, if that can still be helped."""
        if self.outbox.spare(message_id):
            self._counts.forwards_spared += 1

    async def write(self, opened: Callable[[str, bool], None]) -> None:
        """Open streams to the peer, one after another, and write to them, until it goes or they keep failing.

        :param opened: told of each stream: the protocol agreed on, and whether there was one before it.
        """
        failures = streams = 0
        with self._writing:
            while failures < OPEN_ATTEMPTS_MAX:
                if failures:
                    await trio.sleep(OPEN_RETRY_MS * 2 ** (failures - 1) / 1000)
                try:
                    stream = await self._host.open_stream(self.peer, PROTOCOLS)
                except (StreamRefused, NotConnected):
                    failures += 1
                    continue
                opened(str(stream.get_protocol()), streams > 0)
                streams += 1
                opened_s = trio.current_time()
                await self._write_stream(stream)
                proven = trio.current_time() - opened_s > STREAM_PROVEN_MS / 1000
                failures = 1 if proven else failures + 1
            if streams:
                # It speaks gossip and its streams keep breaking: a new connection may do better.
                self._counts.peer_streams_broken += 1
                await self._host.disconnect(self.peer)
            else:
                self._counts.peer_without_gossip += 1

    async def _write_stream(self, stream: Stream) -> None:
        """Write until the stream fails; the next one begins with what it failed at, or with its half."""
        try:
            while True:
                while unsent := self._unsent or self.outbox.take(WRITE_BATCH_BYTES):
                    self._unsent = unsent
                    with trio.fail_after(WRITE_TIMEOUT_MS / 1000):
                        await stream.write(unsent)
                    self._unsent = b""
                self._stream = stream
                await self._stuck.park()
        except trio.TooSlowError:
            self._counts.peer_too_slow += 1
            await self._host.disconnect(self.peer)
        except TRANSPORT_ERRORS as error:
            self._counts.stream_broken += 1
            _log.debug("gossip stream to %s broke: %r", self.peer, error)
        finally:
            self._stream = None
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 0.25):
                await reset_stream(stream)

    # Reading

    async def read(self, stream: Stream, rpc_bytes_max: int, take_rpc: Callable[[bytes], None]) -> bool:
        """Hand over the RPCs of one inbound stream; a peer's newer stream takes the place of its older one.

        Returns False if the stream could not be cut into RPCs.
        """
        if self._reading is not None:
            self._reading.cancel()
        with trio.CancelScope() as self._reading:
            try:
                return await _read_rpcs(stream, rpc_bytes_max, take_rpc)
            except TRANSPORT_ERRORS as error:
                _log.debug("gossip stream from %s ended: %r", self.peer, error)
        return True


async def _read_rpcs(stream: Stream, rpc_bytes_max: int, take_rpc: Callable[[bytes], None]) -> bool:
    """Handle what comes: small pieces at once, as they come; what is more, here, in turns with others."""
    splitter = FrameSplitter(rpc_bytes_max)
    busy = False

    def take(data: bytes) -> bool:
        nonlocal busy
        if busy or len(data) > INLINE_BYTES_MAX:
            return False
        try:
            rpcs = splitter.feed(data)
        except DecodeError:
            return False  # the splitter says so again, below
        busy = len(rpcs) > INLINE_RPCS_MAX
        for rpc in rpcs:
            take_rpc(rpc)
        return True

    stream.offer(take)
    try:
        while data := await stream.read(READ_BYTES):
            busy = True
            try:
                rpcs = splitter.feed(data)
            except DecodeError:
                return False
            for index, rpc in enumerate(rpcs, start=1):
                take_rpc(rpc)
                if index % RPCS_BETWEEN_CHECKPOINTS == 0:
                    await trio.lowlevel.checkpoint()
            busy = False
        return True
    finally:
        stream.offer(None)
