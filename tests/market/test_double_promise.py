"""One deposit promised to many miners: no contract can see it, and each loses no more than its credit."""

import pytest
import trio

from contracts.records import Role, Voucher
from contracts.transactions import Sender
from node.pay.earnings import open_earnings
from node.pay.meter import TaskAccount
from node.pay.payee import CreditTerms, Payee
from node.pay.vouchers import EscrowDomain
from node.signing.keys import Key
from protocol.hashing import keccak256
from protocol.pay import SignedVoucher
from tests.contracts.conftest import chain_process, deployment, world
from tests.contracts.world import COORDINATOR_STAKE_WEI, OTHER_NODE, OTHER_NODE_SECRET
from tests.node.pay.builders import PRICE_WEI
from tests.node.pay.test_payee import task

pytestmark = pytest.mark.process
__all__ = ["chain_process", "deployment", "world"]

COORDINATOR = Key.of(OTHER_NODE_SECRET)
MINERS = tuple(Key.of(keccak256(b"miner %d" % number)) for number in range(4))
CREDIT_TASKS, DEPOSIT_TASKS = 6, 10
ROUNDS = 8


class Victim:
    """A miner with its own file, credit and account for gas."""

    def __init__(self, payee, earnings, world, key):
        self.payee, self.earnings, self.world, self.key = payee, earnings, world, key
        self.worked = self.refused = 0

    @property
    def held(self):
        return self.earnings.account(OTHER_NODE)

    async def work(self, number):
        """One task, if it has credit, paid with a good voucher by somebody who keeps no books."""
        announced = task(number)
        if await self.payee.why_no_credit(announced.message) or self.payee.begin(announced):
            self.refused += 1
            return
        total_wei = self.held.promised_wei + PRICE_WEI
        voucher = Voucher(coordinator=OTHER_NODE, miner=self.key.address, cumulative_amount_wei=total_wei)
        signature = EscrowDomain.of(self.world.deployment).sign(COORDINATOR, voucher)
        self.payee.take(OTHER_NODE, announced.digest, SignedVoucher.of(PRICE_WEI, total_wei, signature))
        self.payee.end(TaskAccount(announced, showed_anything=True, unpaid_wei=0, doubtful=False))
        self.worked += 1

    async def account(self):
        return await self.world.escrow.account(OTHER_NODE, self.key.address)


@pytest.fixture
async def victims(world, tmp_path):
    await world.register(COORDINATOR.secret, Role.COORDINATOR, COORDINATOR_STAKE_WEI)
    await world.escrow.deposit(world.ann, OTHER_NODE, DEPOSIT_TASKS * PRICE_WEI)
    made, files = [], []
    for number, key in enumerate(MINERS):
        await world.register(key.secret)
        file = open_earnings(tmp_path / f"{number}.sqlite", key.address, EscrowDomain.of(world.deployment))
        earnings = file.__enter__()
        files.append(file)
        sender = Sender(world.chain.rpc, world.chain.accounts()[4 + number])
        terms = CreditTerms(CREDIT_TASKS * PRICE_WEI, least_wei=PRICE_WEI)
        made.append(Victim(Payee(earnings, world.clients, sender, terms), earnings, world, key))
    yield made
    for file in files:
        file.__exit__(None, None, None)


async def assert_each_loses_at_most_its_credit(victims):
    """And together they have got the deposit, to the last wei."""
    paid_wei = 0
    for victim in victims:
        account = await victim.account()
        assert account.debt_wei <= CREDIT_TASKS * PRICE_WEI
        assert victim.held.promised_wei - account.paid_wei <= CREDIT_TASKS * PRICE_WEI
        paid_wei += account.paid_wei
    balance_wei = (await victims[0].world.escrow.deposit_of(OTHER_NODE)).balance_wei
    assert paid_wei + balance_wei == DEPOSIT_TASKS * PRICE_WEI


async def test_miners_that_redeem_at_the_end_lose_at_most_their_credit(victims):
    for number in range(ROUNDS):
        for victim in victims:
            await victim.work(number)
    promised = sum(victim.worked for victim in victims)
    assert promised == CREDIT_TASKS * len(victims) > DEPOSIT_TASKS
    # The race: all redeem at the same moment.
    async with trio.open_nursery() as nursery:
        for victim in victims:
            nursery.start_soon(victim.payee.redeemer.redeem_all, "race")
    await assert_each_loses_at_most_its_credit(victims)
    assert sum([(await victim.account()).paid_wei for victim in victims]) == DEPOSIT_TASKS * PRICE_WEI
    # Nobody works for it any more.
    for victim in victims:
        before = victim.worked
        await victim.payee._standings.of(OTHER_NODE, 0)
        await victim.work(ROUNDS)
        assert victim.worked == before


async def test_miners_that_redeem_by_themselves_notice_and_lose_less(victims):
    async with trio.open_nursery() as nursery:
        for victim in victims:
            nursery.start_soon(victim.payee.run, 5)
        for number in range(CREDIT_TASKS + 2):
            for victim in victims:
                await victim.work(number)
            await trio.sleep(0.4)
        nursery.cancel_scope.cancel()
    await assert_each_loses_at_most_its_credit(victims)
    lost = sum(victim.worked for victim in victims) - DEPOSIT_TASKS
    assert lost < CREDIT_TASKS * len(victims) - DEPOSIT_TASKS
    assert all(victim.refused for victim in victims)


async def test_two_redeem_the_same_voucher_at_once_and_it_pays_once(victims):
    first = victims[0]
    await first.work(0)
    held, escrow = first.held.best, first.world.escrow
    async with trio.open_nursery() as nursery:
        for sender in (first.world.ann, first.world.ben, first.world.reporter):
            nursery.start_soon(escrow.redeem_many, sender, [held.voucher], [held.signature])
    assert (await first.account()).paid_wei == PRICE_WEI
    await assert_each_loses_at_most_its_credit(victims)
