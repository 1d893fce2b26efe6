"""One test for each line of the rules of `tasks`; each is also a vector."""

from protocol.messages import NO_TASK, PassedOver, RankedMiner, TaskAnnouncement
from protocol.rules.tasks import TASK_LIFE_MS_MAX
from protocol.rules.view import CLOCK_DISPARITY_MS_MAX, GOSSIP_BYTES_MAX
from protocol.statement import VERSION, Envelope, Statement
from protocol.work import DETAILS_BYTES_MAX, KIND_MAX, UNITS_MAX, Work
from tests.protocol import builders
from tests.protocol.builders import (
    COORDINATOR,
    MINERS,
    NOW_MS,
    OTHER_DOMAIN,
    STRANGER,
    TASK,
    TERMS,
    announcement,
    epoch_view,
    next_announcement,
    opened,
    ranking_for,
    resigned,
    sealed,
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


def gossip(signer=COORDINATOR, **changes) -> Gossip:
    return Gossip("tasks", sealed(signer, announcement(**changes)))


def in_epoch_6(number: int, previous: bytes) -> Statement[TaskAnnouncement]:
    return opened(
        COORDINATOR,
        announcement(number, epoch=6, previous=previous, ranking=ranking_for(number, epoch_view(6))),
    )


FIRST_OF_EPOCH_6 = in_epoch_6(0, NO_TASK)
LAST_OF_EPOCH_6 = in_epoch_6(1, FIRST_OF_EPOCH_6.digest)
IN_EPOCH_6 = tuple(Gossip("tasks", task.encoded) for task in (FIRST_OF_EPOCH_6, LAST_OF_EPOCH_6))


def first_of_epoch(previous: bytes) -> Gossip:
    """Epoch 7's first."""
    return gossip(number=0, previous=previous)


@accept
def test_tasks__accept():
    return Situation(gossip())


@accept
def test_tasks__accept_the_longest_life_of_a_clock_that_is_ahead():
    ahead = NOW_MS + CLOCK_DISPARITY_MS_MAX
    return Situation(gossip(announced_at_ms=ahead, deadline_ms=ahead + TERMS.life_ms_max))


@accept
def test_tasks__accept_in_its_last_millisecond():
    return Situation(gossip(announced_at_ms=NOW_MS - 1000, deadline_ms=NOW_MS + 1))


@accept
def test_tasks__accept_the_epoch_before():
    return Situation(gossip(epoch=6, ranking=ranking_for(11, epoch_view(6))))


@accept
def test_tasks__accept_a_lower_number_after_a_higher():
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
    return Situation(gossip(number=13), before=(gossip(),))


@accept
def test_tasks__accept_whoever_is_passed_over():
    """Who had a live offer is the coordinator's claim; this peer may never have heard of it."""
    reasons = (PassedOver.ASSIGNED, *PassedOver)
    places = tuple(
        RankedMiner(place.miner, int(reason)) for place, reason in zip(ranking_for(11), reasons, strict=False)
    )
    return Situation(gossip(ranking=places))


@accept
def test_tasks__accept_a_kind_of_work_that_is_not_known_here():
    """A kind that came later is carried, though not served, by those that do not know it."""
    return Situation(gossip(work=Work(KIND_MAX, UNITS_MAX, bytes(DETAILS_BYTES_MAX))))


@accept
def test_tasks__accept_a_price_that_is_owed_with_the_first_unit():
    return Situation(gossip(upfront_micro_cai=2_500_000))


@accept
def test_tasks__accept_the_first_of_an_epoch_after_the_last_of_the_epoch_before():
    return Situation(first_of_epoch(previous=LAST_OF_EPOCH_6.digest), before=IN_EPOCH_6)


@accept
def test_tasks__accept_the_first_of_an_epoch_that_names_one_not_heard_of():
    """What it names may have got lost on its way here: nothing is proved."""
    return Situation(first_of_epoch(previous=bytes(31) + b"\x01"), before=IN_EPOCH_6)


@accept
def test_tasks__accept_the_first_of_all():
    return Situation(first_of_epoch(previous=NO_TASK))


@accept
def test_tasks__accept_one_number_in_two_epochs():
    return Situation(gossip(epoch=6, ranking=ranking_for(11, epoch_view(6))), before=(gossip(),))


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


@reject("work makes no sense")
def test_tasks__reject_no_units():
    return Situation(gossip(work=builders.work(0)))


@reject("work makes no sense")
def test_tasks__reject_no_units_of_an_unknown_kind():
    return Situation(gossip(work=Work(KIND_MAX, 0, b"")))


@reject("work makes no sense")
def test_tasks__reject_no_width():
    return Situation(gossip(work=builders.work(width=0)))


@reject("work makes no sense")
def test_tasks__reject_no_height():
    return Situation(gossip(work=builders.work(height=0)))


@reject("work makes no sense")
def test_tasks__reject_more_steps_than_an_image_can_have():
    return Situation(gossip(work=builders.work(1 << 16)))


@reject("work makes no sense")
def test_tasks__reject_details_that_are_not_the_kinds():
    return Situation(gossip(work=Work(0, 4, b"\x83\x01\x01\x01")))


@reject("more is owed with the first unit than with all")
def test_tasks__reject_more_upfront_than_the_price():
    return Situation(gossip(upfront_micro_cai=2_500_001))


@reject("task is assigned to nobody")
def test_tasks__reject_everybody_passed_over():
    return Situation(
        gossip(ranking=tuple(RankedMiner(place.miner, int(PassedOver.NO_OFFER)) for place in ranking_for(11)))
    )


@reject("message does not decode")
def test_tasks__reject_an_unknown_reason_for_passing_over():
    body = announcement(ranking=(RankedMiner(MINERS["ann"].address, int(max(PassedOver))),)).encode()
    place = body.index(MINERS["ann"].address) + 20
    other = body[:place] + bytes([max(PassedOver) + 1]) + body[place + 1 :]
    return Situation(Gossip("tasks", Envelope(VERSION, 2, other, bytes(65)).encode()))


@reject("task names no predecessor")
def test_tasks__reject_a_later_task_that_follows_none():
    return Situation(gossip(previous=NO_TASK))


@ignore("task is from the future")
def test_tasks__ignore_from_the_future():
    ahead = NOW_MS + CLOCK_DISPARITY_MS_MAX + 1
    return Situation(gossip(announced_at_ms=ahead, deadline_ms=ahead + 1))


@ignore("task's life is longer than the network's")
def test_tasks__ignore_a_longer_life_than_the_networks():
    """Its parameters may change, and peers do not change them in one moment."""
    return Situation(gossip(deadline_ms=NOW_MS + TERMS.life_ms_max + 1))


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


@ignore("announcement contradicts its neighbour")
def test_tasks__ignore_another_predecessor():
    other = sealed(COORDINATOR, next_announcement(previous=bytes(31) + b"\x01"))
    return Situation(Gossip("tasks", other), before=(gossip(),))


@ignore("announcement contradicts its neighbour")
def test_tasks__ignore_one_that_its_successor_does_not_name():
    other = sealed(COORDINATOR, next_announcement(previous=bytes(31) + b"\x01"))
    return Situation(gossip(), before=(Gossip("tasks", other),))


@ignore("announcement contradicts its neighbour")
def test_tasks__ignore_a_first_of_an_epoch_that_names_none_though_there_is_one():
    return Situation(first_of_epoch(previous=NO_TASK), before=IN_EPOCH_6[:1])


@ignore("announcement contradicts its neighbour")
def test_tasks__ignore_a_first_of_an_epoch_that_names_one_before_the_last():
    """A coordinator may not go back: of a second chain out of the same place, one of the two is a lie."""
    return Situation(first_of_epoch(previous=FIRST_OF_EPOCH_6.digest), before=IN_EPOCH_6)


@ignore("announcement contradicts its neighbour")
def test_tasks__ignore_a_first_of_an_epoch_that_names_what_another_names():
    """The one that both name has not come here, and is not needed."""
    return Situation(first_of_epoch(previous=FIRST_OF_EPOCH_6.digest), before=IN_EPOCH_6[1:])


@ignore("announcement contradicts its neighbour")
def test_tasks__ignore_one_more_of_an_epoch_whose_last_is_named():
    """The next epoch's first task was here before."""
    first = first_of_epoch(previous=FIRST_OF_EPOCH_6.digest)
    return Situation(IN_EPOCH_6[1], before=(IN_EPOCH_6[0], first))


@ignore("announcement contradicts its neighbour")
def test_tasks__ignore_one_of_an_epoch_when_the_next_names_none():
    return Situation(IN_EPOCH_6[0], before=(first_of_epoch(previous=NO_TASK),))


@ignore("epoch's seed has just changed")
def test_tasks__ignore_a_ranking_by_a_seed_that_has_just_changed():
    return Situation(gossip(ranking=ranking_for(11)[::-1]), view=view_settling(7, NOW_MS + 1))


@ignore("epoch's seed has just changed")
def test_tasks__ignore_a_stranger_while_the_epoch_settles():
    """The block of its snapshot may have changed, too."""
    return Situation(gossip(STRANGER, coordinator=STRANGER.address), view=view_settling(7, NOW_MS + 1))


@accept
def test_tasks__accept_a_draw_by_the_new_seed_at_once():
    return Situation(gossip(), view=view_settling(7, NOW_MS + 1))


@reject("ranking is not the draw's")
def test_tasks__reject_a_wrong_ranking_when_the_seed_has_settled():
    return Situation(gossip(ranking=ranking_for(11)[::-1]), view=view_settling(7, NOW_MS))


@reject("ranking is not the draw's")
def test_tasks__reject_a_ranking_out_of_order():
    return Situation(gossip(ranking=ranking_for(11)[::-1]))


@reject("ranking is not the draw's")
def test_tasks__reject_a_ranking_that_leaves_out_its_first():
    return Situation(gossip(ranking=ranking_for(11)[1:]))


@reject("ranking is not the draw's")
def test_tasks__reject_a_ranking_of_another_number():
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
