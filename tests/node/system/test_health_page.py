"""node/system/health_page.py on real sockets: people, probes, and those who are neither."""

import json

import httpx2
import pytest
import trio

from node.system.health_page import REQUEST_BYTES_MAX, serve_health
from protocol.errors import LocalError
from tests.limits import HANG_S

DESCRIPTION = {
    "name": "<node>",
    "status": "ok",
    "peers": 1234,
    "addresses": ["a", "b"],
    "counts": {"x": 1},
    "no": [],
}


@pytest.fixture
async def url(nursery):
    yield await nursery.start(serve_health, "127.0.0.1:0", lambda: DESCRIPTION)
    nursery.cancel_scope.cancel()


async def get(url, method="GET"):
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.request(method, url)


async def test_a_probe__gets_json(url):
    answer = await get(f"{url}/health?now")
    assert answer.status_code == 200
    assert answer.json() == DESCRIPTION
    assert answer.headers["content-type"] == "application/json"


async def test_a_person__gets_a_page_in_which_nothing_is_markup(url):
    answer = await get(url)
    assert answer.status_code == 200
    assert "&lt;node&gt;" in answer.text
    assert "1,234" in answer.text
    assert "<node>" not in answer.text


async def test_other_methods_and_paths__are_refused(url):
    assert (await get(url, "POST")).status_code == 405
    assert (await get(f"{url}/secret")).status_code == 404
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
        # The silent ones hold all places until their time is over.
        async with httpx2.AsyncClient(trust_env=False, timeout=9) as client:
            assert json.loads((await client.get(f"{url}/health")).text)["status"] == "ok"
    for stream in silent:
        await stream.aclose()
    await chatty.aclose()


async def test_an_address_that_is_none_or_taken__is_our_own_fault(url):
    for address in ("nonsense", "127.0.0.1:x", url.removeprefix("http://")):
        with pytest.raises(LocalError):
            await serve_health(address, dict)
