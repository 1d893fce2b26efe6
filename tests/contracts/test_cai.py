from __future__ import annotations

import pytest

from contracts.cai import TokenClient
from contracts.contract import creation_data
from contracts.errors import ContractReverted
from protocol.amounts import WEI_PER_CAI

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


async def test_coins_become_tokens_and_coins_again(world):
    data = creation_data(world.chain.rpc, "WrappedCAI", ())
    token = TokenClient(world.chain.rpc, (await world.ann.send(None, data)).contract_address)
    await token.wrap(world.ann, 7)
    assert (await token.balance(world.ann.address), await token.total_supply()) == (7, 7)
    before = await world.chain.rpc.balance(token.address)
    await token.unwrap(world.ann, 3)
    assert await world.chain.rpc.balance(token.address) == before - 3
    with pytest.raises(ContractReverted) as caught:
        await token.unwrap(world.ann, 5)
    assert caught.value.name == "ERC20InsufficientBalance"


async def test_a_token_that_wraps_nothing_says_so(world):
    with pytest.raises(ContractReverted) as caught:
        await world.token.wrap(world.ann, 1)
    assert caught.value.name == "unknown"
