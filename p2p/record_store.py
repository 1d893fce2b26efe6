"""The address book: our own peer record, and the newest that we know of others.

Is: a bounded store of signed records, by peer and by on-chain address. Pure; randomness is given.
Is not: I/O; :mod:`p2p.discovery` moves records between peers, and the
node keeps them in a file.

A record is *met* when the peer gave it to us over its own connection, or was connected later; all others are
*heard*. Only met records are passed on in peer exchange, so that a liar's inventions travel one step. When
the store is full, heard records give way first, then met ones that nobody vouches for (see ``is_kept``),
oldest first; strangers who connect with ever new keys push out each other, not the network.
"""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from p2p.identity import PeerId
from p2p.limits import public_network_of
from p2p.records import (
    ADDRESSES_KEPT_MAX,
    SIGNING_BIT,
    PeerRecord,
    is_circuit,
    is_plausible,
    open_record,
    seal_record,
)
from protocol.errors import InvalidMessage, ProtocolError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Collection, Iterable, Sequence

    from multiaddr import Multiaddr

RECORDS_MAX: Final = 1_024
"""Records of others that a node keeps; some 700 bytes of memory each, and at most 3 KiB."""
RECORDS_TOLD_MAX: Final = 16
"""Records in one answer."""
RECORDS_TOLD_PER_NETWORK_MAX: Final = 4
"""Of them, those of peers in one public network (:func:`p2p.limits.network_of`)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of another peer.

    :ivar addresses: those of the record that we may dial, by whom we heard them from; never empty.
    :ivar heard_from_ip: where the record came from first.
    :ivar met: whether the peer itself was ever connected to us.
    :ivar is_hidden: whether all of the addresses lead through relays.
    """

    record: PeerRecord
    addresses: tuple[Multiaddr, ...]
    heard_from_ip: str | None
    met: bool
    is_hidden: bool


@dataclass(slots=True)
class RecordCounts:
    """Records since the start.

    :ivar accepted: newer than what was known.
    :ivar older: than what was known.
    :ivar sequence_reused: with the number of one that is known, and other addresses.
    :ivar implausible: without an address that we may dial.
    :ivar evicted: for lack of room.
    :ivar forgotten: of peers that could not be reached.
    :ivar restore_failed: of the kept ones, those that were wrong.
    """

    accepted: int = 0
    older: int = 0
    sequence_reused: int = 0
    implausible: int = 0
    evicted: int = 0
    forgotten: int = 0
    restore_failed: int = 0


class PeerRecords:
    """The records that one node knows.

    :ivar own: our own record; at first it names no address.
    :ivar double: newest record that bears our name and is of another start than ours, as far as we heard.
    :ivar counts: see `RecordCounts`.
    """

    def __init__(
        self,
        node_secret: bytes,
        *,
        records_max: int = RECORDS_MAX,
        is_kept: Callable[[PeerId], bool] = lambda _peer: False,
        instance: int = 0,
    ) -> None:
        """Take who we are.

        :param instance: drawn at this start, without the `SIGNING_BIT`; 0 leaves it out of our record.
        :param is_kept: whether a met peer shall stay when others must go; connected and staked ones, say.
        :raises LocalError: the secret is not a key.
        """
        self.own = seal_record(node_secret, 0, (), instance)
        self.double: PeerRecord | None = None
        self.counts = RecordCounts()
        self._is_kept = is_kept
        self._node_secret = node_secret
        self._records_max = records_max
        self._met: OrderedDict[PeerId, Entry] = OrderedDict()
        self._heard: OrderedDict[PeerId, Entry] = OrderedDict()
        self._peer_of_account: dict[bytes, PeerId] = {}
        self._peer_of_envelope: dict[bytes, PeerId] = {}
        self._may_sign = False

    def __len__(self) -> int:
        return len(self._met) + len(self._heard)

    def renew_own(self, addresses: Sequence[Multiaddr], now_ms: int, *, anew: bool = False) -> PeerRecord:
        """Our record for these addresses; signed anew only if they are others than before.

        :param anew: sign it in any case, to say that we still run.
        :param now_ms: wall clock; the sequence is at least this, so that it grows over restarts too.
        :raises LocalError: too many or too long addresses.
        """
        if anew or tuple(addresses) != self.own.addresses or self.own.sequence == 0:
            sequence = max(now_ms, self.own.sequence + 1)
            instance = self.own.instance | (SIGNING_BIT if self._may_sign and self.own.instance else 0)
            self.own = seal_record(self._node_secret, sequence, addresses, instance)
        return self.own

    def tell_of_signing(self) -> None:
        """Our records say from now on that we may sign."""
        self._may_sign = True

    def accept(self, envelope: bytes, *, heard_from_ip: str | None = None) -> PeerId:
        """Take a record from anybody; the newest of each peer stays. Returns whose it is.

        :param heard_from_ip: of the teller; without it only public addresses count (see ``is_plausible``).
        :raises ProtocolError: not an envelope, or a wrong one (:func:`p2p.records.open_record`).
        """
        record = self._opened(envelope)
        if record.peer != self.own.peer:
            self._take(record, heard_from_ip, met=False)
        elif record.start != self.own.start and (
            self.double is None or record.sequence > self.double.sequence
        ):
            self.double = record
        return record.peer

    def confirm(self, peer: PeerId, envelope: bytes, *, heard_from_ip: str | None) -> None:
        """Take a record that a connected peer gave of itself.

        :raises ProtocolError: not an envelope, or a wrong one, or it speaks for somebody else.
        """
        record = self._opened(envelope)
        if record.peer != peer:
            raise InvalidMessage("a peer gave the record of another as its own")
        self._take(record, heard_from_ip, met=True)

    def note_met(self, peer: PeerId) -> None:
        """A peer is connected: what we heard of it was true. It is the youngest again."""
        entry = self._heard.pop(peer, None) or self._met.pop(peer, None)
        if entry is not None:
            self._met[peer] = replace(entry, met=True)
            self._make_room()

    def forget(self, peer: PeerId) -> None:
        """Drop a peer that could not be reached."""
        if self._drop(peer):
            self.counts.forgotten += 1

    def record_of(self, peer: PeerId) -> bytes | None:
        """The newest envelope of a peer, our own included; None if none is known."""
        if peer == self.own.peer:
            return self.own.envelope
        entry = self._entry(peer)
        return None if entry is None else entry.record.envelope

    def peer_of_account(self, account: bytes) -> PeerId | None:
        """The peer with an on-chain address of 20 bytes, if it is known or ourselves."""
        return self.own.peer if account == self.own.account else self._peer_of_account.get(account)

    def addresses(self, peer: PeerId) -> tuple[Multiaddr, ...]:
        """Where a peer may be dialled, maybe nowhere."""
        entry = self._entry(peer)
        return () if entry is None else entry.addresses

    def is_hidden(self, peer: PeerId) -> bool:
        """Whether a peer is known, and can be dialled through relays only."""
        entry = self._entry(peer)
        return entry is not None and entry.is_hidden

    def nearest(self, account: bytes, count: int) -> list[PeerRecord]:
        """The known records whose on-chain addresses are nearest to one, by XOR; nearest first."""
        target = int.from_bytes(account)
        accounts = heapq.nsmallest(
            count, self._peer_of_account, key=lambda other: int.from_bytes(other) ^ target
        )
        entries = [self._entry(self._peer_of_account[item]) for item in accounts]
        return [entry.record for entry in entries if entry is not None]

    def to_tell(self, asker: PeerId, connected: Collection[PeerId], rng: random.Random) -> list[PeerRecord]:
        """A random choice of at most 16 records of peers that are connected to us, and met.

        At most 4 of them from one public network: whoever runs many peers in one place shall not be all that
        a newcomer hears of.
        """
        known = [entry for peer, entry in self._met.items() if peer != asker and peer in connected]
        rng.shuffle(known)
        told: list[PeerRecord] = []
        networks: Counter[str] = Counter()
        for entry in known:
            network = public_network_of(entry.heard_from_ip)
            if network is not None and networks[network] >= RECORDS_TOLD_PER_NETWORK_MAX:
                continue
            if network is not None:
                networks[network] += 1
            told.append(entry.record)
            if len(told) == RECORDS_TOLD_MAX:
                break
        return told

    def candidates(self, connected: Collection[PeerId]) -> list[PeerId]:
        """Peers to try: known, and not connected. Those that were met come first."""
        return [peer for peer in (*self._met, *self._heard) if peer not in connected]

    def entries(self) -> list[Entry]:
        """All records of others, those next to give way first."""
        return [*self._heard.values(), *self._met.values()]

    def restore(self, entries: Iterable[tuple[bytes, str | None, bool]]) -> None:
        """Take (envelope, heard_from_ip, met) as :meth:`entries` gave them; wrong ones are passed over."""
        for envelope, heard_from_ip, met in entries:
            try:
                record = open_record(envelope)
            except ProtocolError:
                self.counts.restore_failed += 1
                continue
            if record.peer != self.own.peer:
                self._take(record, heard_from_ip, met=met)

    # Internals

    def _opened(self, envelope: bytes) -> PeerRecord:
        # Most of what is told is known already; the same bytes need not be checked again.
        peer = self._peer_of_envelope.get(envelope)
        known = None if peer is None else self._entry(peer)
        return open_record(envelope) if known is None else known.record

    def _entry(self, peer: PeerId) -> Entry | None:
        return self._met.get(peer) or self._heard.get(peer)

    def _take(self, record: PeerRecord, heard_from_ip: str | None, *, met: bool) -> None:
        known = self._entry(record.peer)
        if known is not None and record.sequence < known.record.sequence:
            self.counts.older += 1
            record = known.record
        elif known is not None and record.sequence == known.record.sequence:
            if record.envelope != known.record.envelope and record.addresses != known.record.addresses:
                self.counts.sequence_reused += 1
            record = known.record
        else:
            self.counts.accepted += 1
        addresses = [item for item in record.addresses if is_plausible(item, heard_from_ip)]
        if known is not None and record is known.record:
            # The same record from nearer by: its private addresses count now.
            addresses = [*known.addresses, *(item for item in addresses if item not in known.addresses)]
            heard_from_ip = known.heard_from_ip
        if not addresses and (record.addresses or not met):
            self.counts.implausible += 1
            return
        self._drop(record.peer)
        if not addresses:
            return  # the peer itself says that it cannot be dialled any more
        met = met or (known is not None and known.met)
        # Those first that need no relay.
        addresses.sort(key=is_circuit)
        entry = Entry(
            record, tuple(addresses[:ADDRESSES_KEPT_MAX]), heard_from_ip, met, is_circuit(addresses[0])
        )
        (self._met if met else self._heard)[record.peer] = entry
        self._peer_of_account[record.account] = record.peer
        self._peer_of_envelope[record.envelope] = record.peer
        self._make_room()

    def _drop(self, peer: PeerId) -> bool:
        entry = self._met.pop(peer, None) or self._heard.pop(peer, None)
        if entry is None:
            return False
        del self._peer_of_account[entry.record.account]
        del self._peer_of_envelope[entry.record.envelope]
        return True

    def _make_room(self) -> None:
        while len(self) > self._records_max:
            self._drop(next(iter(self._heard)) if self._heard else self._oldest_met())
            self.counts.evicted += 1

    def _oldest_met(self) -> PeerId:
        for _ in range(len(self._met)):
            peer = next(iter(self._met))
            if not self._is_kept(peer):
                return peer
            self._met.move_to_end(peer)
        return next(iter(self._met))
