"""A coordinator killed at several moments and started again: its apps get what they asked for, once."""

import itertools
import json
import time

import pytest

from node.api.histories import WRITE_S
from tests.limits import CHILD_TIMEOUT_S
from tests.market.asking import WHOLE, Watched, ask
from tests.market.money import PRICE_WEI, Money

pytestmark = pytest.mark.process
STEPS = 100
KEYS = (f"crash-{number}" for number in itertools.count())
MOMENTS = {"just-before-delivery": lambda it: it.step >= STEPS - 1}
if WHOLE:
    MOMENTS |= {
        "before-the-first-step": lambda it: it.task_id,
        "in-mid-task": lambda it: it.step >= STEPS // 2,
    }


def assert_paid_once(market, delivered, given_up=()):
    """No miner is promised more than the price for a task, and nobody accuses anybody."""
    money = Money(market)
    price_wei = PRICE_WEI * STEPS // 20
    for task_id in (*delivered, *given_up):
        claimed = {name: money.claimed_wei(name, task_id) for name in money.miners}
        assert max(claimed.values()) == price_wei or (
            task_id in given_up and max(claimed.values()) < price_wei
        )
    for name in market.description["nodes"]:
        assert not list((market.data_dir(name) / "evidence").glob("*")), name


def asked_again(market, key, **body):
    """The stream of the same request under the same name, to its end: (its task, the one that delivered)."""
    again = Watched(market, key=key, **body)
    again.wait_until_over(CHILD_TIMEOUT_S)
    assert [name for name, _ in again.events] == ["image_generation.completed"], (
        again.events,
        again.comments,
    )
    return again


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
def test_killed_with_a_task_announced(rogue_market, moment):
    key = next(KEYS)
    first = Watched(rogue_market, key=key, steps=STEPS)
    first.wait(moment, CHILD_TIMEOUT_S)
    command = rogue_market.kill("coordinator")
    first.wait_until_over(CHILD_TIMEOUT_S)
    rogue_market.mend({"coordinator": command})
    again = asked_again(rogue_market, key, steps=STEPS)
    assert again.task_id == first.task_id
    assert first.task_id in again.events[0][1]
    other = ask(rogue_market, key=key, steps=STEPS)
    assert (other.status, other.error["code"]) == (422, "idempotency_key_reused")
    assert other.headers["x-should-retry"] == "false"
    assert_paid_once(rogue_market, [first.task_id])


def test_killed_why_a_task_went_as_it_did_is_known_all_the_same(rogue_market):
    answer = ask(rogue_market, steps=STEPS)
    assert answer.status == 200, answer.body

    def explained():
        with rogue_market.client() as client:
            document = client.get(f"/v1/cuckoo/tasks/{answer.task_id}/explain").json()
        return {name: document[name] for name in ("outcome", "ranking", "turns", "phases_ms", "paid_wei")}

    time.sleep(2 * WRITE_S)  # as late as it may be written
    before = explained()
    assert [turn["came_to"] for turn in before["turns"]] == ["delivered"]
    rogue_market.mend({"coordinator": rogue_market.kill("coordinator")})
    assert explained() == before


def test_killed_while_an_order_waits(rogue_market):
    keys = [next(KEYS) for _ in range(4)]
    first = [Watched(rogue_market, key=key, steps=STEPS, seed=1) for key in keys[:3]]
    for watched in first:
        watched.wait(lambda it: it.step, CHILD_TIMEOUT_S)
    waiting = Watched(rogue_market, key=keys[3], steps=STEPS, seed=1)
    with rogue_market.client() as client:
        while client.get("/v1/cuckoo/status").json()["coordinator"]["orders"] < 4:
            assert not waiting.over, waiting.events
    assert not waiting.task_id
    command = rogue_market.kill("coordinator")
    for watched in (*first, waiting):
        watched.wait_until_over(CHILD_TIMEOUT_S)
    rogue_market.mend({"coordinator": command})
    again = [asked_again(rogue_market, key, steps=STEPS, seed=1) for key in keys]
    # A miner may have gone on with one order's task when another's called: that one was drawn again then.
    delivered = {json.loads(one.events[0][1])["cuckoo"]["tasks"][0] for one in again}
    assert len(delivered) == 4
    assert len({json.loads(one.events[0][1])["b64_json"] for one in again}) == 1
    assert_paid_once(rogue_market, delivered, {one.task_id for one in first} - delivered)
