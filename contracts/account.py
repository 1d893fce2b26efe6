"""A key that pays for transactions and signs them.

Is: a private key with its address; signing is left to ``eth_account``, which is loaded when the first
transaction is signed (0.8 s), not before.
Is not: the node key's guard: statements of the network are signed elsewhere, after asking it. Not a wallet:
where the key comes from (keystore, environment of a test) is the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from coincurve import PrivateKey

from protocol.errors import LocalError
from protocol.signature import address_of

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET_BYTES: Final = 32


class BadSecret(LocalError):  # noqa: N818 - names the thing
    """Not a private key of secp256k1."""


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

    def sign_transaction(self, fields: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """Sign an EIP-1559 transaction.

        :param fields: as ``eth_account`` takes them.
        :returns: the raw transaction and its hash.
        """
        from eth_account import Account as EthAccount  # noqa: PLC0415 - see the module's docstring

        signed = EthAccount.sign_transaction(dict(fields), self._secret)
        return bytes(signed.raw_transaction), bytes(signed.hash)

    def __repr__(self) -> str:
        """The address; never the key."""
        return f"Account(0x{self.address.hex()})"
