"""A key that pays for transactions and signs them.

Is: a private key with its address, and EIP-1559 transactions, in 20 lines on coincurve.
Is not: ``eth_account``: importing it would stop a running event loop for 0.8 s, and one of the packages that
it brings along raises Python's recursion limit to 100,000 for the whole process, after which a deeply
nested JSON text ends it with a segmentation fault. The tests compare every byte with it.
Is not: the node key's guard, through which statements of the network go; nor a wallet: where the key comes
from (keystore, environment of a test) is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coincurve import PrivateKey

from contracts.rlp import Item, encode, number
from protocol.errors import LocalError
from protocol.hashing import keccak256
from protocol.signature import address_of, sign_digest

SECRET_BYTES: Final = 32
_FEE_MARKET_TYPE: Final = b"\x02"
_V_BASE: Final = 27


class BadSecret(LocalError):
    """Not a private key of secp256k1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A fee market transaction (EIP-1559) without an access list."""

    chain_id: int
    nonce: int
    priority_fee_per_gas_wei: int
    fee_per_gas_max_wei: int
    gas: int
    to: bytes
    """20 bytes; empty to create a contract."""
    value_wei: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """What is sent, and what it will be called."""

    raw: bytes
    hash: bytes
    """32 bytes."""


class Account:
    """An account of the chain that we can act for.

    :ivar address: 20 bytes.
    """

    __slots__ = ("_secret", "address")

    def __init__(self, secret: bytes) -> None:
        """:raises BadSecret: `secret` is not 32 bytes, or zero, or not below the curve's order."""
        message = "a private key is 32 bytes, not zero and below the order of secp256k1"
        if len(secret) != SECRET_BYTES:
            raise BadSecret(message)
        try:
            self.address = address_of(PrivateKey(secret).public_key)
        except ValueError:
            # Without the cause: no trace of a key in a log, not even of a bad one.
            raise BadSecret(message) from None
        self._secret = secret

    def sign_transaction(self, transaction: Transaction) -> SignedTransaction:
        """Sign a transaction (EIP-2718 envelope of type 2)."""
        fields: list[Item] = [
            number(transaction.chain_id),
            number(transaction.nonce),
            number(transaction.priority_fee_per_gas_wei),
            number(transaction.fee_per_gas_max_wei),
            number(transaction.gas),
            transaction.to,
            number(transaction.value_wei),
            transaction.data,
            [],
        ]
        signature = sign_digest(self._secret, keccak256(_FEE_MARKET_TYPE + encode(fields)))
        r, s = (int.from_bytes(signature[start : start + 32], "big") for start in (0, 32))
        fields += [number(signature[64] - _V_BASE), number(r), number(s)]
        raw = _FEE_MARKET_TYPE + encode(fields)
        return SignedTransaction(raw=raw, hash=keccak256(raw))

    def __repr__(self) -> str:
        """The address; never the key."""
        return f"Account(0x{self.address.hex()})"
