"""One test for each line of the rules of `tasks`; each is also a vector."""

from protocol.messages import NO_TASK, RankedMiner
from protocol.rules.tasks import RANK_TIMEOUT_MS_MIN, TASK_LIFE_MS_MAX
from protocol.rules.view import CLOCK_DISPARITY_MS_MAX, GOSSIP_BYTES_MAX
from tests.protocol import builders
from tests.protocol.builders import (
    COORDINATOR,
    MINERS,
    NOW_MS,
    OTHER_DOMAIN,
    STRANGER,
    TASK,
    announcement,
    epoch_view,
    next_announcement,
    ranking_for,
    resigned,
    sealed,
)
from tests.vectors.situations import Gossip, Situation, accept, ignore, reject, view_without_epoch


def gossip(signer=COORDINATOR, **changes) -> Gossip:
    return Gossip("tasks", sealed(signer, announcement(**changes)))


@accept
def test_tasks__accept():
    return Situation(gossip())


@accept
def test_tasks__accept_the_longest_life_of_a_clock_that_is_ahead():
    ahead = NOW_MS + CLOCK_DISPARITY_MS_MAX
    return Situation(
        gossip(
            announced_at_ms=ahead, deadline_ms=ahead + TASK_LIFE_MS_MAX, rank_timeout_ms=RANK_TIMEOUT_MS_MIN
        )
    )


@accept
def test_tasks__accept_in_its_last_millisecond():
    return Situation(gossip(announced_at_ms=NOW_MS - 1000, deadline_ms=NOW_MS + 1))


@accept
def test_tasks__accept_the_epoch_before():
    return Situation(gossip(epoch=6, ranking=ranking_for(11, epoch_view(6))))


@accept
def test_tasks__accept_a_lower_sequence_after_a_higher():
    """Gossip has no order; only the slot says what belongs together."""
    task = Gossip("tasks", TASK.encoded)
    return Situation(task, before=(Gossip("tasks", sealed(COORDINATOR, next_announcement())),))


@accept
def test_tasks__accept_the_next_of_the_chain():
    task = Gossip("tasks", sealed(COORDINATOR, next_announcement()))
    return Situation(task, before=(Gossip("tasks", TASK.encoded),))


@accept
def test_tasks__accept_after_a_gap():
    """What is between has not come here, or was never published; a gap alone proves nothing."""
    return Situation(gossip(sequence=13), before=(gossip(),))


@accept
def test_tasks__accept_whoever_is_passed_over():
    """Who had a live offer is the coordinator's claim; this peer may never have heard of it."""
    places = tuple(RankedMiner(place.miner, int(not rank)) for rank, place in enumerate(ranking_for(11)))
    return Situation(gossip(ranking=places))


@accept
def test_tasks__accept_without_an_address():
    """The drawn miners may be connected to the coordinator already."""
    return Situation(gossip(multiaddrs=()))


@reject("message is too long")
def test_tasks__reject_too_long():
    return Situation(Gossip("tasks", gossip().data, padded_to=GOSSIP_BYTES_MAX + 1))


@reject("message does not decode")
def test_tasks__reject_a_cut_off_message():
    return Situation(Gossip("tasks", gossip().data[:-1]))


@reject("message is of another topic")
def test_tasks__reject_an_offer():
    return Situation(Gossip("tasks", sealed(MINERS["ann"], builders.offer())))


@reject("task's life is out of bounds")
def test_tasks__reject_a_life_that_ends_when_it_begins():
    return Situation(gossip(deadline_ms=NOW_MS))


@reject("task's life is out of bounds")
def test_tasks__reject_too_long_a_life():
    return Situation(gossip(deadline_ms=NOW_MS + TASK_LIFE_MS_MAX + 1))


@reject("task's life is out of bounds")
def test_tasks__reject_a_life_at_the_end_of_time():
    return Situation(gossip(announced_at_ms=2**64 - 1, deadline_ms=2**64 - 1))


@reject("rank timeout is out of bounds")
def test_tasks__reject_too_short_a_head_start():
    return Situation(gossip(rank_timeout_ms=RANK_TIMEOUT_MS_MIN - 1))


@reject("task is empty")
def test_tasks__reject_no_steps():
    return Situation(gossip(steps=0))


@reject("task is empty")
def test_tasks__reject_no_width():
    return Situation(gossip(width=0))


@reject("task is empty")
def test_tasks__reject_no_height():
    return Situation(gossip(height=0))


@reject("task is empty")
def test_tasks__reject_everybody_passed_over():
    return Situation(gossip(ranking=tuple(RankedMiner(place.miner, 1) for place in ranking_for(11))))


@reject("sequence and predecessor contradict each other")
def test_tasks__reject_a_first_task_that_follows_another():
    return Situation(gossip(sequence=0, previous=bytes(31) + b"\x01"))


@reject("sequence and predecessor contradict each other")
def test_tasks__reject_a_later_task_that_follows_none():
    return Situation(gossip(previous=NO_TASK))


@ignore("task is from the future")
def test_tasks__ignore_from_the_future():
    ahead = NOW_MS + CLOCK_DISPARITY_MS_MAX + 1
    return Situation(gossip(announced_at_ms=ahead, deadline_ms=ahead + 1))


@ignore("task is over")
def test_tasks__ignore_when_over():
    return Situation(gossip(announced_at_ms=NOW_MS - 1, deadline_ms=NOW_MS))


@ignore("epoch is not known")
def test_tasks__ignore_an_unknown_epoch():
    return Situation(gossip(epoch=8))


@ignore("epoch is not known")
def test_tasks__ignore_an_epoch_that_is_forgotten():
    return Situation(gossip(epoch=6), view=view_without_epoch(6))


@reject("signature is malformed")
def test_tasks__reject_a_malformed_signature():
    return Situation(Gossip("tasks", gossip().data[:-1] + b"\x1d"))


@reject("not a coordinator of this epoch")
def test_tasks__reject_a_stranger():
    return Situation(gossip(signer=STRANGER, coordinator=STRANGER.address))


@reject("not a coordinator of this epoch")
def test_tasks__reject_a_miner():
    return Situation(gossip(signer=MINERS["eve"], coordinator=MINERS["eve"].address))


@reject("not a coordinator of this epoch")
def test_tasks__reject_a_stranger_before_looking_at_the_signature():
    """Who may announce is known from the body: a flood by strangers costs no recovery."""
    data = gossip(signer=STRANGER, coordinator=STRANGER.address).data
    return Situation(Gossip("tasks", data[:-1] + b"\x1d"))


@reject("signer is not the coordinator")
def test_tasks__reject_a_copy_under_another_signature():
    return Situation(gossip(signer=STRANGER))


@reject("signer is not the coordinator")
def test_tasks__reject_a_statement_for_another_network():
    return Situation(Gossip("tasks", sealed(COORDINATOR, announcement(), OTHER_DOMAIN)))


@ignore("message was seen before")
def test_tasks__ignore_a_duplicate():
    return Situation(gossip(), before=(gossip(),))


@ignore("statement was seen before")
def test_tasks__ignore_the_same_words_under_another_signature():
    return Situation(Gossip("tasks", resigned(COORDINATOR, announcement())), before=(gossip(),))


@ignore("signer has said something else in this slot")
def test_tasks__ignore_an_equivocation():
    return Situation(gossip(price_micro_cai=1), before=(gossip(),))


@ignore("signer has said something else in this slot")
def test_tasks__ignore_an_equivocation_across_epochs():
    """A slot is a sequence number alone: the same number in two epochs would be two draws to choose from."""
    return Situation(gossip(epoch=6, ranking=ranking_for(11, epoch_view(6))), before=(gossip(),))


@ignore("announcement contradicts its neighbour")
def test_tasks__ignore_another_predecessor():
    other = sealed(COORDINATOR, next_announcement(previous=bytes(31) + b"\x01"))
    return Situation(Gossip("tasks", other), before=(gossip(),))


@ignore("announcement contradicts its neighbour")
def test_tasks__ignore_one_that_its_successor_does_not_name():
    other = sealed(COORDINATOR, next_announcement(previous=bytes(31) + b"\x01"))
    return Situation(gossip(), before=(Gossip("tasks", other),))


@ignore("announcement contradicts its neighbour")
def test_tasks__ignore_an_epoch_that_goes_back():
    """Between two epochs that are both good, a coordinator may not choose the draw it likes."""
    back = next_announcement(epoch=6, ranking=ranking_for(12, epoch_view(6)))
    return Situation(Gossip("tasks", sealed(COORDINATOR, back)), before=(gossip(),))


@reject("ranking is not the draw's")
def test_tasks__reject_a_ranking_out_of_order():
    return Situation(gossip(ranking=ranking_for(11)[::-1]))


@reject("ranking is not the draw's")
def test_tasks__reject_a_ranking_that_leaves_out_its_first():
    return Situation(gossip(ranking=ranking_for(11)[1:]))


@reject("ranking is not the draw's")
def test_tasks__reject_a_ranking_of_another_sequence():
    return Situation(gossip(ranking=ranking_for(13)))


@reject("ranking is not the draw's")
def test_tasks__reject_a_ranking_with_a_stranger():
    return Situation(gossip(ranking=(*ranking_for(11), RankedMiner(STRANGER.address, 0))))


@reject("ranking is not the draw's")
def test_tasks__reject_a_ranking_longer_than_the_snapshot():
    places = ranking_for(11)
    last = next(
        miner.address for miner in MINERS.values() if miner.address not in {place.miner for place in places}
    )
    return Situation(gossip(ranking=(*places, RankedMiner(last, 0), places[0])))
