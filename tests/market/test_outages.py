"""A chain that does not answer, a clock that is wrong: apps hear why at once, and images go on afterwards."""

import os
import signal
import time
from contextlib import contextmanager

import psutil
import pytest

from node.pay.payee import STANDING_AGE_MAX_S
from tests.limits import CHILD_TIMEOUT_S
from tests.market.asking import WHOLE, ask, tell
from tests.market.rogues import FAST_CLOCK

pytestmark = pytest.mark.process
HEARD_S_MAX = 5.0 if WHOLE else 15.0
"""The small form leaves room for a machine with other things to do."""
FROZEN_S = 60 if WHOLE else 12


@contextmanager
def frozen_chain(market):
    """The chain's process takes connections and answers nothing, until the context ends."""
    devnet = psutil.Process(market.process_of("bootstrap")).parent()
    (anvil,) = [child for child in devnet.children(recursive=True) if "anvil" in child.name()]
    os.kill(anvil.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(anvil.pid, signal.SIGCONT)


def reasons(market):
    with market.client("") as client:
        return client.get("/readyz").json()["reasons"]


def wait_until_ready(market):
    deadline = time.monotonic() + CHILD_TIMEOUT_S
    while reasons(market):
        assert time.monotonic() < deadline, reasons(market)
        time.sleep(0.1)


def ask_until(market, ended_at):
    """Answers to requests that are asked one after the other until a moment."""
    answers = []
    while time.monotonic() < ended_at:
        answers.append(ask(market, steps=1))
        time.sleep(0.2)
    return answers


def test_a_frozen_chain(rogue_market):
    if WHOLE:
        time.sleep(STANDING_AGE_MAX_S + 1)  # until no miner knows the coordinator's deposit
    with frozen_chain(rogue_market):
        answers = ask_until(rogue_market, time.monotonic() + FROZEN_S)
        said = reasons(rogue_market)
    tell(f"heard after {max(answer.seconds for answer in answers):.2f} s at most")
    assert max(answer.seconds for answer in answers) <= HEARD_S_MAX
    refused = [answer for answer in answers if answer.status != 200]
    # What is known of the chain is enough for a while; then the app hears what is missing.
    assert {answer.status for answer in refused} == {503}
    assert all(answer.error["message"].startswith("the chain") for answer in refused)
    assert said["chain_unreachable"].startswith("the chain")
    wait_until_ready(rogue_market)
    assert ask(rogue_market, steps=1).status == 200


def test_a_coordinators_clock_that_is_3_s_fast(rogue_market):
    wait_until_ready(rogue_market)
    with rogue_market.ordered("coordinator", FAST_CLOCK):
        set_at = time.monotonic()
        answers = ask_until(rogue_market, set_at + HEARD_S_MAX)
        said = reasons(rogue_market)
    assert max(answer.seconds for answer in answers) <= HEARD_S_MAX
    refused = [answer for answer in answers if answer.status != 200]
    tell(f"heard after {max(answer.seconds for answer in answers):.2f} s at most")
    assert {answer.status for answer in refused} == {503}
    assert all("ms fast by the nodes of" in answer.error["message"] for answer in refused)
    assert "ms fast by the nodes of" in said["clock"]
    wait_until_ready(rogue_market)
    assert ask(rogue_market, steps=1).status == 200
