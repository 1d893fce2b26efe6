"""Connections to the health page that say nothing, hundreds at a time: a probe is answered all the same.

The page is what an orchestrator kills a node by, so whoever keeps it from answering stops the node.
"""

from contextlib import suppress

import httpx2
import pytest
import trio

from node.system import health_page
from node.system.health_page import VISITORS_MAX, Page, serve_health
from node.system.readiness import Readiness
from tests.limits import HANG_S


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """The page waits for a silent visitor as long as it will: only room that is made lets a probe in."""
    monkeypatch.setattr(health_page, "REQUEST_TIMEOUT_MS", 3_600_000)


@pytest.mark.parametrize("silent", [100, 500])
async def test_a_probe_is_answered_while_they_hold_on_and_while_they_come_back(nursery, silent):
    url = await nursery.start(serve_health, "127.0.0.1:0", Page("node", Readiness(), dict))
    port = int(url.rpartition(":")[2])
    shed = 0

    async def hold():
        """Say nothing; come back when hung up on."""
        nonlocal shed
        while True:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                with suppress(trio.BrokenResourceError):
                    await stream.receive_some(1)
                shed += 1
            await trio.sleep(0.1)

    async with trio.open_nursery() as attackers:
        for _ in range(silent):
            attackers.start_soon(hold)
        with trio.fail_after(HANG_S):
            while shed < silent - VISITORS_MAX:
                await trio.sleep(0.01)
        for _ in range(5):
            async with httpx2.AsyncClient(trust_env=False, timeout=HANG_S) as client:
                assert (await client.get(f"{url}/healthz")).status_code == 200
        attackers.cancel_scope.cancel()
    nursery.cancel_scope.cancel()


async def test_one_that_sends_byte_by_byte__is_shed_too(nursery):
    url = await nursery.start(serve_health, "127.0.0.1:0", Page("node", Readiness(), dict))
    port = int(url.rpartition(":")[2])
    dripping = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(VISITORS_MAX)]
    for stream in dripping:
        await stream.send_all(b"G")
    async with httpx2.AsyncClient(trust_env=False, timeout=HANG_S) as client:
        assert (await client.get(f"{url}/healthz")).status_code == 200
    with trio.fail_after(HANG_S):
        # The first that came was let go for the probe.
        assert await dripping[0].receive_some(1) == b""
    for stream in dripping:
        await stream.aclose()
    nursery.cancel_scope.cancel()
