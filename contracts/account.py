"""A key that pays for transactions and signs them.

Is: eth-account's local account, with an address of 20 bytes and a refusal that shows nothing of a key.
Is not: the node key's guard, through which statements of the network go; nor a wallet: where the key comes
from (keystore, environment of a test) is the caller's.
"""

from __future__ import annotations

from typing import Any, Final, cast

from contracts.libraries import EthAccount, LocalAccount, SignedTransaction, TxParams
from protocol.errors import LocalError

SECRET_BYTES: Final = 32


class BadSecret(LocalError):
    """Not a private key of secp256k1."""


class Account:
    """An account of the chain that we can act for.

    :ivar address: 20 bytes.
    """

    __slots__ = ("_signer", "address")

    def __init__(self, secret: bytes) -> None:
        """:raises BadSecret: `secret` is not 32 bytes, or zero, or not below the curve's order."""
        message = "a private key is 32 bytes, not zero and below the order of secp256k1"
        if len(secret) != SECRET_BYTES:
            raise BadSecret(message)
        try:
            self._signer: LocalAccount = EthAccount.from_key(secret)
        except ValueError:
            # Without the cause: no trace of a key in a log, not even of a bad one.
            raise BadSecret(message) from None
        self.address = bytes.fromhex(self._signer.address[2:])

    def sign_transaction(self, transaction: TxParams) -> SignedTransaction:
        """Sign a complete fee market transaction (EIP-1559), with its nonce, chain and limits.

        :raises TypeError: a field is missing or unknown: a bug of the caller.
        """
        # A TxParams is such a dict; their two types do not know of each other.
        return self._signer.sign_transaction(cast("dict[str, Any]", transaction))

    def __repr__(self) -> str:
        """The address; never the key."""
        return f"Account(0x{self.address.hex()})"
