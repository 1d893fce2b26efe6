"""What stake earns, by the typed client: the stream by stake and time, the commission, the claims."""

from __future__ import annotations

import pytest

from contracts.contract import Contract
from contracts.errors import ContractReverted
from protocol.amounts import WEI_PER_CAI
from tests.contracts.world import MINER_STAKE_WEI, NODE, OTHER_NODE, OTHER_NODE_SECRET

pytestmark = pytest.mark.process

FUNDED_WEI = 90_000 * WEI_PER_CAI
ROUNDING_WEI = 10**9
"""What divisions may leave in the contract: a billionth of a CAI."""


async def period(world):
    return await Contract(world.chain.rpc, world.staking.address, "Staking").read("REWARD_PERIOD")


async def refused(name, call):
    with pytest.raises(ContractReverted) as caught:
        await call
    assert caught.value.name == name


async def test_the_stream_pays_by_stake_and_time(world):
    await world.register()
    await world.register(OTHER_NODE_SECRET, amount_wei=2 * MINER_STAKE_WEI)
    assert (await world.rewards.stream()).wei_per_s == 0
    stream = await world.rewards.fund(world.reporter, FUNDED_WEI)
    assert stream.wei_per_s > 0
    await world.chain.pass_time(stream.end_time_s - await world.chain.time_s() + 1)
    owner = world.owner.address
    one, other = [await world.rewards.claimable(node, owner) for node in (NODE, OTHER_NODE)]
    assert abs(other - 2 * one) <= ROUNDING_WEI
    assert FUNDED_WEI - 3 * ROUNDING_WEI * 10**6 <= one + other <= FUNDED_WEI
    before = await world.token.balance(owner)
    assert await world.rewards.claim(world.owner, NODE) == one
    assert await world.token.balance(owner) == before + one
    await refused("NothingToClaim", world.rewards.claim(world.owner, NODE))


async def risen_commission(world, basis_points):
    """Announce a commission and let its notice pass; the first settlement after that makes it count."""
    await world.rewards.fund(world.reporter, FUNDED_WEI)
    await world.rewards.announce_commission(world.owner, NODE, basis_points)
    rise = await world.rewards.commission(NODE)
    assert (rise.now, rise.next) == (0, basis_points)
    await world.chain.pass_time(rise.next_from_s - await world.chain.time_s() + 1)
    await world.rewards.claim(world.owner, NODE)
    assert (await world.rewards.commission(NODE)).now == basis_points


async def test_voters_share_with_the_owner_less_commission(world):
    await world.register()
    await risen_commission(world, 2_000)
    await world.staking.vote(world.ann, NODE, MINER_STAKE_WEI)
    # Twice as much, since it must not flow slower than before, to the second.
    stream = await world.rewards.fund(world.reporter, 2 * FUNDED_WEI)
    await world.chain.pass_time(stream.end_time_s - await world.chain.time_s() + 1)
    voter = await world.rewards.claimable(NODE, world.ann.address)
    owner = await world.rewards.claimable(NODE, world.owner.address)
    # The owner has half of the stake and a fifth of everything: three fifths, the voter two. Some seconds of
    # the stream were the owner's alone.
    assert abs(2 * owner - 3 * voter) <= WEI_PER_CAI
    assert await world.rewards.claim(world.ann, NODE) == voter


async def test_a_commission_falls_at_once(world):
    await world.register()
    await risen_commission(world, 2_000)
    await world.rewards.announce_commission(world.owner, NODE, 500)
    assert (await world.rewards.commission(NODE)).now == 500


async def test_who_may_not_is_refused(world):
    await world.register()
    await refused("NotOwner", world.rewards.announce_commission(world.ann, NODE, 1))
    await refused("CommissionTooHigh", world.rewards.announce_commission(world.owner, NODE, 10_001))
    await refused("NothingToClaim", world.rewards.claim(world.ann, NODE))


async def test_the_stream_cannot_be_stretched_thin(world):
    await world.register()
    await world.rewards.fund(world.reporter, FUNDED_WEI)
    await world.chain.pass_time(await period(world) // 2)
    await refused("RateOutOfBounds", world.rewards.fund(world.ann, 1))
