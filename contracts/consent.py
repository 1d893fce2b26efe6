"""The consent of a node key to its registration: EIP-712 in the staking contract's own domain.

Is: the digest and the signature, without a connection, so that a cold wallet and a hot node may be on two
machines.
Is not: a statement of the network: that is another domain, and goes through the equivocation guard. A key
registers only once, so signing two consents harms nobody.
"""

from __future__ import annotations

from typing import Final

from contracts.records import Consent
from protocol.hashing import keccak256
from protocol.signature import ADDRESS_BYTES, sign_digest

_DOMAIN_TYPE: Final = keccak256(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_CONSENT_TYPE: Final = keccak256(b"Consent(address owner,address node,uint8 role,uint256 deadline)")
_NAME_HASH: Final = keccak256(b"Cuckoo Staking")
_VERSION_HASH: Final = keccak256(b"1")


def consent_digest(consent: Consent, chain_id: int, staking_address: bytes) -> bytes:
    """Digest, 32 bytes, that the node key signs (EIP-712).

    :param chain_id: of the chain on which it will be used, and nowhere else.
    :param staking_address: 20 bytes, the contract that will check it.
    """
    domain = keccak256(
        _DOMAIN_TYPE + _NAME_HASH + _VERSION_HASH + _word(chain_id) + _address_word(staking_address)
    )
    struct = keccak256(
        _CONSENT_TYPE
        + _address_word(consent.owner)
        + _address_word(consent.node)
        + _word(consent.role)
        + _word(consent.deadline_s)
    )
    return keccak256(b"\x19\x01" + domain + struct)


def sign_consent(node_secret: bytes, consent: Consent, chain_id: int, staking_address: bytes) -> bytes:
    """Sign a consent with the node's key: 65 bytes r‖s‖v.

    :param node_secret: 32 bytes, of `Consent.node`.
    """
    return sign_digest(node_secret, consent_digest(consent, chain_id, staking_address))


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _address_word(address: bytes) -> bytes:
    if len(address) != ADDRESS_BYTES:
        message = f"an address has {ADDRESS_BYTES} bytes, not {len(address)}"
        raise ValueError(message)
    return bytes(12) + address
