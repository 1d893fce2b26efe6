"""Comparing clocks between real hosts: who is asked, who counts, and what a wrong answer is worth."""

import random
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from contracts.errors import ChainUnreachable
from node.peer.clock_exchange import (
    CLOCK_PROTOCOL,
    FIRST_RETRY_MS,
    RENEW_MS,
    RETRY_MS,
    STEP_MS,
    STREAMS_PER_PEER_MAX,
    WINDOW_MS,
    ClockComparison,
    ClockServer,
    ClockSources,
    serve_clock,
)
from node.peer.clocks import OWNERS_WANTED, ClockSample
from p2p.identity import address_of_peer
from p2p.stream_errors import RemoteAborted, StreamTimeout
from protocol.clock import QUESTIONS_PER_STREAM_MAX, ClockAnswer, ClockQuestion
from protocol.errors import DecodeError, Refusal
from tests.p2p.nodes import connect, open_hosts

NOW_MS = 1_800_000_000_000
TOLERANCE_MS = 200
"""Round trips on a busy machine."""


class SkewedClocks:
    """Unix time by trio's clock, off by so much."""

    def __init__(self, skew_ms=0):
        self.skew_ms = skew_ms

    def steady_ms(self):
        return int(trio.current_time() * 1000)

    def now_ms(self):
        return NOW_MS + self.steady_ms() + self.skew_ms


class Chain:
    """Peers' stakes and owners. By default all are staked, each by an owner of its own."""

    def __init__(self):
        self.strangers, self.owners = set(), {}
        self.head_time_ms, self.asked, self.fails = 0, 0, False

    def sources(self):
        return ClockSources(
            stake_of=lambda peer: 0 if peer in self.strangers else 1,
            owner_of=self.owner_of,
            head_ms=self.head_ms,
        )

    async def owner_of(self, address):
        await trio.lowlevel.checkpoint()
        self.asked += 1
        if self.fails:
            raise ChainUnreachable("here", "it is not there")
        return self.owners.get(address, address[::-1])

    async def head_ms(self):
        await trio.lowlevel.checkpoint()
        if self.fails:
            raise ChainUnreachable("here", "it is not there")
        return self.head_time_ms


@asynccontextmanager
async def town(*skews_ms, our_skew_ms=0):
    """A comparison on a host, connected to others whose clocks are off by so much."""
    async with open_hosts(1 + len(skews_ms)) as hosts:
        ours, *others = hosts
        for host, skew_ms in zip(others, skews_ms, strict=True):
            serve_clock(host, SkewedClocks(skew_ms).now_ms)
            await connect(ours, host)
        chain = Chain()
        yield (
            ClockComparison(ours, chain.sources(), SkewedClocks(our_skew_ms), random.Random(1)),
            chain,
            others,
        )


async def test_two_hosts_with_the_same_time_agree():
    async with town(0) as (comparison, _, _):
        await comparison.compare()
        status = comparison.status()
        assert (status.owners, status.enough_owners) == (1, False)
        assert abs(status.offset_ms) < TOLERANCE_MS
        assert comparison.reason_not_ready() is None


@pytest.mark.parametrize("skew_ms", [3_000, -3_000])
async def test_a_clock_that_is_off_hears_of_it(skew_ms):
    async with town(*[0] * OWNERS_WANTED, our_skew_ms=skew_ms) as (comparison, _, _):
        await comparison.compare()
        status = comparison.status()
        assert status.enough_owners
        assert abs(status.offset_ms + skew_ms) < TOLERANCE_MS
        what = "fast" if skew_ms > 0 else "slow"
        assert f"ms {what} by the nodes of 5 owners; " in comparison.reason_not_ready()


async def test_attack_strangers_move_no_clock():
    """Four of five connected peers lie by an hour; none of them has stake, so none is asked."""
    async with town(0, *[3_600_000] * 4) as (comparison, chain, others):
        chain.strangers = {host.peer_id for host in others[1:]}
        for _ in range(3):
            await comparison.compare()
        status = comparison.status()
        assert status.owners == 1
        assert abs(status.offset_ms) < TOLERANCE_MS
        assert comparison.counts.asked == 3


async def test_attack_many_nodes_of_one_owner_are_one_voice():
    async with town(0, 0, *[3_600_000] * 3) as (comparison, chain, others):
        chain.owners = {address_of_peer(host.peer_id): b"rich".ljust(20) for host in others[2:]}
        await comparison.compare()
        status = comparison.status()
        assert status.owners == 3
        assert comparison.reason_not_ready() is None
        assert chain.asked == 5
        await comparison.compare()
        assert chain.asked == 5  # an owner is asked for once


async def test_peers_that_do_not_answer_or_are_not_registered_do_not_count():
    async with town(0, 0, 0) as (comparison, chain, others):
        chain.owners = {address_of_peer(others[0].peer_id): None}

        async def lie(stream, peer_id):
            await stream.receive()
            await stream.send(ClockAnswer(bytes(16), NOW_MS).encode())

        others[1].handle_direct_streams(CLOCK_PROTOCOL, lie)
        await comparison.compare()
        assert comparison.status().owners == 1
        counts = comparison.counts
        assert (counts.asked, counts.silent, counts.ownerless) == (3, 1, 1)


async def test_a_chain_that_does_not_answer_ends_nothing():
    async with town(0) as (comparison, chain, _):
        chain.fails = True
        await comparison.compare()
        assert comparison.status().owners == 0
        chain.fails = False
        await comparison.compare()
        assert comparison.status().owners == 1


async def test_the_server_answers_a_few_questions_a_stream_and_some_streams_a_minute():
    async with open_hosts(2) as (ours, other):
        server = serve_clock(other, lambda: NOW_MS)
        await connect(ours, other)
        question = ClockQuestion(bytes(16))
        async with ours.open_direct_stream(other.peer_id, CLOCK_PROTOCOL) as stream:
            for _ in range(QUESTIONS_PER_STREAM_MAX):
                await stream.send(question.encode())
                assert ClockAnswer.decode(await stream.receive()) == ClockAnswer(bytes(16), NOW_MS)
            assert await stream.receive() is None
        for _ in range(STREAMS_PER_PEER_MAX - 1):
            async with ours.open_direct_stream(other.peer_id, CLOCK_PROTOCOL):
                pass
        with pytest.raises(RemoteAborted, match="too often"):
            async with ours.open_direct_stream(other.peer_id, CLOCK_PROTOCOL) as stream:
                await stream.receive()
        assert (server.counts.answered, server.counts.too_often) == (QUESTIONS_PER_STREAM_MAX, 1)


class Stream:
    """A stream that says one thing."""

    def __init__(self, payload):
        self.payload, self.sent = payload, []

    async def receive(self, *, timeout_ms):
        await trio.lowlevel.checkpoint()
        if self.payload is None:
            raise StreamTimeout(timeout_ms)
        return self.payload

    async def send(self, payload, *, timeout_ms):
        await trio.lowlevel.checkpoint()
        self.sent.append(payload)


async def test_the_server_counts_anew_in_the_next_window_and_refuses_what_is_no_question():
    now = [NOW_MS]
    server = ClockServer(lambda: now[0])
    for _ in range(STREAMS_PER_PEER_MAX):
        with pytest.raises(DecodeError):
            await server.handle(Stream(b"no question"), "peer")
    with pytest.raises(Refusal, match="you ask too often"):
        await server.handle(Stream(b""), "peer")
    now[0] += WINDOW_MS
    with pytest.raises(StreamTimeout):
        await server.handle(Stream(None), "peer")


class NoHost:
    def connected_peers(self):
        return ()


class Rounds(ClockComparison):
    """Counts rounds instead of asking anybody; `answers` owners are heard in each."""

    __slots__ = ("answers", "rounds")

    async def compare(self):
        self.rounds.append(self.clocks.steady_ms())
        await trio.lowlevel.checkpoint()
        for number in range(self.answers):
            self.hear(number)

    def hear(self, number):
        self._estimate.add(bytes([number]) * 20, ClockSample(0, 0, self.clocks.steady_ms()))


@asynccontextmanager
async def running(answers):
    comparison = Rounds(NoHost(), Chain().sources(), SkewedClocks(), random.Random(1))
    comparison.answers, comparison.rounds = answers, []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(comparison.run)
        yield comparison
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("answers", "interval_ms"), [(0, FIRST_RETRY_MS), (1, RETRY_MS), (OWNERS_WANTED, RENEW_MS)]
)
async def test_rounds_come_the_sooner_the_fewer_have_answered(autojump_clock, answers, interval_ms):
    async with running(answers) as comparison:
        await trio.sleep(interval_ms / 1000 * 2.5)
        between = {
            later - earlier for earlier, later in zip(comparison.rounds, comparison.rounds[1:], strict=False)
        }
        assert between == {interval_ms}


async def test_when_our_clock_is_set_old_answers_go_and_peers_are_asked_at_once(autojump_clock):
    async with running(OWNERS_WANTED) as comparison:
        await trio.sleep(5.5)
        assert len(comparison.rounds) == 1
        comparison.clocks.skew_ms += STEP_MS
        await trio.sleep(2)
        assert len(comparison.rounds) == 1  # brought round slowly, not set
        comparison.clocks.skew_ms -= 10 * STEP_MS
        comparison.answers = 0
        await trio.sleep(1.1)
        assert len(comparison.rounds) == 2
        assert comparison.status().owners == 0
