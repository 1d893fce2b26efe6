"""Every way in which a request comes to nothing says why: status, code, words, and whether to ask again."""

import json
import time
from contextlib import ExitStack

import pytest

from protocol.amounts import format_cai
from tests.limits import CHILD_TIMEOUT_S, HANG_S
from tests.market.asking import WHOLE, Watched, ask, tell
from tests.market.money import Money
from tests.market.rogues import PAUSED

pytestmark = pytest.mark.process
MINERS = ("miner-1", "miner-2", "miner-3")
REFUSED_S_MAX = 0.1 if WHOLE else 2.0
STEPS = 100


def wait_until(condition):
    deadline = time.monotonic() + CHILD_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def told(answer):
    """Status, code, parameter, words, and what a stock client obeys."""
    error = answer.error
    return (
        answer.status,
        error["code"],
        error["param"],
        error["message"],
        answer.headers.get("x-should-retry"),
    )


@pytest.mark.parametrize(
    ("body", "parameter", "words"),
    [
        (
            {"prompt": "x" * 1_200},
            "prompt",
            "prompt has 1,200 characters, and cuckoo-icons takes 1,000 at most",
        ),
        ({"guidance": 20}, "guidance", "guidance is not in its range of 0 to 15"),
    ],
    ids=["prompt", "guidance"],
)
def test_what_the_model_does_not_allow_is_said_at_once(rogue_market, body, parameter, words):
    answers = [ask(rogue_market, **body) for _ in range(5)]
    assert {told(answer) for answer in answers} == {(400, "invalid_value", parameter, words, "false")}
    # The quickest: the others waited for something else on this machine.
    quickest_s = min(answer.seconds for answer in answers)
    tell(f"{parameter} refused in {1000 * quickest_s:.0f} ms")
    assert quickest_s <= REFUSED_S_MAX


def test_all_miners_decline(rogue_market):
    with ExitStack() as stack:
        for name in MINERS:
            stack.enter_context(rogue_market.ordered(name, PAUSED))
        answer = ask(rogue_market, steps=1)
    words = "none of the 3 drawn miners did it: this miner is paused: outside its hours"
    assert told(answer) == (502, "task_failed", None, words, "false")
    assert answer.seconds <= HANG_S
    assert ask(rogue_market, steps=1).status == 200


def test_all_miners_are_killed_in_mid_task(rogue_market):
    names = {address: name for name, address in rogue_market.description["addresses"].items()}
    commands = {}
    try:
        watched = Watched(rogue_market, steps=STEPS)
        for _ in MINERS:
            watched.wait(lambda it: it.working and names[it.working] not in commands, CHILD_TIMEOUT_S)
            name = names[watched.working]
            commands[name] = rogue_market.kill(name)
        watched.wait_until_over(CHILD_TIMEOUT_S)
        # Their offers are still live.
        nobody = ask(rogue_market, steps=1)
    finally:
        rogue_market.mend(commands)
    ((event, data),) = watched.events
    error = json.loads(data)["error"]
    words = "none of the 3 drawn miners did it: its stream broke off"
    assert (event, error["code"], error["message"]) == ("error", "task_failed", words)
    tell(f"heard after {nobody.seconds:.2f} s that nobody is there any more")
    assert nobody.status in {502, 503}
    assert nobody.error["message"] in {
        "none of the 3 drawn miners did it: none of them came by its time",
        "no miner offers this model for this right now",
    }
    assert ask(rogue_market, steps=1).status == 200


def test_a_deposit_that_is_used_up(rogue_market):
    money = Money(rogue_market)
    address = rogue_market.description["addresses"]["coordinator"]
    escrow = ("chain", "escrow", "announce", address)
    free_wei = money.purse()["free_wei"]
    money.command(*escrow, format_cai(free_wei).removesuffix(" CAI").replace(",", ""), owner_of="coordinator")
    try:
        wait_until(lambda: money.purse()["leaving_wei"])
        answer = ask(rogue_market, steps=20)
    finally:
        money.command(*escrow, "0", owner_of="coordinator")
    words = (
        "the coordinator's deposit is used up: the task may cost 0.01 CAI and 0 CAI are free; its owner adds "
        f"to it with: cuckoo-peer chain escrow deposit {address} AMOUNT"
    )
    assert told(answer) == (402, "deposit_used_up", None, words, "false")
    wait_until(lambda: not money.purse()["leaving_wei"])
    assert ask(rogue_market, steps=1).status == 200
