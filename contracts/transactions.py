"""The transactions of one account: nonce, gas, fees, waiting, and the reason when a contract says no.

Is: `Sender`, which any number of tasks may use at once; it numbers their transactions one after another.
Is not: two senders for one account: they would fight over nonces. One process, one `Sender` an account.

web3's own means for this are not used, each for its reason: `wait_for_transaction_receipt` sleeps by
asyncio's clock, which fails under trio; `build_transaction` fills in gas and fees without a bound, and
asks for the nonce anew each time, so that two tasks would take the same one.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import trio

from contracts.account import Account
from contracts.errors import (
    BadChainAnswer,
    ChainError,
    ChainUnreachable,
    ContractReverted,
    CostTooHigh,
    EndpointUnfit,
    RpcError,
    TransactionInDoubt,
    TransactionNotMined,
    WrongChain,
)
from contracts.libraries import Nonce, TxParams, Web3, Wei
from contracts.reverts import reason_of, revert_from
from contracts.rpc import Receipt, Rpc

GAS_OF_A_SECOND: Final = 50_000
"""Gas that a call may cost more because a second has passed since the estimate: rewards then have to be
settled, which writes some slots that an estimate for the same second leaves alone."""
ARRIVAL_LOOK_S: Final = 5.0
"""So long is the chain asked again whether it has a transaction, while it cannot say."""
_NONCE_ATTEMPTS: Final = 4
_NONCE_TAKEN: Final = re.compile(
    r"nonce (is )?too low|old ?nonce|nonce[ _]expired|(wrong|invalid) (transaction )?nonce"
    r"|replacement transaction underpriced|replacement ?not ?allowed|could not replace"
)
"""How geth, Nethermind, Erigon, Besu, reth, anvil and gateways say that a nonce is taken; no code
says it."""
_ALREADY_SENT: Final = re.compile(
    r"already[ _]?(known|imported|exists)|already in (the )?mempool|\bknown transaction"
)
"""How they say that they have this very transaction: it had arrived although no answer had come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderLimits:
    """Limits of a sender: the fees it may spend and how long it waits."""

    gas_max: int = 15_000_000
    """Most gas for one transaction; half of a usual block."""
    fee_per_gas_max_wei: int = 1_000 * 10**9
    """Most that a unit of gas may cost."""
    priority_fee_per_gas_wei: int = 10**9
    """Offered to the block's producer on top of the base fee."""
    receipt_wait_s: float = 120.0
    """How long to wait for a block with the transaction in it."""
    poll_first_s: float = 0.02
    """First pause between two looks for a receipt; each is 1.5 times the one before it..."""
    poll_max_s: float = 1.0
    """...up to this."""
    replace_after_s: float = 30.0
    """How long a transaction may be passed over before it is sent again for more; again after each such time,
    until the fee limit."""

    def __post_init__(self) -> None:
        """:raises ValueError: a limit is not positive, or the tip alone is above the fee limit."""
        waits = (self.receipt_wait_s, self.poll_first_s, self.replace_after_s)
        if (
            min(self.gas_max, self.priority_fee_per_gas_wei, *waits) <= 0
            or self.priority_fee_per_gas_wei > self.fee_per_gas_max_wei
        ):
            message = "limits of a sender are positive, and its tip is within its fee limit"
            raise ValueError(message)
        if self.poll_max_s < self.poll_first_s:
            message = "the longest pause is not shorter than the first"
            raise ValueError(message)


@dataclass(slots=True)
class _Sent:
    """A transaction that was given to the chain.

    :ivar hashes: of its versions, of which one will count.
    :ivar unheard: its bytes, while no endpoint has said that it has them.
    """

    transaction: TxParams
    hashes: list[bytes]
    unheard: bytes | None = None


class Sender:
    """Sends one account's transactions and waits for them.

    :ivar address: 20 bytes, the account's.
    :ivar replaced: how many were sent again for more.
    """

    def __init__(self, rpc: Rpc, account: Account, limits: SenderLimits | None = None) -> None:
        self.address = account.address
        self._rpc = rpc
        self._account = account
        self._limits = limits or SenderLimits()
        self._lock = trio.Lock()
        self._next_nonce: int | None = None
        self._in_flight: set[int] = set()
        self.replaced = 0

    async def send(self, to: bytes | None, data: bytes, *, value_wei: int = 0) -> Receipt:
        """Send one transaction and wait until it is in a block.

        A call that would revert is found out while estimating its gas and costs nothing.

        :param to: 20 bytes, or ``None`` to create a contract.
        :param value_wei: of the chain's own coin.
        :raises ContractReverted: the contract said no, before or in the block.
        :raises CostTooHigh: above a limit; nothing was sent.
        :raises TransactionNotMined: sent, but not in a block in time. It may still be.
        :raises TransactionInDoubt: it may have arrived, and nobody can say so.
        :raises ChainUnreachable: nothing was sent. A chain that is gone while it is sent, or afterwards, is
            waited for.
        :raises ChainError: the chain fails us otherwise before it is sent.
        """
        call: TxParams = {
            "from": Web3.to_checksum_address(self.address),
            "data": data,
            "value": Wei(value_wei),
        }
        if to is not None:
            call["to"] = Web3.to_checksum_address(to)
        sent = await self._submit(await self._priced(call))
        self._in_flight.add(sent.transaction["nonce"])
        try:
            receipt = await self._wait(sent)
        finally:
            self._in_flight.discard(sent.transaction["nonce"])
        if not receipt.succeeded:
            raise await self._reason(call, receipt)
        return receipt

    async def _priced(self, call: TxParams) -> TxParams:
        """Everything of a transaction but its nonce."""
        try:
            estimate = await self._rpc.estimate_gas(call)
        except RpcError as error:
            raise reason_of(error) from error
        # State may change between the estimate and the block; what is not used is given back.
        gas = estimate + estimate // 4 + GAS_OF_A_SECOND
        if gas > self._limits.gas_max:
            raise CostTooHigh("gas", gas, self._limits.gas_max)
        tip = self._limits.priority_fee_per_gas_wei
        # Enough for some six full blocks, each of which raises the base fee by an eighth (EIP-1559).
        fee = 2 * await self._rpc.base_fee_wei() + tip
        if fee > self._limits.fee_per_gas_max_wei:
            raise CostTooHigh("fee per gas in wei", fee, self._limits.fee_per_gas_max_wei)
        return {
            **call,
            "type": 2,
            "chainId": self._rpc.chain_id,
            "gas": gas,
            "maxFeePerGas": Wei(fee),
            "maxPriorityFeePerGas": Wei(tip),
        }

    async def _submit(self, transaction: TxParams) -> _Sent:
        """Give a transaction its number and send it.

        The lock spans the choice of a nonce and the answer to it, so no two tasks take the same one.
        """
        async with self._lock:
            for attempt in range(_NONCE_ATTEMPTS):
                nonce = self._next_nonce
                if nonce is None:
                    nonce = await self._free_nonce()
                # Until the answer is there, the number is unknown: a waiting task may run meanwhile, and this
                # one may be cancelled.
                self._next_nonce = None
                numbered: TxParams = {**transaction, "nonce": Nonce(nonce)}
                signed = self._account.sign_transaction(numbered)
                unheard: bytes | None = None
                try:
                    await self._rpc.send_raw(signed.raw_transaction)
                except RpcError as error:
                    if not _says(error, _ALREADY_SENT) and not await self._has_arrived(error, signed.hash):
                        # A number is taken if somebody else uses the account, or the chain has gone back.
                        if not _says(error, _NONCE_TAKEN) or attempt == _NONCE_ATTEMPTS - 1:
                            raise reason_of(error) from error
                        continue
                except (WrongChain, EndpointUnfit) as error:
                    # Said of the last endpoint; one before it may have taken it and died.
                    raise TransactionInDoubt(bytes(signed.hash), str(error)) from error
                except (BadChainAnswer, ChainUnreachable):
                    # No refusal: it may have arrived, so it is looked for, and sent again as it is.
                    unheard = bytes(signed.raw_transaction)
                self._next_nonce = nonce + 1
                return _Sent(numbered, [bytes(signed.hash)], unheard)
        message = "the last attempt returns or raises"
        raise AssertionError(message)

    async def _free_nonce(self) -> int:
        """The first number that neither the chain counts nor one of our tasks waits for.

        The endpoint that is asked need not know what another one was given.
        """
        nonce = await self._rpc.next_nonce(self.address, pending=True)
        while nonce in self._in_flight:
            nonce += 1
        return nonce

    async def _has_arrived(self, error: RpcError, transaction_hash: bytes) -> bool:
        """Whether a number is taken by this very transaction: a gateway may send it twice.

        It need not be in a block yet: what waits for one counts too, or it would be sent under two numbers.
        Of several endpoints one may have taken it and died before another one refused it for any reason, and
        that the others do not know it proves nothing then.

        :raises TransactionInDoubt: the chain cannot say.
        """
        if not _says(error, _NONCE_TAKEN) and not error.is_second_hand:
            return False
        fault: ChainError = error
        pause_s = self._limits.poll_first_s
        with trio.move_on_after(ARRIVAL_LOOK_S):
            while True:
                try:
                    if await self._rpc.knows(bytes(transaction_hash)):
                        return True
                    if not error.is_second_hand:
                        return False
                except ChainError as unknown:
                    fault = unknown
                await trio.sleep(pause_s)
                pause_s = min(pause_s * 1.5, self._limits.poll_max_s)
        raise TransactionInDoubt(bytes(transaction_hash), str(fault)) from fault

    async def _wait(self, sent: _Sent) -> Receipt:
        pause_s = self._limits.poll_first_s
        replace_at = trio.current_time() + self._limits.replace_after_s
        with trio.move_on_after(self._limits.receipt_wait_s):
            while True:
                # It is sent: whatever the chain says now but a receipt is a reason to go on looking, and none
                # to tell the caller to try again.
                for transaction_hash in reversed(sent.hashes):
                    with suppress(ChainError):
                        receipt = await self._rpc.receipt(transaction_hash)
                        if receipt is not None:
                            return receipt
                await self._send_again(sent)
                if trio.current_time() >= replace_at:
                    replace_at += self._limits.replace_after_s
                    with suppress(ChainError):
                        await self._replace(sent)
                await trio.sleep(pause_s)
                pause_s = min(pause_s * 1.5, self._limits.poll_max_s)
        # It may have been dropped, and then its number is free again.
        self._next_nonce = None
        raise TransactionNotMined(sent.hashes[-1], self._limits.receipt_wait_s)

    async def _send_again(self, sent: _Sent) -> None:
        """Give the chain the same bytes once more, if it has not answered to them: they count once."""
        if sent.unheard is None:
            return
        try:
            await self._rpc.send_raw(sent.unheard)
        except RpcError:
            pass  # that is an answer, too: the receipt says whether it is there
        except ChainError:
            return
        sent.unheard = None

    async def _replace(self, sent: _Sent) -> None:
        """Send a transaction again under its number for more, if the limit allows.

        Only one of all versions can count, since they share a number; whichever it is has the same effect.
        """
        tip = _raised(sent.transaction["maxPriorityFeePerGas"])
        base_fee = await self._rpc.base_fee_wei()
        fee = max(_raised(sent.transaction["maxFeePerGas"]), 2 * base_fee + tip)
        if fee > self._limits.fee_per_gas_max_wei:
            return
        dearer: TxParams = {
            **sent.transaction,
            "maxFeePerGas": Wei(fee),
            "maxPriorityFeePerGas": Wei(tip),
        }
        signed = self._account.sign_transaction(dearer)
        # Noted before it is sent: if the answer is lost, it may be the one that counts.
        sent.transaction = dearer
        sent.hashes.append(bytes(signed.hash))
        self.replaced += 1
        # A refusal says that a version is in a block, or that this one arrived already: found out next.
        await self._rpc.send_raw(signed.raw_transaction)

    async def _reason(self, call: TxParams, receipt: Receipt) -> ContractReverted:
        """Run a failed transaction again where it failed: a receipt does not say why."""
        if "to" in call:
            try:
                await self._rpc.call(call, receipt.block_number)
            except ChainError as error:
                if isinstance(error, RpcError) and error.data is not None:
                    return revert_from(error.data)
        return ContractReverted("unknown", {}, b"")


def _raised(wei: int | str) -> int:
    """An eighth more, and a wei: all clients want a tenth at least before they replace."""
    return int(wei) * 9 // 8 + 1


def _says(error: RpcError, phrases: re.Pattern[str]) -> bool:
    return phrases.search(error.rpc_message.lower()) is not None
