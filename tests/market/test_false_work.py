"""Miners that do other work than they were paid for lose their stake, by evidence that a stranger submits."""

import json
import re
import time
from pathlib import Path

import pytest

from contracts.deployment import read_deployment
from node.commands import slash
from node.commands.errors import show_errors
from node.system.control_client import ask
from protocol.evidence import Fault
from protocol.evidence_document import from_document
from protocol.messages import TaskAnnouncement
from tests.limits import HANG_S
from tests.market import false_work
from tests.market.asking import WHOLE, tell
from tests.market.chain import on_chain
from tests.market.conftest import running_market

pytestmark = pytest.mark.process
FAULTS = {
    false_work.COUNT: Fault.STEP_COUNT,
    false_work.GUIDANCE: Fault.FALSE_STEP,
    false_work.SEED: Fault.FALSE_START,
}
"""In the order in which they are noticed: a false count is seen before the dice are thrown."""
HAS_WORKED = re.compile(r"\bworking\b.*task=")
BEACON_MARGIN_MS = 1_000
SLASHED_S_MAX = 30
"""From the moment whose block throws the dice to the end of a cheat's stake."""


@pytest.fixture(scope="module")
def cheated(tmp_path_factory):
    with running_market(tmp_path_factory.mktemp("cheats") / "devnet", module=false_work.MODULE) as market:
        yield market


def address_of(market, name):
    return bytes.fromhex(market.description["addresses"][name].removeprefix("0x"))


def let_everybody_work(market):
    """Ask for pictures until each cheat has committed to one."""
    left = set(false_work.CHEATS)
    with market.client() as client:
        for number in range(100):
            client.post("/v1/images/generations", json={"prompt": f"a star, {number}", "steps": 2})
            left = {name for name in left if not HAS_WORKED.search(market.log_of(name))}
            if not left:
                return
    pytest.fail(f"never drawn: {left}")


def evidence_of(market, signer):
    """The first file about a node that another one has written; as it comes."""
    ends = time.monotonic() + HANG_S
    while time.monotonic() < ends:
        for path in sorted(market.folder.glob("*/evidence/*.json")):
            if json.loads(path.read_text())["signer"] == "0x" + signer.hex():
                return path
        time.sleep(0.2)
    pytest.fail("nobody has noticed")


def submit(market, path):
    """As a stranger, who is nobody's node."""
    arguments = ["submit", str(path), "--in-the-clear", "--network", market.description["network"]]
    arguments += ["--reporter-key", market.description["staker_key"]]
    arguments += ["--password-file", market.description["password_file"]]
    return show_errors(lambda: slash.app(arguments, result_action="return_value"), name="cuckoo-slash")


def stake_of(market, node):
    deployment = read_deployment(Path(market.description["network"]) / "contracts.json")

    async def question(clients):
        return (await clients.staking.node_info(node)).own_stake_wei

    return on_chain(market, deployment, question)


def test_attack_other_guidance_another_seed_and_a_false_count_each_cost_the_stake(cheated):
    let_everybody_work(cheated)
    for name, fault in FAULTS.items():
        signer = address_of(cheated, name)
        assert stake_of(cheated, signer) > 0
        path = evidence_of(cheated, signer)
        _, evidence, _ = from_document(json.loads(path.read_text()))
        assert evidence.FAULT is fault
        assert submit(cheated, path) == 0
        assert stake_of(cheated, signer) == 0
        deadline_ms = TaskAnnouncement.decode(evidence.announcement).deadline_ms
        seconds = time.time() - (deadline_ms + BEACON_MARGIN_MS) / 1000
        tell(f"{name}: without its stake {seconds:.1f} s after the moment of the dice")
        if WHOLE:
            assert seconds <= SLASHED_S_MAX


def test_a_node_that_only_audits_is_paid_for_its_verdicts(cheated):
    let_everybody_work(cheated)
    ends = time.monotonic() + HANG_S
    while time.monotonic() < ends:
        shown = ask(cheated.folder / false_work.AUDITOR, "status")
        if shown["audit_pay"]["taken"]:
            assert shown["pay"]["earned_micro_cai"] > 0
            return
        time.sleep(0.5)
    pytest.fail(f"not paid: {shown['audit_pay']}, {shown['audits']}")
