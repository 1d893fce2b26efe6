"""Wrong rankings that are held back: confirmed by the chain, withdrawn, asked for again, bounded."""

import pytest
import structlog.testing
import trio

from contracts.errors import ChainUnreachable, ContractReverted
from node.peer import doubted_rankings
from node.peer.doubted_rankings import DOUBT_S, DoubtedRankings
from tests.node.peer.test_evidence_desk import found
from tests.protocol import builders
from tests.protocol.builders import EPOCH


class Chain:
    """Its word on seeds."""

    def __init__(self):
        self.seed = EPOCH.seed
        self.failure = None
        self.asked = []

    async def seed_of(self, number):
        await trio.lowlevel.checkpoint()
        self.asked.append(number)
        if self.failure is not None:
            raise self.failure
        return self.seed


@pytest.fixture
def chain():
    return Chain()


@pytest.fixture
def confirmed():
    return []


@pytest.fixture
def doubted(chain, confirmed):
    return DoubtedRankings(chain.seed_of, confirmed.append)


RANKING = builders.wrong_ranking()


async def test_a_ranking_stands_when_the_chain_says_the_same_later(
    doubted, chain, confirmed, nursery, autojump_clock
):
    nursery.start_soon(doubted.run)
    item = found(RANKING)
    assert doubted.put(item, RANKING)
    assert doubted.put(found(RANKING), RANKING)
    await trio.sleep(DOUBT_S - 1)
    assert (chain.asked, confirmed, len(doubted)) == ([], [], 1)
    await trio.sleep(2)
    assert (chain.asked, confirmed, len(doubted)) == ([7], [item], 0)
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("seed", [b"\x01" * 32, None])
async def test_a_ranking_is_withdrawn_when_the_chain_was_reorganised(
    doubted, chain, confirmed, nursery, autojump_clock, seed
):
    nursery.start_soon(doubted.run)
    chain.seed = seed
    doubted.put(found(RANKING), RANKING)
    with structlog.testing.capture_logs() as told:
        await trio.sleep(DOUBT_S + 1)
    assert (confirmed, len(doubted)) == ([], 0)
    assert told == [
        {"event": "not a wrong ranking: the chain was reorganised", "epoch": 7, "log_level": "info"}
    ]
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "failure", [ChainUnreachable("127.0.0.1:1", "gone"), ContractReverted("unknown", {}, b"")]
)
async def test_attack_an_endpoint_that_fails_every_read_is_asked_again(
    doubted, chain, confirmed, nursery, autojump_clock, failure
):
    nursery.start_soon(doubted.run)
    chain.failure = failure
    doubted.put(found(RANKING), RANKING)
    await trio.sleep(DOUBT_S + 25)
    assert (chain.asked, len(doubted)) == ([7, 7, 7], 1)
    chain.failure = None
    await trio.sleep(10)
    assert len(confirmed) == 1
    nursery.cancel_scope.cancel()


async def test_what_waits_is_bounded(doubted, monkeypatch):
    monkeypatch.setattr(doubted_rankings, "DOUBTED_MAX", 0)
    assert not doubted.put(found(RANKING), RANKING)
    assert (len(doubted), doubted.dropped) == (0, 1)


async def test_a_node_that_stops_says_what_it_leaves(doubted):
    with structlog.testing.capture_logs() as told:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(doubted.run)
            doubted.put(found(RANKING), RANKING)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert [entry["pieces"] for entry in told] == [1]
