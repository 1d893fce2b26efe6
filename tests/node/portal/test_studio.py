"""A prompt tried in the portal: its order as events, and its pictures, listed, shown and deleted."""

import base64
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from node.coordinator.offered import OfferedModel
from node.coordinator.outcomes import Announced, Delivered, FailedOver, NoMiner, OrderLost, Preview, Progress
from node.coordinator.records import FailureKind
from node.portal import studio
from node.portal.app import Portal
from node.portal.own import SESSION_HEADER
from node.portal.studio import PAGE_PICTURES, STREAMS_MAX
from protocol.receipt import to_document
from tests.node.portal.test_app import Chain, peer_of, visitor
from tests.protocol.builders import FIRST_RANKED, IMAGE, TASK, receipt

RECEIPT = receipt()
TASK_ID = "0x" + TASK.digest.hex()
NAME = "0123456789abcdef" * 2
MINER = FIRST_RANKED.address


class Orders:
    """Does what a test says. :ivar happens: told on the way. :ivar ends: how it ends."""

    def __init__(self):
        self.happens, self.ends = [], Delivered(IMAGE, RECEIPT)
        self.refusal, self.gate = None, None
        self.wishes, self.kept, self.watched = [], [RECEIPT], 0
        self.live = {NAME}

    def models(self):
        shape = (((256, 256), (128, 128)), 8, 30, 2, 2_500_000)
        return [
            OfferedModel("icons", bytes(32), *shape, (0, 1)),
            OfferedModel("edits-only", bytes(32), *shape, (1,)),
        ]

    @asynccontextmanager
    async def placed(self, wish, name):
        if self.refusal is not None:
            raise self.refusal
        self.wishes.append((wish, name))
        self.watched += 1
        try:
            yield self
        finally:
            self.watched -= 1

    async def follow(self, tell=None):
        for event in self.happens:
            await tell(event)
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.ends, Delivered):
            return self.ends
        raise self.ends

    def cancel(self, name):
        return name in self.live

    def receipts(self, offset, limit):
        return self.kept[offset : offset + limit]

    def receipt(self, task_id):
        return next((one for one in self.kept if one.announcement.digest == task_id), None)

    def picture(self, task_id):
        return IMAGE if self.receipt(task_id) is not None else None

    def forget(self, task_id):
        before = len(self.kept)
        self.kept = [one for one in self.kept if one.announcement.digest != task_id]
        return len(self.kept) < before


@pytest.fixture
def orders():
    return Orders()


@pytest.fixture
def portal(orders):
    portal = Portal(peer_of(Chain()), "coordinator")
    portal.own.studio.orders = orders
    return portal


@asynccontextmanager
async def owner(portal):
    async with visitor(portal) as http:
        sessions = portal.own.sessions
        http.headers[SESSION_HEADER] = sessions.exchange(sessions.new_code())
        yield http


async def ask(portal, path, status=200, **body):
    async with owner(portal) as http:
        answer = await (http.post(path, json=body) if body else http.get(path))
    assert answer.status_code == status, answer.text
    return answer


def events_of(answer):
    blocks = answer.text.split("\n\n")
    return [json.loads(block.removeprefix("data: ")) for block in blocks if block.startswith("data: ")]


async def test_an_order_is_told_as_it_goes(portal, orders):
    orders.happens = [
        Announced(TASK.digest, (MINER,)),
        Progress(MINER, 2, 8),
        Preview(2, b"png"),
        FailedOver(MINER, "its stream\nbroke \u202e<b>"),
    ]
    wish = {"prompt": "a red fox", "negative_prompt": "", "model": None, "seed": 7}
    answer = await ask(portal, "/api/own/orders", name=NAME, **wish)
    assert answer.headers["content-type"].startswith("text/event-stream")
    miner = "0x" + MINER.hex()
    assert events_of(answer) == [
        {"event": "announced", "task_id": TASK_ID, "drawn": [miner]},
        {"event": "progress", "miner": miner, "units": 2, "units_all": 8},
        {"event": "preview", "units": 2, "png": base64.b64encode(b"png").decode()},
        {"event": "failed_over", "miner": miner, "reason": "its stream\nbroke \u202e<b>"},
        {"event": "done", "task_id": TASK_ID},
    ]
    # What is empty is the model's own, and what nobody knows is not passed on.
    assert orders.wishes == [({"prompt": "a red fox", "seed": 7}, NAME)]
    assert (orders.watched, portal.own.studio._streams) == (0, 0)


async def test_only_what_a_picture_is_made_of_is_passed_on(portal, orders):
    more = {"n": 50, "stream": False, "price_max_micro_cai": 1, "partial_images": 9, "model": "icons"}
    await ask(portal, "/api/own/orders", name=NAME, prompt="x", steps=9, **more)
    assert orders.wishes == [({"prompt": "x", "steps": 9, "model": "icons"}, NAME)]


async def test_an_order_that_is_not_taken_is_an_error_with_the_nodes_reason(portal, orders):
    orders.refusal = NoMiner("no miner offers this model for this right now")
    answer = await ask(portal, "/api/own/orders", 422, name=NAME, prompt="x")
    assert answer.json()["error"] == {
        "code": "order",
        "reason": "no miner offers this model for this right now",
    }


async def test_an_order_that_is_lost_on_the_way_ends_its_stream_with_the_reason(portal, orders):
    orders.happens = [Progress(MINER, 1, 8)]
    orders.ends = OrderLost(FailureKind.EXPIRED, "time ran out")
    *_, last = events_of(await ask(portal, "/api/own/orders", name=NAME, prompt="x"))
    assert last == {"event": "lost", "code": "order", "reason": "time ran out"}
    assert portal.own.studio._streams == 0


@pytest.mark.parametrize("name", [None, "", "x" * 32, NAME.upper(), NAME + "0", 7, [NAME], NAME + "\n"])
async def test_an_order_has_a_name_of_the_pages_form(portal, orders, name):
    for path in ("/api/own/orders", "/api/own/orders/cancel"):
        answer = await ask(portal, path, 400, name=name, prompt="x")
        assert answer.json() == {"error": {"code": "bad_json"}}
    assert orders.wishes == []


async def test_who_goes_away_is_watched_for_no_more(portal, orders):
    orders.gate, sent = trio.Event(), []
    left, secret = trio.Event(), portal.own.sessions.exchange(portal.own.sessions.new_code())
    body = json.dumps({"name": NAME, "prompt": "x"}).encode()
    headers = [
        (b"host", b"127.0.0.1"),
        (b"content-type", b"application/json"),
        (SESSION_HEADER.encode(), secret.encode()),
    ]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/own/orders",
        "headers": headers,
        "query_string": b"",
    }
    messages = [{"type": "http.request", "body": body}]

    async def receive():
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(portal.frontier, scope, receive, send)
        await trio.testing.wait_all_tasks_blocked()
        assert (orders.watched, portal.own.studio._streams) == (1, 1)
        left.set()
    assert (orders.watched, portal.own.studio._streams) == (0, 0)
    assert sent[0]["status"] == 200


async def test_orders_that_are_watched_beyond_the_bound_are_asked_to_come_again(portal, orders):
    portal.own.studio._streams = STREAMS_MAX
    answer = await ask(portal, "/api/own/orders", 503, name=NAME, prompt="x")
    assert answer.json()["error"]["code"] == "busy"
    assert (orders.wishes, portal.own.studio._streams) == ([], STREAMS_MAX)


async def test_an_order_is_cancelled_by_its_name(portal):
    assert (await ask(portal, "/api/own/orders/cancel", name=NAME)).json() == {"cancelled": True}
    assert (await ask(portal, "/api/own/orders/cancel", name="0" * 32)).json() == {"cancelled": False}


async def test_models_that_make_pictures_from_words(portal):
    (model,) = (await ask(portal, "/api/own/models")).json()["models"]
    assert model == {
        "name": "icons",
        "sizes": [[256, 256], [128, 128]],
        "default_steps": 8,
        "steps_max": 30,
        "miners": 2,
        "price_micro_cai": "2500000",
    }


async def test_pictures_are_listed_shown_and_deleted(portal, orders):
    document = (await ask(portal, "/api/own/pictures")).json()
    width, height = TASK.message.work.image_size()
    assert document == {
        "offset": 0,
        "page": PAGE_PICTURES,
        "more": False,
        "pictures": [
            {
                "task_id": TASK_ID,
                "at_ms": TASK.message.announced_at_ms,
                "price_micro_cai": str(TASK.message.price_micro_cai),
                "miner": "0x" + MINER.hex(),
                "width": width,
                "height": height,
            }
        ],
    }
    shown = await ask(portal, f"/api/own/tasks/{TASK_ID}/picture")
    assert (shown.content, shown.headers["content-type"]) == (IMAGE, "image/png")
    assert (await ask(portal, f"/api/own/tasks/{TASK_ID}/receipt")).json() == to_document(RECEIPT)
    async with owner(portal) as http:
        assert (await http.post(f"/api/own/tasks/{TASK_ID}/delete")).json() == {}
        assert (await http.post(f"/api/own/tasks/{TASK_ID}/delete")).status_code == 404
    for what in ("picture", "receipt"):
        answer = await ask(portal, f"/api/own/tasks/{TASK_ID}/{what}", 404)
        assert answer.json() == {"error": {"code": "no_picture"}}
    assert (await ask(portal, "/api/own/pictures")).json()["pictures"] == []


async def test_the_list_of_pictures_has_pages(portal, orders):
    orders.kept = [RECEIPT] * (2 * PAGE_PICTURES)
    first = (await ask(portal, "/api/own/pictures")).json()
    assert (len(first["pictures"]), first["more"]) == (PAGE_PICTURES, True)
    last = (await ask(portal, f"/api/own/pictures?offset={PAGE_PICTURES}")).json()
    assert (len(last["pictures"]), last["more"]) == (PAGE_PICTURES, False)
    for offset in ("-1", "x", str(studio.PICTURES_MAX + 1), "9" * 6, ""):
        answer = await ask(portal, f"/api/own/pictures?offset={offset}", 400)
        assert answer.json() == {"error": {"code": "bad_query"}}


@pytest.mark.parametrize("name", ["0x12", "0x" + "zz" * 32, "..", TASK_ID.upper()])
async def test_what_is_no_task_has_no_picture(portal, name):
    for what in ("picture", "receipt"):
        assert (await ask(portal, f"/api/own/tasks/{name}/{what}", 404)).json()["error"]["code"] in {
            "no_picture",
            "not_found",
        }


async def test_a_miner_has_none_of_it(portal):
    portal.own.studio.orders = None
    for path in ("models", "pictures", f"tasks/{TASK_ID}/picture"):
        answer = await ask(portal, f"/api/own/{path}", 404)
        assert answer.json() == {"error": {"code": "no_studio"}}
    assert (await ask(portal, "/api/own/orders", 404, name=NAME)).json()["error"]["code"] == "no_studio"


def test_what_the_page_takes_from_a_receipt_is_not_more_than_a_receipt_has():
    assert SimpleNamespace(**studio._picture_document(RECEIPT)).miner == "0x" + MINER.hex()
