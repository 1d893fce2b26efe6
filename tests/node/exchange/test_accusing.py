"""Evidence that an audit leads to: what a contract takes the stake for, and what does not prove itself."""

from dataclasses import replace

import numpy as np
import pytest

from node.exchange.accusing import evidence_of
from protocol.audit import AuditReason, FaultPlace, TraceTensor
from protocol.errors import InvalidMessage
from protocol.evidence import decode_evidence, verify_evidence
from protocol.evidence.faults import Fault
from protocol.evidence.makers import NotHeld
from tests.node.builders import DOMAIN
from tests.node.exchange.answers import MINER, STEPS, Lie, answer
from tests.node.inference.builders import embedded

LATENT, UNCONDITIONAL, CONDITIONAL, SOURCE = TraceTensor
OTHER_GUIDANCE = Lie(job=lambda job: replace(job, guidance_milli=job.guidance_milli - 10))
OTHER_SEED = Lie(job=lambda job: replace(job, seed=job.seed + 1))


def changed(step, tensor, change):
    """A lie about one tensor: `STEPS` is the last latent, one more the source latent."""

    def tensors(rows):
        row = list(rows[step])
        row[tensor] = change(row[tensor])
        return [*rows[:step], tuple(row), *rows[step + 1 :]]

    return Lie(tensors=tensors)


def spoilt(number, value):
    def change(data):
        numbers = np.frombuffer(data, "<f2").copy()
        numbers[number] = value
        return numbers.tobytes()

    return change


def proof(made, reason, *place):
    return evidence_of(DOMAIN, made, embedded(), reason, FaultPlace(*place))


def first_false(made, reason, step, numbers=range(256)):
    """The evidence about the first number of which there is some."""
    for number in numbers:
        try:
            return proof(made, reason, step, LATENT, number)
        except InvalidMessage:
            continue
    raise AssertionError("every number is right")


@pytest.mark.parametrize("source", [False, True])
@pytest.mark.parametrize(
    ("lie", "reason", "fault"),
    [
        (OTHER_GUIDANCE, AuditReason.SCHEDULER_STEP, Fault.FALSE_STEP),
        (OTHER_SEED, AuditReason.INITIAL_LATENT, Fault.FALSE_START),
    ],
)
def test_attack_other_work_than_was_announced_is_proved_by_one_number(lie, reason, fault, source):
    made = answer(0, 1, lie=lie, source=source)
    evidence = first_false(made, reason, 0)
    assert decode_evidence(evidence.encode()) == evidence
    offence = verify_evidence(DOMAIN, evidence, {})
    assert (offence.fault, offence.signer, offence.slashable_by_contract) == (fault, MINER.address, True)


def test_attack_a_false_last_step_is_proved_by_the_last_latent():
    made = answer(STEPS - 1, lie=OTHER_GUIDANCE)
    assert first_false(made, AuditReason.SCHEDULER_STEP, STEPS - 1).FAULT is Fault.FALSE_STEP


@pytest.mark.parametrize(
    ("place", "where"),
    [
        ((1, LATENT), (1, 0)),
        ((1, UNCONDITIONAL), (1, 1)),
        ((1, CONDITIONAL), (1, 2)),
        ((STEPS, LATENT), (STEPS, 0)),
        ((0, SOURCE), (STEPS + 1, 0)),
    ],
)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_attack_a_number_that_is_none_is_proved_wherever_it_stands(place, where, value):
    made = answer(1, lie=changed(*where, spoilt(17, value)), source=True)
    evidence = proof(made, AuditReason.NOT_FINITE, *place, 17)
    assert verify_evidence(DOMAIN, evidence, {}).fault is Fault.NOT_FINITE
    with pytest.raises(InvalidMessage, match="the number is finite"):
        proof(made, AuditReason.NOT_FINITE, *place, 18)


@pytest.mark.parametrize(
    ("place", "where", "change", "guidance_milli"),
    [
        ((1, LATENT), (1, 0), lambda data: data[:-2], 4_000),
        ((1, CONDITIONAL), (1, 2), lambda data: data + bytes(2), 4_000),
        ((1, LATENT), (1, 0), lambda _: b"", 4_000),
        ((1, UNCONDITIONAL), (1, 1), lambda _: b"", 4_000),
        ((1, CONDITIONAL), (1, 2), lambda _: b"", 4_000),
        ((STEPS, LATENT), (STEPS, 0), lambda _: b"", 4_000),
        ((1, UNCONDITIONAL), (1, 1), lambda _: bytes(512), 1_000),
        ((STEPS, LATENT), (STEPS, 0), lambda data: data[2:], 4_000),
        ((0, SOURCE), (STEPS + 1, 0), lambda _: bytes(512), 4_000),
    ],
)
def test_attack_a_tensor_that_is_none_of_the_tasks_is_proved(place, where, change, guidance_milli):
    made = answer(1, lie=changed(*where, change), guidance_milli=guidance_milli)
    evidence = proof(made, AuditReason.TRACE_FORM, *place, 0)
    assert verify_evidence(DOMAIN, evidence, {}).fault is Fault.MALFORMED_TRACE


@pytest.mark.parametrize(
    ("reason", "place", "said"),
    [
        (AuditReason.SCHEDULER_STEP, (1, LATENT, 3), "the step is right"),
        (AuditReason.INITIAL_LATENT, (0, LATENT, 3), "the start is right"),
        (AuditReason.NOT_FINITE, (1, LATENT, 3), "the number is finite"),
        (AuditReason.TRACE_FORM, (1, LATENT, 0), "the tensor may be the task's"),
    ],
)
def test_an_honest_miner_is_accused_of_nothing_whatever_an_audit_has_found(reason, place, said):
    with pytest.raises(InvalidMessage, match=said):
        proof(answer(0, 1, 2), reason, *place)


def test_what_was_not_opened_proves_nothing():
    with pytest.raises(NotHeld, match=r"^latent of step 2 was not opened$"):
        proof(answer(1, lie=OTHER_GUIDANCE), AuditReason.SCHEDULER_STEP, 1, LATENT, 0)
    with pytest.raises(ValueError, match=r"^no contract judges this$"):
        proof(answer(1), AuditReason.MODEL_OUTPUT, 1, LATENT, 0)
    with pytest.raises(ValueError, match=r"^no such number$"):
        proof(answer(1), AuditReason.NOT_FINITE, 1, LATENT, 256)
