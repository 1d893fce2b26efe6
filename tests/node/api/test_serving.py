"""Orders side by side, and the end when an app goes away."""

import threading
from contextlib import asynccontextmanager

import pytest
import trio
from starlette.requests import Request

from node.api import serving
from node.api.serving import HASHED_INLINE_BYTES_MAX, RequestName, Serving, until_disconnect
from node.api.sources import BODY_BYTES_MAX
from node.api.tokens.caller import CALLER, OPERATOR
from node.api.tokens.desk import Desk
from node.coordinator.outcomes import NoMiner
from protocol.hashing import sha256, sha256_of_parts
from tests.node.api.desk import FakeCoordinator, token_store
from tests.node.api.openai.test_generation import parsed
from tests.node.builders import CATALOGUE

NAMELESS = RequestName("", bytes(32), OPERATOR)


def deliver(coordinator, requests):
    return Serving(coordinator, Desk(token_store(), CATALOGUE, coordinator)).deliver(requests, NAMELESS)


def request_of(path="/mcp", key="k"):
    headers = [(b"idempotency-key", key.encode())]
    scope = {"type": "http", "path": path, "headers": headers, "query_string": b"", CALLER: OPERATOR}
    return Request(scope | {"server": ("127.0.0.1", 80), "scheme": "http", "root_path": ""})


@pytest.mark.parametrize("size", [10, HASHED_INLINE_BYTES_MAX + 1])
async def test_a_name_is_of_path_and_content_however_it_is_cut(size):
    content = bytes(size)
    whole = await RequestName.of(request_of(), content)
    assert whole == RequestName("k", sha256(b"/mcp\0" + content), OPERATOR)
    assert await RequestName.of(request_of(), content[:3], b"", content[3:]) == whole
    assert (await RequestName.of(request_of(path="/v1"), content)).body_hash != whole.body_hash


async def test_attack_22_mb_are_not_hashed_on_the_loop(monkeypatch):
    threads = []

    def noted(parts):
        threads.append(threading.current_thread())
        return sha256_of_parts(parts)

    monkeypatch.setattr(serving, "sha256_of_parts", noted)
    for size in (BODY_BYTES_MAX, 1):
        await RequestName.of(request_of(), bytes(size))
    assert [thread is threading.current_thread() for thread in threads] == [False, True]


class Slow(FakeCoordinator):
    """Refuses the request of seed 1; the others never end.

    :ivar left: seeds of orders that were left.
    """

    def __init__(self):
        super().__init__()
        self.left = []

    @asynccontextmanager
    async def submit(self, request, **named):
        try:
            if request.seed == 1:
                await trio.testing.wait_all_tasks_blocked()
                raise NoMiner("nobody is here")
            await trio.sleep_forever()
            yield
        finally:
            self.left.append(request.seed)


async def test_one_refusal_ends_the_others():
    coordinator = Slow()
    with pytest.raises(NoMiner, match=r"^nobody is here$"):
        await deliver(coordinator, parsed(n=3, seed=0).requests)
    assert sorted(coordinator.left) == [0, 1, 2]


async def test_an_app_that_goes_away_ends_the_work():
    coordinator = Slow()

    async def receive():
        await trio.testing.wait_all_tasks_blocked()
        return {"type": "http.disconnect"}

    async def work():
        return await deliver(coordinator, parsed(n=2, seed=5).requests)

    assert await until_disconnect(receive, OPERATOR, work) is None
    assert sorted(coordinator.left) == [5, 6]


async def test_a_refusal_comes_as_itself():
    async def refuses():
        raise NoMiner("nobody is here")

    with pytest.raises(NoMiner, match=r"^nobody is here$"):
        await until_disconnect(trio.sleep_forever, OPERATOR, refuses)


async def test_results_are_in_the_order_of_the_requests():
    coordinator = FakeCoordinator()
    requests = parsed(n=10, seed=7).requests
    delivered = await deliver(coordinator, requests)
    tasks = [item.receipt.announcement.digest for item in delivered]
    assert [item.output for item in delivered] == [coordinator.outputs[task] for task in tasks]
    assert len(set(tasks)) == 10
