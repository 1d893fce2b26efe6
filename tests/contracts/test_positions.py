"""Who has stake where, from events: it follows the chain, also backwards, and has a bound."""

import pytest

from contracts import positions as module
from contracts.anvil import anvil_process
from contracts.positions import Positions
from protocol.amounts import WEI_PER_CAI
from tests.contracts.world import NODE, UNBONDING_DELAY_S, deploy_for_tests, visit

pytestmark = pytest.mark.process
TEN = 10 * WEI_PER_CAI


def positions_of(world, **named):
    return Positions(world.chain.rpc, world.deployment, **named)


async def caught_up(positions):
    positions.is_caught_up = False
    while not positions.is_caught_up:
        await positions.advance()
    return positions


@pytest.mark.parametrize("overlap_blocks", [0, 128])
async def test_a_position_from_its_first_stake_to_its_last_withdrawal(world, overlap_blocks):
    positions, ann = positions_of(world, overlap_blocks=overlap_blocks), world.ann.address
    await world.register()
    assert (await caught_up(positions)).of(ann) == {}
    assert positions.of(world.owner.address) == {NODE: frozenset()}
    await world.staking.vote(world.ann, NODE, TEN)
    assert (await caught_up(positions)).of(ann) == {NODE: frozenset()}
    shares = await world.staking.shares(NODE, ann)
    await world.staking.unvote(world.ann, NODE, shares // 2)
    await world.staking.unvote(world.ann, NODE, shares // 2)
    assert (await caught_up(positions)).of(ann) == {NODE: frozenset({1, 2})}
    await world.chain.pass_time(UNBONDING_DELAY_S + 1)
    await world.staking.withdraw(world.ann, NODE, 1)
    assert (await caught_up(positions)).of(ann) == {NODE: frozenset({2})}
    await world.chain.mine(200)
    assert (await caught_up(positions)).of(ann) == {NODE: frozenset({2})}


async def test_a_chain_that_goes_back_behind_what_was_settled_is_read_anew(tmp_path):
    with anvil_process() as process:
        deployment = await deploy_for_tests(process)
        async with visit(process, deployment, put_back=False) as world:
            positions = positions_of(world, overlap_blocks=0)
            await world.register()
            snapshot = await world.chain.snapshot()
            await world.staking.vote(world.ann, NODE, TEN)
            await caught_up(positions)
            assert positions.of(world.ann.address) == {NODE: frozenset()}
            await world.chain.revert(snapshot)
            await world.chain.mine(3)
            await caught_up(positions)
            assert positions.of(world.ann.address) == {}
            assert positions.of(world.owner.address) == {NODE: frozenset()}


async def test_a_flood_of_pairs_is_passed_over_and_counted(world, monkeypatch):
    monkeypatch.setattr(module, "PAIRS_MAX", 1)
    positions = positions_of(world, overlap_blocks=0)
    await world.register()
    await world.staking.vote(world.ann, NODE, TEN)
    await caught_up(positions)
    assert (positions.pairs, positions.passed_over) == (1, 1)
    assert positions.of(world.owner.address) == {NODE: frozenset()}
    assert positions.of(world.ann.address) == {}
