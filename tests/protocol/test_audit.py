"""The verdict: its numbers never change, and it has a slot of its own for each task and miner."""

from protocol.audit import (
    CHECKED_STEPS_MAX,
    EXCESS_PPB_MAX,
    PLACED_REASONS,
    SKETCH_BYTES,
    AuditReason,
    Audits,
    AuditVerdict,
    CheckedStep,
    FaultPlace,
    TraceTensor,
    Verdict,
)
from protocol.hashing import keccak256
from tests.protocol import builders


def test_numbers_never_change():
    assert {audits.name: int(audits) for audits in Audits} == {"PUBLIC": 0, "BUYER_ONLY": 1}
    assert {verdict.name: int(verdict) for verdict in Verdict} == {"HONEST": 0, "FAULT": 1, "NO_OPENING": 2}
    assert {reason.name: int(reason) for reason in AuditReason} == {
        "NONE": 0,
        "MERKLE_PROOF": 1,
        "TRACE_FORM": 2,
        "NOT_FINITE": 3,
        "INITIAL_LATENT": 4,
        "SCHEDULER_STEP": 5,
        "SOURCE_LATENT": 6,
        "MODEL_OUTPUT": 7,
        "IMAGE": 8,
    }
    assert {int(reason) for reason in PLACED_REASONS} == {2, 3, 4, 5}
    assert {tensor.name: int(tensor) for tensor in TraceTensor} == {
        "LATENT": 0,
        "UNCONDITIONAL": 1,
        "CONDITIONAL": 2,
        "SOURCE": 3,
    }


def test_one_slot_for_each_task_and_miner():
    made = builders.verdict()
    assert made.slot() == keccak256(made.task_id + bytes(12) + made.miner)
    others = [builders.verdict(task_id=bytes(32)), builders.verdict(miner=bytes(20))]
    assert len({made.slot(), *(other.slot() for other in others)}) == 3
    # Not of each commitment: a second verdict is a contradiction, whatever it was checked against.
    same = [builders.verdict(verdict=Verdict.NO_OPENING), builders.verdict(commitment=bytes(32))]
    assert {other.slot() for other in same} == {made.slot()}


def test_the_largest_verdict():
    steps = tuple(CheckedStep(step, bytes(SKETCH_BYTES)) for step in range(CHECKED_STEPS_MAX))
    place = (FaultPlace(2**16 - 1, TraceTensor.SOURCE, 2**32 - 1),)
    most = builders.verdict(checked=steps, place=place, worst_excess_ppb=EXCESS_PPB_MAX)
    assert AuditVerdict.decode(most.encode()) == most
    assert most.steps == tuple(range(CHECKED_STEPS_MAX))
    assert len(most.encode()) < 600
