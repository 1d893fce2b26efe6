"""A transaction that was sent, and a chain that cannot say what has become of it: nobody pays twice."""

from __future__ import annotations

import pytest
import trio
import trio.lowlevel
import trio.testing

from contracts.account import Account
from contracts.errors import (
    BadChainAnswer,
    ChainUnreachable,
    ContractReverted,
    EndpointUnfit,
    RpcError,
    TransactionInDoubt,
    TransactionNotMined,
    WrongChain,
)
from contracts.rpc import Receipt
from contracts.transactions import ARRIVAL_LOOK_S, Sender, SenderLimits

TO = b"\xbe" * 20
INDEXING = RpcError("eth_getTransactionReceipt", -32000, "transaction indexing is in progress", None)
TAKEN = RpcError("eth_sendRawTransaction", -32000, "nonce too low", None)
FAULTS = (
    ChainUnreachable("a.example", "gone"),
    BadChainAnswer("eth_getTransactionReceipt", "not JSON"),
    WrongChain(1, 2),
    EndpointUnfit("it is 33 blocks behind the others"),
    INDEXING,
)


class Chain:
    """What a sender asks of an `Rpc`. Each list holds what is raised or answered next; empty is all well.

    :ivar sent: raw transactions that have arrived.
    """

    chain_id = 1337

    def __init__(self, *, receipts=(), sends=(), known=(), nonces=()):
        self.receipts, self.sends, self.known, self.nonces = map(list, (receipts, sends, known, nonces))
        self.sent, self.succeeded = [], True

    async def _next(self, told, otherwise):
        await trio.lowlevel.checkpoint()
        found = told.pop(0) if told else otherwise
        if isinstance(found, Exception):
            raise found
        return found

    async def estimate_gas(self, _transaction):
        return await self._next([], 21_000)

    async def base_fee_wei(self):
        return await self._next([], 10**9)

    async def next_nonce(self, _address, *, pending):
        assert pending
        return await self._next(self.nonces, 0)

    async def send_raw(self, raw):
        self.sent.append(bytes(raw))
        await self._next(self.sends, None)

    async def knows(self, _transaction_hash):
        return await self._next(self.known, False)

    async def receipt(self, transaction_hash):
        return await self._next(self.receipts, Receipt(transaction_hash, 7, 21_000, self.succeeded, None, ()))

    async def call(self, _transaction, _block):
        raise BadChainAnswer("eth_call", "not JSON")


def sender_of(chain, **limits):
    return Sender(chain, Account(b"\x01" * 32), SenderLimits(**limits))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_attack_no_answer_about_a_sent_transaction_makes_it_a_failed_one(fault, autojump_clock):
    chain = Chain(receipts=[fault] * 20)
    assert (await sender_of(chain).send(TO, b"", value_wei=1)).succeeded
    assert (chain.receipts, len(chain.sent)) == ([], 1)


async def test_attack_an_endpoint_that_never_has_the_receipt_says_that_it_may_still_be_mined(autojump_clock):
    chain = Chain(receipts=[INDEXING] * 1_000)
    sender = sender_of(chain, receipt_wait_s=20.0, replace_after_s=5.0)
    with pytest.raises(TransactionNotMined, match=r"is in no block after 20 s; it may still come"):
        await sender.send(TO, b"", value_wei=1)
    assert sender.replaced == 3  # and a receipt that is refused keeps it from no dearer version


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_attack_a_taken_number_is_asked_about_again_before_another_one_is_used(fault, autojump_clock):
    chain = Chain(sends=[TAKEN], known=[fault] * 3 + [True])
    assert (await sender_of(chain).send(TO, b"", value_wei=1)).succeeded
    assert (len(chain.sent), chain.known) == (1, [])


async def test_attack_a_chain_that_never_says_whether_it_has_it_gets_no_second_one(autojump_clock):
    chain = Chain(sends=[TAKEN], known=[INDEXING] * 1_000)
    began_s = trio.current_time()
    with pytest.raises(TransactionInDoubt) as caught:
        await sender_of(chain).send(TO, b"", value_wei=1)
    look = "may have arrived, so look for it before you send it again"
    assert str(caught.value) == f"transaction 0x{caught.value.transaction_hash.hex()} {look}: {INDEXING}"
    assert (len(chain.sent), trio.current_time() - began_s) == (1, pytest.approx(ARRIVAL_LOOK_S))


def second_hand(text):
    """A refusal of one endpoint after another one has died, perhaps with the transaction."""
    error = RpcError("eth_sendRawTransaction", -32000, text, None)
    error.is_second_hand = True
    return error


@pytest.mark.parametrize("text", ["pool is full", "nonce too low"])
async def test_attack_a_refusal_after_another_endpoint_may_have_taken_it_is_looked_into(text, autojump_clock):
    chain = Chain(sends=[second_hand(text)], known=[False, False, True])
    assert (await sender_of(chain).send(TO, b"", value_wei=1)).succeeded
    assert len(chain.sent) == 1


async def test_attack_an_endpoint_that_outlives_the_one_that_took_it_cannot_have_it_paid_twice(
    autojump_clock,
):
    chain = Chain(sends=[second_hand("nonce too low")], nonces=[4, 5])
    with pytest.raises(TransactionInDoubt, match=r"may have arrived, .* nonce too low"):
        await sender_of(chain).send(TO, b"", value_wei=1)
    assert len(chain.sent) == 1


@pytest.mark.parametrize("fault", FAULTS[:2], ids=lambda fault: type(fault).__name__)
async def test_attack_no_answer_or_none_to_be_read_to_sending_is_no_failure(fault, autojump_clock):
    """Whoever is told that it failed sends it once more, under another number."""
    chain = Chain(sends=[fault], receipts=[fault] * 3)
    assert (await sender_of(chain).send(TO, b"", value_wei=1)).succeeded
    assert len(set(chain.sent)) == 1


async def test_what_no_endpoint_has_answered_to_is_sent_again_as_it_is_until_one_does(autojump_clock):
    gone = ChainUnreachable("a.example", "gone")
    known = RpcError("eth_sendRawTransaction", -32000, "already known", None)
    chain = Chain(sends=[gone, gone, known], receipts=[None] * 6)
    sender = sender_of(chain)
    assert (await sender.send(TO, b"", value_wei=1)).succeeded
    assert (len(chain.sent), len(set(chain.sent)), sender.replaced) == (3, 1, 0)


@pytest.mark.parametrize("fault", [WrongChain(1, 2), EndpointUnfit("it lags")], ids=["foreign", "unfit"])
async def test_attack_the_last_endpoint_s_fault_does_not_say_that_nothing_was_sent(fault):
    with pytest.raises(TransactionInDoubt, match=str(fault)):
        await sender_of(Chain(sends=[fault])).send(TO, b"")


async def test_a_failed_transaction_whose_reason_cannot_be_had_is_a_failed_one():
    chain = Chain()
    chain.succeeded = False
    with pytest.raises(ContractReverted, match=r"unknown\(\)"):
        await sender_of(chain).send(TO, b"")


async def test_a_number_that_a_task_of_ours_waits_for_is_not_given_again(autojump_clock):
    """The endpoint in use does not know what another one was given, so it counts one too few."""
    chain = Chain(receipts=[None] * 5, nonces=[4, ChainUnreachable("a.example", "gone"), 4])
    sender, numbers = sender_of(chain), []
    submit = sender._submit

    async def noted(transaction):
        sent = await submit(transaction)
        numbers.append(sent.transaction["nonce"])
        sender._next_nonce = None  # as after an answer that was lost
        return sent

    sender._submit = noted
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.send, TO, b"")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(ChainUnreachable):
            await sender.send(TO, b"")
        await sender.send(TO, b"")
    assert numbers == [4, 5]
