"""The next card to fetch: one at a time of each, with patience, and within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from node.coordinator.card_queue import (
    BACKOFF_FIRST_MS,
    BACKOFF_MAX_MS,
    FETCHES_MAX,
    FORGET_MS,
    MINERS_PER_MODEL_MAX,
    WANTED_MAX,
    WANTED_PER_MINER_MAX,
    CardFetch,
    CardQueue,
    CardQueueStatus,
)


def an_id(number: int) -> bytes:
    return number.to_bytes(32)


def a_miner(number: int) -> bytes:
    return number.to_bytes(20)


def test_one_fetch_of_a_model_at_a_time():
    queue = CardQueue()
    for miner in range(3):
        queue.note_offer(an_id(1), a_miner(miner), 0)
    fetch = queue.take(0)
    assert fetch == CardFetch(an_id(1), a_miner(0))
    assert queue.take(0) is None
    queue.succeeded(fetch)
    assert len(queue) == 0


def test_another_miner_is_asked_at_once_and_the_same_one_later():
    queue = CardQueue()
    queue.note_offer(an_id(1), a_miner(1), 0)
    queue.note_offer(an_id(1), a_miner(2), 0)
    first = queue.take(0)
    queue.failed(first, 0)
    second = queue.take(0)
    assert (first.miner, second.miner) == (a_miner(1), a_miner(2))
    queue.failed(second, 0)
    assert queue.take(BACKOFF_FIRST_MS - 1) is None
    assert queue.take(BACKOFF_FIRST_MS).miner == a_miner(1)


def test_patience_doubles_up_to_a_bound():
    queue, now_ms, waits = CardQueue(), 0, []
    for _ in range(40):
        queue.note_offer(an_id(1), a_miner(1), now_ms)
        queue.failed(queue.take(now_ms), now_ms)
        low, high = 0, BACKOFF_MAX_MS
        while low < high:
            middle = (low + high) // 2
            low, high = (
                (low, middle)
                if queue._wanted[an_id(1)].sources[a_miner(1)].not_before_ms <= now_ms + middle
                else (middle + 1, high)
            )
        waits.append(low)
        now_ms += low
    assert waits[:4] == [1_000, 2_000, 4_000, 8_000]
    assert set(waits[12:]) == {BACKOFF_MAX_MS}


def test_attack_a_silent_miner_holds_one_fetch_only():
    queue = CardQueue()
    for number in range(8):
        queue.note_offer(an_id(number), a_miner(1), 0)
    queue.note_offer(an_id(100), a_miner(2), 0)
    assert [queue.take(0).model_id, queue.take(0).model_id] == [an_id(0), an_id(100)]
    assert queue.take(0) is None


def test_attack_a_miner_that_offers_ever_new_models():
    queue = CardQueue()
    for number in range(100):
        queue.note_offer(an_id(number), a_miner(1), 0)
    assert len(queue) == WANTED_PER_MINER_MAX
    assert queue.status() == CardQueueStatus(
        wanted=WANTED_PER_MINER_MAX, fetching=0, too_many=0, too_many_of_miner=100 - WANTED_PER_MINER_MAX
    )
    # An honest one is still followed, and what is not offered any more is forgotten.
    queue.note_offer(an_id(200), a_miner(2), 0)
    queue.note_offer(an_id(300), a_miner(2), FORGET_MS + 1)
    assert len(queue) == 1


def test_attack_more_models_than_are_looked_for():
    queue = CardQueue()
    for number in range(WANTED_MAX + 5):
        queue.note_offer(an_id(number), a_miner(number), 0)
    assert len(queue) == WANTED_MAX
    assert queue.status() == CardQueueStatus(wanted=WANTED_MAX, fetching=0, too_many=5, too_many_of_miner=0)


def test_sources_of_a_model_are_bounded():
    queue = CardQueue()
    for number in range(50):
        queue.note_offer(an_id(1), a_miner(number), 0)
    assert len(queue._wanted[an_id(1)].sources) == MINERS_PER_MODEL_MAX


@given(
    st.lists(
        st.tuples(st.sampled_from(["offer", "take", "fail", "succeed"]), st.integers(0, 5), st.integers(0, 3))
    )
)
def test_never_more_than_one_fetch_of_a_model_nor_from_a_miner(acts):
    queue, now_ms, under_way = CardQueue(), 0, []
    for act, model, miner in acts:
        now_ms += 500
        if act == "offer":
            queue.note_offer(an_id(model), a_miner(miner), now_ms)
        elif act == "take" and (fetch := queue.take(now_ms)) is not None:
            under_way.append(fetch)
        elif under_way and act == "fail":
            queue.failed(under_way.pop(0), now_ms)
        elif under_way and act == "succeed":
            queue.succeeded(under_way.pop(0))
        assert len(under_way) <= FETCHES_MAX
        assert len({fetch.model_id for fetch in under_way}) == len(under_way)
        assert len({fetch.miner for fetch in under_way}) == len(under_way)
