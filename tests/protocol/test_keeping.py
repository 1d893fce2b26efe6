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


OVER_MS = TERMS.ends_at_ms(TASK.message.deadline_ms) + DICE_SETTLING_MS


@pytest.mark.parametrize(
    ("draw", "is_held", "audits", "goes_at_ms"),
    [
        (PASSED, False, Audits.PUBLIC, DUE_MS),
        (None, False, Audits.BUYER_ONLY, DUE_MS),
        (AUDIT, False, Audits.PUBLIC, OVER_MS),
        (None, False, Audits.PUBLIC, OVER_MS),
        (PASSED, True, Audits.PUBLIC, None),
        (AUDIT, True, Audits.PUBLIC, None),
        (None, True, Audits.BUYER_ONLY, None),
    ],
    ids=["passed", "its buyer's alone", "selected", "not known", "asked for", "contested", "demanded"],
)
def test_work_goes_when_nobody_may_ask_for_it_any_more(draw, is_held, audits, goes_at_ms):
    task = builders.announcement(audits=audits)

    def goes(now_ms):
        return may_go(task, draw, TERMS, now_ms, is_held=is_held)

    if goes_at_ms is None:
        assert not goes(OVER_MS + 10**9)
    else:
        assert (goes(goes_at_ms - 1), goes(goes_at_ms)) == (False, True)
