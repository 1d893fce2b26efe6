"""What a peer knows of a miner: draws, reasons, outcomes and audits, from what gossip has brought alone."""

import dataclasses
from datetime import UTC, datetime

import pytest

from node.commands.explain import miner_in_words
from node.peer.miner_story import (
    DECISION_WORDS,
    DELIVERED,
    FORESTALLED,
    NOBODY,
    TASKS_TOLD_MAX,
    ExplainedMiner,
    ExplainMiner,
    answer_explaining,
    story_of,
)
from node.system.observable import to_document
from protocol.audit import Audits
from protocol.errors import Refusal
from protocol.messages import PassedOver, RankedMiner
from protocol.rules.view import Seen, View, remember
from tests.protocol import builders
from tests.protocol.builders import AUDITORS, COORDINATOR, FIRST_RANKED, MINERS, NOW_MS, STRANGER, TASK

VIEW = builders.view()
LAST = MINERS["ann"].address


def heard(*announcements):
    """A peer that has heard of these tasks."""
    seen = Seen()
    for number, announced in enumerate(announcements):
        task = builders.opened(COORDINATOR, dataclasses.replace(announced, number=number + 1))
        seen.tasks[task.digest] = task
    return seen


def drawn(*reasons, miner=LAST):
    """Announcements in which the miner stands first, and was passed over for these reasons or not."""
    others = [place for place in TASK.message.ranking if place.miner != miner]
    return [
        dataclasses.replace(TASK.message, ranking=(RankedMiner(miner, int(reason)), *others))
        for reason in reasons
    ]


def why(miner, seen, view=VIEW, now_ms=NOW_MS):
    return list(story_of(miner, seen, view, now_ms).why_no_work)


def test_of_a_miner_that_has_delivered_its_audits_are_told():
    seen = Seen()
    seen.tasks[TASK.digest] = TASK
    seen.commitments[TASK.digest, FIRST_RANKED.address] = builders.COMMITTED
    remember(seen, builders.opened(AUDITORS[0], builders.verdict()))
    story = story_of(FIRST_RANKED.address, seen, VIEW, NOW_MS)
    assert (story.why_no_work, story.outcomes) == ((), {DELIVERED: 1})
    (task,) = story.tasks
    assert (task.rank, task.decision, task.came_to) == (0, "assigned", DELIVERED)
    assert task.audits == (
        f"0x{AUDITORS[0].address.hex()}: honest",
        f"0x{AUDITORS[1].address.hex()}: no verdict was heard",
    )
    rival = next(miner for miner in TASK.message.assigned if miner != FIRST_RANKED.address)
    assert story_of(rival, seen, VIEW, NOW_MS).outcomes == {FORESTALLED: 1}


@pytest.mark.parametrize(
    ("view", "audits", "words"),
    [
        (View(VIEW.domain, VIEW.epochs, VIEW.terms), Audits.PUBLIC, "its dice are not known"),
        (VIEW, Audits.BUYER_ONLY, "its buyer's alone to audit"),
    ],
)
def test_of_work_without_dice_that_is_said(view, audits, words):
    task = builders.opened(COORDINATOR, dataclasses.replace(TASK.message, audits=audits))
    seen = Seen()
    seen.tasks[task.digest] = task
    seen.commitments[task.digest, FIRST_RANKED.address] = builders.COMMITTED
    assert story_of(FIRST_RANKED.address, seen, view, NOW_MS).tasks[0].audits == (words,)


def test_why_a_miner_that_the_chain_does_not_know_has_no_work():
    assert why(STRANGER.address, Seen()) == ["no stake of it counts in epoch 7, so no draw finds it"]
    assert why(STRANGER.address, Seen(), View(VIEW.domain, {}, VIEW.terms)) == [
        "this node knows no epoch yet"
    ]


def test_why_a_miner_whose_offer_is_not_heard_has_no_work():
    seen = heard(*drawn(PassedOver.NO_OFFER))
    silent = "this node has heard no offer of it: it does not run, is paused, or is not connected"
    assert why(LAST, seen) == [silent, f"1 x {DECISION_WORDS[PassedOver.NO_OFFER]}"]
    seen.offers[LAST] = builders.opened(MINERS["ann"], builders.offer())
    assert why(LAST, seen, now_ms=NOW_MS + 25_000)[0] == "its offer has lapsed 5 s ago"


def test_why_a_miner_that_offers_what_nobody_wants_has_no_work():
    seen = heard(*drawn(PassedOver.NO_OFFER))
    other = dataclasses.replace(builders.model_offer(), model_id=b"\x09" * 32)
    seen.offers[LAST] = builders.opened(MINERS["ann"], builders.offer(models=(other,)))
    assert why(LAST, seen)[0] == "none of 1 tasks is for a model that it offers"


def test_why_a_miner_that_no_draw_has_found_has_no_work():
    without = tuple(place for place in TASK.message.ranking if place.miner != LAST)
    seen = heard(dataclasses.replace(TASK.message, ranking=without))
    seen.offers[LAST] = builders.opened(MINERS["ann"], builders.offer())
    assert why(LAST, seen) == ["no draw of 1 has come to it; with 4 % of the stake it is first in one of 25"]
    quiet = Seen()
    quiet.offers[LAST] = seen.offers[LAST]
    assert why(LAST, quiet) == ["this node has heard of no task of anybody"]


def test_why_a_miner_that_was_passed_over_or_came_too_late_has_no_work():
    busy, dear = PassedOver.BUSY, PassedOver.TOO_EXPENSIVE
    seen = heard(*drawn(dear, busy, dear, PassedOver.ASSIGNED))
    seen.offers[LAST] = builders.opened(MINERS["ann"], builders.offer())
    assert why(LAST, seen) == [
        f"2 x {DECISION_WORDS[dear]}",
        f"1 x {DECISION_WORDS[busy]}",
        f"1 x assigned, and {NOBODY}",
    ]


def test_no_more_tasks_are_told_of_than_the_bound_and_the_newest_first():
    story = story_of(LAST, heard(*drawn(*[PassedOver.BUSY] * (TASKS_TOLD_MAX + 5))), VIEW, NOW_MS)
    assert story.tasks_heard == TASKS_TOLD_MAX + 5
    assert len(story.tasks) == TASKS_TOLD_MAX
    assert sum(story.decisions.values()) == TASKS_TOLD_MAX + 5


async def test_the_act_refuses_what_is_no_address():
    acts = {}

    class Acts:
        def register(self, name, argument, run):
            acts[name] = run

    answer_explaining(Acts(), Seen(), lambda: VIEW, lambda: NOW_MS, lambda miner: None)
    explained = await acts["explain_miner"](ExplainMiner(LAST))
    assert explained.story == story_of(LAST, Seen(), VIEW, NOW_MS)
    with pytest.raises(Refusal, match="an on-chain address has 20 bytes"):
        await acts["explain_miner"](ExplainMiner(b"\x01"))


def test_in_words():
    seen = heard(*drawn(PassedOver.BUSY))
    here = {
        "failures": 2,
        "passed_over_ms": 29_001,
        "busy": 1,
        "promised_wei": "5",
        "price_max_micro_cai": 9,
    }
    story = story_of(LAST, seen, VIEW, NOW_MS)
    (task_id,) = seen.tasks
    busy = DECISION_WORDS[PassedOver.BUSY]
    assert miner_in_words(to_document(ExplainedMiner(story, here))).splitlines() == [
        f"miner     0x{LAST.hex()}",
        "stake     4 % of the stake in epoch 7",
        "offer     none was heard",
        "tasks     1 heard, drawn for 1 of them",
        f"          1 x {busy}",
        "no work   this node has heard no offer of it: it does not run, is paused, or is not connected",
        f"no work   1 x {busy}",
        "here      works on 1 tasks, failed 2 times since it last delivered",
        "here      passed over for 30 s more",
        "paid      5 wei in all, by vouchers of this coordinator",
        f"task      0x{task_id.hex()} rank 0: {busy}; {NOBODY}, for {TASK.message.price_micro_cai} micro-CAI",
    ]
    seen.offers[LAST] = builders.opened(MINERS["ann"], builders.offer())
    offered = to_document(ExplainedMiner(story_of(LAST, seen, VIEW, NOW_MS), None))
    until = datetime.fromtimestamp((NOW_MS + 20_000) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S+00:00")
    assert miner_in_words(offered).splitlines()[2] == f"offer     of 1 models, until {until}"
    itself = {"paused": "outside of its hours", "not_ready": {"clock": "it is off"}, "counts": {"heard": 3}}
    words = miner_in_words(to_document(ExplainedMiner(story, itself)))
    for line in (
        "here      paused: outside of its hours",
        "here      not ready: it is off",
        "here      3 x heard",
    ):
        assert line in words.splitlines()
