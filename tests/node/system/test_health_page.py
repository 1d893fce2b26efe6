"""node/system/health_page.py on real sockets: people, probes, and those who are neither."""

import json

import httpx2
import pytest
import trio

from node.system.health_page import REQUEST_BYTES_MAX, Page, serve_health
from node.system.readiness import Readiness
from protocol.errors import LocalError
from tests.limits import HANG_S

DESCRIPTION = {
    "name": "<node>",
    "peers": 1234,
    "ready": True,
    "addresses": ["a", "b"],
    "counts": {"x": 1},
    "no": [],
}
REASONS = {"disk_full": None}


def page():
    readiness = Readiness()
    readiness.register("disk_full", lambda: REASONS["disk_full"])
    return Page("Cuckoo <node>", readiness, lambda: DESCRIPTION)


@pytest.fixture
async def url(nursery):
    yield await nursery.start(serve_health, "127.0.0.1:0", page())
    nursery.cancel_scope.cancel()


async def get(url, method="GET"):
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.request(method, url)


async def test_a_probe__hears_whether_the_node_is_alive_and_whether_it_is_ready(url, monkeypatch):
    alive = await get(f"{url}/healthz?now")
    assert (alive.status_code, alive.json()) == (200, {"alive": True})
    assert alive.headers["content-type"] == "application/json"
    ready = await get(f"{url}/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": {}})
    monkeypatch.setitem(REASONS, "disk_full", "no room")
    assert (await get(f"{url}/healthz")).status_code == 200
    not_ready = await get(f"{url}/readyz")
    assert (not_ready.status_code, not_ready.json()) == (
        503,
        {"ready": False, "reasons": {"disk_full": "no room"}},
    )
    assert not_ready.reason_phrase == "Service Unavailable"


async def test_a_machine__gets_all_as_json(url):
    answer = await get(f"{url}/status")
    assert (answer.status_code, answer.json()) == (200, DESCRIPTION)


async def test_a_person__gets_a_page_in_which_nothing_is_markup(url):
    answer = await get(url)
    assert answer.status_code == 200
    assert "<h1>Cuckoo &lt;node&gt;: ready</h1>" in answer.text
    assert "1,234" in answer.text
    assert "<td>True" in answer.text
    assert "<node>" not in answer.text


async def test_other_methods_and_paths__are_refused(url):
    assert (await get(url, "POST")).status_code == 405
    for path in ("secret", "health", "%ff", "\u00e9"):
        assert (await get(f"{url}/{path}")).status_code == 404
    head = await get(url, "HEAD")
    assert (head.status_code, head.text) == (200, "")


async def test_who_says_nothing_or_too_much_or_leaves__harms_nobody(url):
    port = int(url.rpartition(":")[2])
    silent = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(20)]
    # How much the kernel takes before the far end's hanging up shows is its own affair.
    chatty = await trio.open_tcp_stream("127.0.0.1", port)
    with trio.fail_after(HANG_S), pytest.raises(trio.BrokenResourceError):  # noqa: PT012 - as said
        while True:
            await chatty.send_all(b"x" * REQUEST_BYTES_MAX)
            await trio.sleep(0.01)
    with trio.fail_after(HANG_S):
        async with httpx2.AsyncClient(trust_env=False, timeout=9) as client:
            assert json.loads((await client.get(f"{url}/readyz")).text)["ready"]
    for stream in silent:
        await stream.aclose()
    await chatty.aclose()


async def test_an_address_that_is_none_or_taken__is_our_own_fault(url):
    for address in ("nonsense", "127.0.0.1:x", url.removeprefix("http://")):
        with pytest.raises(LocalError):
            await serve_health(address, page())
