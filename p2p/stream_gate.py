"""The gate before direct streams: lets them in by class of peer, and bears what their handlers do.

Is: the shell around :mod:`p2p.admission`: it counts, refuses with a word, and ends a handler's stream.
Is not: the limit on raw streams of all protocols, which is :class:`p2p.library.streams.StreamGuard`'s.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from p2p.admission import DIRECT_STREAMS_MAX, Admission, OpenStreams, PeerClass, StreamRefusal
from p2p.stream_errors import ERROR_BUSY, ERROR_REFUSED
from p2p.streams import open_direct
from protocol.errors import LocalError, ProtocolError, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from p2p.identity import PeerId
    from p2p.sending import ByteStream
    from p2p.streams import DirectStream

TOO_MANY: Final = "too many streams"
"""To those who may try again later."""
NOT_AWAITED: Final = "this protocol is not for peers that are not waited for"
"""To those whose class is not let in: trying again leads nowhere, until they are waited for."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ClassCounts:
    """Streams of one class of peers since the start; refusals as `StreamRefusal` says."""

    accepted: int = 0
    refused_closed: int = 0
    refused_peer_full: int = 0
    refused_full: int = 0

    def note(self, refusal: StreamRefusal | None) -> None:
        """Count a stream that was refused, or let in if nothing was against it."""
        match refusal:
            case None:
                self.accepted += 1
            case StreamRefusal.CLOSED:
                self.refused_closed += 1
            case StreamRefusal.PEER_FULL:
                self.refused_peer_full += 1
            case StreamRefusal.FULL:
                self.refused_full += 1


@dataclass(slots=True)
class DirectStreamCounts:
    """Direct streams towards us since the start, by the class of their peers.

    :ivar failed: of those let in, the ones that an error ended, ours or the remote's.
    """

    assigned: ClassCounts = field(default_factory=ClassCounts)
    staked: ClassCounts = field(default_factory=ClassCounts)
    strangers: ClassCounts = field(default_factory=ClassCounts)
    failed: int = 0

    def of(self, peer_class: PeerClass) -> ClassCounts:
        """The counts of one class."""
        match peer_class:
            case PeerClass.ASSIGNED:
                return self.assigned
            case PeerClass.STAKED:
                return self.staked
            case PeerClass.STRANGER:
                return self.strangers


class DirectStreamGate:
    """Lets direct streams in, and refuses those beyond the shares of their protocols.

    :ivar counts: see `DirectStreamCounts`.
    """

    def __init__(self, is_staked: Callable[[PeerId], bool]) -> None:
        """:param is_staked: whether a peer has stake now; synchronous and quick, and it must not raise."""
        self.counts = DirectStreamCounts()
        self._is_staked = is_staked
        self._admissions: dict[str, Admission] = {}
        self._open: Counter[PeerId] = Counter()

    def register(self, protocol: str, admission: Admission) -> OpenStreams:
        """The count for a protocol's streams, in place of an earlier one.

        :raises LocalError: the shares of all protocols come to more than DIRECT_STREAMS_MAX.
        """
        admissions = {**self._admissions, protocol: admission}
        if sum(item.streams_max for item in admissions.values()) > DIRECT_STREAMS_MAX:
            raise LocalError(f"no room for the streams of {protocol}: all shares exceed {DIRECT_STREAMS_MAX}")
        self._admissions = admissions
        return OpenStreams(admission, self._is_staked)

    def is_open(self, peer_id: PeerId) -> bool:
        """Whether a peer has a direct stream open towards us."""
        return peer_id in self._open

    async def serve(
        self,
        open_streams: OpenStreams,
        stream: ByteStream,
        peer_id: PeerId,
        handler: Callable[[DirectStream, PeerId], Awaitable[None]],
        payload_bytes_max: int,
    ) -> None:
        """Run a handler on one inbound stream. Its exception is its stream's end and nobody else's."""
        peer_class = open_streams.classify(peer_id)
        refusal = open_streams.refusal(peer_id, peer_class)
        self.counts.of(peer_class).note(refusal)
        if refusal is not None:
            is_final = refusal is StreamRefusal.CLOSED
            async with open_direct(stream, peer_id) as direct:
                await direct.abort(
                    NOT_AWAITED if is_final else TOO_MANY, code=ERROR_REFUSED if is_final else ERROR_BUSY
                )
            return
        open_streams.enter(peer_id, peer_class)
        self._open[peer_id] += 1
        try:
            async with open_direct(stream, peer_id, payload_bytes_max=payload_bytes_max) as direct:
                await handler(direct, peer_id)
        except* (ProtocolError, Refusal) as failures:
            self.counts.failed += 1
            _log.info("direct stream of %s ended: %r", peer_id, failures.exceptions)
        except* Exception as failures:  # noqa: BLE001 - a handler's fault is its stream's end
            self.counts.failed += 1
            _log.exception("direct stream handler failed, peer %s", peer_id, exc_info=failures)
        finally:
            open_streams.leave(peer_id, peer_class)
            self._open[peer_id] -= 1
            if not self._open[peer_id]:
                del self._open[peer_id]
