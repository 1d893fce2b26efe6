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


async def drain(outbox):
    return await outbox.take(10**6) if len(outbox) else b""


async def test_frames__leave_in_order_of_rank_and_within_one_as_they_came():
    outbox, _ = make()
    for frame, rank in ((b"g", 3), (b"f", 2), (b"F", 2), (b"o", 1), (b"c", 0), (b"C", 0)):
        outbox.put(frame, Rank(rank))
    assert await drain(outbox) == b"cCofFg"


async def test_a_batch__is_within_its_size_and_a_large_frame_goes_alone():
    outbox, _ = make()
    for size in (5, 5, 5, 50, 1):
        outbox.put(bytes(size))
    assert [len(await outbox.take(10)) for _ in range(4)] == [10, 5, 50, 1]


async def test_a_batch__does_not_put_a_small_frame_before_a_large_one_that_matters_more():
    outbox, _ = make()
    outbox.put(bytes(8), Rank.CONTROL)
    outbox.put(bytes(8), Rank.FORWARD)
    outbox.put(b"g", Rank.GOSSIP)
    assert [len(await outbox.take(10)) for _ in range(2)] == [8, 9]


async def test_a_full_outbox__throws_the_oldest_of_the_lowest_rank_overboard():
    outbox, dropped = make(frames_max=3)
    for frame, rank in ((b"1", 3), (b"2", 3), (b"3", 2), (b"4", 0), (b"5", 2), (b"6", 1)):
        outbox.put(frame, Rank(rank))
    assert await drain(outbox) == b"465"
    assert dropped == {Rank.GOSSIP: 2, Rank.FORWARD: 1}


async def test_a_full_outbox__drops_what_comes_if_it_matters_least():
    outbox, dropped = make(frames_max=1)
    outbox.put(b"own", Rank.OWN)
    outbox.put(b"forward", Rank.FORWARD)
    assert await drain(outbox) == b"own"
    assert dropped == {Rank.FORWARD: 1}


async def test_a_frame_larger_than_everything__is_dropped_with_all_that_matters_no_more():
    outbox, dropped = make(bytes_max=10)
    outbox.put(bytes(5), Rank.CONTROL)
    outbox.put(bytes(11), Rank.FORWARD)
    assert len(outbox) == 1
    assert dropped == {Rank.FORWARD: 1}


@given(
    st.lists(
        st.one_of(st.none(), st.tuples(st.integers(0, 9), st.sampled_from(Rank))), min_size=1, max_size=60
    )
)
def test_law_an_outbox__stays_within_its_limits_and_loses_nothing_uncounted(events):
    async def run():
        outbox, dropped = make(frames_max=4, bytes_max=20)
        put = taken = 0
        for event in events:
            if event is None:
                before = len(outbox)
                if before:
                    await outbox.take(10)
                taken += before - len(outbox)
            else:
                outbox.put(bytes(event[0]), event[1])
                put += 1
            assert len(outbox) <= 4
            assert outbox.held_bytes <= 20
            assert put == taken + len(outbox) + dropped.total()

    trio.run(run)


async def test_publishing__waits_while_an_outbox_is_busy():
    outbox, _ = make(frames_max=8)
    await outbox.wait_until_eased()
    for _ in range(4):
        outbox.put(b"x")
    assert outbox.is_busy
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.wait_until_eased)
        await trio.testing.wait_all_tasks_blocked()
        assert await outbox.take(2) == b"xx"
