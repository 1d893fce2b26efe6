"""A coordinator's chain of tasks over several epochs: an honest one proves nothing, a fork is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.evidence import Fault, breaks_sequence, verify_evidence
from protocol.messages import NO_TASK
from protocol.rules.tasks import validate_task
from protocol.rules.view import Seen, SequenceContradiction, View
from tests.protocol.builders import (
    COORDINATOR,
    DOMAIN,
    NOW_MS,
    TERMS,
    announcement,
    epoch_view,
    opened,
    ranking_for,
)
from tests.protocol.strategies import lawful

EPOCHS = range(5, 9)
VIEW = View(DOMAIN, {number: epoch_view(number) for number in EPOCHS}, TERMS)


def task(epoch, number, previous):
    return opened(
        COORDINATOR,
        announcement(number, epoch=epoch, previous=previous, ranking=ranking_for(number, VIEW.epochs[epoch])),
    )


def next_task(last, epoch):
    """What an honest coordinator says after `last`, all that it remembers: a restart changes nothing."""
    if last is None or last.message.epoch + 1 < epoch:
        return task(epoch, 0, NO_TASK)
    return task(epoch, last.message.number + 1 if last.message.epoch == epoch else 0, last.digest)


def chain_of(counts):
    """So many tasks in each epoch."""
    made = []
    for epoch, count in zip(EPOCHS, counts, strict=False):
        for _ in range(count):
            made.append(next_task(made[-1] if made else None, epoch))
    return made


def contradictions(seen, statements):
    found = []
    for statement in statements:
        try:
            validate_task(seen, VIEW, statement.encoded, NOW_MS)
        except SequenceContradiction as caught:
            found.append(caught.evidence)
    return found


@lawful
@given(st.lists(st.integers(0, 3), min_size=1, max_size=len(EPOCHS)), st.data())
def test_an_honest_chain_is_accepted_in_any_order_with_any_of_it_lost(counts, data):
    made = chain_of(counts)
    heard = data.draw(st.permutations(made))[: data.draw(st.integers(0, len(made)))]
    seen = Seen()
    assert contradictions(seen, heard) == []
    assert set(seen.tasks) == {statement.digest for statement in heard}
    ordered = sorted(made, key=lambda statement: statement.message.slot())
    assert not any(
        breaks_sequence(one, other) for place, one in enumerate(ordered) for other in ordered[place + 1 :]
    )


@lawful
@given(st.integers(1, 4), st.data())
def test_attack_a_second_chain_out_of_an_epoch__is_found_in_every_order(count, data):
    """The next epoch's first task names something else than the last of this one."""
    made = chain_of([count])
    named = data.draw(st.sampled_from([NO_TASK, *(statement.digest for statement in made[:-1])]))
    fork = task(EPOCHS[1], 0, named)
    found = contradictions(Seen(), data.draw(st.permutations([*made, fork])))
    assert found
    for evidence in found:
        offence = verify_evidence(DOMAIN, evidence, {})
        assert (offence.fault, offence.signer) == (Fault.BROKEN_SEQUENCE, COORDINATOR.address)


@pytest.mark.parametrize("is_first", [True, False])
def test_attack_a_fork_is_found_by_the_two_that_name_one_predecessor(is_first):
    """What both name was never heard of here."""
    made = chain_of([2])
    pair = [made[1], task(EPOCHS[1], 0, made[0].digest)]
    assert len(contradictions(Seen(), pair if is_first else pair[::-1])) == 1
