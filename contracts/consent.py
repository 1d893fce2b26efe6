"""The consent of a node key to its registration: EIP-712 in the staking contract's own domain.

Is: the digest and the signature, without a connection, so that a cold wallet and a hot node may be on two
machines.
Is not: a statement of the network: that is another domain, and goes through the equivocation guard. A key
registers only once, so signing two consents harms nobody.
"""

from __future__ import annotations

from typing import Any, Final

from contracts.libraries import EthAccount, SignableMessage, Web3, encode_typed_data
from contracts.records import Consent
from protocol.hashing import keccak256
from protocol.signature import ADDRESS_BYTES

_NAME: Final = "Cuckoo Staking"
_VERSION: Final = "1"
_TYPES: Final = {
    "Consent": [
        {"name": "owner", "type": "address"},
        {"name": "node", "type": "address"},
        {"name": "role", "type": "uint8"},
        {"name": "deadline", "type": "uint256"},
    ]
}


def consent_digest(consent: Consent, chain_id: int, staking_address: bytes) -> bytes:
    """Digest, 32 bytes, that the node key signs (EIP-712).

    :param chain_id: of the chain on which it will be used, and nowhere else.
    :param staking_address: 20 bytes, the contract that will check it.
    :raises ValueError: an address is not 20 bytes.
    """
    message = _signable(consent, chain_id, staking_address)
    return keccak256(b"\x19" + message.version + message.header + message.body)


def sign_consent(node_secret: bytes, consent: Consent, chain_id: int, staking_address: bytes) -> bytes:
    """Sign a consent with the node's key: 65 bytes r‖s‖v.

    :param node_secret: 32 bytes, of `Consent.node`.
    :raises ValueError: as `consent_digest`.
    """
    message = _signable(consent, chain_id, staking_address)
    return bytes(EthAccount.sign_message(message, node_secret).signature)


def _signable(consent: Consent, chain_id: int, staking_address: bytes) -> SignableMessage:
    if {ADDRESS_BYTES} != {len(staking_address), len(consent.owner), len(consent.node)}:
        message = f"an address has {ADDRESS_BYTES} bytes"
        raise ValueError(message)
    domain: dict[str, Any] = {
        "name": _NAME,
        "version": _VERSION,
        "chainId": chain_id,
        "verifyingContract": Web3.to_checksum_address(staking_address),
    }
    fields: dict[str, Any] = {
        "owner": Web3.to_checksum_address(consent.owner),
        "node": Web3.to_checksum_address(consent.node),
        "role": int(consent.role),
        "deadline": consent.deadline_s,
    }
    return encode_typed_data(domain, _TYPES, fields)
