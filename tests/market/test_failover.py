"""The drawn miner dies in mid-task, and the picture still comes, from the next in the ranking."""

import json
import os
import signal

import pytest

from protocol.receipt import verify_document
from tests.market.money import PRICE_WEI, Money
from tests.market.test_local_api import events_of

pytestmark = pytest.mark.process
STEPS, SLICE_STEPS, LOST_AT_STEP = 100, 12, 30


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_drawn_miner_lost_in_mid_task(own_market, blow):
    names = {address: name for name, address in own_market.description["addresses"].items()}
    body = {"prompt": "a red apple", "steps": STEPS, "stream": True}
    lost, comments, task_id = None, [], ""
    with (
        own_market.client() as client,
        client.stream("POST", "/v1/images/generations", json=body) as response,
    ):
        for name, data in events_of(response):
            if name == "comment":
                comments.append(data)
                # Far enough for a voucher or two.
                if lost is None and data.startswith("step ") and int(data.split()[1]) >= LOST_AT_STEP:
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
    assert_both_are_paid_for_their_own_steps(Money(own_market), task_id, names[lost], assigned[1])


def assert_both_are_paid_for_their_own_steps(money, task_id, lost, winner):
    price_wei = PRICE_WEI * STEPS // 20
    paid_steps = money.claimed_wei(lost, task_id) * STEPS // price_wei
    assert LOST_AT_STEP - SLICE_STEPS < paid_steps < STEPS
    assert money.claimed_wei(money.name_of(winner), task_id) == price_wei
    # A voucher may have been on its way when the miner was lost: that is signed, and nobody has it.
    signed_wei = money.purse()["outstanding_wei"] - price_wei
    assert signed_wei in {price_wei * steps // STEPS for steps in (paid_steps, paid_steps + SLICE_STEPS)}
    money.command("miner", "redeem", str(money.data_dir(lost)))
    money.assert_nothing_is_lost()
