from __future__ import annotations

from functools import partial

import httpx2
import pytest
import trio

from contracts.anvil import run_anvil
from contracts.errors import (
    ContractReverted,
    CostTooHigh,
    RpcError,
    TransactionNotMined,
)
from contracts.rpc import connect
from contracts.transactions import Sender, SenderLimits
from tests.contracts.world import NODE, UNBONDING_DELAY_S
from tests.limits import HANG_S

pytestmark = pytest.mark.process


def sender_of(world, index, **limits):
    return Sender(world.chain.rpc, world.chain.accounts()[index], SenderLimits(**limits))


class Faulty(httpx2.AsyncBaseTransport):
    """The network to the real chain, which fails as told around sending a transaction.

    :ivar lost: transactions that did not arrive.
    """

    def __init__(self, *, before=False, after=False, lost_receipts=0):
        self.before = before
        self.after = after
        self.lost_receipts = lost_receipts
        self.lost = 0
        self._inner = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request):
        sends = b"eth_sendRawTransaction" in request.content
        if b"eth_getTransactionReceipt" in request.content and self.lost_receipts:
            self.lost_receipts -= 1
            raise httpx2.ConnectError("lost")
        if sends and self.before:
            self.lost += 1
            raise httpx2.ConnectError("lost on the way there")
        response = await self._inner.handle_async_request(request)
        if sends and self.after:
            await response.aclose()
            raise httpx2.ReadError("lost on the way back")
        return response

    async def aclose(self):
        await self._inner.aclose()


async def test_many_tasks_send_at_once_without_a_gap(world):
    sender = sender_of(world, 5)
    receipts = []

    async def one():
        receipts.append(await sender.send(world.ben.address, b"", value_wei=1))

    before = await world.chain.rpc.balance(world.ben.address)
    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(one)
    assert len({receipt.transaction_hash for receipt in receipts}) == 40
    assert await world.chain.rpc.balance(world.ben.address) == before + 40


async def test_a_nonce_that_somebody_else_took_is_replaced(world):
    one, other = sender_of(world, 5), sender_of(world, 5)
    await one.send(world.ben.address, b"")
    await other.send(world.ben.address, b"")
    await other.send(world.ben.address, b"")
    assert (await one.send(world.ben.address, b"")).succeeded


async def test_a_nonce_taken_in_the_pool_is_replaced(world):
    one, other = sender_of(world, 5, receipt_wait_s=0.05), sender_of(world, 5, receipt_wait_s=0.05)
    await one.send(world.ben.address, b"")
    await other.send(world.ben.address, b"")
    await world.chain.rpc.request("evm_setAutomine", False)
    try:
        with pytest.raises(TransactionNotMined):
            await other.send(world.ben.address, b"", value_wei=1)
        with pytest.raises(TransactionNotMined):
            await one.send(world.ben.address, b"", value_wei=2)
        await world.chain.mine()
    finally:
        await world.chain.rpc.request("evm_setAutomine", True)
    assert await world.chain.rpc.next_nonce(one.address, pending=False) == 4


async def test_a_transaction_that_never_arrived_is_sent_again_under_its_number(world):
    faulty = Faulty(before=True)
    async with connect(world.chain.endpoint, transport=faulty) as rpc:
        sender = Sender(rpc, world.chain.accounts()[5])
        before = await rpc.balance(world.ben.address)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(sender.send, world.ben.address, b"", value_wei=1))
            with trio.fail_after(HANG_S):
                while not faulty.lost:
                    await trio.sleep(0.01)
            faulty.before = False
        assert await rpc.balance(world.ben.address) == before + 1
        assert sender.replaced == 0
        await sender.send(world.ben.address, b"", value_wei=1)
        assert await rpc.balance(world.ben.address) == before + 2


async def test_a_transaction_that_a_chain_never_gets_is_no_refusal(world):
    """It may be anywhere: the number is asked for anew afterwards."""
    faulty = Faulty(before=True)
    async with connect(world.chain.endpoint, transport=faulty) as rpc:
        sender = Sender(rpc, world.chain.accounts()[5], SenderLimits(receipt_wait_s=0.05))
        with pytest.raises(TransactionNotMined):
            await sender.send(world.ben.address, b"", value_wei=1)
        faulty.before = False
        before = await rpc.balance(world.ben.address)
        await sender.send(world.ben.address, b"", value_wei=1)
        assert await rpc.balance(world.ben.address) == before + 1


async def test_attack_a_lost_answer_makes_nobody_pay_twice(world):
    faulty = Faulty(after=True)
    async with connect(world.chain.endpoint, transport=faulty) as rpc:
        sender = Sender(rpc, world.chain.accounts()[5])
        before = await rpc.balance(world.ben.address)
        assert (await sender.send(world.ben.address, b"", value_wei=1)).succeeded
        faulty.after = False
        assert (await sender.send(world.ben.address, b"", value_wei=2)).succeeded
        assert await rpc.balance(world.ben.address) == before + 3


async def test_an_outage_while_waiting_is_waited_for(world):
    faulty = Faulty(lost_receipts=3)
    async with connect(world.chain.endpoint, transport=faulty) as rpc:
        assert (await Sender(rpc, world.chain.accounts()[5]).send(world.ben.address, b"")).succeeded
    assert faulty.lost_receipts == 0


async def test_a_cancelled_task_leaves_the_numbers_usable(world):
    sender = sender_of(world, 5)
    for pause_s in (0.0, 0.001, 0.003, 0.005, 0.01):
        with trio.move_on_after(pause_s):
            await sender.send(world.ben.address, b"", value_wei=1)
    assert (await sender.send(world.ben.address, b"")).succeeded


@pytest.fixture
async def chain():
    """A chain of one's own, whose blocks come when asked for: fees would outlive a test on the shared one."""
    async with run_anvil() as found:
        await found.rpc.request("evm_setAutomine", False)
        yield found


def own_sender(chain, **limits):
    return Sender(chain.rpc, chain.accounts()[0], SenderLimits(poll_max_s=0.05, **limits))


async def test_a_stuck_transaction_is_sent_again_for_more(chain):
    """The fee rises above what was offered, so blocks pass it over until it is replaced, under its number."""
    sender, ben = own_sender(chain, replace_after_s=0.2), b"\xbe" * 20
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(sender.send, ben, b"", value_wei=1))
        while await chain.rpc.next_nonce(sender.address, pending=True) == 0:
            await trio.sleep(0.01)
        await chain.rpc.request("anvil_setNextBlockBaseFeePerGas", hex(20 * 10**9))
        await chain.mine()
        assert await chain.rpc.next_nonce(sender.address, pending=False) == 0
        while sender.replaced == 0:
            await trio.sleep(0.01)
        while await chain.rpc.next_nonce(sender.address, pending=False) == 0:
            await chain.mine()
    assert await chain.rpc.balance(ben) == 1
    assert await chain.rpc.next_nonce(sender.address, pending=True) == 1


async def test_a_replacement_stops_at_the_fee_limit(chain):
    fee = 2 * await chain.rpc.base_fee_wei() + 10**9
    sender = own_sender(chain, replace_after_s=0.05, receipt_wait_s=0.6, fee_per_gas_max_wei=fee + fee // 7)
    with pytest.raises(TransactionNotMined):
        await sender.send(b"\xbe" * 20, b"")
    assert sender.replaced == 1


async def test_the_version_that_counts_may_be_the_first(chain):
    sender = own_sender(chain, replace_after_s=0.1)
    send_raw, sent = chain.rpc.send_raw, []

    async def late(raw):
        if sent:
            await chain.mine()  # with the first version; the second is refused, since its number is used
        sent.append(raw)
        await send_raw(raw)

    chain.rpc.send_raw = late
    assert (await sender.send(b"\xbe" * 20, b"", value_wei=1)).succeeded
    assert (len(sent), await chain.rpc.balance(b"\xbe" * 20)) == (2, 1)


async def test_what_would_revert_costs_nothing(world):
    before = await world.chain.rpc.balance(world.ann.address)
    with pytest.raises(ContractReverted) as caught:
        await world.staking.vote(world.ann, NODE, 1)
    assert (caught.value.name, caught.value.arguments) == ("NotRegistered", {"node": NODE})
    assert await world.chain.rpc.balance(world.ann.address) == before


async def test_a_revert_in_a_block_has_its_reason(world):
    """Two withdrawals pass the estimate and share a block: the second finds the request gone."""
    await world.register()
    shares = await world.staking.vote(world.ann, NODE, 5)
    request = await world.staking.unvote(world.ann, NODE, shares)
    await world.chain.pass_time(UNBONDING_DELAY_S)
    errors = []

    async def withdraw():
        try:
            await world.staking.withdraw(world.ann, NODE, request.request_id)
        except ContractReverted as error:
            errors.append(error.name)

    await world.chain.rpc.request("evm_setAutomine", False)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(withdraw)
            nursery.start_soon(withdraw)
            while int((await world.chain.rpc.request("txpool_status"))["pending"], 16) < 2:
                await trio.sleep(0.01)
            await world.chain.mine()
    finally:
        await world.chain.rpc.request("evm_setAutomine", True)
    assert errors == ["NoSuchRequest"]


async def test_a_second_that_passes_after_the_estimate_is_paid_for(world, monkeypatch):
    """An estimate for the second of the last settlement knows nothing of the next one's cost."""
    await world.register()
    await world.rewards.fund(world.reporter, 1_000 * 10**18)
    await world.rewards.announce_commission(world.owner, NODE, 1)
    now_s = await world.chain.time_s()
    await world.chain.rpc.request("evm_setNextBlockTimestamp", now_s + 8)
    real = world.chain.rpc.estimate_gas

    async def of_the_same_second(transaction):
        return await real(transaction) - 30_000

    monkeypatch.setattr(world.chain.rpc, "estimate_gas", of_the_same_second)
    assert (await world.rewards.announce_commission(world.owner, NODE, 2)).succeeded


async def test_gas_has_a_bound(world):
    sender = sender_of(world, 5, gas_max=25_000)
    with pytest.raises(CostTooHigh) as caught:
        await sender.send(world.ben.address, b"")
    assert (caught.value.what, caught.value.limit) == ("gas", 25_000)


async def test_fees_have_a_bound(world):
    sender = sender_of(world, 5, fee_per_gas_max_wei=2, priority_fee_per_gas_wei=1)
    with pytest.raises(CostTooHigh, match="fee per gas"):
        await sender.send(world.ben.address, b"")


async def test_a_refusal_of_the_rpc_is_an_rpc_error(world):
    with pytest.raises(RpcError):
        await sender_of(world, 5).send(world.ben.address, b"", value_wei=10**30)


@pytest.mark.parametrize(
    "limits",
    [
        {"gas_max": 0},
        {"receipt_wait_s": 0},
        {"fee_per_gas_max_wei": 1, "priority_fee_per_gas_wei": 2},
        {"poll_first_s": 2.0},
    ],
)
def test_limits_make_sense(limits):
    with pytest.raises(ValueError, match=r"sender|pause"):
        SenderLimits(**limits)
