"""Orders of the portal go the way of an app's of the operator's, under names of their own."""

from types import SimpleNamespace

import pytest

from node.api.own_orders import PREVIEWS, OwnOrders
from node.coordinator.coordinator import KeyConflict
from node.coordinator.outcomes import NoMiner, Preview
from node.coordinator.requests import BadRequest
from node.portal import studio
from protocol.errors import Refusal
from tests.node.api.desk import FakeCoordinator, api

NAME = "ab" * 16
TASK = b"t" * 32


class Coordinator(FakeCoordinator):
    """With delivered tasks by the names of their orders."""

    def __init__(self, outcome=None):
        super().__init__(outcome)
        self.ended, self.cancelled = {}, []

    def named_tasks(self, prefix, offset, limit):
        found = [task for key, task in self.ended.items() if key.startswith(prefix)]
        return found[offset : offset + limit]

    def is_named(self, prefix, task_id):
        return task_id in self.named_tasks(prefix, 0, 100)

    def receipt(self, task_id):
        return task_id if task_id in self.ended.values() else None

    def output(self, task_id):
        return b"png of " + task_id if task_id in self.ended.values() else None

    def forget(self, task_id):
        self.ended = {key: task for key, task in self.ended.items() if task != task_id}

    def cancel(self, order_id, reason):
        self.cancelled.append((order_id, reason))


@pytest.fixture
def coordinator():
    return Coordinator()


@pytest.fixture
def own(coordinator):
    return OwnOrders(api(coordinator).services)


async def test_a_wish_becomes_one_order_with_previews_under_its_name(own, coordinator):
    events = []

    async def tell(event):
        events.append(event)

    async with own.placed({"prompt": "a red fox", "seed": 7}, NAME) as order:
        delivered = await order.follow(tell)
    (request,) = coordinator.placed
    assert (request.prompt, request.seed, request.previews) == ("a red fox", 7, PREVIEWS)
    assert coordinator.keys == [f"/portal-{NAME}/0"]
    assert delivered.output
    assert sum(isinstance(event, Preview) for event in events) == PREVIEWS


async def test_no_more_than_one_picture_is_ordered_by_a_wish(own, coordinator):
    async with own.placed({"prompt": "x", "n": 8, "stream": False, "partial_images": 0}, NAME):
        pass
    assert len(coordinator.placed) == 1
    assert coordinator.placed[0].previews == PREVIEWS


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"prompt": 7}, "prompt is not text"),
        ({"prompt": "x", "steps": 10**9}, "steps is not a whole number of 1 to 200"),
        ({"prompt": "\ud800"}, "prompt is not text: character 1 is half of a surrogate pair"),
    ],
)
async def test_a_wish_that_is_wrong_is_refused_by_its_field(own, coordinator, wish, reason):
    with pytest.raises(BadRequest) as error:
        async with own.placed(wish, NAME):
            raise AssertionError("it was taken")
    assert error.value.reason == reason
    assert coordinator.placed == []


@pytest.mark.parametrize("refusal", [NoMiner("nobody is here"), KeyConflict("another request")])
async def test_what_the_coordinator_refuses_is_refused(refusal):
    own = OwnOrders(api(Coordinator(refusal)).services)
    with pytest.raises(Refusal) as error:
        async with own.placed({"prompt": "x"}, NAME):
            raise AssertionError("it was taken")
    assert error.value is refusal


def test_a_live_order_is_cancelled_by_its_name_alone(own, coordinator):
    coordinator.live = [
        SimpleNamespace(key=f"/portal-{NAME}/0", order_id=b"1"),
        SimpleNamespace(key=f"/portal-{'cd' * 16}/0", order_id=b"2"),
        SimpleNamespace(key=f"ann/portal-{NAME}/0", order_id=b"3"),
    ]
    assert own.cancel(NAME)
    assert coordinator.cancelled == [(b"1", "its owner cancelled it in the portal")]
    assert not own.cancel("ef" * 16)


@pytest.mark.parametrize("key", ["ann/portal-x/0", "/openwebui/0", "", "xportal-/0"])
def test_others_pictures_are_neither_listed_nor_shown_nor_forgotten(own, coordinator, key):
    coordinator.ended = {key: TASK}
    assert own.receipts(0, 10) == []
    assert own.receipt(TASK) is None
    assert own.picture(TASK) is None
    assert not own.forget(TASK)
    assert coordinator.ended == {key: TASK}


def test_own_pictures_are_listed_shown_and_forgotten(own, coordinator):
    coordinator.ended = {"/portal-ab/0": TASK, "/portal-cd/0": b"u" * 32}
    assert own.receipts(0, 10) == [TASK, b"u" * 32]
    assert own.receipts(1, 10) == [b"u" * 32]
    assert own.receipt(TASK) == TASK
    assert own.picture(TASK) == b"png of " + TASK
    assert own.forget(TASK)
    assert list(coordinator.ended) == ["/portal-cd/0"]
    assert [model.name for model in own.models()] == ["cuckoo-icons"]


def test_it_has_what_the_portal_asks_of_it(own):
    named = {name for name in vars(studio.OwnOrders) if not name.startswith("_")}
    assert named <= set(dir(own))
