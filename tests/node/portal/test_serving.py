"""Where the portal may be shown."""

import pytest
import trio

from node.portal import frontier, streams
from node.portal.app import Portal
from node.portal.serving import require_allowed
from node.system import web_server
from node.system.web_server import serve_web
from protocol.errors import LocalError
from tests.node.portal.test_app import Chain, peer_of


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "127.0.0.9"])
def test_on_this_machine_it_always_may(host):
    require_allowed(host, "")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::"])
def test_elsewhere_only_under_an_encrypted_url(host):
    with pytest.raises(LocalError) as error:
        require_allowed(host, "")
    assert str(error.value) == (
        f"--portal-host {host} shows the portal to other machines: say under which https URL with "
        "--portal-url, and put a proxy with a certificate before it"
    )
    require_allowed(host, "https://node.example")


@pytest.mark.parametrize(
    "url", ["http://node.example", "https://", "https://node.example/a", "node.example", "https://n/?q"]
)
def test_a_url_that_is_not_plain_https_is_refused(url):
    with pytest.raises(LocalError) as error:
        require_allowed("127.0.0.1", url)
    assert (
        str(error.value) == f"--portal-url is {url!r}; it has to be like https://node.example, without a path"
    )


def test_a_host_is_an_ip_address():
    with pytest.raises(LocalError) as error:
        require_allowed("localhost", "")
    assert str(error.value) == "--portal-host is 'localhost', which is no IP address"


async def test_an_idle_reader_of_the_feed_stays__longer_than_a_request_may_take(monkeypatch):
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(web_server, "KEEP_ALIVE_S", 0.2)
    monkeypatch.setattr(frontier, "BODY_S", 0.05)
    portal = Portal(peer_of(Chain()), "miner")
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve_web, portal.frontier, "127.0.0.1", 0, "the portal")
        port = int(url.rpartition(":")[2])
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            told = b""
            with trio.fail_after(5):
                while told.count(b"still here") < 5:
                    more = await stream.receive_some()
                    assert more, "it was cut"
                    told += more
        nursery.cancel_scope.cancel()


async def test_a_feed_whose_request_never_ends_is_closed(monkeypatch):
    monkeypatch.setattr(frontier, "BODY_S", 0.05)
    portal = Portal(peer_of(Chain()), "miner")
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve_web, portal.frontier, "127.0.0.1", 0, "the portal")
        async with await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2])) as stream:
            await stream.send_all(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n")
            with trio.fail_after(5):
                while await stream.receive_some():
                    pass
        assert portal.pulse.counts.readers == 0
        nursery.cancel_scope.cancel()
