"""node/system/web_server.py: where it listens, its end, and a port that is taken."""

import gc
import re
import warnings

import httpx2
import pytest
import trio
from starlette.responses import PlainTextResponse

from node.system.web_server import serve_web
from protocol.errors import LocalError

APPLICATION = PlainTextResponse("here")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_it_is_served_where_it_says_and_a_cancellation_is_no_error(host):
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve_web, APPLICATION, host, 0, "the page")
        async with httpx2.AsyncClient(trust_env=False) as http:
            assert (await http.get(url)).text == "here"
        nursery.cancel_scope.cancel()


async def test_a_port_that_is_taken_is_told_in_a_sentence():
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with listener:
        with pytest.raises(LocalError) as caught:
            await serve_web(APPLICATION, "127.0.0.1", port, "the page")
    told = str(caught.value)
    # The server leaves the socket to the collector, who would say so here or in another test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del caught
        gc.collect()
    expected = rf"the page cannot listen on 127\.0\.0\.1:{port}: \[Errno \d+\] .*[Aa]ddress already in use.*"
    assert re.fullmatch(expected, told)
