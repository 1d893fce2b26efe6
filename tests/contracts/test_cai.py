from __future__ import annotations

import pytest

from contracts.errors import ContractReverted
from contracts.records import WEI_PER_CAI

pytestmark = pytest.mark.process


async def test_transfers_and_allowances(world):
    before = await world.token.balance(world.ben.address)
    await world.token.transfer(world.ann, world.ben.address, 5)
    assert await world.token.balance(world.ben.address) == before + 5
    await world.token.approve(world.ann, world.ben.address, 7)
    assert await world.token.allowance(world.ann.address, world.ben.address) == 7


async def test_nobody_sends_what_they_do_not_have(world):
    with pytest.raises(ContractReverted) as caught:
        await world.token.transfer(world.ann, world.ben.address, 10**30)
    assert caught.value.name == "ERC20InsufficientBalance"
    assert caught.value.arguments["sender"] == world.ann.address


async def test_the_faucet_has_a_limit_and_a_cool_down(world):
    before = await world.token.balance(world.ann.address)
    limit = 3_000_000 * WEI_PER_CAI
    with pytest.raises(ContractReverted) as caught:
        await world.token.faucet(world.ann, limit + 1)
    assert caught.value.name == "FaucetLimitExceeded"
    await world.token.faucet(world.ann, limit)
    assert await world.token.balance(world.ann.address) == before + limit
    with pytest.raises(ContractReverted) as caught:
        await world.token.faucet(world.ann, 1)
    assert caught.value.name == "FaucetCoolingDown"
    await world.chain.pass_time(3600)
    await world.token.faucet(world.ann, 1)
