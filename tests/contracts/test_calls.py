"""What a wallet is given to sign does what the typed clients do."""

import pytest

from contracts.contract import BadArguments
from contracts.terms import Terms, read_terms
from protocol.amounts import WEI_PER_CAI
from tests.contracts.world import MINER_STAKE_WEI, NODE, NODE_SECRET, UNBONDING_DELAY_S

pytestmark = pytest.mark.process
TEN = 10 * WEI_PER_CAI


async def send(sender, call):
    return await sender.send(call.to, call.data)


async def test_a_whole_life_of_stake_from_calls_alone(world):
    calls = world.clients.calls
    consent = await world.consent()
    before_wei = await world.token.balance(world.ann.address)
    await send(world.owner, calls.approve(MINER_STAKE_WEI))
    assert await world.token.allowance(world.owner.address, calls.staking) == MINER_STAKE_WEI
    await send(world.owner, calls.stake(NODE, MINER_STAKE_WEI))
    await send(world.owner, calls.register(consent, world.sign(NODE_SECRET, consent), "नोड"))
    assert (await world.staking.node_info(NODE)).active
    assert await world.clients.metadata.read(NODE) == "नोड"
    await send(world.owner, calls.set_metadata(NODE, "मेरा"))
    assert await world.clients.metadata.read(NODE) == "मेरा"
    await send(world.owner, calls.announce_commission(NODE, 1_250))
    assert (await world.rewards.commission(NODE)).next == 1_250
    await send(world.ann, calls.vote(NODE, TEN))
    assert await world.staking.stake_of(NODE, world.ann.address) == TEN
    await world.rewards.fund(world.reporter, 1_000 * WEI_PER_CAI)
    await world.chain.pass_time(60)
    await send(world.ann, calls.claim(NODE))
    await send(world.ann, calls.unvote(NODE, await world.staking.shares(NODE, world.ann.address)))
    await world.chain.pass_time(UNBONDING_DELAY_S + 1)
    await send(world.ann, calls.withdraw(NODE, 1))
    assert await world.token.balance(world.ann.address) > before_wei


async def test_the_faucet(world):
    before_wei = await world.token.balance(world.ben.address)
    await send(world.ben, world.clients.calls.faucet(TEN))
    assert await world.token.balance(world.ben.address) == before_wei + TEN


async def test_arguments_that_do_not_fit_are_a_bug_of_the_caller(world):
    with pytest.raises(BadArguments, match="approve: "):
        world.clients.calls.approve(-1)


async def test_terms(world):
    assert await read_terms(world.chain.rpc, world.deployment) == Terms(
        unbonding_delay_s=UNBONDING_DELAY_S,
        open_requests_max=32,
        commission_notice_s=7 * 86_400,
        faucet_limit_wei=3_000_000 * WEI_PER_CAI,
    )


async def test_a_token_without_a_faucet_has_none(world, monkeypatch):
    async def plain(_rpc, _address):
        return b"\x60\x80"

    monkeypatch.setattr(type(world.chain.rpc), "code", plain)
    terms = await read_terms(world.chain.rpc, world.deployment)
    assert terms.faucet_limit_wei is None
