"""A coordinator that does what a test says, and a client of the API around it, in process."""

import base64
import io
import json
import os
import sqlite3
import tracemalloc
from contextlib import asynccontextmanager
from functools import cached_property, partial
from types import SimpleNamespace

import httpx2
import trio
from PIL import Image

from node.api.app import Api
from node.api.services import ApiOptions
from node.api.tokens.caller import Limits
from node.api.tokens.store import SCHEMA, TokenStore
from node.coordinator.offered import OfferedModel
from node.coordinator.outcomes import Announced, Delivered, NoMiner, Preview
from node.coordinator.quotes import Quote
from node.coordinator.told import TOLD_SCHEMA, Told
from node.coordinator.watching import Watch
from node.system.control import Control
from node.system.events import EventBus
from node.system.observable import Observable
from node.system.readiness import Readiness
from protocol.hashing import sha256
from tests.node.builders import CARD, CATALOGUE, PACKAGE

TOKEN = "secret-token"
TYPE_OF_FORM = "multipart/form-data"


def picture(width=32, height=32, colour=(200, 30, 30)):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


class FakeCoordinator:
    """Every order is delivered at once, unless `outcome` is an error, which is raised, or it has no name
    that could be known, and no miner is as cheap.

    :ivar placed: requests, in order. :ivar keys: their names. :ivar live: orders in its book, as tests want
        them. :ivar tasks: order of each live task, likewise.
    """

    @cached_property
    def told(self):
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.executescript(TOLD_SCHEMA)
        return Told(connection)

    def explain_audits(self, task_id):
        return [f"0x{task_id.hex()} is audited by nobody"]

    def __init__(self, outcome=None):
        self.outcome = outcome
        self.placed, self.keys, self.outputs = [], [], {}
        self.live, self.tasks = [], {}
        self.price = Quote(3, 8_000, 10_000, 1_000_000)
        self.engine = SimpleNamespace(market=SimpleNamespace(offers=list))

    @asynccontextmanager
    async def submit(self, request, *, key="", body_hash=b""):
        if self.outcome is not None:
            raise self.outcome
        ceiling, cheapest = request.price_max_micro_cai, self.price.cheapest_micro_cai
        if None not in {ceiling, cheapest} and ceiling < cheapest and not key:
            raise NoMiner("every miner that offers this asks for more")
        self.placed.append(request)
        self.keys.append(key)
        watch = Watch(bytes(32))
        task_id = sha256(request.seed.to_bytes(8, "big"))
        watch.tell(Announced(task_id, (bytes(20),)))
        for index in range(request.previews):
            watch.tell(Preview(index + 1, picture(colour=(index, 0, 0))))
        output = picture(request.width, request.height, colour=(request.seed % 256, 0, 0))
        signer = SimpleNamespace(address=bytes(20))
        receipt = SimpleNamespace(
            announcement=SimpleNamespace(digest=task_id), commitment=SimpleNamespace(signer=signer)
        )
        self.outputs[task_id] = output
        watch.finish(Delivered(output, receipt))
        yield watch

    def quote(self, request):
        return self.price

    def knows(self, key):
        return key in self.keys

    def live_orders(self, prefix):
        return [order for order in self.live if order.key.startswith(prefix)]

    def is_live(self, order_id):
        return any(order.order_id == order_id for order in self.live)

    def order_of_task(self, task_id):
        return self.tasks.get(task_id)

    def cancel(self, order_id, reason):
        self.live = [order for order in self.live if order.order_id != order_id]

    def offered_models(self):
        shape = (CARD.sizes, CARD.default_steps, CARD.steps_max)
        return [OfferedModel("cuckoo-icons", PACKAGE.model_id, *shape, 3, 8_000, CARD.work_kinds)]

    def status(self):
        return SimpleNamespace(live_offers=3, orders=0)

    def receipt(self, task_id):
        return None

    def output(self, task_id):
        return self.outputs.get(task_id)


class Watched(FakeCoordinator):
    """Orders that end when a test says so. :ivar watches: in their order. :ivar left: how many were left."""

    def __init__(self):
        super().__init__()
        self.watches, self.left = [], 0

    @asynccontextmanager
    async def submit(self, request, *, key="", body_hash=b""):
        watch = Watch(bytes(32))
        self.watches.append(watch)
        try:
            yield watch
        finally:
            self.left += 1


def large_image():
    """Two million bytes that no encoder makes smaller, in base64."""
    buffer = io.BytesIO()
    Image.frombytes("RGB", (1000, 700), os.urandom(2_100_000)).save(buffer, "PNG", compress_level=0)
    return base64.b64encode(buffer.getvalue()).decode()


async def held_while_drawing(http, path, body, coordinator):
    """Bytes that the node holds of a request while its picture is made, besides the client's own.

    :param body: for JSON, or headers and bytes.
    """
    headers, content = {"Content-Type": "application/json"}, b""
    if isinstance(body, tuple):
        headers, content = body
    else:
        content = json.dumps(body).encode()
    async with trio.open_nursery() as nursery:
        tracemalloc.start()
        try:
            post = partial(http.post, path, content=content, headers=headers)
            nursery.start_soon(post)
            while not coordinator.watches:
                await trio.sleep(0.001)
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
            nursery.cancel_scope.cancel()


class Context:
    """What is seen of a node."""

    def __init__(self):
        self.observable = Observable()
        self.events = EventBus()
        self.control = Control(self.observable, self.events)
        self.readiness = Readiness()


def token_store():
    """One in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(SCHEMA)
    return TokenStore(connection)


def api(coordinator=None, context=None, catalogue=CATALOGUE, **options):
    parts = coordinator or FakeCoordinator(), catalogue, context or Context(), token_store()
    return Api(*parts, ApiOptions(**options))


def new_token(built, name="ann", **limits):
    """A token of somebody's, for an API."""
    return built.services.tokens.new(name, Limits(**limits), 1)


def client_of(built, token=TOKEN):
    transport = httpx2.ASGITransport(app=built.application(TOKEN), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)


def client(outcome=None, context=None):
    return client_of(api(FakeCoordinator(outcome), context))
