"""Peer exchange: one question to connected peers, which others are there, answered with signed records.

Is: ``/cuckoo/peers/1`` over a direct stream, so that a mesh outgrows its bootnodes.
Is not: the address book (:mod:`p2p.record_store`), nor the search for one peer (:mod:`p2p.lookup`).

Both payloads have one form: count (1 byte), then for each record its length (2 bytes, big-endian) and its
signed envelope (:mod:`p2p.records`). The asker sends its own record, or none if it cannot be dialled; the
answerer up to 16 of peers that are connected to it and gave their records themselves.

Addresses of private networks count only when they come over one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2p.admission import Admission, Share
from p2p.record_store import RECORDS_TOLD_MAX, PeerRecords
from p2p.records import RECORD_BYTES_MAX, PeerRecord
from protocol.errors import DecodeError, LocalError, ProtocolError, Refusal

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

    from p2p.host import Host
    from p2p.identity import PeerId
    from p2p.streams import DirectStream

PEERS_PROTOCOL: Final = "/cuckoo/peers/1"
EXCHANGE_TIMEOUT_MS: Final = 5_000
"""Time for a question and its answer, each step."""

DISCOVERY_ADMISSION: Final = Admission(staked=Share(16, 64), strangers=Share(4, 192))
"""Of questions for peers: newcomers have no stake yet, and a bootstrap peer knows of nobody's."""

_LENGTH_BYTES: Final = 2
RECORDS_PAYLOAD_BYTES_MAX: Final = 1 + RECORDS_TOLD_MAX * (_LENGTH_BYTES + RECORD_BYTES_MAX)
"""Bytes of the largest payload of records."""

_log = logging.getLogger(__name__)


def encode_records(records: Sequence[PeerRecord]) -> bytes:
    """The payload of a question or answer. :raises LocalError: over 16 records."""
    if len(records) > RECORDS_TOLD_MAX:
        raise LocalError("too many records for one payload")
    payload = bytearray((len(records),))
    for record in records:
        payload += len(record.envelope).to_bytes(_LENGTH_BYTES) + record.envelope
    return bytes(payload)


def split_records(payload: bytes) -> tuple[bytes, ...]:
    """The envelopes of a payload, unchecked.

    :raises DecodeError: another form, too many, too long, or bytes left over.
    """
    if not payload or payload[0] > RECORDS_TOLD_MAX:
        raise DecodeError("a payload of records without a proper count")
    envelopes = []
    start = 1
    for _ in range(payload[0]):
        end = start + _LENGTH_BYTES + int.from_bytes(payload[start : start + _LENGTH_BYTES])
        envelope = payload[start + _LENGTH_BYTES : end]
        if not 0 < len(envelope) <= RECORD_BYTES_MAX or end > len(payload):
            raise DecodeError("a record of a wrong length")
        envelopes.append(envelope)
        start = end
    if start != len(payload):
        raise DecodeError("bytes after the last record")
    return tuple(envelopes)


@dataclass(slots=True)
class ExchangeCounts:
    """Questions since the start. :ivar asked: of ours; :ivar ask_failed: of them, those without an answer.

    :ivar answered: of others.
    """

    asked: int = 0
    ask_failed: int = 0
    answered: int = 0


class PeerExchange:
    """Asks and answers ``/cuckoo/peers/1`` over a host. Answers from the moment it is made.

    :ivar counts: see `ExchangeCounts`.
    """

    def __init__(self, host: Host, records: PeerRecords, rng: random.Random) -> None:
        self._host = host
        self._records = records
        self._rng = rng
        self.counts = ExchangeCounts()
        host.handle_direct_streams(
            PEERS_PROTOCOL,
            self._answer,
            admission=DISCOVERY_ADMISSION,
            payload_bytes_max=RECORDS_PAYLOAD_BYTES_MAX,
        )

    async def ask(self, peer: PeerId) -> None:
        """Tell a connected peer our record and take those it knows. Failure is counted, not raised."""
        self.counts.asked += 1
        try:
            async with self._host.open_direct_stream(
                peer, PEERS_PROTOCOL, payload_bytes_max=RECORDS_PAYLOAD_BYTES_MAX
            ) as stream:
                own = self._records.own
                payload = encode_records([own] if own.addresses else [])
                await stream.send(payload, timeout_ms=EXCHANGE_TIMEOUT_MS)
                await stream.finish(timeout_ms=EXCHANGE_TIMEOUT_MS)
                answer = await stream.receive(timeout_ms=EXCHANGE_TIMEOUT_MS)
                self.accept_all(split_records(answer or b""), peer)
        except (Refusal, ProtocolError) as error:
            self.counts.ask_failed += 1
            _log.debug("asking %s for peers failed: %r", peer, error)

    def accept_all(self, envelopes: Iterable[bytes], teller: PeerId) -> list[PeerId]:
        """Take what a connected peer tells of others; whose records they are, in order.

        :raises ProtocolError: one of them is wrong, and its teller should have seen it.
        """
        ip = self._host.remote_ip(teller)
        return [self._records.accept(envelope, heard_from_ip=ip) for envelope in envelopes]

    async def _answer(self, stream: DirectStream, peer: PeerId) -> None:
        payload = await stream.receive(timeout_ms=EXCHANGE_TIMEOUT_MS)
        for envelope in split_records(payload or b"")[:1]:
            self._records.confirm(peer, envelope, heard_from_ip=self._host.remote_ip(peer))
        known = self._records.to_tell(peer, self._host.connected_peers(), self._rng)
        self.counts.answered += 1
        await stream.send(encode_records(known), timeout_ms=EXCHANGE_TIMEOUT_MS)
