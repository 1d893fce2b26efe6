"""The turns of miners, with the clock in hand: none works before its time, and none waits for another's."""

import time

import pytest

from protocol.receipt import verify_document
from tests.limits import CHILD_TIMEOUT_S
from tests.market.asking import WHOLE, Watched, ask, ask_at_once, tell
from tests.market.rogues import COME_AT_ONCE, EAGER, LARGE_NAME
from tests.market.test_local_api import events_of

pytestmark = pytest.mark.process
LONG_TASK = {"model": LARGE_NAME, "steps": 100} if WHOLE else {"steps": 100}
PLACED_AFTER_S = 8
SHORT_S_MAX = 1.5
TASKS = 30 if WHOLE else 8


def test_short_tasks_do_not_wait_for_a_long_one(rogue_market):
    ask_at_once(rogue_market, 3, steps=2)  # what is done once only is done
    long_task = Watched(rogue_market, **LONG_TASK)
    if WHOLE:
        time.sleep(PLACED_AFTER_S)
    long_task.wait(lambda it: it.step >= 20, CHILD_TIMEOUT_S)
    answers = ask_at_once(rogue_market, 2, steps=2)
    was_over = long_task.over
    long_task.wait_until_over(CHILD_TIMEOUT_S)
    slowest_s = max(answer.seconds for answer in answers)
    tell(f"short tasks {slowest_s:.2f} s, while a long one takes {long_task.seconds:.1f} s")
    assert [answer.status for answer in answers] == [200, 200]
    assert not was_over, "the short ones were answered when the long one had ended"
    if WHOLE:
        assert slowest_s <= SHORT_S_MAX


def delivery(market):
    """A streamed picture: (when the first step of each miner was seen in Unix ms, comments, its receipt)."""
    first_ms, comments, task_id = {}, [], ""
    body = {"prompt": "a star", "steps": 2, "stream": True}
    with (
        market.client() as client,
        client.stream("POST", "/v1/images/generations", json=body) as response,
    ):
        for name, data in events_of(response):
            if name == "comment":
                comments.append(data)
                if data.startswith("step "):
                    first_ms.setdefault(data.rpartition(" 0x")[2], time.time_ns() // 1_000_000)
                elif data.startswith("task "):
                    task_id = data.removeprefix("task ")
    with market.client() as client:
        document = client.get(f"/v1/cuckoo/tasks/{task_id}").json()
    return first_ms, comments, verify_document(document)


def test_attack_a_third_ranked_miner_dials_at_once(rogue_market):
    address = rogue_market.description["addresses"][EAGER].removeprefix("0x")
    head_start_ms = 3_000
    ranks, worked, early = [], 0, []
    with rogue_market.ordered(EAGER, COME_AT_ONCE):
        for _ in range(TASKS):
            first_ms, comments, receipt = delivery(rogue_market)
            task = receipt.announcement.message
            rank = [miner.hex() for miner in task.assigned].index(address)
            ranks.append(rank)
            if rank == 0 or address not in first_ms:
                continue
            worked += 1
            before = [miner.hex() for miner in task.assigned[:rank]]
            are_out = all(any(said.startswith(f"lost 0x{miner}") for said in comments) for miner in before)
            if first_ms[address] < task.announced_at_ms + rank * head_start_ms and not are_out:
                early.append((rank, comments))
    tell(f"{len(early)} of {TASKS} tasks worked before its time")
    assert early == []
    # It did come: what it heard when another had delivered is said to those on a stream only.
    told = [line for line in rogue_market.log_of(EAGER).splitlines() if "the task is delivered" in line]
    assert len(told) >= sum(rank > 0 for rank in ranks) - worked > 0
    assert ask(rogue_market, steps=2).status == 200
