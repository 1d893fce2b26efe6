"""Signing and checking vouchers, in the domain of one network's escrow contract.

Is: the meeting of the wire form (`protocol/pay`) and the contract's struct (`contracts/escrow`).
Is not: the decision to sign, which is the ledger's, nor what a voucher is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from contracts.deployment import Deployment
from contracts.escrow import voucher_data
from contracts.records import Voucher
from node.signing.keys import Key
from protocol.errors import SignatureError
from protocol.signature import recover, sign_digest


@dataclass(frozen=True, slots=True)
class EscrowDomain:
    """Where vouchers are good. :ivar chain_id: of the chain. :ivar escrow: 20 bytes, its contract."""

    chain_id: int
    escrow: bytes

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        """The domain of a network's contracts."""
        return cls(deployment.chain_id, deployment.escrow)

    def digest(self, voucher: Voucher) -> bytes:
        """32 bytes that a coordinator's node key signs (EIP-712)."""
        return voucher_data(voucher, self.chain_id, self.escrow).digest()

    def sign(self, key: Key, voucher: Voucher) -> bytes:
        """65-byte signature; the same again for the same voucher (RFC 6979)."""
        return sign_digest(key.secret, self.digest(voucher))

    def verify(self, voucher: Voucher, signature: bytes) -> None:
        """:raises SignatureError: it is not by the voucher's coordinator, for this contract on this chain."""
        if recover(self.digest(voucher), signature).address != voucher.coordinator:
            raise SignatureError("a voucher is not signed by its coordinator for this escrow")


@dataclass(frozen=True, slots=True)
class HeldVoucher:
    """A voucher that was checked, with its signature: what can be redeemed."""

    voucher: Voucher
    signature: bytes

    @property
    def amount_wei(self) -> int:
        """All that it promises."""
        return self.voucher.cumulative_amount_wei
