"""A reorganisation across the seed block of the epoch in use, with real nodes: nobody honest is accused.

With `CUCKOO_LONG=1` alone: what is doubted waits for minutes. With watchers and rules in place of nodes, in
seconds: `tests/node/peer/test_reorganisations.py`.
"""

import time

import pytest

from contracts.deployment import read_deployment
from protocol.rules.view import SEED_SETTLING_MS
from tests.limits import CHILD_TIMEOUT_S
from tests.market.asking import WHOLE, ask, tell
from tests.market.chain import on_chain

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        not WHOLE, reason="CUCKOO_LONG=1 and -o faulthandler_timeout=1500 run its seven minutes"
    ),
]
AFTER_S = SEED_SETTLING_MS / 1000 + 60


def epoch_in_use(market):
    with market.client() as client:
        return client.get("/v1/cuckoo/status").json()["chain"]["epoch"]


def evidence(market):
    return {path.name for path in market.folder.glob("*/evidence/*.json")}


async def reorganise(clients):
    """Replace the seed block of the newest epoch and all after it; its seeds before and after."""
    epoch = await clients.epochs.settled_epoch(2)
    depth = await clients.epochs.clock() - epoch.snapshot_block
    await clients.rpc.request("anvil_reorg", depth, [])
    return epoch


async def seed_of(clients, number):
    found = await clients.epochs.epoch(number)
    return None if found is None else found.seed


def test_attack_a_reorganisation_across_the_seed_in_use_accuses_nobody(rogue_market):
    before, deployment = (
        evidence(rogue_market),
        read_deployment(rogue_market.folder / "network/contracts.json"),
    )
    first, deadline = epoch_in_use(rogue_market), time.monotonic() + CHILD_TIMEOUT_S
    while epoch_in_use(rogue_market) == first:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert ask(rogue_market, steps=1).status == 200
    epoch = on_chain(rogue_market, deployment, reorganise)
    began, answers = time.monotonic(), []
    while time.monotonic() < began + AFTER_S:
        answers.append(ask(rogue_market, steps=1))
        time.sleep(2)
    now = on_chain(rogue_market, deployment, lambda clients: seed_of(clients, epoch.number))
    assert now != epoch.seed
    tell(f"{sum(a.status == 200 for a in answers)} of {len(answers)} requests answered after it")
    assert evidence(rogue_market) == before
    assert answers[-1].status == 200
