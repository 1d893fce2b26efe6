"""Whose a voucher is: the coordinator's, for one miner, contract and chain, and nobody else's."""

import dataclasses

import pytest

from contracts.records import Voucher
from node.pay.vouchers import EscrowDomain
from protocol.errors import SignatureError
from tests.node.pay.builders import COORDINATOR, DOMAIN, MINER, OTHER_MINER

VOUCHER = Voucher(coordinator=COORDINATOR.address, miner=MINER.address, cumulative_amount_wei=5)


def test_the_coordinators_own_signature_holds():
    DOMAIN.verify(VOUCHER, DOMAIN.sign(COORDINATOR, VOUCHER))


@pytest.mark.parametrize(
    ("domain", "key", "changes"),
    [
        (DOMAIN, OTHER_MINER, {}),
        (EscrowDomain(1, DOMAIN.escrow), COORDINATOR, {}),
        (EscrowDomain(DOMAIN.chain_id, bytes(20)), COORDINATOR, {}),
        (DOMAIN, COORDINATOR, {"miner": OTHER_MINER.address}),
        (DOMAIN, COORDINATOR, {"coordinator": OTHER_MINER.address}),
        (DOMAIN, COORDINATOR, {"cumulative_amount_wei": 6}),
    ],
    ids=["key", "chain", "contract", "miner", "coordinator", "amount"],
)
def test_anything_else_does_not(domain, key, changes):
    signature = domain.sign(key, dataclasses.replace(VOUCHER, **changes))
    with pytest.raises(SignatureError):
        DOMAIN.verify(VOUCHER, signature)


@pytest.mark.parametrize("signature", [b"", b"\x00" * 65, b"\xff" * 65])
def test_garbage_is_no_signature(signature):
    with pytest.raises(SignatureError):
        DOMAIN.verify(VOUCHER, signature)
