"""Events in batches: each once, in order, across restarts, outages and reorganisations of a real chain."""

from __future__ import annotations

import pytest

from contracts.anvil import anvil_process
from contracts.contract import LOG_BLOCKS_MAX, Contract
from contracts.errors import AnswerTooLarge, ChainUnreachable, RpcError
from contracts.events import (
    MARKS_MAX,
    PAGES_BEFORE_LARGER,
    BadCursor,
    Batch,
    BlockMark,
    Cursor,
    EventFeed,
    PageSize,
)
from contracts.records import Role
from protocol.amounts import WEI_PER_CAI
from tests.contracts.world import (
    COORDINATOR_STAKE_WEI,
    NODE,
    OTHER_NODE,
    OTHER_NODE_SECRET,
    deploy_for_tests,
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
    options = {"overlap_blocks": 0} | options
    return EventFeed(world.chain.rpc, contract, names, cursor, **options)


def nodes_of(batch):
    return [event.arguments["node"] for event in (*batch.settled, *batch.recent)]


async def test_each_event_is_read_once_in_order(world):
    feed = feed_of(world)
    assert (await feed.read()).settled == ()
    await world.register()
    await world.register(OTHER_NODE_SECRET, Role.COORDINATOR, COORDINATOR_STAKE_WEI)
    batch = await feed.read()
    assert nodes_of(batch) == [NODE, OTHER_NODE]
    assert [event.arguments["role"] for event in batch.settled] == [Role.MINER, Role.COORDINATOR]
    assert (batch.undone_after, batch.recent, batch.is_caught_up) == (None, (), False)
    assert await feed.read() == Batch(None, (), (), feed.cursor, is_caught_up=True)


async def test_events_of_several_names_come_in_the_order_of_the_chain(world):
    feed = feed_of(world, names=("WeightChanged", "NodeRegistered"))
    await world.register()
    await world.staking.vote(world.ann, NODE, WEI_PER_CAI)
    await world.register(OTHER_NODE_SECRET)
    found = (await feed.read()).settled
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
    later = feed_of(world, cursor=(await feed.read()).cursor)
    await world.register(OTHER_NODE_SECRET)
    assert nodes_of(await later.read()) == [OTHER_NODE]


async def test_the_newest_blocks_are_told_again_until_they_are_settled(world):
    feed = feed_of(world, overlap_blocks=2)
    await world.register()  # stake, registration
    await feed.read()
    for _ in range(2):
        batch = await feed.read()
        assert (batch.settled, batch.is_caught_up) == ((), True)
        assert [event.arguments["node"] for event in batch.recent] == [NODE]
    await world.chain.mine(2)
    batch = await feed.read()
    assert [event.arguments["node"] for event in batch.settled] == [NODE]
    assert (await feed.read()).recent == ()


@pytest.mark.parametrize("overlap_blocks", [0, 128])
@pytest.mark.parametrize("most", [1, 3, 10])
async def test_a_range_that_is_refused_or_too_large_is_halved(world, monkeypatch, most, overlap_blocks):
    """Of settled and of recent blocks, whichever way the RPC says so."""
    real, asked = Contract.events, []

    async def bounded(self, names, first, last):
        asked.append(last - first + 1)
        if asked[-1] > most:
            refusals = (AnswerTooLarge("eth_getLogs", 1), RpcError("eth_getLogs", -32005, "limit", None))
            raise refusals[len(asked) % 2]
        return await real(self, names, first, last)

    feed = feed_of(world, overlap_blocks=overlap_blocks)
    await world.register()
    await world.chain.mine(40)
    monkeypatch.setattr(Contract, "events", bounded)
    found, caught_up = [], False
    while not caught_up:
        batch = await feed.read()
        found += nodes_of(batch)
        caught_up = batch.is_caught_up
    assert found == [NODE]
    assert len([blocks for blocks in asked if blocks > most]) <= 8


async def test_one_block_that_is_refused_is_an_error(world, monkeypatch):
    async def refuse(*_arguments):
        raise RpcError("eth_getLogs", -32000, "no", None)

    monkeypatch.setattr(Contract, "events", refuse)
    feed = feed_of(world)
    before = feed.cursor
    with pytest.raises(RpcError):
        await feed.read()
    assert feed.cursor == before


def test_pages_grow_again_up_to_their_limit():
    page = PageSize()
    page.refused(2_000)
    page.refused(page.blocks)
    assert page.blocks == 500
    for _ in range(PAGES_BEFORE_LARGER):
        page.served()
    assert page.blocks == 1_000
    for _ in range(3 * PAGES_BEFORE_LARGER):
        page.served()
    assert page.blocks == LOG_BLOCKS_MAX
    page.refused(1)
    assert page.blocks == 1


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
    assert [*nodes_of(await feed.read()), *nodes_of(await feed.read())] == [NODE]


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
    assert (batch.undone_after, batch.settled) == (stands, ())
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
    assert (batch.settled, batch.is_caught_up) == ((), False)
    assert feed.cursor == Cursor(young.deployment.deployed_at_block)
    assert nodes_of(await feed.read()) == []
    assert (await feed.read()).is_caught_up


async def test_marks_are_bounded(world):
    feed = feed_of(world)
    for _ in range(MARKS_MAX + 3):
        await world.chain.mine()
        await feed.read()
    assert len(feed.cursor.marks) == MARKS_MAX


def test_blocks_are_counted_from_zero():
    with pytest.raises(ValueError, match="zero"):
        EventFeed(None, None, (), Cursor(0), overlap_blocks=-1)


MARK, LATER = BlockMark(5, bytes(32)), BlockMark(7, bytes(32))


@pytest.mark.parametrize(
    ("first_block", "marks"),
    [
        (-1, ()),
        (6, (MARK,)),
        (3, (LATER, MARK)),
        (3, (MARK, MARK)),
        (3, (BlockMark(5, b"short"),)),
        (3, tuple(BlockMark(at, bytes(32)) for at in range(3, 4 + MARKS_MAX))),
    ],
)
def test_what_is_no_cursor(first_block, marks):
    assert Cursor(3, (MARK, LATER)).next_block == 8
    with pytest.raises(BadCursor):
        Cursor(first_block, marks)
