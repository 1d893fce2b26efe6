"""p2p/gossip/outbox.py: what goes first, what goes overboard, and who waits."""

from collections import Counter

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from p2p.gossip.actions import Rank
from p2p.gossip.outbox import Outbox


def make(**limits):
    dropped = Counter()
    return Outbox(dropped, **limits), dropped


def drain(outbox):
    return outbox.take(10**6)


def test_frames__leave_in_order_of_rank_and_within_one_as_they_came():
    outbox, _ = make()
    for frame, rank in ((b"g", 3), (b"f", 2), (b"F", 2), (b"o", 1), (b"c", 0), (b"C", 0)):
        outbox.put(frame, Rank(rank))
    assert drain(outbox) == b"cCofFg"


def test_a_batch__is_within_its_size_and_a_large_frame_goes_alone():
    outbox, _ = make()
    for size in (5, 5, 5, 50, 1):
        outbox.put(bytes(size))
    assert [len(outbox.take(10)) for _ in range(4)] == [10, 5, 50, 1]


def test_a_batch__does_not_put_a_small_frame_before_a_large_one_that_matters_more():
    outbox, _ = make()
    outbox.put(bytes(8), Rank.CONTROL)
    outbox.put(bytes(8), Rank.FORWARD)
    outbox.put(b"g", Rank.GOSSIP)
    assert [len(outbox.take(10)) for _ in range(2)] == [8, 9]


def test_a_full_outbox__throws_the_oldest_of_the_lowest_rank_overboard():
    outbox, dropped = make(frames_max=3)
    for frame, rank in ((b"1", 3), (b"2", 3), (b"3", 2), (b"4", 0), (b"5", 2), (b"6", 1)):
        outbox.put(frame, Rank(rank))
    assert drain(outbox) == b"465"
    assert dropped == {Rank.GOSSIP: 2, Rank.FORWARD: 1}


def test_a_full_outbox__drops_what_comes_if_it_matters_least():
    outbox, dropped = make(frames_max=1)
    outbox.put(b"own", Rank.OWN)
    outbox.put(b"forward", Rank.FORWARD)
    assert drain(outbox) == b"own"
    assert dropped == {Rank.FORWARD: 1}


def test_a_frame_larger_than_everything__is_dropped_with_all_that_matters_no_more():
    outbox, dropped = make(bytes_max=10)
    outbox.put(bytes(5), Rank.CONTROL)
    outbox.put(bytes(11), Rank.FORWARD)
    assert len(outbox) == 1
    assert dropped == {Rank.FORWARD: 1}


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.tuples(st.integers(0, 9), st.sampled_from(Rank)),
            st.integers(0, 30).map(lambda number: b"id %d" % number),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_law_an_outbox__stays_within_its_limits_and_loses_nothing_uncounted(events):
    outbox, dropped = make(frames_max=4, bytes_max=20)
    put = taken = 0
    for event in events:
        before = len(outbox)
        if event is None:
            outbox.take(10)
            taken += before - len(outbox)
        elif isinstance(event, bytes):
            taken += outbox.spare(event)
            assert before - len(outbox) in (0, 1)
        else:
            outbox.put(bytes(event[0]), event[1], b"id %d" % put)
            put += 1
        assert len(outbox) <= 4
        assert outbox.held_bytes <= 20
        assert put == taken + len(outbox) + dropped.total()
    while len(outbox):
        outbox.take(1)
    assert outbox.held_bytes == 0


def test_a_forward_that_is_not_needed_any_more__is_spared_and_nothing_else_is():
    outbox, dropped = make()
    for number in (1, 2, 3):
        outbox.put(b"f%d" % number, Rank.FORWARD, b"id %d" % number)
    outbox.put(b"o1", Rank.OWN, b"id 1")
    assert outbox.spare(b"id 2")
    assert not outbox.spare(b"id 2")
    assert not outbox.spare(b"unknown")
    assert (len(outbox), outbox.held_bytes) == (3, 6)
    assert drain(outbox) == b"o1f1f3"
    assert not outbox.spare(b"id 1")
    assert not dropped


def test_a_forward_that_is_queued__is_not_queued_again_and_costs_nobody_a_place():
    outbox, dropped = make(frames_max=2)
    outbox.put(b"g", Rank.GOSSIP)
    outbox.put(b"f", Rank.FORWARD, b"id")
    outbox.put(b"f", Rank.FORWARD, b"id")
    assert drain(outbox) == b"fg"
    assert not dropped
    outbox.put(b"f", Rank.FORWARD, b"id")  # it has left, and may leave again
    assert drain(outbox) == b"f"


async def test_publishing__waits_while_an_outbox_is_busy():
    outbox, _ = make(frames_max=8)
    await outbox.wait_until_eased()
    for _ in range(4):
        outbox.put(b"x")
    assert outbox.is_busy
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.wait_until_eased)
        await trio.testing.wait_all_tasks_blocked()
        assert outbox.take(2) == b"xx"
