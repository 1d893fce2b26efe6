"""What several endpoints say of an account's transactions: one alone makes no gap and no failed payment."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from contracts.account import Account
from contracts.errors import RpcError, TransactionNotMined
from contracts.rpc import connect
from contracts.transactions import Sender, SenderLimits
from tests.contracts.fakes import FakeEndpoint, FakeEndpoints

ADDRESS, HASH = b"\x11" * 20, b"\x22" * 32
DONE, FAILED, NOTHING = (7, "0x1"), (7, "0x0"), None
ANSWERS = {
    "eth_estimateGas": "0x5208",
    "eth_getBalance": "0x5",
    "eth_sendRawTransaction": "0x" + HASH.hex(),
    "eth_getTransactionReceipt": None,
}
INDEXING = {"code": -32000, "message": "transaction indexing is in progress"}


class Voter(FakeEndpoint):
    """:ivar count: of transactions. :ivar said: block and status of every transaction; ``None`` for none."""

    def __init__(self, *, count=0, said=NOTHING):
        super().__init__()
        self.count, self.said = count, said

    def answer(self, method, params):
        if method == "eth_getTransactionCount":
            return hex(self.count)
        if method == "eth_getTransactionReceipt" and self.said is not None:
            block, status = self.said
            return {"blockNumber": hex(block), "gasUsed": "0x5208", "status": status, "logs": []}
        return super().answer(method, params) if method not in ANSWERS else ANSWERS[method]


@asynccontextmanager
async def opened(*voters):
    net = FakeEndpoints(**dict(zip("abc", voters, strict=False)))
    async with connect(net.urls, transport=net) as rpc:
        yield rpc


@pytest.mark.parametrize(
    ("counts", "number"),
    [((5,), 5), ((5, 5, 1_000), 5), ((1_000, 5, 5), 5), ((5, 8, 8), 8), ((8, 5, 8), 8), ((5, 1_000), 5)],
    ids=["alone", "last invents", "first invents", "two know more", "the first too", "of two that in use"],
)
async def test_attack_a_higher_number_needs_a_second_endpoint_that_knows_of_it(counts, number):
    async with opened(*(Voter(count=count) for count in counts)) as rpc:
        assert await rpc.next_nonce(ADDRESS, pending=True) == number


@pytest.mark.parametrize(
    ("told", "believed"),
    [
        ([DONE], DONE),
        ([FAILED], FAILED),
        ([DONE, NOTHING], DONE),
        ([NOTHING, DONE], DONE),
        ([NOTHING, FAILED], NOTHING),
        ([FAILED, NOTHING], NOTHING),
        ([FAILED, DONE], NOTHING),
        ([FAILED, FAILED], FAILED),
        ([DONE, FAILED, FAILED], DONE),
        ([NOTHING, DONE, NOTHING], NOTHING),
        ([NOTHING, DONE, DONE], DONE),
        ([NOTHING, FAILED, NOTHING], NOTHING),
        ([NOTHING, FAILED, FAILED], FAILED),
        ([FAILED, NOTHING, FAILED], FAILED),
        ([FAILED, DONE, DONE], DONE),
        ([NOTHING, DONE, (8, "0x1")], NOTHING),
    ],
)
async def test_attack_a_receipt_of_one_endpoint_is_no_failed_payment(told, believed):
    async with opened(*(Voter(said=said) for said in told)) as rpc:
        receipt = await rpc.receipt(HASH)
        if believed is NOTHING:
            assert receipt is None
        else:
            block, status = believed
            assert (receipt.block_number, receipt.succeeded) == (block, status == "0x1")


async def test_a_receipt_that_the_one_in_use_refuses_is_had_from_two_others(autojump_clock):
    voters = [Voter(), Voter(said=DONE), Voter(said=DONE)]
    voters[0].refusal = lambda method, _params: INDEXING if method == "eth_getTransactionReceipt" else None
    async with opened(*voters) as rpc:
        assert (await rpc.receipt(HASH)).succeeded


async def test_a_refusal_of_all_to_tell_a_receipt_is_a_refusal():
    voters = [Voter(), Voter()]
    for voter in voters:
        voter.refusal = lambda method, _params: INDEXING if method == "eth_getTransactionReceipt" else None
    async with opened(*voters) as rpc:
        with pytest.raises(RpcError, match="indexing is in progress"):
            await rpc.receipt(HASH)


async def test_attack_a_failure_that_one_endpoint_makes_up_is_never_raised(autojump_clock):
    async with opened(Voter(said=FAILED), Voter()) as rpc:
        sender = Sender(rpc, Account(b"\x01" * 32), SenderLimits(receipt_wait_s=10.0))
        rpc.base_fee_wei = lambda: rpc.balance(ADDRESS)
        with pytest.raises(TransactionNotMined):
            await sender.send(ADDRESS, b"")
