"""What is this node's own is for who has a session's secret, and for nobody else, wherever he asks from."""

import json

import httpx2
import pytest

from node.pay.purse import PurseStatus
from node.portal.app import Portal
from node.portal.frontier import BODY_BYTES_MAX
from node.portal.own import SESSION_HEADER, Own
from tests.node.portal.test_app import URL, Chain, peer_of, visitor
from tests.node.portal.words import STRINGS


@pytest.fixture
def portal():
    return Portal(peer_of(Chain()), "coordinator")


async def begin(http, code, status=200):
    answer = await http.post("/api/session", json={"code": code})
    assert answer.status_code == status, answer.text
    return answer.json()["secret"] if status == 200 else answer.json()["error"]["code"]


OWN = [
    (method, route.path.replace("{hash}", "0x" + "00" * 32))
    for route in Own(None, "coordinator").routes()
    for method in route.methods - {"HEAD"}
    if route.path != "/api/session"
]
"""All that a session is for, as it is served."""


def test_the_page_has_words_for_all_of_a_coordinators_money():
    assert [name for name in PurseStatus.__slots__ if f"pay.{name}" not in STRINGS] == []


def test_all_that_is_the_nodes_own_is_tried():
    assert len(OWN) == 9


async def test_a_code_from_the_socket_opens_what_is_the_nodes_own(portal):
    context = portal._peer.context
    context.readiness.register("no_offer", lambda: "no live offer of a miner is known")
    context.observable.register("pay", lambda: PurseStatus(10**18, 0, 5, 0, 10**18 - 5))
    async with visitor(portal) as http:
        secret = await begin(http, portal.own.sessions.new_code())
        answer = await http.get("/api/own", headers={SESSION_HEADER: secret})
        document = answer.json()
        assert document.pop("ends_in_s") > 40_000
        assert document == {
            "role": "coordinator",
            "has_studio": False,
            "ready": False,
            "reasons": {"no_offer": "no live offer of a miner is known"},
            "pay": {
                "deposit_wei": "1000000000000000000",
                "leaving_wei": "0",
                "outstanding_wei": "5",
                "held_wei": "0",
                "free_wei": "999999999999999995",
            },
        }
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers
        assert (await http.post("/api/session/end", headers={SESSION_HEADER: secret})).json() == {}
        assert (await http.get("/api/own", headers={SESSION_HEADER: secret})).status_code == 401


async def test_code_twice__the_second_is_told_to_get_another(portal):
    async with visitor(portal) as http:
        code = portal.own.sessions.new_code()
        assert await begin(http, code)
        assert await begin(http, code, 403) == "bad_code"


@pytest.mark.parametrize("code", [None, 1, ["x"], {}, "", "x" * 1_000, "\ud800"])
async def test_what_is_no_code_begins_nothing(portal, code):
    portal.own.sessions.new_code()
    async with visitor(portal) as http:
        body = json.dumps({"code": code}).encode()
        answer = await http.post("/api/session", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (403, {"error": {"code": "bad_code"}})
    assert portal.own.sessions.status().open == 0


@pytest.mark.parametrize("client", [("127.0.0.1", 5), ("::1", 5), ("192.0.2.7", 5), None])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {SESSION_HEADER: ""},
        {SESSION_HEADER: "guess"},
        {"host": "localhost"},
        {"x-forwarded-for": "127.0.0.1", "x-forwarded-host": "127.0.0.1", "forwarded": "for=127.0.0.1"},
        {"x-real-ip": "127.0.0.1", "cookie": "cuckoo-session=guess", "authorization": "Bearer guess"},
    ],
)
async def test_nobody_is_in_by_where_he_asks_from(portal, client, headers):
    transport = httpx2.ASGITransport(app=portal.frontier, client=client)
    async with httpx2.AsyncClient(transport=transport, base_url=URL) as http:
        for method, path in OWN:
            answer = await http.request(method, path, headers=headers)
            assert (answer.status_code, answer.json()) == (401, {"error": {"code": "no_session"}}), path


async def test_a_session_is_in_from_anywhere_that_may_ask_at_all():
    portal = Portal(peer_of(Chain()), "coordinator", "https://node.example")
    transport = httpx2.ASGITransport(app=portal.frontier, client=("192.0.2.7", 5))
    async with httpx2.AsyncClient(transport=transport, base_url="https://node.example") as http:
        secret = await begin(http, portal.own.sessions.new_code())
        assert (await http.get("/api/own", headers={SESSION_HEADER: secret})).status_code == 200


@pytest.mark.parametrize("origin", ["http://127.0.0.1:9999", "https://evil.example", "null"])
async def test_hostile_page_on_another_port__gets_nothing_even_with_a_code_or_a_secret(portal, origin):
    async with visitor(portal) as http:
        secret = await begin(http, portal.own.sessions.new_code())
        code = portal.own.sessions.new_code()
        hostile = {"origin": origin, SESSION_HEADER: secret}
        for method, path in (*OWN, ("POST", "/api/session")):
            answer = await http.request(method, path, headers=hostile, json={"code": code})
            assert answer.json() == {"error": {"code": "foreign_origin"}}
            assert "access-control-allow-origin" not in answer.headers
            # What a browser asks before it sends such a header for another page.
            asked = {"origin": origin, "access-control-request-headers": SESSION_HEADER}
            assert (await http.request("OPTIONS", path, headers=asked)).status_code == 403
        # Neither the session nor the code is spent.
        assert await begin(http, code)
        assert (await http.get("/api/own", headers={SESSION_HEADER: secret})).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_login_csrf__a_form_begins_no_session(portal, kind):
    body = json.dumps({"code": portal.own.sessions.new_code()}).encode()
    async with visitor(portal) as http:
        answer = await http.post("/api/session", content=body, headers={"content-type": kind})
    assert (answer.status_code, answer.json()) == (415, {"error": {"code": "not_json"}})
    assert portal.own.sessions.status().open == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b"[" * BODY_BYTES_MAX, b"\xff"])
async def test_what_is_no_object_begins_no_session(portal, body):
    async with visitor(portal) as http:
        answer = await http.post("/api/session", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (400, {"error": {"code": "bad_json"}})


async def test_guess_flood__is_counted_and_the_owner_gets_in_all_the_same(portal):
    code = portal.own.sessions.new_code()
    async with visitor(portal) as http:
        for number in range(200):
            assert await begin(http, f"{number:043d}", 403) == "bad_code"
        assert await begin(http, code)
    assert portal.own.sessions.status().refused == 200
