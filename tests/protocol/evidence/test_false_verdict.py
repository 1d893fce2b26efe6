"""Verdicts that lie about a number cost their auditor; those that tell the truth, nobody but the miner."""

import pytest

from protocol.audit import CHECKED_STEPS_MAX, AuditReason, AuditVerdict, CheckedStep, FaultPlace, TraceTensor
from protocol.audit import Verdict as Outcome
from protocol.errors import DecodeError, InvalidMessage
from protocol.evidence import FalseVerdict, Fault, verify_evidence
from protocol.evidence.false_verdict import REFUTED_BYTES_MAX, VERDICT_BYTES_MAX
from protocol.evidence.faults import WrongNumber
from protocol.evidence.makers import false_start, false_step
from protocol.evidence.trace_forms import FalseStart, FalseStep
from protocol.messages import Kind
from protocol.schema import _kinds
from protocol.statement import VERSION, Envelope
from tests.protocol import builders
from tests.protocol.builders import AUDITOR, DOMAIN, changed
from tests.protocol.evidence.test_trace_forms import longest
from tests.protocol.traces import Lie, MadeTrace, Terms, false_verdict, quantile_leaves

LATENT = TraceTensor.LATENT
HONEST = MadeTrace(Terms()).held
REFUTED_START = false_start(HONEST, 3, quantile_leaves()).encode()
START = {"reason": AuditReason.INITIAL_LATENT, "place": (FaultPlace(0, LATENT, 3),)}


def refused(evidence) -> str:
    with pytest.raises(InvalidMessage) as caught:
        verify_evidence(DOMAIN, evidence, {})
    return caught.value.reason


def test_a_verdict_that_finds_a_right_number_false_is_an_offence_of_its_auditor():
    step, start = false_verdict(), changed(false_verdict(**START), refuted=REFUTED_START)
    for evidence, place in [(step, (1, 70)), (start, (0, 3))]:
        offence = verify_evidence(DOMAIN, evidence, {})
        assert (offence.fault, offence.kind) == (Fault.FALSE_VERDICT, Kind.AUDIT_VERDICT)
        assert offence.signer == AUDITOR.address
        found = offence.finding
        assert found == WrongNumber(place[0], LATENT, place[1], found.committed, found.committed)


def test_a_verdict_that_is_right_is_none():
    made = MadeTrace(Terms(), Lie(guidance_milli=3_990)).held
    evidence = false_verdict()
    verdict = Envelope.decode(evidence.verdict)
    assert AuditVerdict.decode(verdict.body).reason == AuditReason.SCHEDULER_STEP
    right = changed(evidence, refuted=false_step(made, 1, 70).encode())
    assert refused(right) == "the verdict is on another commitment"
    committed = builders.open_statement(DOMAIN, made.commitment, builders.ResultCommitment).digest
    true_one = false_verdict(commitment=committed)
    assert refused(changed(true_one, refuted=right.refuted)) == "the verdict is right"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"verdict": Outcome.HONEST}, "the verdict finds no number false"),
        ({"verdict": Outcome.NO_OPENING}, "the verdict finds no number false"),
        ({"reason": AuditReason.MODEL_OUTPUT}, "the verdict finds no number false"),
        ({"reason": AuditReason.TRACE_FORM}, "the verdict finds no number false"),
        ({"reason": AuditReason.NOT_FINITE}, "the verdict finds no number false"),
        ({"place": ()}, "the verdict is on another number"),
        ({"place": (FaultPlace(2, LATENT, 70),)}, "the verdict is on another number"),
        ({"place": (FaultPlace(1, LATENT, 71),)}, "the verdict is on another number"),
        ({"place": (FaultPlace(1, TraceTensor.CONDITIONAL, 70),)}, "the verdict is on another number"),
        ({"commitment": bytes(32)}, "the verdict is on another commitment"),
    ],
)
def test_a_verdict_that_cannot_be_refuted_so(changes, why):
    assert refused(false_verdict(**changes)) == why


def test_a_start_does_not_refute_a_step():
    with pytest.raises(DecodeError, match="this is no FalseStep"):
        verify_evidence(DOMAIN, changed(false_verdict(), refuted=REFUTED_START), {})
    with pytest.raises(DecodeError, match="this is no FalseStart"):
        verify_evidence(DOMAIN, false_verdict(**START), {})


def test_a_link_that_does_not_hold_refutes_nothing():
    refuted = FalseStep.decode(false_verdict().refuted)
    for change in ({"pieces": refuted.pieces[:3]}, {"trace": bytes(96)}, {"public": bytes(64)}):
        refused(changed(false_verdict(), refuted=changed(refuted, **change).encode()))


def test_a_number_that_is_not_finite_refutes_no_verdict():
    """Nothing follows from it: an auditor that took it for a false step is not to be blamed."""
    made = MadeTrace(Terms(), Lie(bits={(1, TraceTensor.CONDITIONAL, 70): 0x7C00})).held
    broken = changed(false_verdict(), refuted=false_step(made, 1, 70).encode())
    assert refused(broken) == "a number is not finite, which is another fault"


def test_the_longest_verdict_and_the_longest_refuted_evidence_fit():
    checked = (CheckedStep((1 << 16) - 1, bytes(16)),) * CHECKED_STEPS_MAX
    place = (FaultPlace((1 << 16) - 1, 3, (1 << 32) - 1),)
    body = AuditVerdict(
        bytes(32), bytes(20), bytes(32), 2, 8, checked, (1 << 32) - 1, place, bytes(32)
    ).encode()
    verdict = Envelope(VERSION, Kind.AUDIT_VERDICT, body, bytes(65)).encode()
    assert VERDICT_BYTES_MAX * 2 / 3 < len(verdict) <= VERDICT_BYTES_MAX
    for form in (FalseStep, FalseStart):
        assert len(form(*(longest(kind) for _, kind in _kinds(form))).encode()) <= REFUTED_BYTES_MAX
    assert FalseVerdict(verdict, bytes(REFUTED_BYTES_MAX)).encode()
    for more in (
        FalseVerdict(bytes(VERDICT_BYTES_MAX + 1), b"x"),
        FalseVerdict(b"x", bytes(REFUTED_BYTES_MAX + 1)),
    ):
        with pytest.raises(ValueError, match="FalseVerdict cannot be encoded"):
            more.encode()
