"""A miner is paid for what it did, to the last wei, and its owner gets it: real processes, real chain."""

import time

import pytest

from node.commands import miner as miner_cli
from protocol.receipt import verify_document
from tests.market.money import PRICE_WEI, Money
from tests.market.test_local_api import events_of

pytestmark = pytest.mark.process
TIMEOUT_S = 180


@pytest.fixture
def money(market):
    return Money(market)


def image_by(money, **body):
    """Have an image made; (name of the miner, task id)."""
    with money.market.client() as client:
        answer = client.post("/v1/images/generations", json={"prompt": "a cat", **body})
        assert answer.status_code == 200, answer.text
        (task_id,) = answer.json()["cuckoo"]["tasks"]
        receipt = verify_document(client.get(f"/v1/cuckoo/tasks/{task_id}").json())
    return money.name_of(receipt.commitment.signer.address), task_id


def redeemed(money, name):
    money.command("miner", "redeem", str(money.data_dir(name)))
    return money.account(name)


def test_the_price_of_an_image_reaches_the_miners_owner(money, capsys):
    before = {name: money.promised_wei(name) for name in money.miners}
    name, task_id = image_by(money)
    assert money.claimed_wei(name, task_id) == PRICE_WEI
    after = {name: money.promised_wei(name) for name in money.miners}
    assert after == before | {name: before[name] + PRICE_WEI}

    account = redeemed(money, name)
    assert account.paid_wei == after[name]

    async def owner_has(clients):
        info = await clients.staking.node_info(money.addresses[name])
        return await clients.token.balance(info.owner)

    had_wei = money.ask(owner_has)
    assert "collected" in money.command("miner", "collect", str(money.data_dir(name)))
    new_wei = account.paid_wei - account.collected_wei
    # A tenth is for those who stake behind the miner.
    assert money.ask(owner_has) - had_wei == new_wei - new_wei // 10
    shown = money.command("miner", "earnings", str(money.data_dir(name)))
    assert "unredeemed   0 CAI" in shown
    assert "nothing to redeem" in money.command("miner", "redeem", str(money.data_dir(name)))
    assert "nothing to collect" in money.command("miner", "collect", str(money.data_dir(name)))
    money.assert_nothing_is_lost()
    miner_cli.status(money.data_dir(name))
    assert f"0x{money.coordinator.hex()}" in capsys.readouterr().out


@pytest.mark.parametrize(("steps", "price_wei"), [(3, PRICE_WEI * 3 // 20), (40, 2 * PRICE_WEI)])
def test_the_price_goes_with_the_work(money, steps, price_wei):
    name, task_id = image_by(money, steps=steps)
    assert money.claimed_wei(name, task_id) == price_wei
    money.assert_nothing_is_lost()


def ended(log, task_id):
    return any(f"task={task_id}" in line and "task over" in line for line in log.splitlines())


def test_an_app_that_goes_away_has_paid_for_the_steps_done(money):
    steps, seen, task_id, miner = 100, 0, "", ""
    with (
        money.market.client() as client,
        client.stream(
            "POST", "/v1/images/generations", json={"prompt": "a cat", "steps": steps, "stream": True}
        ) as response,
    ):
        for name, data in events_of(response):
            if name == "comment" and data.startswith("task "):
                task_id = data.removeprefix("task ")
            elif name == "comment" and data.startswith("step "):
                seen, miner = int(data.split()[1]), data.rpartition("0x")[2]
                if seen >= 30:
                    break
    name = money.name_of(bytes.fromhex(miner))
    wait_until(lambda: ended(money.market.log_of(name), task_id))
    price_wei = PRICE_WEI * steps // 20
    paid_steps = money.claimed_wei(name, task_id) * steps // price_wei
    assert money.claimed_wei(name, task_id) == price_wei * paid_steps // steps
    # All that the coordinator was shown, and that is less than a slice behind what the app has seen.
    assert seen <= paid_steps < steps
    assert redeemed(money, name).paid_wei == money.promised_wei(name)
    money.assert_nothing_is_lost()


def test_a_deposit_that_is_to_leave_pays_for_no_more_and_miners_redeem(money):
    name, _ = image_by(money)
    money.command("miner", "redeem", str(money.data_dir(name)))
    coordinator = "0x" + money.coordinator.hex()
    name, task_id = image_by(money)
    assert money.claimed_wei(name, task_id) == PRICE_WEI
    said = money.command("chain", "escrow", "announce", coordinator, "100", owner_of="coordinator")
    assert "100 CAI can be withdrawn from 2" in said
    try:
        wait_until(lambda: money.purse()["leaving_wei"])
        with money.market.client() as client:
            answer = client.post("/v1/images/generations", json={"prompt": "a cat"})
        assert answer.status_code == 402
        error = answer.json()["error"]
        assert error["code"] == "deposit_used_up"
        assert f"cuckoo-peer chain escrow deposit {coordinator}" in error["message"]
        # Whoever holds a voucher brings it to the chain by itself.
        wait_until(lambda: "it has announced a withdrawal" in money.market.log_of(name))
        assert money.account(name).paid_wei == money.promised_wei(name)
    finally:
        money.command("chain", "escrow", "announce", coordinator, "0", owner_of="coordinator")
    wait_until(lambda: not money.purse()["leaving_wei"])
    image_by(money)
    money.assert_nothing_is_lost()


def wait_until(condition):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
