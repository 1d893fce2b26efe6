"""Attacks on pay, each named after what is tried, by nodes that cheat on order: a slice is all they get."""

import os
import time
from contextlib import contextmanager

import pytest

from protocol.receipt import verify_document
from tests.market.conftest import running_market
from tests.market.hostile import MODULE, ORDERS_FILE, PLAN, THIEF
from tests.market.money import PRICE_WEI, Money
from tests.market.test_local_api import events_of

pytestmark = pytest.mark.process
STEPS, SLICE_STEPS = 100, 12
TASK_WEI = PRICE_WEI * STEPS // 20
GIVEN_UP_TIMEOUT_S = 180


@pytest.fixture(scope="module")
def money(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile") / "devnet"
    with running_market(folder, module=MODULE) as market:
        yield Money(market)
        # Nothing that was said has ended anybody.
        for node in PLAN:
            os.kill(market.process_of(node.name), 0)
        with market.client() as client:
            assert client.get("/v1/cuckoo/status").json()["coordinator"]["live_offers"] == len(PLAN) - 1


@contextmanager
def ordered(money, name, orders):
    path = money.data_dir(name) / ORDERS_FILE
    path.write_text(orders)
    try:
        yield
    finally:
        path.unlink()


def attempt(money):
    """Ask for an image until all miners have given up: (steps shown by each miner, task id)."""
    shown, task_id = {}, ""
    body = {"prompt": "a cat", "steps": STEPS, "stream": True}
    with (
        money.market.client() as client,
        client.stream("POST", "/v1/images/generations", json=body) as response,
    ):
        for name, data in events_of(response):
            assert name == "comment", data
            if data.startswith("task "):
                task_id = data.removeprefix("task ")
            elif data.startswith("step "):
                miner = money.name_of(bytes.fromhex(data.rpartition("0x")[2]))
                shown[miner] = max(shown.get(miner, 0), int(data.split()[1]))
            elif data.startswith("lost ") and len(shown) == len(money.miners):
                break
    return shown, task_id


def delivered(money):
    """Ask for an image: (name of its miner, task id)."""
    with money.market.client() as client:
        answer = client.post("/v1/images/generations", json={"prompt": "a cat", "steps": STEPS})
        assert answer.status_code == 200, answer.text
        (task_id,) = answer.json()["cuckoo"]["tasks"]
        receipt = verify_document(client.get(f"/v1/cuckoo/tasks/{task_id}").json())
    return money.name_of(receipt.commitment.signer.address), task_id


def why_given_up(money, name, task_id):
    deadline = time.monotonic() + GIVEN_UP_TIMEOUT_S
    while True:
        for line in money.market.log_of(name).splitlines():
            if "task over" in line and task_id in line:
                return line
        assert time.monotonic() < deadline, money.market.log_of(name)[-2000:]
        time.sleep(0.1)


ATTACKS = (
    ("never pays", "did not pay in time"),
    ("wrong signature", "not signed by its coordinator"),
    ("wrong amount", "worth less than it says"),
    ("falling amount", "worth less than it says"),
    ("foreign chain", "not signed by its coordinator"),
    ("garbage", "v is 0"),
    ("replayed voucher", "did not pay in time"),
)
"""In this order: the first good voucher brings what was promised under earlier attacks, and a miner that
holds it loses nothing by a lower one."""


def test_coordinator_that_pays_with_nothing_or_waste(money):
    for attack, reason in ATTACKS:
        with ordered(money, "coordinator", attack):
            shown, task_id = attempt(money)
        # The first voucher is good before it is replayed.
        paid_steps = SLICE_STEPS if attack == "replayed voucher" else 0
        # Each of them has shown a slice more than it was paid for, and stopped there.
        assert shown == dict.fromkeys(money.miners, paid_steps + SLICE_STEPS), attack
        for name in money.miners:
            assert reason in why_given_up(money, name, task_id)
            assert money.claimed_wei(name, task_id) == TASK_WEI * paid_steps // STEPS, attack


def test_miner_that_stops_after_taking_a_slice(money):
    with ordered(money, THIEF, "take a slice and stop"):
        for _ in range(30):
            winner, task_id = delivered(money)
            stolen_wei = money.claimed_wei(THIEF, task_id)
            if stolen_wei:
                break
    assert winner != THIEF
    assert stolen_wei == TASK_WEI * SLICE_STEPS // STEPS
    assert money.claimed_wei(winner, task_id) == TASK_WEI


def test_afterwards_they_trade_as_before(money):
    winner, task_id = delivered(money)
    assert money.claimed_wei(winner, task_id) == TASK_WEI
