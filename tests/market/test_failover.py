"""The drawn miner dies in mid-task, and the picture still comes, from the next in the ranking."""

import json
import os
import signal

import pytest

from protocol.receipt import verify_document
from tests.market.test_local_api import events_of

pytestmark = pytest.mark.process


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_drawn_miner_lost_in_mid_task(own_market, blow):
    names = {address: name for name, address in own_market.description["addresses"].items()}
    body = {"prompt": "a red apple", "steps": 100, "stream": True}
    lost, comments, task_id = None, [], ""
    with (
        own_market.client() as client,
        client.stream("POST", "/v1/images/generations", json=body) as response,
    ):
        for name, data in events_of(response):
            if name == "comment":
                comments.append(data)
                if lost is None and data.startswith("step 5 "):
                    lost = data.rpartition(" ")[2]
                    os.kill(own_market.process_of(names[lost]), blow)
            elif name == "image_generation.completed":
                task_id = json.loads(data)["cuckoo"]["tasks"][0]
    assert lost is not None
    assert any(comment.startswith(f"lost {lost}") for comment in comments), comments
    with own_market.client() as client:
        receipt = verify_document(client.get(f"/v1/cuckoo/tasks/{task_id}").json())
    assigned = receipt.announcement.message.assigned
    assert "0x" + assigned[0].hex() == lost
    assert receipt.commitment.signer.address == assigned[1]
