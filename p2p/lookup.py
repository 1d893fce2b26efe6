"""Finding one peer by its on-chain address: ask those who are nearer and nearer to it.

Is: Kademlia's walk with one thing to find, signed peer records, over direct streams (``/cuckoo/find/1``).
Is not: a store of anything else, and no proof; whoever is found is still who noise says.

The question is an address of 20 bytes. The answer has the form of peer exchange (:mod:`p2p.discovery`): that
peer's record alone if it is known, else up to 8 records of peers whose addresses are nearest to it by XOR. A
peer that asks for its own address is told the newest record that bears its name, and those nearest to it: so
it hears of another that runs with its key.
Each node gives its own record to those nearest to itself now and then, so that walks end there.

**Why not kad-dht, which the library has?** It works (provide and find_providers over real sockets, 0.3 s
each), but a node that serves it keeps whatever strangers put: 50,000 values of 1 MiB, unsigned, with provider
entries that anybody may make for anybody. A record of ours is signed by the peer that it is of, so a walk has
two outcomes, the truth or nothing, and what a node keeps is its address book, which is bounded already.

A lookup may fail where a peer exists: liars can answer with their own kind. It asks at most 32 peers in at
most 10 s.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import trio

from p2p.dialling import DialFailed
from p2p.discovery import (
    DISCOVERY_ADMISSION,
    EXCHANGE_TIMEOUT_MS,
    RECORDS_PAYLOAD_BYTES_MAX,
    encode_records,
    split_records,
)
from p2p.identity import PeerIdentityError, address_of_peer
from protocol.errors import DecodeError, ProtocolError, Refusal
from protocol.signature import ADDRESS_BYTES

if TYPE_CHECKING:
    from p2p.connections import ConnectionKeeper
    from p2p.host import Host
    from p2p.identity import PeerId
    from p2p.streams import DirectStream

FIND_PROTOCOL: Final = "/cuckoo/find/1"
NEAREST_TOLD_MAX: Final = 8
"""Records in an answer that does not know the peer itself."""
PARALLEL_MAX: Final = 4
"""Peers asked at once."""
ASKED_MAX: Final = 32
"""Peers asked in one lookup."""
LOOKUP_TIMEOUT_MS: Final = 10_000
"""Time for one lookup."""
DIAL_TIMEOUT_MS: Final = 3_000
"""Time to reach one peer on the way."""
PUBLISH_PEERS: Final = 4
"""Peers nearest to ourselves that get our record."""
PUBLISH_INTERVAL_MS: Final = 600_000
"""Time between two such gifts, milliseconds."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LookupCounts:
    """Lookups and their questions since the start.

    :ivar found: lookups that found their peer; :ivar not_found: those that did not.
    :ivar asked: questions of ours; :ivar ask_failed: of them, those without an answer.
    :ivar answered: questions of others.
    """

    lookups: int = 0
    found: int = 0
    not_found: int = 0
    asked: int = 0
    ask_failed: int = 0
    answered: int = 0


class Lookup:
    """Finds peers by on-chain address, and answers those who look. Answers from the moment it is made."""

    def __init__(self, host: Host, keeper: ConnectionKeeper) -> None:
        self._host = host
        self._records = keeper.records
        self._exchange = keeper.exchange
        self._counts = LookupCounts()
        host.handle_direct_streams(
            FIND_PROTOCOL,
            self._answer,
            admission=DISCOVERY_ADMISSION,
            payload_bytes_max=RECORDS_PAYLOAD_BYTES_MAX,
        )

    async def find(self, account: bytes, *, timeout_ms: int = LOOKUP_TIMEOUT_MS) -> PeerId | None:
        """The peer with an on-chain address of 20 bytes, or None if nobody on the way knows it."""
        self._counts.lookups += 1
        with trio.move_on_after(timeout_ms / 1000):
            await self._walk(account, set())
        found = self._records.peer_of_account(account)
        if found is None:
            found = next((peer for peer in self._host.connected_peers() if _account(peer) == account), None)
        if found is None:
            self._counts.not_found += 1
        else:
            self._counts.found += 1
        return found

    async def connect(self, account: bytes, *, timeout_ms: int = LOOKUP_TIMEOUT_MS) -> PeerId:
        """Find a peer and connect to it.

        :raises DialFailed: it is not found, or none of its addresses answers.
        """
        peer = await self.find(account, timeout_ms=timeout_ms)
        if peer is None:
            raise DialFailed("no peer of that address is known")
        if not await self.reach(peer):
            raise DialFailed("the peer of that address could not be reached")
        return peer

    async def keep_publishing(self) -> None:
        """Give our record to the peers nearest to ourselves, now and then, until cancelled."""
        while True:
            await self.publish()
            await trio.sleep(PUBLISH_INTERVAL_MS / 1000)

    async def publish(self) -> None:
        """Give our record to the peers nearest to ourselves, once they are found."""
        await self.look_up_self()
        await self.give_record()

    async def look_up_self(self) -> int:
        """Ask the peers nearest to ourselves for our own address: what they know of others in our name comes
        into the address book (`PeerRecords.double`).

        :returns: how many have answered.
        """
        answered: set[PeerId] = set()
        with trio.move_on_after(LOOKUP_TIMEOUT_MS / 1000):
            await self._walk(self._records.own.account, answered, stop_when_known=False)
        return len(answered)

    async def give_record(self) -> None:
        """Give our record to the nearest peers that are known."""
        with trio.move_on_after(LOOKUP_TIMEOUT_MS / 1000):
            async with trio.open_nursery() as nursery:
                for record in self._records.nearest(self._records.own.account, PUBLISH_PEERS):
                    nursery.start_soon(self._give_record, record.peer)

    def statistics(self) -> LookupCounts:
        """Lookups since the start."""
        return replace(self._counts)

    # The walk

    async def _walk(self, account: bytes, answered: set[PeerId], *, stop_when_known: bool = True) -> None:
        """Ask nearer and nearer peers until one knows, or the nearest have all been asked.

        :param answered: gets those that answer.
        """
        asked: set[PeerId] = set()
        while len(asked) < ASKED_MAX:
            if stop_when_known and self._records.peer_of_account(account) is not None:
                return
            next_ones = [peer for peer in self._nearest(account) if peer not in asked][:PARALLEL_MAX]
            if not next_ones:
                return
            asked.update(next_ones)
            async with trio.open_nursery() as nursery:
                for peer in next_ones:
                    nursery.start_soon(self._ask, peer, account, answered)

    def _nearest(self, account: bytes) -> list[PeerId]:
        known = {record.peer for record in self._records.nearest(account, NEAREST_TOLD_MAX)}
        known |= {peer for peer in self._host.connected_peers() if _account(peer) is not None}
        known.discard(self._host.peer_id)
        target = int.from_bytes(account)
        return sorted(known, key=lambda peer: int.from_bytes(_account(peer) or b"") ^ target)[
            :NEAREST_TOLD_MAX
        ]

    async def _ask(self, peer: PeerId, account: bytes, answered: set[PeerId]) -> None:
        self._counts.asked += 1
        try:
            if not await self.reach(peer):
                self._counts.ask_failed += 1
                return
            async with self._host.open_direct_stream(
                peer, FIND_PROTOCOL, payload_bytes_max=RECORDS_PAYLOAD_BYTES_MAX
            ) as stream:
                await stream.send(account, timeout_ms=EXCHANGE_TIMEOUT_MS)
                await stream.finish(timeout_ms=EXCHANGE_TIMEOUT_MS)
                answer = await stream.receive(timeout_ms=EXCHANGE_TIMEOUT_MS)
            if answer is None:
                self._counts.ask_failed += 1
                return
            self._exchange.accept_all(split_records(answer), peer)
            answered.add(peer)
        except (Refusal, ProtocolError) as error:
            self._counts.ask_failed += 1
            _log.debug("asking %s for a peer failed: %r", peer, error)

    async def _give_record(self, peer: PeerId) -> None:
        if await self.reach(peer):
            await self._exchange.ask(peer)

    async def reach(self, peer: PeerId) -> bool:
        """Whether a peer is connected, dialling it if it is not."""
        for address in self._records.addresses(peer):
            if self._host.is_connected(peer):
                break
            try:
                await self._host.connect(address, timeout_ms=DIAL_TIMEOUT_MS)
            except Refusal as error:
                _log.debug("dialling %s failed: %r", address, error)
        return self._host.is_connected(peer)

    async def _answer(self, stream: DirectStream, peer: PeerId) -> None:
        account = await stream.receive(timeout_ms=EXCHANGE_TIMEOUT_MS)
        if account is None or len(account) != ADDRESS_BYTES:
            raise DecodeError("an on-chain address has 20 bytes")
        self._counts.answered += 1
        own = self._records.own
        if account == own.account:
            found = [own] if own.addresses else []
        else:
            nearest = self._records.nearest(account, NEAREST_TOLD_MAX + 1)
            if _account(peer) != account:
                nearest = [record for record in nearest if record.peer != peer]
            found = nearest[:NEAREST_TOLD_MAX]
            if found and found[0].account == account and found[0].peer != peer:
                found = found[:1]
        await stream.send(encode_records(found), timeout_ms=EXCHANGE_TIMEOUT_MS)


def _account(peer: PeerId) -> bytes | None:
    try:
        return address_of_peer(peer)
    except PeerIdentityError:
        return None
