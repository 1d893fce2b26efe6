"""One test for each line of the rules of `verdicts`; each is also a vector."""

from protocol.audit import AuditReason, Verdict
from protocol.rules.verdicts import AUDIT_LIFE_MS
from protocol.rules.view import GOSSIP_BYTES_MAX
from tests.protocol import builders
from tests.protocol.builders import (
    AUDITOR,
    AUDITORS,
    COORDINATOR,
    FIRST_RANKED,
    NOT_DRAWN,
    NOW_MS,
    OTHER_DOMAIN,
    PASSED_OVER,
    SECOND_RANKED,
    STEPS,
    STRANGER,
    TASK,
    changed,
    resigned,
    sealed,
    verdict,
)
from tests.vectors.situations import (
    Gossip,
    Situation,
    accept,
    ignore,
    reject,
    view_settling,
    view_without_epoch,
)

ANNOUNCED = Gossip("tasks", TASK.encoded)
OVER_MS = TASK.message.deadline_ms + AUDIT_LIFE_MS


def gossip(signer=AUDITOR, **changes) -> Gossip:
    return Gossip("verdicts", sealed(signer, verdict(**changes)))


def fault(**changes) -> Gossip:
    return gossip(verdict=Verdict.FAULT, reason=AuditReason.SCHEDULER_STEP, **changes)


@accept
def test_verdicts__accept_honest():
    return Situation(gossip(), before=(ANNOUNCED,))


@accept
def test_verdicts__accept_a_fault():
    return Situation(fault(), before=(ANNOUNCED,))


@accept
def test_verdicts__accept_a_fault_that_no_step_shows():
    message = gossip(verdict=Verdict.FAULT, reason=AuditReason.IMAGE, checked_steps=())
    return Situation(message, before=(ANNOUNCED,))


@accept
def test_verdicts__accept_no_opening():
    return Situation(gossip(verdict=Verdict.NO_OPENING, checked_steps=()), before=(ANNOUNCED,))


@accept
def test_verdicts__accept_in_the_last_millisecond():
    return Situation(changed(gossip(), now_ms=OVER_MS - 1), before=(ANNOUNCED,))


@accept
def test_verdicts__accept_another_auditors_other_verdict():
    return Situation(gossip(AUDITORS[1]), before=(ANNOUNCED, fault()))


@accept
def test_verdicts__accept_the_same_auditor_on_another_miner():
    return Situation(gossip(miner=SECOND_RANKED.address), before=(ANNOUNCED, gossip()))


@accept
def test_verdicts__accept_a_miner_that_was_passed_over_as_auditor():
    """It was away for the task's model; whoever was not assigned may be drawn."""
    assert PASSED_OVER in AUDITORS
    return Situation(gossip(PASSED_OVER), before=(ANNOUNCED,))


@reject("message is too long")
def test_verdicts__reject_too_long():
    return Situation(Gossip("verdicts", gossip().data, padded_to=GOSSIP_BYTES_MAX + 1))


@ignore("message was seen before")
def test_verdicts__ignore_a_duplicate():
    return Situation(gossip(), before=(ANNOUNCED, gossip()))


@reject("message does not decode")
def test_verdicts__reject_a_byte_too_many():
    return Situation(Gossip("verdicts", gossip().data + b"\x00"), before=(ANNOUNCED,))


@reject("message is of another topic")
def test_verdicts__reject_a_commitment():
    return Situation(Gossip("verdicts", sealed(FIRST_RANKED, builders.commitment())), before=(ANNOUNCED,))


@reject("verdict contradicts itself")
def test_verdicts__reject_honest_without_a_step():
    return Situation(gossip(checked_steps=()), before=(ANNOUNCED,))


@reject("verdict contradicts itself")
def test_verdicts__reject_honest_with_a_reason():
    return Situation(gossip(reason=AuditReason.IMAGE), before=(ANNOUNCED,))


@reject("verdict contradicts itself")
def test_verdicts__reject_a_fault_without_a_reason():
    return Situation(gossip(verdict=Verdict.FAULT), before=(ANNOUNCED,))


@reject("verdict contradicts itself")
def test_verdicts__reject_steps_without_an_opening():
    return Situation(gossip(verdict=Verdict.NO_OPENING), before=(ANNOUNCED,))


@reject("verdict contradicts itself")
def test_verdicts__reject_steps_out_of_order():
    return Situation(gossip(checked_steps=(2, 0)), before=(ANNOUNCED,))


@reject("verdict contradicts itself")
def test_verdicts__reject_a_step_twice():
    return Situation(gossip(checked_steps=(2, 2)), before=(ANNOUNCED,))


@ignore("task is not known")
def test_verdicts__ignore_an_unknown_task():
    return Situation(gossip())


@ignore("audit is over")
def test_verdicts__ignore_when_the_audit_is_over():
    return Situation(changed(gossip(), now_ms=OVER_MS), before=(ANNOUNCED,))


@reject("verdict is not on this task")
def test_verdicts__reject_on_a_miner_that_was_not_drawn():
    return Situation(gossip(miner=NOT_DRAWN.address), before=(ANNOUNCED,))


@reject("verdict is not on this task")
def test_verdicts__reject_on_a_step_that_the_task_does_not_have():
    return Situation(gossip(checked_steps=(0, STEPS)), before=(ANNOUNCED,))


@ignore("epoch is not known")
def test_verdicts__ignore_when_the_epoch_is_forgotten():
    """Nobody can say any more who was drawn."""
    return Situation(gossip(), before=(ANNOUNCED,), later_view=view_without_epoch(7))


@reject("signature is malformed")
def test_verdicts__reject_a_malformed_signature():
    return Situation(Gossip("verdicts", gossip().data[:-1] + b"\x00"), before=(ANNOUNCED,))


@ignore("epoch's seed has just changed")
def test_verdicts__ignore_an_auditor_by_a_seed_that_has_just_changed():
    return Situation(gossip(STRANGER), before=(ANNOUNCED,), view=view_settling(7, NOW_MS + 1))


@reject("signer was not drawn to audit this task")
def test_verdicts__reject_a_stranger():
    return Situation(gossip(STRANGER), before=(ANNOUNCED,))


@reject("signer was not drawn to audit this task")
def test_verdicts__reject_the_coordinator():
    return Situation(gossip(COORDINATOR), before=(ANNOUNCED,))


@reject("signer was not drawn to audit this task")
def test_verdicts__reject_a_miner_of_the_task():
    """Nobody audits his own work, or that of his rivals for the same pay."""
    return Situation(gossip(SECOND_RANKED), before=(ANNOUNCED,))


@reject("signer was not drawn to audit this task")
def test_verdicts__reject_a_statement_for_another_network():
    return Situation(Gossip("verdicts", sealed(AUDITOR, verdict(), OTHER_DOMAIN)), before=(ANNOUNCED,))


@ignore("statement was seen before")
def test_verdicts__ignore_the_same_words_under_another_signature():
    return Situation(Gossip("verdicts", resigned(AUDITOR, verdict())), before=(ANNOUNCED, gossip()))


@ignore("signer has said something else in this slot")
def test_verdicts__ignore_an_equivocation():
    return Situation(fault(), before=(ANNOUNCED, gossip()))
