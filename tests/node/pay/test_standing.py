"""Whom a miner gives credit, and when it redeems: the two decisions, each line of them."""

import dataclasses

import pytest
import trio

from contracts.errors import ChainUnreachable
from contracts.records import Deposit, NodeInfo, Role
from node.pay.standing import Exposure, Standing, Standings, why_no_credit, why_redeem
from tests.node.pay.builders import COORDINATOR, MINER, UNREACHABLE, FakeEscrow, account

NODE = NodeInfo(
    owner=bytes(20),
    role=Role.COORDINATOR,
    active=True,
    left=False,
    jailed_until_s=0,
    leaf=0,
    own_stake_wei=1_000,
    total_stake_wei=1_000,
    unbonding_stake_wei=0,
)
PRICE, LIMIT = 10, 100


def standing(balance=1_000, leaving=0, promised=0, paid=0, node=NODE):
    deposit = Deposit(balance_wei=balance, leaving_wei=leaving, withdrawable_from_s=0, withdrawable_until_s=0)
    return Standing(deposit, account(promised, paid), node, 0.0)


def exposure(promised=0, committed=PRICE, unpaid=0):
    return Exposure(promised, committed, unpaid)


@pytest.mark.parametrize(
    ("chain", "at_stake", "reason"),
    [
        (standing(), exposure(), None),
        (standing(balance=10), exposure(), None),
        (standing(balance=9), exposure(), "does not cover"),
        (standing(balance=0), exposure(), "does not cover"),
        (standing(balance=100, leaving=95), exposure(), "does not cover"),
        (standing(balance=49), exposure(promised=40), "does not cover"),
        (standing(balance=49, promised=40, paid=1), exposure(promised=40), None),
        (standing(balance=49), exposure(committed=50), "does not cover"),
        (standing(), exposure(promised=90), None),
        (standing(), exposure(promised=91), "used up"),
        (standing(promised=91, paid=1), exposure(promised=91), None),
        (standing(), exposure(promised=5, unpaid=15), None),
        (standing(), exposure(promised=5, unpaid=16), "more unpaid"),
    ],
)
def test_credit(chain, at_stake, reason):
    found = why_no_credit(chain, at_stake, PRICE, LIMIT)
    assert found is None if reason is None else reason in found


def test_one_task_may_cost_more_than_the_credit_when_nothing_else_is_at_risk():
    assert why_no_credit(standing(), exposure(committed=500), 500, LIMIT) is None
    assert why_no_credit(standing(), exposure(promised=1, committed=500), 500, LIMIT) is not None


INACTIVE = dataclasses.replace(NODE, active=False)
LESS_STAKE = dataclasses.replace(NODE, own_stake_wei=999)


@pytest.mark.parametrize(
    ("chain", "promised", "reason"),
    [
        (standing(), 0, None),
        (standing(), 49, None),
        (standing(), 50, "half"),
        (standing(promised=40, paid=40), 49, None),
        (standing(promised=50, paid=50, leaving=1), 50, None),
        (standing(leaving=1), 1, "withdrawal"),
        (standing(node=None), 1, "no part"),
        (standing(node=INACTIVE), 1, "no part"),
        (standing(node=LESS_STAKE), 1, "stake"),
        (standing(balance=19), 10, "comes near"),
        (standing(balance=20), 10, None),
        (standing(balance=0), 10, "comes near"),
        (standing(balance=0, promised=10, paid=3), 10, None),
        (standing(balance=1, promised=10, paid=3), 10, "comes near"),
    ],
)
def test_redeeming(chain, promised, reason):
    found = why_redeem(chain, exposure(promised=promised, committed=0), LIMIT, NODE.own_stake_wei)
    assert found is None if reason is None else reason in found


def test_at_first_no_stake_is_less_than_before():
    assert why_redeem(standing(node=LESS_STAKE), exposure(promised=1), LIMIT, None) is None


class FakeStaking:
    async def node_info(self, node):
        return NODE


async def test_the_chain_is_asked_again_when_the_answer_is_old(autojump_clock):
    escrow = FakeEscrow(5)
    standings = Standings(escrow, FakeStaking(), MINER.address)
    assert standings.known(COORDINATOR.address) is None
    assert (await standings.of(COORDINATOR.address, 10)).covers_wei == 5
    escrow.balance_wei = 7
    assert (await standings.of(COORDINATOR.address, 10)).covers_wei == 5
    await trio.sleep(11)
    assert (await standings.of(COORDINATOR.address, 10)).covers_wei == 7
    escrow.failure = UNREACHABLE
    with pytest.raises(ChainUnreachable):
        await standings.of(COORDINATOR.address, 0)
    assert standings.known(COORDINATOR.address).covers_wei == 7


async def test_what_was_announced_to_leave_beyond_the_balance_covers_nothing():
    assert standing(balance=5, leaving=9).covers_wei == 0
