"""A miner that pauses: paused, it takes nothing and promises nothing; what it has promised, it does."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from node.miner.miner import Miner, Terms
from node.signing.keys import Key
from node.system.clock import now_ms
from protocol.messages import RankedMiner
from protocol.rules.view import TaskTerms
from protocol.signature import sign_digest
from protocol.statement import open_statement, seal
from tests.node.builders import COORDINATOR, DOMAIN, PACKAGE, announcement

MINER = Key.of(b"\x02" * 32)


def announced(**changes):
    message = replace(
        announcement(RankedMiner(MINER.address, 0)),
        model_id=PACKAGE.model_id,
        announced_at_ms=now_ms(),
        deadline_ms=now_ms() + 60_000,
        **changes,
    )
    encoded = seal(DOMAIN, message, lambda statement: sign_digest(COORDINATOR.secret, statement.digest))
    return open_statement(DOMAIN, encoded, type(message))


@pytest.fixture
def miner(tmp_path):
    """A miner without a network; whatever it would do there is noted instead."""
    peer = SimpleNamespace(data_dir=tmp_path, key=MINER, view=SimpleNamespace(terms=TaskTerms(1_000, 60_000)))
    throttle = SimpleNamespace(pause_reason="")
    miner = Miner(peer, None, [PACKAGE], Terms(1, 1, throttle), None)
    miner.throttle, miner.served, miner.go_on = throttle, [], trio.Event()

    async def serve(task, rank, life):
        miner.served.append("begun")
        await miner.go_on.wait()
        miner.served.append("done")

    miner._serve = serve
    return miner


def test_paused_it_wants_nothing(miner):
    task = announced().message
    assert miner._wants(task)
    miner.throttle.pause_reason = "on battery"
    assert not miner._wants(task)


async def test_paused_while_it_waits_for_its_rank_it_promises_nothing(miner):
    miner.throttle.pause_reason = "on battery"
    miner._following = 1
    await miner._follow(announced())
    assert miner.served == []
    assert miner._following == 0


async def test_paused_in_mid_task_it_finishes(miner):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(miner._follow, announced())
        await trio.testing.wait_all_tasks_blocked()
        miner.throttle.pause_reason = "on battery"
        miner.go_on.set()
    assert miner.served == ["begun", "done"]
