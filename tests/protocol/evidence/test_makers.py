"""What makers pick is what verifies; what was not opened is asked for by name."""

import pytest

from protocol.audit import TraceTensor
from protocol.errors import InvalidMessage
from protocol.evidence import Fault, decode_evidence, verify_evidence
from protocol.evidence.makers import (
    NotHeld,
    false_start,
    false_step,
    malformed_trace,
    not_finite,
    step_count,
)
from protocol.model_table import SchedulerRule
from protocol.work import WorkKind
from tests.protocol.builders import DOMAIN, FIRST_RANKED, changed
from tests.protocol.traces import Lie, MadeTrace, Terms, quantile_leaves

LATENT, UNCONDITIONAL, CONDITIONAL, SOURCE = TraceTensor
TWO_STEPS = Terms(scheduler=SchedulerRule.TWO_STEPS, kind=WorkKind.IMAGE_TO_IMAGE, units=3)
INFINITE = 0x7C00


def looks_back(made: MadeTrace) -> int:
    return next(step for step, row in enumerate(made.rows) if row.needs_before(step))


def test_each_maker_gives_evidence_of_its_fault():
    made = MadeTrace(TWO_STEPS, Lie(guidance_milli=3_990, seed=8, units_done=2))
    for evidence, fault in [
        (false_step(made.held, 0, 3), Fault.FALSE_STEP),
        (false_step(made.held, looks_back(made), 71), Fault.FALSE_STEP),
        (false_step(made.held, 2, 64), Fault.FALSE_STEP),
        (false_start(made.held, 5, quantile_leaves()), Fault.FALSE_START),
        (step_count(made.held.announcement, made.held.commitment), Fault.STEP_COUNT),
    ]:
        offence = verify_evidence(DOMAIN, evidence, {})
        assert (offence.fault, offence.signer) == (fault, FIRST_RANKED.address)
        assert decode_evidence(evidence.encode()) == evidence


@pytest.mark.parametrize(
    "place",
    [(0, LATENT), (1, UNCONDITIONAL), (2, CONDITIONAL), (3, LATENT), (0, SOURCE)],
)
def test_each_tensor_may_be_malformed_or_not_finite(place):
    honest = MadeTrace(TWO_STEPS).tensors[place]
    infinite = MadeTrace(TWO_STEPS, Lie(swapped={place: b"\x00\x7c" + honest[2:]}))
    assert verify_evidence(DOMAIN, not_finite(infinite.held, *place, 0), {}).fault is Fault.NOT_FINITE
    for wrong in (b"", honest[:-2], honest + b"\x00\x00"):
        made = MadeTrace(TWO_STEPS, Lie(swapped={place: wrong}))
        evidence = malformed_trace(made.held, *place)
        assert verify_evidence(DOMAIN, evidence, {}).fault is Fault.MALFORMED_TRACE


def test_a_tensor_of_another_size_may_have_a_number_that_is_not_finite():
    place = (1, CONDITIONAL)
    made = MadeTrace(Terms(), Lie(swapped={place: b"\x00\x00\x00\x7c"}))
    assert verify_evidence(DOMAIN, not_finite(made.held, *place, 1), {}).fault is Fault.NOT_FINITE


def test_what_was_not_opened_is_asked_for():
    made = MadeTrace(TWO_STEPS, Lie(guidance_milli=3_990))
    step = looks_back(made)
    for key in [
        *((step, tensor) for tensor in (LATENT, UNCONDITIONAL, CONDITIONAL)),
        *((step - 1, tensor) for tensor in (LATENT, UNCONDITIONAL, CONDITIONAL)),
        (step + 1, LATENT),
    ]:
        with pytest.raises(NotHeld, match=f"{key[1].name.lower()} of step {key[0]} was not opened"):
            false_step(made.without(key), step, 0)
    few = changed(made.held, opening=changed(made.held.opening, leaves=made.held.opening.leaves[:1]))
    with pytest.raises(NotHeld, match="the leaf of step 1 was not opened"):
        false_step(few, 0, 0)
    with pytest.raises(NotHeld, match="source of step 0 was not opened"):
        false_start(made.without((0, SOURCE)), 0, quantile_leaves())


def test_there_is_no_evidence_of_what_there_is_not():
    made = MadeTrace(Terms())
    with pytest.raises(ValueError, match="no such number"):
        false_step(made.held, 0, made.size)
    with pytest.raises(InvalidMessage, match="the table has no such step"):
        false_step(made.held, 4, 0)


def test_a_prompt_is_in_no_evidence():
    made = MadeTrace(TWO_STEPS, Lie(guidance_milli=3_990, seed=8))
    for evidence in (false_step(made.held, 1, 0), false_start(made.held, 0, quantile_leaves())):
        assert b"prompt" not in evidence.encode()
        assert made.held.task_input.sealed.salt not in evidence.encode()
