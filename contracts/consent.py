"""The consent of a node key to its registration, in the staking contract's own EIP-712 domain.

Is: the struct that the node key signs, so that nobody is registered by somebody else.
Is not: a statement of the network, so no guard stands before it: a key registers only once, and signing two
consents harms nobody.
"""

from __future__ import annotations

from contracts.records import Consent
from contracts.typed_data import TypedData


def consent_data(consent: Consent, chain_id: int, staking_address: bytes) -> TypedData:
    """The statement that the node key signs.

    :param chain_id: of the chain on which it will be used, and nowhere else.
    :param staking_address: 20 bytes, the contract that will check it.
    """
    return TypedData(
        domain_name="Cuckoo Staking",
        chain_id=chain_id,
        contract=staking_address,
        struct="Consent",
        fields=(
            ("address", "owner", consent.owner),
            ("address", "node", consent.node),
            ("uint8", "role", int(consent.role)),
            ("uint256", "deadline", consent.deadline_s),
        ),
    )


def consent_digest(consent: Consent, chain_id: int, staking_address: bytes) -> bytes:
    """Digest, 32 bytes. :raises ValueError: an address is not 20 bytes."""
    return consent_data(consent, chain_id, staking_address).digest()


def sign_consent(node_secret: bytes, consent: Consent, chain_id: int, staking_address: bytes) -> bytes:
    """Sign a consent with the node's key: 65 bytes r, s and v.

    :param node_secret: 32 bytes, of `Consent.node`.
    :raises ValueError: an address is not 20 bytes.
    """
    return consent_data(consent, chain_id, staking_address).sign(node_secret)
