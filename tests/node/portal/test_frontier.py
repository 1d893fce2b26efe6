"""What comes from another page, under another name, or too much at a time does not get in."""

import httpx2
import pytest
import trio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from node.portal.app import HANDLERS
from node.portal.frontier import BODY_BYTES_MAX, BODY_S, CONTENT_SECURITY_POLICY, REQUESTS_MAX, Frontier

HERE = "http://127.0.0.1:8440"


async def application(scope, receive, send):
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await PlainTextResponse("in")(scope, receive, send)


def client(frontier, url=HERE):
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=frontier), base_url=url)


async def code_of(method="GET", url=HERE, portal_url="", **named):
    async with client(Frontier(application, portal_url), url) as http:
        response = await http.request(method, "/", **named)
    return "in" if response.text == "in" else response.json()["error"]["code"]


@pytest.mark.parametrize("name", ["127.0.0.1:8440", "localhost:8440", "[::1]:8440", "127.0.0.1"])
async def test_names_of_this_machine_get_in(name):
    assert await code_of(headers={"host": name}) == "in"


@pytest.mark.parametrize(
    "name",
    ["rebound.example:8440", "", "127.0.0.1.nip.io", "127.0.0.1@rebound.example", "a b", "[::1", "::1:80"],
)
async def test_dns_rebinding__another_name_does_not(name):
    assert await code_of(headers={"host": name}) == "foreign_host"


async def test_behind_a_proxy_its_name_gets_in__with_its_own_origin_alone():
    proxied = {"portal_url": "https://node.example"}
    assert await code_of(headers={"host": "node.example"}, **proxied) == "in"
    origin = {"host": "node.example", "origin": "https://node.example"}
    assert await code_of(headers=origin, **proxied) == "in"
    assert await code_of(headers=origin | {"origin": "https://other.example"}, **proxied) == "foreign_origin"
    assert await code_of(
        headers={"host": "other.example", "x-forwarded-host": "node.example"}, **proxied
    ) == ("foreign_host")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:9999", "https://evil.example", "null", "http://127.0.0.1"]
)
async def test_hostile_page_on_another_port__is_no_origin_of_ours(method, origin):
    assert await code_of(method, headers={"origin": origin}) == "foreign_origin"


async def test_our_own_page_is():
    assert await code_of("POST", headers={"origin": HERE}, json={}) == "in"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_hostile_page_without_an_origin__embeds_nothing_and_may_only_link(site):
    for destination in ("script", "image", "iframe", "empty", ""):
        headers = {"sec-fetch-site": site, "sec-fetch-dest": destination}
        assert await code_of(headers=headers) == "foreign_origin"
    link = {"sec-fetch-site": site, "sec-fetch-dest": "document"}
    assert await code_of(headers=link) == "in"
    assert await code_of("POST", headers=link) == "foreign_origin"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_other_methods_are_refused(method):
    assert await code_of(method) == "method"


@pytest.mark.parametrize("length", ["-1", "1e3", "", "9" * 13, str(BODY_BYTES_MAX + 1)])
async def test_a_length_that_is_none_or_too_much_is_refused_unread(length):
    assert await code_of("POST", headers={"content-length": length}, content=b"x") == "too_large"


async def test_a_body_without_a_length_is_cut_at_the_bound():
    read, answered = [], []

    async def receive():
        read.append(1)
        return {"type": "http.request", "body": bytes(1024), "more_body": True}

    async def send(message):
        answered.append(message)

    async def take(request):
        await request.body()
        raise AssertionError("it has no end")

    app = Frontier(Starlette(routes=[Route("/", take, methods=["POST"])], exception_handlers=HANDLERS))
    headers = [(b"host", b"127.0.0.1"), (b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": b""}
    await app(scope, receive, send)
    assert (answered[0]["status"], answered[1]["body"]) == (413, b'{"error":{"code":"too_large"}}')
    assert len(read) == BODY_BYTES_MAX // 1024 + 1


async def test_slowloris__a_body_that_drips_is_ended_at_the_bound(autojump_clock):
    answered = []

    async def receive():
        await trio.sleep(BODY_S / 4)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message):
        answered.append(message)

    async def take(request):
        await request.body()
        raise AssertionError("it has no end")

    app = Frontier(Starlette(routes=[Route("/", take, methods=["POST"])], exception_handlers=HANDLERS))
    headers = [(b"host", b"127.0.0.1"), (b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": b""}
    began_s = trio.current_time()
    await app(scope, receive, send)
    assert (answered[0]["status"], answered[1]["body"]) == (408, b'{"error":{"code":"slow"}}')
    assert trio.current_time() - began_s == pytest.approx(BODY_S)


async def test_a_header_twice_or_two_lengths_are_refused():
    twice = [(b"host", b"127.0.0.1"), (b"origin", HERE.encode()), (b"origin", b"null")]
    assert await code_of(headers=twice) == "ambiguous"
    both = {"transfer-encoding": "chunked", "content-length": "1"}
    assert await code_of("POST", headers=both, content=b"x") == "ambiguous"


async def test_more_requests_than_the_bound_are_asked_to_come_again():
    frontier = Frontier(application)
    frontier.counts.active = REQUESTS_MAX
    async with client(frontier) as http:
        response = await http.get("/")
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    assert response.json() == {"error": {"code": "busy", "retry_after_s": 2}}
    assert (frontier.counts.busy, frontier.counts.served) == (1, 0)


async def test_each_answer__a_refusal_too__is_framed_by_nobody_and_runs_no_code_but_ours():
    async with client(Frontier(application)) as http:
        answers = [await http.get("/"), await http.get("/", headers={"host": "evil.example"})]
    for answer in answers:
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY
