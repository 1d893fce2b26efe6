"""Keeping: nothing goes that somebody may ask for, and what nobody may ask for does not stay."""

import dataclasses

import pytest

from protocol.audit import Audits
from protocol.keeping import DICE_SETTLING_MS, may_go
from protocol.terms import AuditTerms
from tests.protocol import builders
from tests.protocol.builders import AUDIT, TASK

TERMS = AuditTerms()
PASSED = dataclasses.replace(AUDIT, is_selected=False, auditors=())
DUE_MS = TERMS.beacon_from_ms(TASK.message.deadline_ms) + DICE_SETTLING_MS


@pytest.mark.parametrize(
    ("draw", "is_asked_for", "audits", "now_ms", "expected"),
    [
        (PASSED, False, Audits.PUBLIC, DUE_MS, True),
        (PASSED, False, Audits.PUBLIC, DUE_MS - 1, False),
        (PASSED, True, Audits.PUBLIC, DUE_MS, False),
        (PASSED, False, Audits.BUYER_ONLY, DUE_MS, False),
        (AUDIT, False, Audits.PUBLIC, DUE_MS + 10**9, False),
        (None, False, Audits.PUBLIC, DUE_MS + 10**9, False),
    ],
    ids=["passed", "not settled", "asked for", "its buyer's alone", "selected", "not known"],
)
def test_work_goes_when_the_dice_have_settled_and_left_it_out(draw, is_asked_for, audits, now_ms, expected):
    task = builders.announcement(audits=audits)
    assert may_go(task, draw, TERMS, now_ms, is_asked_for=is_asked_for) is expected
