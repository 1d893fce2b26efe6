"""Who can read a prompt: over the API, in a receipt that still proves itself, and by what was asked."""

import dataclasses

import pytest

from node.api.readers import READERS, READERS_BUYER, readers_of, receipt_document
from protocol.audit import Audits
from protocol.receipt import verify_document
from tests.node.api.desk import FakeCoordinator, api, client_of
from tests.protocol import builders


async def test_models_and_receipts_say_it():
    coordinator, receipt = FakeCoordinator(), builders.receipt()
    coordinator.receipt = {receipt.announcement.digest: receipt}.get
    async with client_of(api(coordinator)) as http:
        (model,) = (await http.get("/v1/models")).json()["data"]
        document = (await http.get(f"/v1/cuckoo/tasks/{receipt.announcement.digest.hex()}")).json()
    assert model["cuckoo"]["readers"] == document["readers"] == READERS
    assert verify_document(document) == receipt


@pytest.mark.parametrize(
    ("audits", "readers"), [(Audits.PUBLIC, READERS), (Audits.BUYER_ONLY, READERS_BUYER)]
)
def test_auditors_are_named_where_there_can_be_some(audits, readers):
    message = dataclasses.replace(builders.TASK.message, audits=audits)
    statement = dataclasses.replace(builders.TASK, message=message)
    receipt = dataclasses.replace(builders.receipt(), announcement=statement)
    assert receipt_document(receipt)["readers"] == readers_of(audits) == readers
    assert ("auditors" in readers["prompt"] or "two other miners" in readers["prompt"]) == (
        audits == Audits.PUBLIC
    )
