"""The verdict: its numbers never change, and it has a slot of its own for each task and miner."""

from protocol.audit import CHECKED_STEPS_MAX, AuditReason, AuditVerdict, Verdict
from protocol.hashing import keccak256
from tests.protocol import builders


def test_numbers_never_change():
    assert {verdict.name: int(verdict) for verdict in Verdict} == {"HONEST": 0, "FAULT": 1, "NO_OPENING": 2}
    assert {reason.name: int(reason) for reason in AuditReason} == {
        "NONE": 0,
        "MERKLE_PROOF": 1,
        "INITIAL_LATENT": 2,
        "SCHEDULER_STEP": 3,
        "SOURCE_LATENT": 4,
        "MODEL_OUTPUT": 5,
        "IMAGE": 6,
    }


def test_one_slot_for_each_task_and_miner():
    made = builders.verdict()
    assert made.slot() == keccak256(made.task_id + bytes(12) + made.miner)
    others = [builders.verdict(task_id=bytes(32)), builders.verdict(miner=bytes(20))]
    assert len({made.slot(), *(other.slot() for other in others)}) == 3
    assert builders.verdict(verdict=Verdict.FAULT, reason=AuditReason.IMAGE).slot() == made.slot()


def test_most_steps():
    most = builders.verdict(checked_steps=tuple(range(CHECKED_STEPS_MAX)))
    assert AuditVerdict.decode(most.encode()) == most
