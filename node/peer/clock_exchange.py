"""Comparing clocks over direct streams: the answers that every staked peer gives, and the asking.

Is: `/cuckoo/clock/1` (`protocol/README.md`), whom to ask and when.
Is not: the judgement of what was answered (`clocks`).
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog
import trio

from contracts.errors import ChainError
from node.peer.clocks import OWNERS_WANTED, ClockEstimate, ClockSample, ClockStatus
from node.system.clock import now_ms
from p2p.host import Host
from p2p.identity import PeerId, address_of_peer
from p2p.streams import DirectStream
from protocol.bounded import Bounded
from protocol.clock import (
    CLOCK_PAYLOAD_BYTES_MAX,
    NONCE_BYTES,
    QUESTIONS_PER_STREAM_MAX,
    ClockAnswer,
    ClockQuestion,
)
from protocol.errors import InvalidMessage, ProtocolError, Refusal

CLOCK_PROTOCOL: Final = "/cuckoo/clock/1"
STREAMS_PER_PEER_MAX: Final = 20
"""Streams that one peer gets answered in one `WINDOW_MS`; an honest one asks once in some seconds at most."""
WINDOW_MS: Final = 60_000
PEERS_MAX: Final = 1_024
"""Peers whose streams are counted, and nodes whose owners are remembered, at a time."""
ANSWER_TIMEOUT_MS: Final = 2_000
"""For each question, and for each answer."""
ASKED_MAX: Final = 3 * OWNERS_WANTED
"""Peers asked in one round: some will not answer, some have the same owner."""
LOOK_S: Final = 1.0
"""From one look at our own clocks to the next."""
RENEW_MS: Final = 180_000
"""From one round to the next, while enough owners have answered."""
RETRY_MS: Final = 15_000
"""The same, while they have not."""
FIRST_RETRY_MS: Final = 1_000
"""The same, while nobody has: a node that starts should know soon."""
STEP_MS: Final = 100
"""By so much our clock was set, if the steady one has not moved with it."""

log = structlog.get_logger()


@dataclass(slots=True)
class ClockServerCounts:
    """:ivar answered: questions. :ivar too_often: streams beyond `STREAMS_PER_PEER_MAX`."""

    answered: int = 0
    too_often: int = 0


class ClockServer:
    """The answers of one peer, to anybody: the time is no secret. :ivar counts: what became of questions."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        """:param clock_ms: Unix milliseconds."""
        self.counts = ClockServerCounts()
        self._clock_ms = clock_ms
        self._asked: Bounded[PeerId, tuple[int, int]] = Bounded(PEERS_MAX)

    async def handle(self, stream: DirectStream, peer_id: PeerId) -> None:
        """Serve one stream.

        :raises ProtocolError: what came is not a question.
        :raises Refusal: the peer asks too often, or says nothing.
        """
        window = self._clock_ms() // WINDOW_MS
        counted_in, streams = self._asked.get(peer_id, (window, 0))
        streams = streams + 1 if counted_in == window else 1
        self._asked[peer_id] = (window, streams)
        if streams > STREAMS_PER_PEER_MAX:
            self.counts.too_often += 1
            raise Refusal("you ask too often")
        for _ in range(QUESTIONS_PER_STREAM_MAX):
            payload = await stream.receive(timeout_ms=ANSWER_TIMEOUT_MS)
            if payload is None:
                return
            question = ClockQuestion.decode(payload)
            # Read as late as can be: what passes until it is on its way counts as the round trip's.
            await stream.send(
                ClockAnswer(question.nonce, self._clock_ms()).encode(), timeout_ms=ANSWER_TIMEOUT_MS
            )
            self.counts.answered += 1


def serve_clock(host: Host, clock_ms: Callable[[], int]) -> ClockServer:
    """Tell the time on `host` to whoever asks, from now on. :param clock_ms: Unix milliseconds."""
    server = ClockServer(clock_ms)
    host.handle_direct_streams(CLOCK_PROTOCOL, server.handle, payload_bytes_max=CLOCK_PAYLOAD_BYTES_MAX)
    return server


class Clocks(Protocol):
    """The two clocks of a machine, in milliseconds."""

    def now_ms(self) -> int:
        """Unix time, which somebody may set."""

    def steady_ms(self) -> int:
        """Time that only goes on; its beginning means nothing."""


class MachineClocks:
    """This machine's."""

    def now_ms(self) -> int:
        """As `Clocks.now_ms`."""
        return now_ms()

    def steady_ms(self) -> int:
        """As `Clocks.steady_ms`. It may stand still while the machine sleeps, as if the other was set."""
        return int(trio.current_time() * 1000)


async def ask_time(stream: DirectStream, clocks: Clocks, nonce: Callable[[], bytes]) -> ClockSample:
    """The quickest of `QUESTIONS_PER_STREAM_MAX` round trips.

    :param nonce: gives `NONCE_BYTES` bytes that the peer cannot guess.
    :raises ProtocolError: what came is not the answer.
    :raises Refusal: the peer refuses, or does not answer in time.
    """
    samples = []
    for _ in range(QUESTIONS_PER_STREAM_MAX):
        question = ClockQuestion(nonce())
        asked_at_ms, began_ms = clocks.now_ms(), clocks.steady_ms()
        await stream.send(question.encode(), timeout_ms=ANSWER_TIMEOUT_MS)
        answer = ClockAnswer.decode(await stream.receive(timeout_ms=ANSWER_TIMEOUT_MS) or b"")
        ended_ms = clocks.steady_ms()
        if answer.nonce != question.nonce:
            raise InvalidMessage("answer is to another question")
        samples.append(ClockSample.of(asked_at_ms, ended_ms - began_ms, answer.time_ms, ended_ms))
    return min(samples, key=lambda sample: sample.round_trip_ms)


@dataclass(slots=True)
class ClockAskerCounts:
    """:ivar asked: peers. :ivar silent: that gave no proper answer. :ivar ownerless: not registered."""

    asked: int = 0
    silent: int = 0
    ownerless: int = 0


@dataclass(frozen=True, slots=True)
class ClockSources:
    """Whom a node may ask, and what the chain says of them.

    :ivar stake_of: of a peer, 0 for one that has none now.
    :ivar owner_of: owner of a node's address, 20 bytes each, or None; may raise `ChainError`.
    :ivar head_ms: time of the chain's newest block, Unix milliseconds; likewise.
    """

    stake_of: Callable[[PeerId], int]
    owner_of: Callable[[bytes], Awaitable[bytes | None]]
    head_ms: Callable[[], Awaitable[int]]


@dataclass(slots=True)
class ClockComparison:
    """One node's look at its own clock. :ivar counts: of the peers that were asked."""

    host: Host
    sources: ClockSources
    clocks: Clocks
    rng: random.Random
    counts: ClockAskerCounts = field(default_factory=ClockAskerCounts)
    _estimate: ClockEstimate = field(default_factory=ClockEstimate)
    _owners: Bounded[bytes, bytes] = field(default_factory=lambda: Bounded(PEERS_MAX))
    _warned: bool = False
    _owners_told: int = 0

    def status(self) -> ClockStatus:
        """Now."""
        return self._estimate.status(self.clocks.now_ms(), self.clocks.steady_ms())

    def reason_not_ready(self) -> str | None:
        """Why this node's messages would be ignored, or it would ignore others'; None if they are heard."""
        return self.status().reason_not_ready()

    async def run(self) -> None:
        """Ask now and then, and at once when our clock was set, until cancelled."""
        asked_at_ms = None
        gap_ms = self._gap_ms()
        while True:
            if abs(self._gap_ms() - gap_ms) > STEP_MS:
                log.info("this machine's clock was set", by_ms=self._gap_ms() - gap_ms)
                self._estimate.forget()
                asked_at_ms = None
            # Followed, so that a clock that is slowly brought round is not one that was set.
            gap_ms = self._gap_ms()
            if asked_at_ms is None or self.clocks.steady_ms() - asked_at_ms >= self._interval_ms():
                asked_at_ms = self.clocks.steady_ms()
                await self.compare()
            await trio.sleep(LOOK_S)

    def _gap_ms(self) -> int:
        return self.clocks.now_ms() - self.clocks.steady_ms()

    def _interval_ms(self) -> int:
        status = self.status()
        if status.enough_owners:
            return RENEW_MS
        return RETRY_MS if status.owners else FIRST_RETRY_MS

    async def compare(self) -> None:
        """Look at the chain's head, and ask a round of peers, all at once."""
        try:
            self._estimate.see_head(await self.sources.head_ms())
        except ChainError as error:
            log.debug("the chain's head is not known", error=str(error))
        async with trio.open_nursery() as nursery:
            for peer in self._choose():
                nursery.start_soon(self._ask, peer)
        self._tell()

    def _choose(self) -> Sequence[PeerId]:
        """Connected peers with stake, in chance's order; each owner that is known once, before its others."""
        staked = [peer for peer in self.host.connected_peers() if self.sources.stake_of(peer) > 0]
        self.rng.shuffle(staked)
        heard: set[bytes] = set()
        first: list[PeerId] = []
        others: list[PeerId] = []
        for peer in staked:
            owner = self._owners.get(address_of_peer(peer))
            (others if owner in heard else first).append(peer)
            if owner is not None:
                heard.add(owner)
        return (first + others)[:ASKED_MAX]

    async def _ask(self, peer: PeerId) -> None:
        self.counts.asked += 1
        try:
            owner = await self._owner_of(address_of_peer(peer))
            if owner is None:
                self.counts.ownerless += 1
                return
            async with self.host.open_direct_stream(
                peer,
                CLOCK_PROTOCOL,
                timeout_ms=ANSWER_TIMEOUT_MS,
                payload_bytes_max=CLOCK_PAYLOAD_BYTES_MAX,
            ) as stream:
                sample = await ask_time(stream, self.clocks, lambda: self.rng.randbytes(NONCE_BYTES))
        except (ProtocolError, Refusal, ChainError) as error:
            self.counts.silent += 1
            log.debug("a peer did not tell its time", peer=str(peer), error=str(error))
            return
        self._estimate.add(owner, sample)

    async def _owner_of(self, address: bytes) -> bytes | None:
        known = self._owners.get(address)
        if known is None:
            known = await self.sources.owner_of(address)
            if known is not None:
                self._owners[address] = known
        return known

    def _tell(self) -> None:
        """Say by how many the clock is measured when that changes; warn once, and say when it is over."""
        status = self.status()
        if status.owners != self._owners_told:
            log.info("clock compared", owners=status.owners, offset_ms=status.offset_ms)
            self._owners_told = status.owners
        if status.is_worth_a_warning and not self._warned:
            log.warning(status.describe(), ready=status.reason_not_ready() is None)
        elif self._warned and not status.is_worth_a_warning:
            log.info("this clock agrees with the network's again", offset_ms=status.offset_ms)
        self._warned = status.is_worth_a_warning
