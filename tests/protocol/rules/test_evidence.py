"""One test for each line of the rules of `evidence`; each is also a vector."""

from protocol import cbor
from protocol.audit import FaultPlace, TraceTensor
from protocol.evidence import STATEMENT_BYTES_MAX, BrokenSequence, FalsePart, TwoStatements, WrongRanking
from protocol.evidence.makers import false_start, false_step, malformed_trace, not_finite, step_count
from protocol.evidence.trace_forms import ANNOUNCEMENT_BYTES_MAX
from protocol.rules.view import GOSSIP_BYTES_MAX
from tests.protocol import builders
from tests.protocol.builders import (
    COORDINATOR,
    FIRST_RANKED,
    NOT_DRAWN,
    NOW_MS,
    OTHER_DOMAIN,
    SECOND_RANKED,
    STEPS,
    STRANGER,
    announcement,
    changed,
    commitment,
    epoch_view,
    sealed,
)
from tests.protocol.traces import Lie, MadeTrace, Terms, false_verdict, quantile_leaves, trace_evidence
from tests.vectors.situations import (
    Gossip,
    Situation,
    accept,
    ignore,
    reject,
    view_settling,
    view_without_epoch,
)

COMMITTED = sealed(FIRST_RANKED, commitment())
FALSE_STEP, FALSE_START, NOT_FINITE, STEP_COUNT, MALFORMED_TRACE = trace_evidence()
HONEST = MadeTrace(Terms())
TASK_GOSSIP = Gossip("tasks", builders.TASK.encoded)


def gossip(evidence=None) -> Gossip:
    return Gossip("evidence", (builders.evidence() if evidence is None else evidence).encode())


def against(signer) -> TwoStatements:
    return TwoStatements.pair(sealed(signer, commitment()), sealed(signer, commitment(units_done=1)))


def false_part_by(signer) -> FalsePart:
    lie = builders.chunk(payload=b"!")
    return FalsePart.of(sealed(signer, lie), sealed(signer, commitment()), builders.IMAGE, 0)


@accept
def test_evidence__accept_against_a_miner():
    return Situation(gossip())


@accept
def test_evidence__accept_against_a_coordinator():
    return Situation(
        gossip(
            TwoStatements.pair(
                sealed(COORDINATOR, announcement()), sealed(COORDINATOR, announcement(work=builders.work(1)))
            )
        )
    )


@accept
def test_evidence__accept_a_broken_sequence():
    return Situation(gossip(builders.broken_sequence()))


@accept
def test_evidence__accept_a_fork_across_epochs():
    fork = announcement(0, epoch=8, previous=builders.TASK.message.previous)
    return Situation(gossip(BrokenSequence(builders.TASK.encoded, sealed(COORDINATOR, fork))))


@accept
def test_evidence__accept_a_wrong_ranking():
    return Situation(gossip(builders.wrong_ranking()))


@accept
def test_evidence__accept_a_false_part():
    return Situation(gossip(builders.false_part()), before=(TASK_GOSSIP,))


@accept
def test_evidence__accept_a_false_step():
    return Situation(gossip(FALSE_STEP))


@accept
def test_evidence__accept_a_false_start():
    return Situation(gossip(FALSE_START))


@accept
def test_evidence__accept_a_number_that_is_not_finite():
    return Situation(gossip(NOT_FINITE))


@accept
def test_evidence__accept_a_false_count_of_steps():
    """Of a task that this peer has never heard of: its miner accuses himself."""
    return Situation(gossip(STEP_COUNT))


@accept
def test_evidence__accept_a_malformed_trace():
    return Situation(gossip(MALFORMED_TRACE))


@accept
def test_evidence__accept_a_false_verdict():
    return Situation(gossip(false_verdict()))


@accept
def test_evidence__accept_each_fault_of_one_signer():
    return Situation(
        gossip(FALSE_STEP), before=tuple(map(gossip, (FALSE_START, NOT_FINITE, STEP_COUNT, MALFORMED_TRACE)))
    )


@accept
def test_evidence__accept_another_fault_in_the_same_slot():
    doubled = TwoStatements.pair(COMMITTED, sealed(FIRST_RANKED, commitment(units_done=1)))
    return Situation(gossip(builders.false_part()), before=(TASK_GOSSIP, gossip(doubled)))


@accept
def test_evidence__accept_an_equivocation_after_a_fault_that_the_contract_cannot_judge():
    return Situation(gossip(), before=(TASK_GOSSIP, gossip(builders.false_part())))


@accept
def test_evidence__accept_the_same_fault_of_another_signer():
    return Situation(gossip(against(SECOND_RANKED)), before=(gossip(),))


@accept
def test_evidence__accept_against_one_who_has_left_in_the_latest_epoch():
    """Stake that is leaving can still be taken; the epoch before is known as well."""
    latest = epoch_view(7)
    gone = changed(latest, miners=builders.Snapshot.of([(SECOND_RANKED.address, 10**18)]))
    whole = builders.view()
    return Situation(gossip(), view=changed(whole, epochs={**whole.epochs, 7: gone}))


@reject("message is too long")
def test_evidence__reject_too_long():
    return Situation(Gossip("evidence", gossip().data, padded_to=GOSSIP_BYTES_MAX + 1))


@ignore("message was seen before")
def test_evidence__ignore_a_duplicate():
    return Situation(gossip(), before=(gossip(),))


@reject("message does not decode")
def test_evidence__reject_an_unknown_fault():
    data = gossip().data
    return Situation(Gossip("evidence", data[:1] + b"\x0b" + data[2:]))


@reject("message does not decode")
def test_evidence__reject_bytes_after_the_pair():
    return Situation(Gossip("evidence", gossip().data, padded_to=GOSSIP_BYTES_MAX))


@reject("message does not decode")
def test_evidence__reject_a_statement_alone():
    return Situation(Gossip("evidence", COMMITTED))


@reject("message does not decode")
def test_evidence__reject_too_long_a_statement():
    """The head of a pair whose second statement is a byte longer than it may be; zero bytes are the rest."""
    head = bytes.fromhex("83014100597801")
    return Situation(Gossip("evidence", head, padded_to=len(head) + STATEMENT_BYTES_MAX + 1))


@reject("statements are not in order")
def test_evidence__reject_out_of_order():
    pair = builders.evidence()
    return Situation(gossip(TwoStatements(pair.second, pair.first)))


@reject("statements are not in order")
def test_evidence__reject_one_statement_twice():
    return Situation(gossip(TwoStatements(COMMITTED, COMMITTED)))


@reject("evidence proves nothing")
def test_evidence__reject_what_is_no_statement():
    return Situation(gossip(TwoStatements(b"\x00", b"\x01")))


@reject("evidence proves nothing")
def test_evidence__reject_different_kinds():
    return Situation(gossip(TwoStatements.pair(COMMITTED, sealed(FIRST_RANKED, builders.acceptance()))))


@reject("evidence proves nothing")
def test_evidence__reject_a_kind_that_is_not_slashable():
    chunks = (sealed(FIRST_RANKED, builders.chunk(payload=payload)) for payload in (b"1", b"2"))
    return Situation(gossip(TwoStatements.pair(*chunks)))


@reject("evidence proves nothing")
def test_evidence__reject_different_slots():
    return Situation(
        gossip(TwoStatements.pair(COMMITTED, sealed(FIRST_RANKED, commitment(task_id=bytes(32)))))
    )


@reject("evidence proves nothing")
def test_evidence__reject_the_same_statement_signed_twice():
    """A second signature of the same words, as another nonce would give; here simply a false one."""
    s = int.from_bytes(COMMITTED[-33:-1], "big") + 1
    return Situation(
        gossip(TwoStatements(COMMITTED, COMMITTED[:-33] + s.to_bytes(32, "big") + COMMITTED[-1:]))
    )


@reject("evidence proves nothing")
def test_evidence__reject_different_signers():
    return Situation(gossip(TwoStatements.pair(COMMITTED, sealed(SECOND_RANKED, commitment(units_done=1)))))


@reject("evidence proves nothing")
def test_evidence__reject_statements_for_different_networks():
    """Whoever runs the same key on two networks says different things there, and honestly."""
    return Situation(
        gossip(TwoStatements(COMMITTED, sealed(FIRST_RANKED, commitment(units_done=STEPS + 1), OTHER_DOMAIN)))
    )


@reject("evidence proves nothing")
def test_evidence__reject_a_malformed_signature():
    lie = sealed(FIRST_RANKED, commitment(units_done=1))
    return Situation(gossip(TwoStatements.pair(COMMITTED, lie[:-1] + b"\x00")))


@reject("evidence proves nothing")
def test_evidence__reject_a_sequence_that_is_not_broken():
    good = BrokenSequence(builders.TASK.encoded, sealed(COORDINATOR, builders.next_announcement()))
    return Situation(gossip(good))


@reject("evidence proves nothing")
def test_evidence__reject_a_ranking_that_is_the_draws():
    return Situation(gossip(WrongRanking(builders.TASK.encoded)))


@reject("evidence proves nothing")
def test_evidence__reject_an_honest_step():
    return Situation(gossip(false_step(HONEST.held, 1, 0)))


@reject("evidence proves nothing")
def test_evidence__reject_an_honest_start():
    return Situation(gossip(false_start(HONEST.held, 0, quantile_leaves())))


@reject("evidence proves nothing")
def test_evidence__reject_a_number_that_is_finite():
    return Situation(gossip(not_finite(HONEST.held, 0, TraceTensor.LATENT, 0)))


@reject("evidence proves nothing")
def test_evidence__reject_a_right_count_of_steps():
    return Situation(gossip(step_count(HONEST.held.announcement, HONEST.held.commitment)))


@reject("evidence proves nothing")
def test_evidence__reject_a_trace_that_is_well_formed():
    return Situation(gossip(malformed_trace(HONEST.held, 0, TraceTensor.CONDITIONAL)))


@reject("evidence proves nothing")
def test_evidence__reject_a_verdict_that_is_on_another_number():
    return Situation(gossip(false_verdict(place=(FaultPlace(1, TraceTensor.LATENT, 71),))))


@reject("evidence proves nothing")
def test_evidence__reject_a_verdict_beside_a_start_where_it_finds_a_step_false():
    refuted = false_start(HONEST.held, 3, quantile_leaves()).encode()
    return Situation(gossip(changed(false_verdict(), refuted=refuted)))


@reject("evidence proves nothing")
def test_evidence__reject_a_false_step_under_another_miners_signature():
    stolen = sealed(SECOND_RANKED, MadeTrace(Terms(), Lie(guidance_milli=3_990, seed=8)).committed)
    return Situation(gossip(changed(FALSE_STEP, commitment=stolen)))


@reject("message does not decode")
def test_evidence__reject_an_announcement_that_is_too_long():
    items = cbor.decode(FALSE_STEP.encode())
    return Situation(
        Gossip("evidence", cbor.encode((items[0], bytes(ANNOUNCEMENT_BYTES_MAX + 1), *items[2:])))
    )


@reject("evidence proves nothing")
def test_evidence__reject_a_part_that_is_the_committed_one():
    honest = changed(builders.false_part(), chunk=sealed(FIRST_RANKED, builders.chunk()))
    return Situation(gossip(honest), before=(TASK_GOSSIP,))


@reject("evidence proves nothing")
def test_evidence__reject_a_part_beside_what_is_no_commitment():
    return Situation(gossip(changed(builders.false_part(), commitment=builders.TASK.encoded)))


@reject("signer was not drawn for this task")
def test_evidence__reject_a_false_part_of_a_miner_that_was_not_drawn():
    return Situation(gossip(false_part_by(NOT_DRAWN)), before=(TASK_GOSSIP,))


@ignore("task is not known")
def test_evidence__ignore_a_false_part_of_an_unknown_task():
    return Situation(gossip(builders.false_part()))


@ignore("epoch is not known")
def test_evidence__ignore_a_ranking_of_an_unknown_epoch():
    return Situation(gossip(builders.wrong_ranking()), view=view_without_epoch(7))


@ignore("epoch's seed has just changed")
def test_evidence__ignore_a_ranking_of_an_epoch_whose_seed_has_just_changed():
    return Situation(gossip(builders.wrong_ranking()), view=view_settling(7, NOW_MS + 1))


@reject("evidence proves nothing")
def test_evidence__reject_as_a_ranking_what_is_no_announcement():
    return Situation(gossip(WrongRanking(COMMITTED)))


@ignore("offence is known")
def test_evidence__ignore_a_third_statement_in_the_same_slot():
    third = TwoStatements.pair(COMMITTED, sealed(FIRST_RANKED, commitment(units_done=2)))
    return Situation(gossip(third), before=(gossip(),))


@ignore("offence is known")
def test_evidence__ignore_the_next_false_number():
    made = MadeTrace(Terms(), Lie(guidance_milli=3_990, seed=8))
    return Situation(gossip(false_step(made.held, 1, 71)), before=(gossip(FALSE_STEP),))


@ignore("offence is known")
def test_evidence__ignore_the_same_fault_in_another_slot():
    offers = (sealed(FIRST_RANKED, builders.offer(capacity=capacity)) for capacity in (1, 2))
    return Situation(gossip(TwoStatements.pair(*offers)), before=(gossip(),))


@ignore("offender has no stake")
def test_evidence__ignore_what_accuses_nobody_before_the_rest_of_it_is_judged():
    """A signature for another network is, here, that of a key that nobody has."""
    elsewhere = sealed(FIRST_RANKED, commitment(units_done=1), OTHER_DOMAIN)
    return Situation(gossip(TwoStatements(elsewhere, COMMITTED)))


@ignore("offence is known")
def test_evidence__ignore_a_false_proof_about_one_whose_offence_is_known():
    return Situation(gossip(not_finite(HONEST.held, 0, TraceTensor.LATENT, 0)), before=(gossip(NOT_FINITE),))


@reject("evidence proves nothing")
def test_evidence__reject_a_malformed_signature_of_the_accused():
    first = COMMITTED[:-1] + b"\x00"
    return Situation(gossip(TwoStatements(first, sealed(FIRST_RANKED, commitment(units_done=STEPS + 1)))))


@ignore("offender has no stake")
def test_evidence__ignore_against_a_stranger():
    return Situation(gossip(against(STRANGER)))


@ignore("offender has no stake")
def test_evidence__ignore_before_the_first_epoch():
    return Situation(gossip(), view=changed(builders.view(), epochs={}))
