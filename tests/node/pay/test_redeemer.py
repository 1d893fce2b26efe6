"""Redeeming when something stands in the way; how it goes well is in test_payee, on a real chain."""

import pytest
import trio

from contracts.errors import ContractReverted, RpcError
from contracts.records import VOUCHERS_PER_CALL_MAX, Voucher
from node.pay.earnings import Account
from node.pay.redeemer import LOOKS_PER_PASS_MAX, RETRY_S, Redeemer, RedeemerCounts
from node.pay.standing import Exposure, Standings
from node.pay.vouchers import HeldVoucher
from tests.node.pay.builders import MINER, REVERTED_WITHOUT_DATA, UNREACHABLE, FakeEscrow
from tests.node.pay.test_standing import FakeStaking

LIMIT, LEAST = 100, 10


class FakeEarnings:
    def __init__(self, amounts):
        self._accounts = {
            number.to_bytes(20, "big"): held(number.to_bytes(20, "big"), amount)
            for number, amount in enumerate(amounts)
        }

    def accounts(self):
        return list(self._accounts.values())

    def exposure(self, coordinator):
        return Exposure(self._accounts[coordinator].promised_wei, 0, 0)


def held(coordinator, amount):
    voucher = Voucher(coordinator=coordinator, miner=MINER.address, cumulative_amount_wei=amount)
    return Account(coordinator, HeldVoucher(voucher, b"s" * 65))


class Escrow(FakeEscrow):
    """Takes vouchers, but not from those who stand in the way."""

    def __init__(self):
        super().__init__(10**6)
        self.poisoned, self.calls, self.has_gas, self.failing = set(), [], True, set()

    async def account(self, coordinator, miner):
        if coordinator in self.failing:
            raise REVERTED_WITHOUT_DATA
        return await super().account(miner, coordinator)

    async def redeem_many(self, sender, vouchers, signatures):
        assert len(vouchers) == len(signatures) <= VOUCHERS_PER_CALL_MAX
        await trio.lowlevel.checkpoint()
        if not self.has_gas:
            raise RpcError("eth_estimateGas", -32000, "insufficient funds for gas", None)
        if self.poisoned & {voucher.coordinator for voucher in vouchers}:
            raise ContractReverted("WrongRole", {}, b"")
        self.calls.append(len(vouchers))
        for voucher in vouchers:
            paid = self.accounts.get(voucher.coordinator)
            self.pay(voucher.coordinator, voucher.cumulative_amount_wei - (paid.paid_wei if paid else 0))


@pytest.fixture
def escrow():
    return Escrow()


def redeemer_of(escrow, amounts):
    earnings = FakeEarnings(amounts)
    standings = Standings(escrow, FakeStaking(), MINER.address)
    return Redeemer(earnings, standings, escrow, None, earnings.exposure, limit_wei=LIMIT, least_wei=LEAST)


async def test_many_go_in_one_transaction_and_what_is_worth_little_stays(escrow):
    redeemer = redeemer_of(escrow, [LEAST, LEAST - 1, LEAST, 0])
    await redeemer.redeem_all("the miner stops")
    assert escrow.calls == [2]
    assert redeemer.counts.vouchers_redeemed == 2


async def test_more_than_the_contract_takes_go_in_several(escrow):
    redeemer = redeemer_of(escrow, [LEAST] * (VOUCHERS_PER_CALL_MAX + 7))
    await redeemer.redeem_all("the miner stops")
    assert escrow.calls == [VOUCHERS_PER_CALL_MAX, 7]


async def test_what_is_redeemed_is_not_redeemed_again(escrow):
    redeemer = redeemer_of(escrow, [LEAST])
    for _ in range(3):
        await redeemer.redeem_all("the miner stops")
    assert escrow.calls == [1]


async def test_a_coordinator_that_stands_in_the_way_harms_itself_alone(escrow):
    redeemer = redeemer_of(escrow, [LEAST] * 3)
    escrow.poisoned.add((1).to_bytes(20, "big"))
    await redeemer.redeem_all("the miner stops")
    assert escrow.calls == [1, 1]
    assert redeemer.counts == RedeemerCounts(vouchers_redeemed=2, redeeming_failed=1)


async def test_a_miner_without_coins_for_gas_tries_again_now_and_then(escrow, autojump_clock):
    redeemer = redeemer_of(escrow, [LIMIT])
    escrow.has_gas = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(redeemer.run, 1.0)
        await trio.sleep(4 * RETRY_S)
        assert 2 <= redeemer.counts.redeeming_failed <= 5
        escrow.has_gas = True
        await trio.sleep(2 * RETRY_S)
        assert escrow.calls == [1]
        nursery.cancel_scope.cancel()


async def test_a_kick_is_heard_also_while_it_looks(escrow, autojump_clock):
    redeemer = redeemer_of(escrow, [LIMIT])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(redeemer.run, 3600.0)
        await trio.testing.wait_all_tasks_blocked()
        assert escrow.calls == [1]
        redeemer._earnings._accounts[bytes(20)] = held(bytes(20), 2 * LIMIT)
        redeemer._standings._known.clear()
        redeemer.kick()
        await trio.testing.wait_all_tasks_blocked()
        assert escrow.calls == [1, 1]
        nursery.cancel_scope.cancel()


async def test_of_many_coordinators_all_are_looked_at_in_turn(escrow, autojump_clock):
    redeemer = redeemer_of(escrow, [1] * (LOOKS_PER_PASS_MAX + 5))
    escrow.balance_wei = 10**6
    async with trio.open_nursery() as nursery:
        nursery.start_soon(redeemer.run, 1.0)
        await trio.sleep(0.5)
        assert len(redeemer._standings._known) == LOOKS_PER_PASS_MAX
        await trio.sleep(1)
        assert len(redeemer._standings._known) == LOOKS_PER_PASS_MAX + 5
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("failure", [UNREACHABLE, REVERTED_WITHOUT_DATA])
async def test_attack_an_endpoint_fails_every_read_and_the_miner_goes_on(escrow, autojump_clock, failure):
    redeemer = redeemer_of(escrow, [LIMIT])
    escrow.failure = failure
    async with trio.open_nursery() as nursery:
        nursery.start_soon(redeemer.run, 1.0)
        await trio.sleep(5)
        assert escrow.calls == []
        escrow.failure = None
        await trio.sleep(2)
        assert escrow.calls == [1]
        nursery.cancel_scope.cancel()


async def test_a_coordinator_whose_deposit_cannot_be_asked_for_is_alone_with_that(escrow, autojump_clock):
    """A contract that says no says it of one coordinator; an endpoint that is away says nothing of any."""
    redeemer = redeemer_of(escrow, [LIMIT, LIMIT])
    escrow.failing = {bytes(20)}
    await redeemer._look(0.0)
    assert escrow.calls == [1]


@pytest.mark.parametrize("failure", [UNREACHABLE, REVERTED_WITHOUT_DATA])
async def test_attack_an_endpoint_fails_after_a_redemption_and_the_miner_pays_for_it_once(escrow, failure):
    """What is asked afterwards is no part of the transaction, which is not sent again for its failure."""
    redeemer = redeemer_of(escrow, [LEAST, LEAST])
    escrow.failure = failure
    await redeemer.redeem_all("it is time")
    assert escrow.calls == [2]
    assert redeemer.counts == RedeemerCounts(vouchers_redeemed=2)
