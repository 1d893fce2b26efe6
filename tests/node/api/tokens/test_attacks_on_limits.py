"""Ways around a token's limits: leaving early, names of orders, revoking, expiry, midnight, rising prices."""

import os
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio

from node.api import serving as serving_module
from node.api.errors import Refused
from node.api.serving import RequestName
from node.api.tokens import desk
from node.api.tokens.store import DAY_MS, TokensUnavailable
from node.coordinator.actions import Failure
from node.coordinator.outcomes import OrderLost, Preview, Progress
from node.coordinator.quotes import Quote
from node.coordinator.records import FailureKind
from node.coordinator.watching import Watch
from node.system.clock import now_ms
from node.system.events import EventBus, TaskAnnounced, TaskPaid
from protocol.amounts import WEI_PER_MICRO_CAI
from tests.node.api.desk import FakeCoordinator, api, client_of, new_token
from tests.node.api.openai.test_generation import parsed

PATH = "/v1/images/generations"
TASK = b"t" * 32
MADE = [Progress(bytes(20), 1, 4), Preview(1, b"png")]


class Book(FakeCoordinator):
    """Orders that end when a test says so; one that has a name outlives its request.

    :ivar watches: of all, in their order.
    """

    def __init__(self):
        super().__init__()
        self.watches = []

    @asynccontextmanager
    async def submit(self, request, *, key="", body_hash=b""):
        if key and self.knows(key):
            yield Watch(os.urandom(32))
            return
        watch = Watch(os.urandom(32))
        self.watches.append(watch)
        self.placed.append(request)
        self.keys.append(key)
        wish = SimpleNamespace(price_max_micro_cai=request.price_max_micro_cai)
        self.live.append(SimpleNamespace(order_id=watch.order_id, key=key, request=wish))
        yield watch
        if not key:
            self.cancel(watch.order_id, "")


class Seat:
    """A token's caller at the API of a `Book`."""

    def __init__(self, **limits):
        self.book = Book()
        self.built = api(self.book)
        services = self.built.services
        self.serving, self.tokens = services.serving, services.tokens
        self.caller = self.tokens.find(new_token(self.built, **limits).encode(), now_ms())

    @asynccontextmanager
    async def asked(self, key="", **body):
        name, requests = RequestName(key, bytes(32), self.caller), parsed(**body).requests
        with self.serving.admitted(requests, name) as admitted:
            async with self.serving.placed(admitted, name, 0) as placed:
                yield placed

    def used(self, at_ms=None):
        return self.tokens.used(self.caller.token_id, at_ms or now_ms())


def refusal(code):
    return pytest.raises(Refused, check=lambda refused: refused.error.code == code)


@pytest.mark.parametrize("event", MADE)
async def test_attack_a_picture_that_has_begun_counts_though_its_app_goes_away(event):
    seat = Seat(images_per_day=1)
    async with seat.asked():
        pass  # nothing was begun, so it was none
    assert seat.used().images == 0
    async with seat.asked():
        seat.book.watches[-1].tell(event)
    assert seat.used().images == 1
    with refusal("quota_exceeded"):
        async with seat.asked():
            pass


@pytest.mark.parametrize("key", ["", "mine"])
async def test_a_picture_that_has_begun_and_is_lost_was_none(key):
    seat = Seat(images_per_day=1)
    async with seat.asked(key) as placed:
        seat.book.watches[-1].tell(MADE[0])
        seat.book.watches[-1].finish(Failure(FailureKind.FAILED, "out of memory"))
        with pytest.raises(OrderLost, match=r"^out of memory$"):
            await placed.follow()
    assert seat.used().images == 0


async def test_attack_a_named_order_left_alone_holds_what_it_may_cost():
    seat = Seat(micro_cai_per_day=25_000)  # 10,000 each
    for key in ("one", "two"):
        async with seat.asked(key):
            pass
    with refusal("spending_exceeded"):
        async with seat.asked("three"):
            pass
    seat.book.live.clear()
    async with seat.asked("three"):
        pass


async def test_attack_what_a_named_order_costs_unwatched_is_its_tokens(nursery):
    seat, bus = Seat(), EventBus()
    nursery.start_soon(seat.built.services.desk.run, bus)
    await trio.testing.wait_all_tasks_blocked()
    async with seat.asked("mine"):
        pass
    seat.book.tasks[TASK] = seat.book.live[0]
    bus.publish(TaskAnnounced(TASK, bytes(32), ()))
    await trio.testing.wait_all_tasks_blocked()
    seat.book.tasks.clear()
    bus.publish(TaskPaid(TASK, bytes(20), 7))
    await trio.testing.wait_all_tasks_blocked()
    assert seat.used().spent_wei == 7
    assert seat.tokens.used("", now_ms()).spent_wei == 0
    nursery.cancel_scope.cancel()


async def test_attack_an_app_that_reads_nothing_pays_for_its_order(nursery):
    seat, bus = Seat(), EventBus()
    nursery.start_soon(seat.built.services.desk.run, bus)
    await trio.testing.wait_all_tasks_blocked()
    async with seat.asked():
        seat.book.tasks[TASK] = seat.book.live[0]
        bus.publish(TaskPaid(TASK, bytes(20), 7))
        await trio.testing.wait_all_tasks_blocked()
        assert seat.used().spent_wei == 7
    assert seat.built.services.desk.nameless == {}
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("key", ["", "{}"])
async def test_attack_one_token_does_not_fill_the_coordinator(monkeypatch, key):
    monkeypatch.setattr(desk, "LIVE_OF_TOKEN_MAX", 2)
    seat = Seat()
    async with seat.asked(key.format(1)), seat.asked(key.format(2)):
        with pytest.raises(Refused, match="too many orders of this token are under way"):
            async with seat.asked(key.format(3)):
                pass
        if key:
            async with seat.asked(key.format(2)):  # known: not one more
                pass
    assert len(seat.book.placed) == 2
    assert seat.used().images == (2 if key else 0)


async def test_attack_a_named_order_keeps_its_place_until_it_is_over():
    seat = Seat()
    async with seat.asked("mine"):
        pass
    assert seat.serving.queue.status().at_coordinator == 1
    seat.book.live.clear()
    assert seat.serving.queue.status().at_coordinator == 0


async def test_attack_a_request_whose_token_has_ended_places_nothing(monkeypatch):
    seat = Seat(expires_at_ms=now_ms() + DAY_MS)
    with monkeypatch.context() as patch:
        patch.setattr(desk, "now_ms", lambda: now_ms() + DAY_MS)
        with refusal("invalid_api_key"):
            async with seat.asked():
                pass
    seat.tokens.revoke("ann", now_ms())
    with refusal("invalid_api_key"):
        async with seat.asked():
            pass
    assert seat.book.placed == []


async def test_attack_a_token_that_ends_while_its_order_waits_places_nothing():
    seat = Seat()
    name, requests = RequestName("", bytes(32), seat.caller), parsed().requests
    with seat.serving.admitted(requests, name) as admitted:
        seat.tokens.revoke("ann", now_ms())
        with refusal("invalid_api_key"):
            async with seat.serving.placed(admitted, name, 0):
                pass
    assert (seat.book.placed, seat.used().images) == ([], 0)


async def test_attack_revoking_ends_named_orders_that_nobody_watches():
    seat = Seat()
    other = new_token(seat.built, "bob")
    async with seat.asked("mine"):
        pass
    seat.caller = seat.tokens.find(other.encode(), now_ms())
    async with seat.asked("mine"):
        pass
    seat.tokens.revoke("ann", now_ms())
    assert [order.key for order in seat.book.live] == [f"{seat.caller.token_id}/mine/0"]


async def test_attack_a_disk_that_fails_does_not_keep_a_token_working():
    seat = Seat()
    async with seat.asked("mine"):
        pass
    seat.tokens._connection.execute("DROP TABLE tokens")
    with pytest.raises(TokensUnavailable, match="the file of tokens failed: no such table: tokens"):
        seat.tokens.revoke("ann", now_ms())
    assert seat.caller.ended.is_set()
    assert (seat.tokens.named("ann", now_ms()), seat.book.live) == (None, [])


async def test_attack_a_body_that_never_ends_is_refused(autojump_clock):
    async def drips():
        while True:
            yield b" "
            await trio.sleep(serving_module.BODY_S_MAX / 10)

    async with client_of(api()) as http:
        response = await http.post(PATH, content=drips(), headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (408, "body_too_slow")


async def test_attack_a_known_name_is_refused_neither_for_spending_nor_for_the_line(monkeypatch):
    seat = Seat(micro_cai_per_day=10_000, images_per_day=1)
    async with seat.asked("mine"):
        seat.tokens.own(TASK, seat.caller.token_id)
        seat.tokens.note_paid(TASK, bytes(20), 10_000 * WEI_PER_MICRO_CAI, now_ms())
    monkeypatch.setattr("node.api.queue.WAITING_OF_TOKEN_MAX", 0)
    monkeypatch.setattr("node.api.queue.PLACES_MAX", 0)
    async with seat.asked("mine"):
        pass
    assert (seat.used().images, seat.used().requests) == (1, 2)


async def test_attack_a_name_whose_result_is_gone_counts_again():
    seat = Seat(images_per_day=1)
    async with seat.asked("mine"):
        pass
    seat.book.keys.clear()  # a day later nothing is kept of it
    with refusal("quota_exceeded"):
        async with seat.asked("mine"):
            pass


async def test_attack_a_result_that_goes_between_asking_and_placing_is_not_made_for_nothing():
    seat = Seat(images_per_day=1)
    async with seat.asked("mine"):
        pass
    name, requests = RequestName("mine", bytes(32), seat.caller), parsed().requests
    with seat.serving.admitted(requests, name) as admitted:
        seat.book.keys.clear()
        with refusal("result_dropped"):
            async with seat.serving.placed(admitted, name, 0):
                pass
    assert len(seat.book.placed) == 1


async def test_one_name_asked_twice_at_a_time_counts_once():
    seat = Seat()
    name, requests = RequestName("mine", bytes(32), seat.caller), parsed().requests
    with seat.serving.admitted(requests, name) as first, seat.serving.admitted(requests, name) as second:
        async with seat.serving.placed(first, name, 0), seat.serving.placed(second, name, 0):
            assert seat.used().images == 1
    assert seat.used().images == 1


async def test_attack_what_is_taken_back_after_midnight_is_taken_from_its_own_day(monkeypatch):
    seat, day_ms = Seat(images_per_day=5), 30_000 * DAY_MS
    monkeypatch.setattr(desk, "now_ms", lambda: day_ms + DAY_MS)
    async with seat.asked("another"):
        pass
    monkeypatch.setattr(desk, "now_ms", lambda: day_ms)
    async with seat.asked():
        monkeypatch.setattr(desk, "now_ms", lambda: day_ms + DAY_MS)
    assert [used.images for used in seat.tokens.used_by_day(seat.caller.token_id, 2)] == [1, 0]


async def test_attack_a_price_that_rises_is_not_paid_beyond_what_was_held():
    seat = Seat(micro_cai_per_day=25_000)
    seat.book.price = Quote(3, 8_000, 9_000, 1_000_000)
    async with seat.asked():
        seat.book.price = Quote(3, 20_000, 20_000, 1_000_000)
    assert [request.price_max_micro_cai for request in seat.book.placed] == [9_000]


async def test_attack_quotes_are_taken_from_the_rate():
    built = api()
    async with client_of(built, new_token(built, requests_per_minute=2)) as http:
        body = {"prompt": "a cat"}
        assert (await http.post("/v1/cuckoo/quote", json=body)).status_code == 200
        assert (await http.post(PATH, json=body | {"dry_run": True})).status_code == 200
        for path, asked in (("/v1/cuckoo/quote", body), (PATH, body | {"dry_run": True})):
            refused = await http.post(path, json=asked)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
