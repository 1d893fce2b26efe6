"""From a report to a verdict's words: which reason, which place, and when nothing can be said yet."""

import math

import pytest

from node.inference.audit.judgement import judged, opened_work
from node.inference.audit.opened import Check, Finding, Report
from node.inference.jobs.audit_job import Audited
from protocol.audit import EXCESS_PPB_MAX, AuditReason, CheckedStep, FaultPlace, TraceTensor
from protocol.sketch import pack_bins
from tests.node.inference.builders import an_audit

JOB = an_audit(1, 3)
BINS = tuple(range(16)) * 2
SKETCHES = {1: BINS, 3: BINS[::-1]}
CHECKED = (CheckedStep(1, pack_bins(BINS)), CheckedStep(3, pack_bins(BINS[::-1])))


def report(*findings, scores=None, sketches=SKETCHES, convicts=False):
    scores = {1: 1.6e-6, 3: 0.0} if scores is None else scores
    return Report(findings=findings, scores=scores, mean=0.0, convicts=convicts, sketches=sketches)


def test_honest_work_is_judged_by_its_sketches_alone():
    assert judged(JOB, report()) == Audited(JOB.job_id, AuditReason.NONE, CHECKED, 1_600, (), (), 0)


@pytest.mark.parametrize(
    ("finding", "reason", "place"),
    [
        (Finding(Check.HASH, 3, tensor=TraceTensor.CONDITIONAL), 2, (3, 2, 0)),
        (Finding(Check.HASH, tensor=TraceTensor.LATENT), 2, (10, 0, 0)),
        (Finding(Check.HASH, tensor=TraceTensor.SOURCE), 2, (0, 3, 0)),
        (Finding(Check.FINITE, 1, 9, TraceTensor.UNCONDITIONAL), 3, (1, 1, 9)),
        (Finding(Check.FINITE, -1, 4), 3, (10, 0, 4)),
        (Finding(Check.FINITE, -1, 4, TraceTensor.SOURCE), 3, (0, 3, 4)),
        (Finding(Check.START, 0, 7), 4, (0, 0, 7)),
        (Finding(Check.STEP, 3, 8), 5, (3, 0, 8)),
        (Finding(Check.SOURCE, amount=1.4), 6, None),
        (Finding(Check.OUTPUT, 3, amount=0.1), 7, None),
        (Finding(Check.PICTURE, amount=138.0), 8, None),
    ],
)
def test_a_fault_is_named_with_its_place_where_it_has_one(finding, reason, place):
    found = judged(JOB, report(finding, convicts=True))
    assert found.reason == AuditReason(reason)
    assert found.place == (() if place is None else (FaultPlace(*place),))
    assert (found.checked, found.to_open, found.convicts) == (CHECKED, (), 1)


def test_the_cheapest_check_that_failed_is_the_reason_and_of_it_the_first_step():
    findings = (
        Finding(Check.FINITE, 1, 5, TraceTensor.CONDITIONAL),
        Finding(Check.HASH, 3),
        Finding(Check.STEP, 1, 2),
        Finding(Check.OUTPUT, 1, amount=0.1),
    )
    assert judged(JOB, report(*findings)).place == (FaultPlace(3, 0, 0),)
    assert judged(JOB, report(*findings[:1], *findings[2:])).place == (FaultPlace(1, 2, 5),)
    steps = (Finding(Check.STEP, 3, 2), Finding(Check.STEP, 1, 2))
    assert judged(JOB, report(*steps)).place == (FaultPlace(1, 0, 2),)


@pytest.mark.parametrize(
    ("finding", "to_open"), [(Finding(Check.START, 0), (0,)), (Finding(Check.STEP, 3), (4,))]
)
def test_a_latent_that_is_known_by_its_hash_alone_accuses_nobody(finding, to_open):
    found = judged(JOB, report(finding, Finding(Check.OUTPUT, 1, amount=0.1)))
    assert (found.reason, found.place, found.to_open) == (AuditReason.NONE, (), to_open)


def test_a_step_that_could_not_be_read_has_no_sketch():
    found = judged(JOB, report(Finding(Check.HASH, 3), sketches={1: BINS}))
    assert found.checked == (CHECKED[0], CheckedStep(3, b""))


@pytest.mark.parametrize(
    ("score", "ppb"), [(0.0, 0), (3.0, 3_000_000_000), (5.0, EXCESS_PPB_MAX), (math.inf, EXCESS_PPB_MAX)]
)
def test_a_score_that_does_not_fit_is_the_largest_that_does(score, ppb):
    assert judged(JOB, report(scores={1: score})).worst_excess_ppb == ppb
    assert judged(JOB, report(scores={1: math.nan})).worst_excess_ppb == EXCESS_PPB_MAX


def test_the_check_gets_what_was_opened():
    work = opened_work(JOB)
    assert (work.job, work.final_latent, work.picture) == (JOB.image, JOB.final_latent, JOB.picture)
    assert (sorted(work.leaves), sorted(work.tensors)) == ([0, 1, 3], [1, 3])
