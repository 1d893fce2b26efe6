"""One test for each line of the rules of `results`; each is also a vector."""

from protocol.rules.view import GOSSIP_BYTES_MAX
from tests.protocol import builders
from tests.protocol.builders import (
    FIRST_RANKED,
    NOT_DRAWN,
    OTHER_DOMAIN,
    PASSED_OVER,
    SECOND_RANKED,
    STRANGER,
    TASK,
    changed,
    commitment,
    resigned,
    sealed,
)
from tests.vectors.situations import Gossip, Situation, accept, ignore, reject

ANNOUNCED = Gossip("tasks", TASK.encoded)
DEADLINE_MS = TASK.message.deadline_ms


def gossip(signer=FIRST_RANKED, **changes) -> Gossip:
    return Gossip("results", sealed(signer, commitment(**changes)))


@accept
def test_results__accept():
    return Situation(gossip(), before=(ANNOUNCED,))


@accept
def test_results__accept_in_the_last_millisecond():
    return Situation(changed(gossip(), now_ms=DEADLINE_MS - 1), before=(ANNOUNCED,))


@accept
def test_results__accept_another_ranks_other_result():
    """Two drawn miners may both have worked; neither contradicts itself."""
    return Situation(gossip(SECOND_RANKED, output_hash=bytes(32)), before=(ANNOUNCED, gossip()))


@reject("message is too long")
def test_results__reject_too_long():
    return Situation(Gossip("results", gossip().data, padded_to=GOSSIP_BYTES_MAX + 1))


@reject("message does not decode")
def test_results__reject_a_byte_too_many():
    return Situation(Gossip("results", gossip().data + b"\x00"), before=(ANNOUNCED,))


@reject("message is of another topic")
def test_results__reject_an_acceptance():
    return Situation(Gossip("results", sealed(FIRST_RANKED, builders.acceptance())), before=(ANNOUNCED,))


@reject("message is of another topic")
def test_results__reject_a_chunk():
    return Situation(Gossip("results", sealed(FIRST_RANKED, builders.chunk())), before=(ANNOUNCED,))


@ignore("task is not known")
def test_results__ignore_an_unknown_task():
    return Situation(gossip())


@ignore("task is not known")
def test_results__ignore_before_looking_at_the_signature():
    """Cheap checks first: what belongs to nothing costs no recovery."""
    return Situation(Gossip("results", gossip().data[:-1] + b"\x00"))


@ignore("task is over")
def test_results__ignore_when_the_task_is_over():
    return Situation(changed(gossip(), now_ms=DEADLINE_MS), before=(ANNOUNCED,))


@ignore("dice of the audit may be known")
def test_results__ignore_when_the_dice_may_be_known():
    """By a clock that is slow the task may still go on."""
    beacon_ms = DEADLINE_MS + builders.AUDIT_TERMS.beacon_margin_ms
    late = changed(builders.view(), newest_block_ms=beacon_ms)
    return Situation(gossip(), before=(ANNOUNCED,), later_view=late)


@accept
def test_results__accept_while_no_block_is_late_enough_for_the_dice():
    beacon_ms = DEADLINE_MS + builders.AUDIT_TERMS.beacon_margin_ms
    early = changed(builders.view(), newest_block_ms=beacon_ms - 1)
    return Situation(gossip(), before=(ANNOUNCED,), later_view=early)


@reject("signature is malformed")
def test_results__reject_a_malformed_signature():
    return Situation(Gossip("results", gossip().data[:-1] + b"\x00"), before=(ANNOUNCED,))


@reject("signer was not drawn for this task")
def test_results__reject_a_stranger():
    return Situation(gossip(STRANGER), before=(ANNOUNCED,))


@reject("signer was not drawn for this task")
def test_results__reject_a_miner_that_was_not_drawn():
    return Situation(gossip(NOT_DRAWN), before=(ANNOUNCED,))


@reject("signer was not drawn for this task")
def test_results__reject_a_miner_that_was_passed_over():
    return Situation(gossip(PASSED_OVER), before=(ANNOUNCED,))


@reject("signer was not drawn for this task")
def test_results__reject_a_statement_for_another_network():
    return Situation(Gossip("results", sealed(FIRST_RANKED, commitment(), OTHER_DOMAIN)), before=(ANNOUNCED,))


@ignore("message was seen before")
def test_results__ignore_a_duplicate():
    return Situation(gossip(), before=(ANNOUNCED, gossip()))


@ignore("statement was seen before")
def test_results__ignore_the_same_words_under_another_signature():
    return Situation(Gossip("results", resigned(FIRST_RANKED, commitment())), before=(ANNOUNCED, gossip()))


@ignore("signer has said something else in this slot")
def test_results__ignore_an_equivocation():
    return Situation(gossip(output_hash=bytes(32)), before=(ANNOUNCED, gossip()))
