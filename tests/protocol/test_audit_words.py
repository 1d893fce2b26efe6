"""Audits in words: asserted whole, one test for each thing that can be said."""

import dataclasses

import pytest

from protocol.audit import Audits
from protocol.audit_words import _percent, explain_audit
from protocol.draw import EpochView, Snapshot
from protocol.terms import PPM, AuditTerms
from tests.protocol import builders
from tests.protocol.builders import AUDIT, AUDITORS, COMMITTED, EPOCH, FIRST_RANKED, TASK, beacon, block, view

MINER = f"0x{FIRST_RANKED.address.hex()}"
UNSELECTING = next(one for one in map(block, map(str, range(1_000))) if not builders.audit(one).is_selected)


RATE = (
    "a false picture gains at most 2.5 CAI; behind its miner are 300,000 CAI, votes among them",
    "audits of 0.0019 % deter from one false step of 4",
    "at 2 % a miner that falsifies every step is seen after 50 pictures in the mean",
    "and one that falsifies a single step of each picture after 100 pictures in the mean",
)


def explained(task=TASK.message, commitment=COMMITTED, **changes):
    return explain_audit(dataclasses.replace(view(), **changes), task, commitment)


def owner_of(key):
    return f"0x{EPOCH.registrations.owner_of(key.address).hex()}"


def test_work_that_is_selected():
    one, other = (f"0x{auditor.address.hex()}" for auditor in AUDITORS)
    given = f"0x{beacon().hash.hex()}, and commitment 0x{COMMITTED.digest.hex()}"
    barred = f"{owner_of(FIRST_RANKED)} and {owner_of(builders.COORDINATOR)}"
    assert explained() == (
        f"block 800000, {given} give the dice 0x{AUDIT.dice.hex()}",
        f"their first 8 bytes are 0.2126 % of what they can be; below 2 % the work of {MINER} is audited",
        f"{one} checks step 2 of 4, from 0",
        f"{other} checks step 0 of 4, from 0",
        f"nodes of {barred} may not: they are its miner's or its coordinator's",
        "verdicts count until 3600 s past the deadline",
        *RATE,
    )


def test_work_that_is_not_selected():
    assert explained(beacons={TASK.message.deadline_ms: UNSELECTING})[2:] == (
        "so nobody but its buyer may audit it",
        *RATE,
    )


def test_several_steps_are_listed():
    # As if the task had had 20 steps: three for each.
    task = dataclasses.replace(TASK.message, work=builders.work(20))
    made = builders.opened(FIRST_RANKED, builders.commitment(units_done=20))
    lines = explained(task, made, audit_terms=AuditTerms(selected_ppm=PPM, newcomer_ppm=PPM))
    (_, first), _ = builders.draw_audit(
        EPOCH,
        builders.AuditedWork.of(task, made),
        beacon(),
        AuditTerms(selected_ppm=PPM, newcomer_ppm=PPM),
    ).auditors
    assert f"checks steps {first[0]}, {first[1]} and {first[2]} of 20, from 0" in lines[2]


def test_work_that_nobody_may_audit():
    alone = EpochView(7, EPOCH.seed, Snapshot.of([(FIRST_RANKED.address, 10**18)]), EPOCH.coordinators)
    lines = explained(epochs={7: alone}, audit_terms=AuditTerms(selected_ppm=PPM, newcomer_ppm=PPM))
    assert lines[2] == "nobody is left who may audit it"


def test_a_rate_of_nothing_sees_nothing_and_deters_nobody_without_stake():
    nobody = EpochView(7, EPOCH.seed, Snapshot.of([]), EPOCH.coordinators)
    lines = explained(epochs={7: nobody}, audit_terms=AuditTerms(selected_ppm=0, newcomer_ppm=0))
    assert lines[-3:] == (
        "no rate of audits deters from one false step of 4",
        "at 0 % a miner that falsifies every step is seen never",
        "and one that falsifies a single step of each picture never",
    )


def test_work_of_which_the_dice_are_not_thrown_yet():
    decides = "the first final block 20 s past the deadline decides"
    assert explained(beacons={}) == (f"whether the work of {MINER} is audited is not known yet: {decides}",)


def test_work_of_an_epoch_that_is_forgotten():
    assert explained(epochs={}) == (
        f"who audits the work of {MINER} is not known any more: epoch 7 is forgotten",
    )


def test_work_that_was_not_heard_of_in_time():
    assert explained(commitment=None) == (
        "no commitment was heard in time: its buyer alone audits such work",
    )


def test_a_task_that_its_buyer_keeps():
    task = dataclasses.replace(TASK.message, audits=Audits.BUYER_ONLY)
    assert explained(task) == ("its buyer alone audits this task: the announcement says so",)


@pytest.mark.parametrize(
    ("ppm", "text"),
    [(0, "0 %"), (1, "0.0001 %"), (20_000, "2 %"), (205_500, "20.55 %"), (PPM, "100 %")],
)
def test_percentages(ppm, text):
    assert _percent(ppm) == text
