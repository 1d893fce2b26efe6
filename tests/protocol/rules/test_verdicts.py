"""One test for each line of the rules of `verdicts`; each is also a vector."""

from protocol.audit import NO_BUNDLE, AuditReason, Audits, CheckedStep, FaultPlace, TraceTensor, Verdict
from protocol.rules.view import GOSSIP_BYTES_MAX
from tests.protocol import builders
from tests.protocol.builders import (
    AUDITED_STEP,
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
    announcement,
    audit,
    block,
    changed,
    checked,
    commitment,
    opened,
    resigned,
    sealed,
    verdict,
    view,
)
from tests.vectors.situations import (
    Gossip,
    Situation,
    accept,
    ignore,
    reject,
    view_without_epoch,
)

ANNOUNCED = Gossip("tasks", TASK.encoded)
COMMITTED = Gossip("results", sealed(FIRST_RANKED, commitment()))
DEADLINE_MS = TASK.message.deadline_ms
OVER_MS = DEADLINE_MS + builders.AUDIT_TERMS.window_ms
LATENT, SOURCE = TraceTensor.LATENT, TraceTensor.SOURCE
UNSELECTING = next(one for one in map(block, map(str, range(1_000))) if not audit(one).is_selected)


def gossip(signer=AUDITOR, **changes) -> Gossip:
    made = verdict(**changes)
    if signer in AUDITORS and "checked" not in changes:
        made = changed(made, checked=checked(*builders.AUDIT.steps_of(signer.address)))
    return Gossip("verdicts", sealed(signer, made))


def fault(signer=AUDITOR, reason=AuditReason.MODEL_OUTPUT, place=(), **changes) -> Gossip:
    return gossip(signer, verdict=Verdict.FAULT, reason=reason, place=place, **changes)


def placed(reason, step, number, tensor=LATENT) -> Gossip:
    return fault(reason=reason, place=(FaultPlace(step, tensor, number),), checked=checked(0))


def silence(**changes) -> Gossip:
    nothing = {"checked": (), "bundle": NO_BUNDLE, "worst_excess_ppb": 0}
    return gossip(verdict=Verdict.NO_OPENING, **(nothing | changes))


def judged(message: Gossip, before=(ANNOUNCED, COMMITTED), **changes) -> Situation:
    """The message after the announcement and the commitment, in a view with some changes."""
    return Situation(message, before=before, later_view=changed(view(), **changes) if changes else None)


@accept
def test_verdicts__accept_honest():
    return judged(gossip())


@accept
def test_verdicts__accept_honest_on_more_steps_than_were_drawn():
    return judged(gossip(checked=checked(*range(STEPS))))


@accept
def test_verdicts__accept_a_false_output():
    return judged(fault(worst_excess_ppb=50_000))


@accept
def test_verdicts__accept_a_false_step_with_its_place():
    return judged(placed(AuditReason.SCHEDULER_STEP, STEPS - 1, 100))


@accept
def test_verdicts__accept_a_false_start_with_its_place():
    return judged(placed(AuditReason.INITIAL_LATENT, 0, 2**32 - 1))


@accept
def test_verdicts__accept_an_infinite_number_in_the_last_latent():
    return judged(placed(AuditReason.NOT_FINITE, STEPS, 3))


@accept
def test_verdicts__accept_a_source_latent_that_the_task_does_not_have():
    return judged(placed(AuditReason.TRACE_FORM, 0, 0, SOURCE))


@accept
def test_verdicts__accept_a_fault_that_no_step_shows():
    return judged(fault(reason=AuditReason.IMAGE, checked=()))


@accept
def test_verdicts__accept_a_fault_found_before_the_model_ran():
    """Cheap checks come first; a sketch is not made for nothing."""
    return judged(fault(reason=AuditReason.MERKLE_PROOF, checked=(CheckedStep(AUDITED_STEP, b""),)))


@accept
def test_verdicts__accept_no_opening():
    return judged(silence())


@accept
def test_verdicts__accept_in_the_last_millisecond():
    return judged(changed(gossip(), now_ms=OVER_MS - 1))


@accept
def test_verdicts__accept_another_auditors_other_verdict():
    return judged(gossip(AUDITORS[1]), before=(ANNOUNCED, COMMITTED, fault()))


@accept
def test_verdicts__accept_a_miner_that_was_assigned_as_well():
    """A rival for the same pay has no part in this one's work."""
    other = sealed(SECOND_RANKED, commitment())
    work = builders.AuditedWork.of(TASK.message, opened(SECOND_RANKED, commitment()))
    blocks = map(block, map(str, range(1_000)))
    found = next(
        (one, drawn)
        for one in blocks
        for drawn in [builders.draw_audit(builders.EPOCH, work, one, builders.AUDIT_TERMS)]
        if drawn.steps_of(FIRST_RANKED.address)
    )
    message = gossip(
        FIRST_RANKED,
        miner=SECOND_RANKED.address,
        commitment=work.commitment,
        checked=checked(*found[1].steps_of(FIRST_RANKED.address)),
    )
    return judged(message, before=(ANNOUNCED, Gossip("results", other)), beacons={DEADLINE_MS: found[0]})


@accept
def test_verdicts__accept_a_miner_that_was_passed_over_as_auditor():
    """It was away for the task's model."""
    assert PASSED_OVER in AUDITORS
    return judged(gossip(PASSED_OVER))


@accept
def test_verdicts__accept_on_a_task_of_an_epoch_long_ago():
    """No announcement may name it any more, but its tasks are still audited."""
    epochs = {8: builders.epoch_view(8), 9: builders.epoch_view(9)}
    return judged(gossip(), epochs=epochs, past_epochs={7: builders.EPOCH})


@reject("message is too long")
def test_verdicts__reject_too_long():
    return Situation(Gossip("verdicts", gossip().data, padded_to=GOSSIP_BYTES_MAX + 1))


@ignore("message was seen before")
def test_verdicts__ignore_a_duplicate():
    return judged(gossip(), before=(ANNOUNCED, COMMITTED, gossip()))


@reject("message does not decode")
def test_verdicts__reject_a_byte_too_many():
    return judged(Gossip("verdicts", gossip().data + b"\x00"))


@reject("message is of another topic")
def test_verdicts__reject_a_commitment():
    return judged(Gossip("verdicts", sealed(FIRST_RANKED, builders.commitment())))


@reject("verdict contradicts itself")
def test_verdicts__reject_honest_without_a_step():
    return judged(gossip(checked=()))


@reject("verdict contradicts itself")
def test_verdicts__reject_honest_without_a_sketch():
    return judged(gossip(checked=(CheckedStep(AUDITED_STEP, b""),)))


@reject("verdict contradicts itself")
def test_verdicts__reject_a_part_of_a_sketch():
    return judged(fault(checked=(CheckedStep(AUDITED_STEP, bytes(15)),)))


@reject("verdict contradicts itself")
def test_verdicts__reject_honest_with_a_reason():
    return judged(gossip(reason=AuditReason.IMAGE))


@reject("verdict contradicts itself")
def test_verdicts__reject_a_fault_without_a_reason():
    return judged(gossip(verdict=Verdict.FAULT))


@reject("verdict contradicts itself")
def test_verdicts__reject_a_false_step_without_a_place():
    return judged(fault(reason=AuditReason.SCHEDULER_STEP))


@reject("verdict contradicts itself")
def test_verdicts__reject_a_false_output_with_a_place():
    return judged(placed(AuditReason.MODEL_OUTPUT, 0, 0))


@reject("verdict contradicts itself")
def test_verdicts__reject_a_false_start_in_the_second_step():
    return judged(placed(AuditReason.INITIAL_LATENT, 1, 0))


@reject("verdict contradicts itself")
def test_verdicts__reject_a_false_step_of_an_output():
    return judged(placed(AuditReason.SCHEDULER_STEP, 0, 0, TraceTensor.CONDITIONAL))


@reject("verdict contradicts itself")
def test_verdicts__reject_a_source_latent_of_the_second_step():
    return judged(placed(AuditReason.NOT_FINITE, 1, 0, SOURCE))


@reject("verdict contradicts itself")
def test_verdicts__reject_a_number_of_a_tensor_that_is_not_there():
    return judged(placed(AuditReason.TRACE_FORM, 0, 1))


@reject("verdict contradicts itself")
def test_verdicts__reject_steps_without_an_opening():
    return judged(silence(checked=checked(0)))


@reject("verdict contradicts itself")
def test_verdicts__reject_a_bundle_without_an_opening():
    return judged(silence(bundle=bytes([1]) * 32))


@reject("verdict contradicts itself")
def test_verdicts__reject_honest_without_a_bundle():
    return judged(gossip(bundle=NO_BUNDLE))


@reject("verdict contradicts itself")
def test_verdicts__reject_a_distance_without_an_opening():
    return judged(silence(worst_excess_ppb=1))


@reject("verdict contradicts itself")
def test_verdicts__reject_steps_out_of_order():
    return judged(gossip(checked=checked(2, 0)))


@reject("verdict contradicts itself")
def test_verdicts__reject_a_step_twice():
    return judged(gossip(checked=checked(2, 2)))


@ignore("task is not known")
def test_verdicts__ignore_an_unknown_task():
    return Situation(gossip())


@reject("task is its buyer's alone to audit")
def test_verdicts__reject_on_a_task_that_its_buyer_audits():
    task = opened(COORDINATOR, announcement(audits=Audits.BUYER_ONLY))
    return judged(gossip(task_id=task.digest), before=(Gossip("tasks", task.encoded),))


@reject("verdict is not on this task")
def test_verdicts__reject_on_a_miner_that_was_not_drawn():
    return judged(gossip(miner=NOT_DRAWN.address))


@reject("verdict is not on this task")
def test_verdicts__reject_on_a_step_that_the_task_does_not_have():
    return judged(gossip(checked=checked(0, STEPS)))


@reject("verdict is not on this task")
def test_verdicts__reject_a_false_step_beyond_the_last():
    return judged(placed(AuditReason.SCHEDULER_STEP, STEPS, 0))


@reject("verdict is not on this task")
def test_verdicts__reject_an_infinite_number_in_an_output_beyond_the_last_step():
    return judged(placed(AuditReason.NOT_FINITE, STEPS, 0, TraceTensor.CONDITIONAL))


@ignore("audit is over")
def test_verdicts__ignore_when_the_audit_is_over():
    return judged(changed(gossip(), now_ms=OVER_MS))


@ignore("commitment is not known")
def test_verdicts__ignore_on_work_that_nobody_has_heard_of_in_time():
    """Such work is audited by its buyer; the dice for it could be chosen."""
    return judged(gossip(), before=(ANNOUNCED,))


@ignore("commitment is not known")
def test_verdicts__ignore_on_another_miners_work():
    return judged(gossip(miner=SECOND_RANKED.address))


@ignore("another commitment is known")
def test_verdicts__ignore_on_a_commitment_that_was_made_up_to_be_drawn_for():
    return judged(gossip(commitment=bytes(32)))


@ignore("dice of the audit are not known")
def test_verdicts__ignore_before_the_block_of_the_dice():
    return judged(gossip(), beacons={})


@ignore("epoch is not known")
def test_verdicts__ignore_when_the_epoch_is_forgotten():
    """Nobody can say any more who was drawn."""
    return Situation(gossip(), before=(ANNOUNCED, COMMITTED), later_view=view_without_epoch(7))


@ignore("work was not selected")
def test_verdicts__ignore_on_work_that_was_not_selected():
    return judged(gossip(), beacons={DEADLINE_MS: UNSELECTING})


@reject("signature is malformed")
def test_verdicts__reject_a_malformed_signature():
    return judged(Gossip("verdicts", gossip().data[:-1] + b"\x00"))


@ignore("block of the dice has just changed")
def test_verdicts__ignore_an_auditor_by_a_block_that_has_just_changed():
    return judged(gossip(STRANGER), beacons_settling_until_ms=NOW_MS + 1)


@ignore("block of the dice has just changed")
def test_verdicts__ignore_steps_by_a_block_that_has_just_changed():
    other = (AUDITED_STEP + 1) % STEPS
    return judged(gossip(checked=checked(other)), beacons_settling_until_ms=NOW_MS + 1)


@reject("signer was not drawn to audit this work")
def test_verdicts__reject_a_stranger():
    return judged(gossip(STRANGER))


@reject("signer was not drawn to audit this work")
def test_verdicts__reject_a_stranger_when_the_chain_has_settled():
    return judged(gossip(STRANGER), beacons_settling_until_ms=NOW_MS)


@reject("signer was not drawn to audit this work")
def test_verdicts__reject_the_coordinator():
    return judged(gossip(COORDINATOR))


@reject("signer was not drawn to audit this work")
def test_verdicts__reject_the_miner_itself():
    return judged(gossip(FIRST_RANKED))


@reject("signer was not drawn to audit this work")
def test_verdicts__reject_another_node_of_the_miners_owner():
    return judged(gossip(builders.MINERS["bob"]))


@reject("signer was not drawn to audit this work")
def test_verdicts__reject_a_miner_of_the_coordinators_owner():
    return judged(gossip(builders.MINERS["cid"]))


@reject("signer was not drawn to audit this work")
def test_verdicts__reject_a_statement_for_another_network():
    return judged(Gossip("verdicts", sealed(AUDITOR, verdict(), OTHER_DOMAIN)))


@reject("verdict is not on the steps that were drawn")
def test_verdicts__reject_honest_on_other_steps():
    """Whoever could choose its steps would choose those that it knows to be honest."""
    return judged(gossip(checked=checked((AUDITED_STEP + 1) % STEPS)))


@ignore("statement was seen before")
def test_verdicts__ignore_the_same_words_under_another_signature():
    message = Gossip("verdicts", resigned(AUDITOR, verdict()))
    return judged(message, before=(ANNOUNCED, COMMITTED, gossip()))


@ignore("signer has said something else in this slot")
def test_verdicts__ignore_an_equivocation():
    return judged(fault(), before=(ANNOUNCED, COMMITTED, gossip()))
