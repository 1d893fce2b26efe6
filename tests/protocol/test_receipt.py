import json

import pytest
from hypothesis import given

from protocol import receipt as receipts
from protocol.errors import DecodeError, InvalidMessage, ProtocolError
from protocol.receipt import to_document, verify_document
from tests.protocol import builders
from tests.protocol.builders import (
    COORDINATOR,
    FIRST_RANKED,
    IMAGE,
    PASSED_OVER,
    SECOND_RANKED,
    STRANGER,
    opened,
)
from tests.protocol.strategies import json_values, lawful, mutated_documents

RECEIPT = builders.receipt()
DOCUMENT = to_document(RECEIPT)


def with_epoch(**changes):
    return DOCUMENT | {"epoch": DOCUMENT["epoch"] | changes}


def test_a_document_says_all_that_the_receipt_holds():
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert verify_document(DOCUMENT) == RECEIPT


def test_it_proves_the_image():
    held = verify_document(DOCUMENT)
    assert held.matches(IMAGE)
    assert not held.matches(IMAGE + b"\x00")


def test_the_second_of_the_ranking_may_have_done_the_work():
    second = builders.receipt(
        acceptance=opened(SECOND_RANKED, builders.acceptance(rank=1)),
        commitment=opened(SECOND_RANKED, builders.commitment()),
    )
    assert verify_document(to_document(second)) == second


OTHER_TASK = opened(COORDINATOR, builders.announcement(number=12))
MISRANKED = builders.announcement(ranking=builders.announcement().ranking[::-1])


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        (
            {"announcement": opened(COORDINATOR, builders.announcement(epoch=8))},
            "the announcement names another epoch",
        ),
        ({"announcement": opened(COORDINATOR, MISRANKED)}, "the ranking is not the draw's"),
        (
            {"announcement": opened(STRANGER, builders.announcement())},
            "the announcement is signed by somebody else than its coordinator",
        ),
        (
            {"announcement": opened(STRANGER, builders.announcement(coordinator=STRANGER.address))},
            "the announcement's signer is not a coordinator",
        ),
        ({"announcement": OTHER_TASK}, "acceptance or commitment are of another task"),
        (
            {"acceptance": opened(FIRST_RANKED, builders.acceptance(task_id=bytes(32)))},
            "acceptance or commitment are of another task",
        ),
        (
            {"commitment": opened(FIRST_RANKED, builders.commitment(task_id=bytes(32)))},
            "acceptance or commitment are of another task",
        ),
        (
            {"acceptance": opened(SECOND_RANKED, builders.acceptance())},
            "acceptance and commitment have different signers",
        ),
        (
            {"acceptance": opened(FIRST_RANKED, builders.acceptance(rank=1))},
            "the miner was not drawn at this rank",
        ),
        (
            {"acceptance": opened(FIRST_RANKED, builders.acceptance(rank=9))},
            "the miner was not drawn at this rank",
        ),
        (
            {
                "acceptance": opened(PASSED_OVER, builders.acceptance(rank=1)),
                "commitment": opened(PASSED_OVER, builders.commitment()),
            },
            "the miner was not drawn at this rank",
        ),
        ({"commitment": opened(FIRST_RANKED, builders.commitment(units_done=1))}, "not all units were done"),
    ],
)
def test_what_contradicts_itself(statements, why):
    with pytest.raises(InvalidMessage) as caught:
        verify_document(to_document(builders.receipt(**statements)))
    assert caught.value.reason == why


def test_the_epoch_is_part_of_the_proof():
    """Another seed, another weight or a missing miner gives another draw."""
    less = DOCUMENT["epoch"]["miners"][:2]
    for changed, why in [
        (with_epoch(seed="00" * 32), "the ranking is not the draw's"),
        (with_epoch(number=8), "the announcement names another epoch"),
        (with_epoch(miners=less), "the ranking is not the draw's"),
        (with_epoch(coordinator_weight_micro_cai="0"), "the announcement's signer is not a coordinator"),
    ]:
        with pytest.raises(InvalidMessage, match=why):
            verify_document(changed)


def test_it_is_bound_to_its_network():
    with pytest.raises(InvalidMessage):
        verify_document(DOCUMENT | {"chain_id": 1})


MINER = DOCUMENT["epoch"]["miners"][0]


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"format": receipts.DOCUMENT_FORMAT},
        DOCUMENT | {"format": "cuckoo-receipt/2"},
        DOCUMENT | {"chain_id": "31337"},
        DOCUMENT | {"chain_id": 31337.5},
        DOCUMENT | {"chain_id": True},
        DOCUMENT | {"chain_id": -1},
        DOCUMENT | {"chain_id": 1 << 256},
        DOCUMENT | {"slashing_contract": "00" * 19},
        DOCUMENT | {"announcement": DOCUMENT["acceptance"]},
        DOCUMENT | {"announcement": ""},
        DOCUMENT | {"acceptance": DOCUMENT["acceptance"] + "00"},
        DOCUMENT | {"acceptance": " " + DOCUMENT["acceptance"]},
        DOCUMENT | {"commitment": None},
        DOCUMENT | {"epoch": []},
        with_epoch(number="7"),
        with_epoch(seed="00" * 31),
        with_epoch(miners=None),
        with_epoch(miners=["miner"]),
        with_epoch(miners=[{}]),
        with_epoch(miners=[MINER, MINER]),
        with_epoch(miners=[MINER | {"address": "00"}]),
        with_epoch(miners=[MINER | {"weight_micro_cai": 5}]),
        with_epoch(miners=[MINER | {"weight_micro_cai": "-5"}]),
        with_epoch(miners=[MINER | {"weight_micro_cai": " 5"}]),
        with_epoch(miners=[MINER | {"weight_micro_cai": "1_0"}]),
        with_epoch(miners=[MINER | {"weight_micro_cai": "\u0665"}]),
        with_epoch(miners=[MINER | {"weight_micro_cai": "9" * 21}]),
        with_epoch(miners=[MINER | {"weight_micro_cai": str(2**64)}]),
    ],
)
def test_what_is_no_document(document):
    with pytest.raises(DecodeError):
        verify_document(document)


def test_the_longest_weight_is_read():
    with pytest.raises(InvalidMessage, match="the ranking is not the draw's"):
        verify_document(with_epoch(miners=[MINER | {"weight_micro_cai": str(2**64 - 1)}]))


@lawful
@given(json_values | mutated_documents(DOCUMENT))
def test_any_json_holds_or_is_a_protocol_error(document):
    try:
        held = verify_document(document)
    except ProtocolError:
        return
    assert held.announcement == RECEIPT.announcement
