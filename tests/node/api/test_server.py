"""The server itself: its end, a port that is taken, and connections over a real socket."""

import gc
import re
import warnings

import httpx2
import pytest
import trio

from node.api.server import HOST, serve_api
from protocol.errors import LocalError
from tests.node.api.desk import TOKEN, api


async def test_a_cancellation_of_the_server_is_no_error():
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_api, api().application(TOKEN), 0)
        nursery.cancel_scope.cancel()


async def test_a_port_that_is_taken_is_told_in_a_sentence():
    (listener,) = await trio.open_tcp_listeners(0, host=HOST)
    port = listener.socket.getsockname()[1]
    async with listener:
        with pytest.raises(LocalError) as caught:
            await serve_api(api().application(TOKEN), port)
    told = str(caught.value)
    # The server leaves the socket to the collector, who would say so in another test.
    del caught
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    expected = rf"the local API cannot listen on {HOST}:{port}: \[Errno \d+\] .*[Aa]ddress already in use.*"
    assert re.fullmatch(expected, told)


async def test_a_link_begins_with_the_address_that_was_bound():
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve_api, api().application(TOKEN), 0)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
            body = {"prompt": "a cat", "response_format": "url"}
            link = (await http.post("/v1/images/generations", json=body)).json()["data"][0]["url"]
            picture = await http.get(link, headers={"Authorization": ""})
        nursery.cancel_scope.cancel()
    assert link.startswith(f"{url}/v1/cuckoo/pictures/")
    assert picture.content.startswith(b"\x89PNG")
