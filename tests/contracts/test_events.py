"""Events in batches: each once, in order, across restarts, outages and reorganisations of a real chain."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import events
from contracts.anvil import anvil_process
from contracts.contract import Contract
from contracts.errors import ChainUnreachable
from contracts.events import MARKS_MAX, BadCursor, BlockMark, Cursor, EventFeed
from contracts.records import WEI_PER_CAI, Role
from tests.contracts.world import (
    COORDINATOR_STAKE_WEI,
    NODE,
    OTHER_NODE,
    OTHER_NODE_SECRET,
    deploy_for_tests,
    lawful,
    visit,
)

pytestmark = pytest.mark.process


@pytest.fixture
async def young():
    """A world on a chain of its own: a reorganisation reaches behind what a shared one could take back."""
    with anvil_process() as process:
        async with visit(process, await deploy_for_tests(process), put_back=False) as found:
            yield found


def feed_of(world, *, cursor=None, names=("NodeRegistered",), **options):
    contract = Contract(world.chain.rpc, world.staking.address, "Staking")
    cursor = cursor or Cursor(world.deployment.deployed_at_block)
    return EventFeed(world.chain.rpc, contract, names, cursor, **options)


def nodes_of(batch):
    return [event.arguments["node"] for event in batch.events]


async def test_each_event_is_read_once_in_order(world):
    feed = feed_of(world)
    assert (await feed.read()).events == ()
    await world.register()
    await world.register(OTHER_NODE_SECRET, Role.COORDINATOR, COORDINATOR_STAKE_WEI)
    batch = await feed.read()
    assert nodes_of(batch) == [NODE, OTHER_NODE]
    assert [event.arguments["role"] for event in batch.events] == [Role.MINER, Role.COORDINATOR]
    assert (batch.undone_after, batch.is_caught_up) == (None, True)
    assert (await feed.read()).events == ()


async def test_events_of_several_names_come_in_the_order_of_the_chain(world):
    feed = feed_of(world, names=("WeightChanged", "NodeRegistered"))
    await world.register()
    await world.staking.vote(world.ann, NODE, WEI_PER_CAI)
    await world.register(OTHER_NODE_SECRET)
    found = (await feed.read()).events
    assert [event.arguments["node"] for event in found if event.name == "NodeRegistered"] == [
        NODE,
        OTHER_NODE,
    ]
    places = [(event.block_number, event.log_index) for event in found]
    assert places == sorted(places)
    assert {event.name for event in found} == {"NodeRegistered", "WeightChanged"}


async def test_a_cursor_goes_on_where_it_was(world):
    feed = feed_of(world)
    await world.register()
    kept = json.dumps((await feed.read()).cursor.to_document())
    later = feed_of(world, cursor=Cursor.from_document(json.loads(kept)))
    await world.register(OTHER_NODE_SECRET)
    assert nodes_of(await later.read()) == [OTHER_NODE]


async def test_confirmations_hold_an_event_back(world):
    feed = feed_of(world, confirmations=2)
    await world.register()
    assert nodes_of(await feed.read()) == []
    await world.chain.mine(2)
    assert nodes_of(await feed.read()) == [NODE]


async def test_a_long_past_is_read_in_pieces(world, monkeypatch):
    monkeypatch.setattr(events, "LOG_BLOCKS_MAX", 3)
    feed = feed_of(world)
    await world.register()
    await world.chain.mine(7)
    found = []
    while True:
        batch = await feed.read()
        found += nodes_of(batch)
        if batch.is_caught_up:
            break
    assert found == [NODE]


async def test_an_outage_does_not_move_the_cursor(world, monkeypatch):
    feed = feed_of(world)
    before = feed.cursor
    await world.register()

    async def fail(*_arguments):
        raise ChainUnreachable("here", "test")

    with monkeypatch.context() as patch:
        patch.setattr(Contract, "events", fail)
        with pytest.raises(ChainUnreachable):
            await feed.read()
    assert feed.cursor == before
    assert nodes_of(await feed.read()) == [NODE]


async def test_a_reorganisation_takes_events_back(young):
    feed = feed_of(young)
    await young.chain.mine(2)
    await feed.read()
    stands = feed.cursor.next_block - 1
    await young.register()
    assert nodes_of(await feed.read()) == [NODE]
    gone = await young.chain.rpc.block_number() - stands
    await young.chain.rpc.request("anvil_reorg", gone, [])
    batch = await feed.read()
    assert (batch.undone_after, batch.events) == (stands, ())
    assert (await feed.read()).undone_after is None


async def test_a_reorganisation_while_nobody_looked_is_found_by_the_kept_cursor(young):
    """Both ways at once: what was read is undone, and what the new blocks hold is read."""
    feed = feed_of(young)
    await feed.read()
    await young.register()
    kept = (await feed.read()).cursor
    await young.chain.rpc.request("anvil_reorg", 1, [])
    await young.chain.mine(3)
    batch = await feed_of(young, cursor=kept).read()
    assert batch.undone_after == kept.marks[-2].number
    assert batch.cursor.next_block == await young.chain.rpc.block_number() + 1


async def test_a_reorganisation_behind_all_marks_is_read_from_the_start(young):
    await young.register()
    feed = feed_of(young)
    await feed.read()
    forged = Cursor(feed.cursor.first_block, (BlockMark(feed.cursor.next_block - 1, bytes(32)),))
    batch = await feed_of(young, cursor=forged).read()
    assert batch.undone_after == forged.first_block - 1
    assert nodes_of(batch) == [NODE]


async def test_a_reorganisation_between_two_questions_reads_nothing(young, monkeypatch):
    """The events are of one chain and the mark of another: then neither is taken."""
    await young.register()
    feed = feed_of(young)
    real = Contract.events

    async def reorganised(self, *arguments):
        found = await real(self, *arguments)
        await young.chain.rpc.request("anvil_reorg", 1, [])
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Contract, "events", reorganised)
        batch = await feed.read()
    assert (batch.events, batch.is_caught_up) == ((), False)
    assert (await feed.read()).is_caught_up


async def test_marks_are_bounded(world):
    feed = feed_of(world)
    for _ in range(MARKS_MAX + 3):
        await world.chain.mine()
        await feed.read()
    assert len(feed.cursor.marks) == MARKS_MAX


def test_confirmations_are_counted_from_zero():
    with pytest.raises(ValueError, match="zero"):
        EventFeed(None, None, (), Cursor(0), confirmations=-1)


hashes = st.binary(min_size=32, max_size=32)


@lawful
@given(st.integers(0, 2**64), st.lists(st.tuples(st.integers(1, 1_000), hashes), max_size=MARKS_MAX))
def test_a_cursor_goes_round(first_block, steps):
    number, marks = first_block - 1, []
    for step, digest in steps:
        number += step
        marks.append(BlockMark(number, digest))
    cursor = Cursor(first_block, tuple(marks))
    assert Cursor.from_document(json.loads(json.dumps(cursor.to_document()))) == cursor


GOOD = {"first_block": 3, "marks": [[5, "00" * 32], [7, "11" * 32]]}


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        GOOD | {"first_block": -1},
        GOOD | {"first_block": "3"},
        GOOD | {"first_block": 6},
        GOOD | {"marks": GOOD["marks"][::-1]},
        GOOD | {"marks": [[5, "00"]]},
        GOOD | {"marks": [[5]]},
        GOOD | {"marks": [[at, "00" * 32] for at in range(3, 4 + MARKS_MAX)]},
    ],
)
def test_what_is_no_cursor(document):
    assert Cursor.from_document(GOOD).next_block == 8
    with pytest.raises(BadCursor):
        Cursor.from_document(document)
