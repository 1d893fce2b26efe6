"""Tasks that were heard, and epochs to draw them again by."""

from dataclasses import replace

import numpy as np
import pytest

from node.portal import tasks
from node.portal.app import Portal
from node.portal.tasks import MINERS_SHOWN_MAX
from protocol.draw import Snapshot
from protocol.rules.view import Seen
from tests.node.portal.test_app import Chain, get, peer_of
from tests.protocol.builders import COORDINATOR, EPOCH, FIRST_RANKED, TASK, commitment, opened, view

ID = "0x" + TASK.digest.hex()


@pytest.fixture
def peer():
    peer = peer_of(Chain())
    peer.seen, peer.view = Seen(), view()
    peer.seen.tasks[TASK.digest] = TASK
    return peer


async def test_a_task_with_its_ranking_and_who_has_done_it(peer):
    miner = FIRST_RANKED.address
    peer.seen.commitments[TASK.digest, miner] = opened(FIRST_RANKED, commitment())
    document = await get(Portal(peer, "miner"), f"/api/tasks/{ID}")
    message = TASK.message
    assert document["coordinator"] == "0x" + COORDINATOR.address.hex()
    assert (document["epoch"], document["number"]) == (str(message.epoch), str(message.number))
    assert document["price_micro_cai"] == str(message.price_micro_cai)
    assert document["ranking"] == [
        {"miner": "0x" + place.miner.hex(), "passed_over": place.passed_over} for place in message.ranking
    ]
    assert document["done"] == ["0x" + miner.hex()]


@pytest.mark.parametrize("name", ["0x" + "00" * 32, "0x12", "latest", ID[2:]])
async def test_a_task_that_was_not_heard(peer, name):
    answer = await get(Portal(peer, "miner"), f"/api/tasks/{name}", 404)
    assert answer == {"error": {"code": "unknown_task"}}


async def test_an_epoch_is_all_that_its_draws_are_made_of__also_when_it_is_past(peer):
    portal = Portal(peer, "miner")
    document = await get(portal, f"/api/epochs/{EPOCH.number}")
    assert document["seed"] == "0x" + EPOCH.seed.hex()
    assert document["miners"] == [
        ["0x" + miner.hex(), str(weight)]
        for miner, weight in zip(EPOCH.miners.miners, EPOCH.miners.weights, strict=True)
    ]
    peer.view = replace(peer.view, epochs={}, past_epochs={EPOCH.number: EPOCH})
    assert await get(portal, f"/api/epochs/{EPOCH.number}") == document


@pytest.mark.parametrize("number", ["1", "-7", "7.0", "9" * 20, "9" * 21, "x"])
async def test_an_epoch_that_is_not_kept(peer, number):
    answer = await get(Portal(peer, "miner"), f"/api/epochs/{number}", 404)
    assert answer == {"error": {"code": "unknown_epoch"}}


async def test_an_epoch_with_more_miners_than_the_bound_is_not_sent_whole(peer):
    count = MINERS_SHOWN_MAX + 1
    addresses = b"".join(number.to_bytes(20, "big") for number in range(count))
    large = replace(EPOCH, miners=Snapshot.of_arrays(addresses, np.ones(count, dtype=np.uint64)))
    peer.view = replace(peer.view, epochs={EPOCH.number: large})
    answer = await get(Portal(peer, "miner"), f"/api/epochs/{EPOCH.number}", 413)
    assert answer == {"error": {"code": "large_epoch"}}


async def test_a_flood_of_questions_for_an_epoch__has_it_made_once(peer, monkeypatch):
    portal, made = Portal(peer, "miner"), []
    dumps = tasks.json.dumps
    monkeypatch.setattr(tasks.json, "dumps", lambda *given, **named: made.append(1) or dumps(*given, **named))
    for _ in range(5):
        await get(portal, f"/api/epochs/{EPOCH.number}")
    assert made == [1]
    assert (portal._questions.counts.asked, portal._questions.counts.kept) == (1, 4)
