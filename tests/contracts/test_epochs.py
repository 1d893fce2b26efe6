from __future__ import annotations

import pytest

from contracts.errors import ContractReverted
from contracts.records import Epoch
from protocol.amounts import WEI_PER_CAI
from protocol.hashing import keccak256
from tests.contracts.world import (
    EPOCH_BLOCKS,
    MINER_STAKE_WEI,
    NODE,
    OTHER_NODE,
    OTHER_NODE_SECRET,
    SEED_DELAY_BLOCKS,
)

pytestmark = pytest.mark.process


async def go_to(world, block):
    await world.chain.mine(block - await world.epochs.clock())


async def block_hash(world, number):
    return (await world.chain.rpc.web3.eth.get_block(number))["hash"]


async def test_a_seed_is_chained_to_the_hash_of_a_later_block(world):
    assert await world.epochs.settled_epoch(0) is None
    first = await world.epochs.current_epoch() + 1
    seed_block = first * EPOCH_BLOCKS + SEED_DELAY_BLOCKS
    await go_to(world, seed_block)
    assert await world.epochs.recordable_epoch() is None
    await go_to(world, seed_block + 1)
    assert await world.epochs.recordable_epoch() == first

    epoch = await world.epochs.record_seed(world.ann, first)
    words = (world.staking.chain_id.to_bytes(32, "big"), bytes(12) + world.deployment.epoch_seeds)
    previous = keccak256(b"".join(words))
    expected = keccak256(previous + await block_hash(world, seed_block) + first.to_bytes(32, "big"))
    assert epoch == Epoch(first, expected, first * EPOCH_BLOCKS)
    assert await world.epochs.settled_epoch(0) == epoch
    assert await world.epochs.recordable_epoch() is None


async def test_a_seed_is_given_when_its_block_is_deep_enough(world):
    first = await world.epochs.current_epoch() + 1
    epochs = []
    for number in (first, first + 1):
        await go_to(world, number * EPOCH_BLOCKS + SEED_DELAY_BLOCKS + 1)
        epochs.append(await world.epochs.record_seed(world.ann, number))
    earlier, newest = epochs
    seed_block = (first + 1) * EPOCH_BLOCKS + SEED_DELAY_BLOCKS
    depth = await world.epochs.clock() - seed_block
    assert await world.epochs.settled_epoch(depth) == newest
    assert await world.epochs.settled_epoch(depth + 1) == earlier
    assert await world.epochs.settled_epoch(depth + EPOCH_BLOCKS + 1) is None
    await world.chain.mine()
    assert await world.epochs.settled_epoch(depth + 1) == newest


async def test_recording_twice_is_harmless(world):
    first = await world.epochs.current_epoch() + 1
    await go_to(world, first * EPOCH_BLOCKS + SEED_DELAY_BLOCKS + 1)
    epoch = await world.epochs.record_seed(world.ann, first)
    assert await world.epochs.record_seed(world.ben, first) == epoch


async def test_a_seed_can_be_missed_but_not_chosen(world):
    first = await world.epochs.current_epoch() + 1
    with pytest.raises(ContractReverted) as early:
        await world.epochs.record_seed(world.ann, first)
    assert early.value.name == "SeedNotReady"

    await go_to(world, (first + 1) * EPOCH_BLOCKS + SEED_DELAY_BLOCKS + 2)
    with pytest.raises(ContractReverted) as unordered:
        await world.epochs.record_seed(world.ann, first + 1)
    assert unordered.value.name == "EarlierSeedPending"
    assert unordered.value.arguments == {"earlierEpoch": first}

    await world.chain.mine(256)
    with pytest.raises(ContractReverted) as late:
        await world.epochs.record_seed(world.ann, first)
    assert late.value.name == "SeedMissed"
    number = await world.epochs.recordable_epoch()
    assert number is not None
    assert number > first
    assert (await world.epochs.record_seed(world.ann, number)).number == number
    assert await world.epochs.epoch(first) is None


MICRO_CAI_WEI = WEI_PER_CAI // 10**6


async def next_epoch(world):
    """Go to the first block of the next epoch; returns its number."""
    number = await world.epochs.current_epoch() + 1
    await go_to(world, number * EPOCH_BLOCKS)
    return number


async def test_weights_are_those_at_the_epochs_start_and_do_not_change(world):
    await world.register()
    assert await world.epochs.weight(NODE) == MINER_STAKE_WEI // MICRO_CAI_WEI
    registered_in = await world.epochs.current_epoch()
    assert await world.epochs.weights_at([NODE, OTHER_NODE], registered_in) == [0, 0]
    first = await next_epoch(world)
    before = await world.epochs.weights_at([OTHER_NODE, NODE], first)
    assert before == [0, MINER_STAKE_WEI // MICRO_CAI_WEI]
    await world.staking.vote(world.ann, NODE, 77 * WEI_PER_CAI)
    await world.register(OTHER_NODE_SECRET)
    second = await next_epoch(world)
    assert await world.epochs.weights_at([OTHER_NODE, NODE], first) == before
    assert await world.epochs.weights_at([NODE], second) == [before[1] + 77 * 10**6]


async def test_weights_of_long_ago_are_refused_and_not_made_up(world):
    await world.register()
    first = await next_epoch(world)
    for _ in range(7):
        await world.staking.vote(world.ann, NODE, WEI_PER_CAI)
        newest = await next_epoch(world)
    assert await world.epochs.weights_at([NODE], newest - 5) == [
        (MINER_STAKE_WEI + 2 * WEI_PER_CAI) // MICRO_CAI_WEI
    ]
    with pytest.raises(ContractReverted) as caught:
        await world.epochs.weights_at([NODE], first)
    assert caught.value.name == "WeightForgotten"
    assert caught.value.arguments == {"node": NODE, "epoch": first}


async def test_there_are_no_weights_of_the_future(world):
    with pytest.raises(ContractReverted) as caught:
        await world.epochs.weights_at([NODE], await world.epochs.current_epoch() + 1)
    assert caught.value.name == "EpochNotStarted"


async def test_weights_are_read_in_pages(world, monkeypatch):
    monkeypatch.setattr("contracts.epochs.PAGE_NODES", 2)
    nodes = [await world.register(bytes([number]) * 32) for number in range(1, 6)]
    epoch = await next_epoch(world)
    assert await world.epochs.weights_at(nodes, epoch) == [MINER_STAKE_WEI // MICRO_CAI_WEI] * 5
    assert await world.epochs.weights_at([], epoch) == []
