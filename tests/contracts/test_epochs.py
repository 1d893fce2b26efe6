from __future__ import annotations

import pytest

from contracts.errors import ContractReverted
from contracts.records import Epoch
from protocol.hashing import keccak256
from tests.contracts.world import EPOCH_BLOCKS, SEED_DELAY_BLOCKS

pytestmark = pytest.mark.process


async def go_to(world, block):
    await world.chain.mine(block - await world.staking.clock())


async def block_hash(world, number):
    return (await world.chain.rpc.web3.eth.get_block(number))["hash"]


async def test_a_seed_is_chained_to_the_hash_of_a_later_block(world):
    assert await world.staking.latest_epoch() is None
    first = await world.staking.current_epoch() + 1
    seed_block = first * EPOCH_BLOCKS + SEED_DELAY_BLOCKS
    await go_to(world, seed_block)
    assert await world.staking.recordable_epoch() is None
    await go_to(world, seed_block + 1)
    assert await world.staking.recordable_epoch() == first

    epoch = await world.staking.record_seed(world.ann, first)
    words = (world.staking.chain_id.to_bytes(32, "big"), bytes(12) + world.staking.address)
    previous = keccak256(b"".join(words))
    expected = keccak256(previous + await block_hash(world, seed_block) + first.to_bytes(32, "big"))
    assert epoch == Epoch(first, expected, first * EPOCH_BLOCKS)
    assert await world.staking.latest_epoch() == epoch
    assert await world.staking.recordable_epoch() is None


async def test_recording_twice_is_harmless(world):
    first = await world.staking.current_epoch() + 1
    await go_to(world, first * EPOCH_BLOCKS + SEED_DELAY_BLOCKS + 1)
    epoch = await world.staking.record_seed(world.ann, first)
    assert await world.staking.record_seed(world.ben, first) == epoch


async def test_a_seed_can_be_missed_but_not_chosen(world):
    first = await world.staking.current_epoch() + 1
    with pytest.raises(ContractReverted) as early:
        await world.staking.record_seed(world.ann, first)
    assert early.value.name == "SeedNotReady"

    await go_to(world, (first + 1) * EPOCH_BLOCKS + SEED_DELAY_BLOCKS + 2)
    with pytest.raises(ContractReverted) as unordered:
        await world.staking.record_seed(world.ann, first + 1)
    assert unordered.value.name == "EarlierSeedPending"
    assert unordered.value.arguments == {"earlierEpoch": first}

    await world.chain.mine(256)
    with pytest.raises(ContractReverted) as late:
        await world.staking.record_seed(world.ann, first)
    assert late.value.name == "SeedMissed"
    number = await world.staking.recordable_epoch()
    assert number is not None
    assert number > first
    assert (await world.staking.record_seed(world.ann, number)).number == number
    assert await world.staking.epoch(first) is None
