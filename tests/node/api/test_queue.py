"""The queue before the coordinator: its tokens in turn, its bounds, and when to ask again."""

from types import SimpleNamespace

import pytest
import trio

from node.api import queue as queue_module
from node.api.errors import Refused
from node.api.queue import LOOK_S, PLACES_MAX, PLACES_MIN, Queue
from node.coordinator.capacity import capacity_of

MODEL = b"m" * 32


class Desk:
    """Requests that take a place, and keep it until told. :ivar granted: names of tokens, in order."""

    def __init__(self, nursery, capacity=0):
        self.queue = Queue(lambda model: capacity)
        self.granted, self.open, self._nursery = [], [], nursery

    def ask(self, token, count=1, model=MODEL):
        for _ in range(count):
            self._nursery.start_soon(self._hold, token, model)

    async def _hold(self, token, model):
        done = trio.Event()
        async with self.queue.place(token, model) as place:
            self.granted.append(token)
            place.watch = SimpleNamespace(over=False)
            self.open.append((place, done))
            await done.wait()

    async def end(self, count=1):
        for place, done in self.open[:count]:
            place.watch.over = True
            done.set()
        del self.open[:count]
        await trio.testing.wait_all_tasks_blocked()


async def test_tokens_have_their_turns_however_much_one_asks(nursery):
    desk = Desk(nursery)
    desk.ask("greedy", 100)
    await trio.testing.wait_all_tasks_blocked()
    desk.ask("ann", 20)
    desk.ask("bob", 20)
    await trio.testing.wait_all_tasks_blocked()
    assert desk.granted == ["greedy"] * PLACES_MIN
    for _ in range(30):
        await desk.end()
    shares = {token: desk.granted[PLACES_MIN:].count(token) for token in ("greedy", "ann", "bob")}
    assert shares == {"greedy": 10, "ann": 10, "bob": 10}
    while len(desk.granted) < 140:
        await desk.end()
    assert desk.queue.status().waiting == 0
    nursery.cancel_scope.cancel()


async def test_models_do_not_wait_for_each_other(nursery):
    desk = Desk(nursery)
    desk.ask("ann", PLACES_MIN + 5)
    desk.ask("ann", 1, b"another")
    await trio.testing.wait_all_tasks_blocked()
    assert len(desk.granted) == PLACES_MIN + 1
    nursery.cancel_scope.cancel()


async def test_an_order_that_is_over_gives_its_place_before_its_request_ends(nursery, autojump_clock):
    desk = Desk(nursery)
    nursery.start_soon(desk.queue.run)
    desk.ask("ann", PLACES_MIN + 1)
    await trio.testing.wait_all_tasks_blocked()
    desk.open[0][0].watch.over = True
    await trio.sleep(2 * LOOK_S)
    assert len(desk.granted) == PLACES_MIN + 1
    nursery.cancel_scope.cancel()


async def test_whoever_leaves_the_queue_leaves_no_gap(nursery):
    desk = Desk(nursery)
    desk.ask("ann", PLACES_MIN)
    await trio.testing.wait_all_tasks_blocked()
    with trio.move_on_after(0):
        async with desk.queue.place("bob", MODEL):
            pytest.fail("there is no place")
    assert desk.queue.status().waiting == 0
    desk.ask("eve")
    await trio.testing.wait_all_tasks_blocked()
    await desk.end()
    assert desk.granted[-1] == "eve"
    nursery.cancel_scope.cancel()


async def test_what_waits_of_one_token_has_a_bound(nursery, monkeypatch):
    monkeypatch.setattr(queue_module, "WAITING_OF_TOKEN_MAX", 3)
    desk = Desk(nursery)
    desk.ask("ann", PLACES_MIN + 3)
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(Refused, match="too many orders of this token, or of all, wait already"):
        async with desk.queue.place("ann", MODEL):
            pass
    desk.ask("bob")
    await trio.testing.wait_all_tasks_blocked()
    assert desk.queue.status().waiting == 4
    nursery.cancel_scope.cancel()


async def test_attack_what_waits_of_one_token_is_counted_over_all_models(nursery, monkeypatch):
    monkeypatch.setattr(queue_module, "WAITING_OF_TOKEN_MAX", 3)
    desk = Desk(nursery)
    for model in (MODEL, b"another", b"third"):
        desk.ask("ann", PLACES_MIN + 1, model)
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(Refused, match="too many orders of this token, or of all, wait already"):
        async with desk.queue.place("ann", MODEL):
            pass
    nursery.cancel_scope.cancel()


async def test_attack_tokens_that_wait_leave_room_for_those_that_do_not(nursery, monkeypatch):
    monkeypatch.setattr(queue_module, "WAITING_MAX", 8)
    monkeypatch.setattr(queue_module, "WAITING_FIRST", 4)
    desk = Desk(nursery)
    desk.ask("ann", PLACES_MIN + 4)
    await trio.testing.wait_all_tasks_blocked()
    for number in range(4):
        desk.ask(f"t{number}")
    await trio.testing.wait_all_tasks_blocked()
    assert desk.queue.status().waiting == 8
    for token in ("ann", "t0", "new"):
        with pytest.raises(Refused, match="too many orders of this token, or of all, wait already"):
            async with desk.queue.place(token, MODEL):
                pass
    nursery.cancel_scope.cancel()


async def test_attack_a_named_order_keeps_its_place_when_its_request_ends(nursery):
    queue, live = Queue(lambda model: 0), [True]
    for _ in range(PLACES_MIN):
        async with queue.place("ann", MODEL) as place:
            place.lives = lambda: live[0]
    assert queue.status().at_coordinator == PLACES_MIN
    with trio.move_on_after(0):
        async with queue.place("ann", MODEL):
            pytest.fail("there is no place")
    live[0] = False
    async with queue.place("ann", MODEL):
        assert queue.status().at_coordinator == 1


async def test_the_estimate_follows_the_pace_and_the_tokens_own_queue(nursery, monkeypatch):
    clock = SimpleNamespace(ms=10_000)
    monkeypatch.setattr(queue_module, "now_ms", lambda: clock.ms)
    desk = Desk(nursery)
    desk.ask("ann", PLACES_MIN + 60)
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(50):
        clock.ms += 4_000
        await desk.end()
    mine = desk.queue.busy("ann", MODEL, "").error.retry_after_ms
    others = desk.queue.busy("bob", MODEL, "").error.retry_after_ms
    assert 3_900 < others < 4_100
    assert mine == pytest.approx(11 * 4_000, rel=0.05)
    assert desk.queue.status().refused == 2
    nursery.cancel_scope.cancel()


async def test_all_that_waits_has_a_bound(nursery, monkeypatch):
    monkeypatch.setattr(queue_module, "WAITING_MAX", 5)
    desk = Desk(nursery)
    for number in range(PLACES_MIN + 5):
        desk.ask(f"t{number}")
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(Refused, match="too many orders of this token, or of all, wait already"):
        async with desk.queue.place("more", MODEL):
            pass
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("capacity", "places"), [(0, PLACES_MIN), (10, 20), (1000, PLACES_MAX)])
def test_places_are_what_miners_can_work_on_soon(capacity, places):
    assert Queue(lambda model: capacity)._places(MODEL) == places


def test_capacity_is_that_of_live_offers_of_the_model():
    def offer(capacity, model, until_ms):
        return SimpleNamespace(
            capacity=capacity, valid_until_ms=until_ms, models=[SimpleNamespace(model_id=model)]
        )

    offers = [(b"a", offer(2, MODEL, 10)), (b"b", offer(3, MODEL, 10)), (b"c", offer(5, b"x", 10))]
    offers.append((b"d", offer(7, MODEL, 5)))
    assert capacity_of(offers, MODEL, 5) == 5
