"""EIP-712 signatures that our contracts check, each in its own contract's domain.

Is: digest and signature by eth-account, without a connection, so that a cold wallet, a hot node and a tool
may be on three machines.
Is not: statements of the network: those are one struct of their own (`protocol.statement`), made a thousand
times more often, and go through the equivocation guard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from contracts.libraries import EthAccount, SignableMessage, Web3, encode_typed_data
from protocol.hashing import keccak256
from protocol.signature import ADDRESS_BYTES

_VERSION: Final = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedData:
    """One struct to be signed.

    :ivar domain_name: of the contract that will check it.
    :ivar chain_id: of its chain, and no other.
    :ivar contract: its address, 20 bytes.
    :ivar struct: name of the struct.
    :ivar fields: (type, name, value) in order; an address is 20 bytes.
    """

    domain_name: str
    chain_id: int
    contract: bytes
    struct: str
    fields: tuple[tuple[str, str, Any], ...]

    def digest(self) -> bytes:
        """Digest, 32 bytes, that is signed (EIP-712). :raises ValueError: an address is not 20 bytes."""
        message = self._signable()
        return keccak256(b"\x19" + message.version + message.header + message.body)

    def sign(self, secret: bytes) -> bytes:
        """65 bytes r, s and v by a key of 32 bytes. :raises ValueError: as `digest`."""
        return bytes(EthAccount.sign_message(self._signable(), secret).signature)

    def _signable(self) -> SignableMessage:
        domain: dict[str, Any] = {
            "name": self.domain_name,
            "version": _VERSION,
            "chainId": self.chain_id,
            "verifyingContract": _checksum(self.contract),
        }
        types = {self.struct: [{"name": name, "type": kind} for kind, name, _ in self.fields]}
        values = {name: _checksum(value) if kind == "address" else value for kind, name, value in self.fields}
        return encode_typed_data(domain, types, values)


def _checksum(address: bytes) -> str:
    if len(address) != ADDRESS_BYTES:
        message = f"an address has {ADDRESS_BYTES} bytes"
        raise ValueError(message)
    return Web3.to_checksum_address(address)
