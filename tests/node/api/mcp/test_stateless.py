"""Revision 2026-07-28: each request by itself, and headers that say the same as the body."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from node.api.mcp.messages import Message, NotAMessage
from node.api.mcp.stateless import (
    CACHED_MS,
    CAPABILITIES_KEY,
    REVISION,
    REVISION_KEY,
    SERVER_KEY,
    require_coherent,
)
from tests.node.api.desk import client

META = {REVISION_KEY: REVISION, CAPABILITIES_KEY: {}}
ENCODED = "=?base64?Z2VuZXJhdGVfaW1hZ2U=?="


async def say(http, method, params=None, headers=None, meta=META, request_id=1):
    """A request as the stock client makes it, but for what a test changes; None takes a header away."""
    params = (params or {}) | ({} if meta is None else {"_meta": meta})
    sent = {"MCP-Protocol-Version": REVISION, "Mcp-Method": method}
    if "name" in params:
        sent["Mcp-Name"] = params["name"]
    sent = {name: value for name, value in (sent | (headers or {})).items() if value is not None}
    body = {"jsonrpc": "2.0", "method": method, "params": params}
    return await http.post(
        "/mcp", json=body | ({} if request_id is None else {"id": request_id}), headers=sent
    )


async def test_it_is_discovered_and_its_answers_are_whole():
    async with client() as http:
        found = (await say(http, "server/discover")).json()["result"]
        tools = (await say(http, "tools/list")).json()["result"]
        call = {"name": "generate_image", "arguments": {"prompt": "a cat"}}
        made = (await say(http, "tools/call", call)).json()["result"]
        encoded = (await say(http, "tools/call", call, {"Mcp-Name": ENCODED})).json()["result"]
    server = found["_meta"][SERVER_KEY]
    assert server["name"] == "cuckoo-coordinator"
    whole = {"resultType": "complete", "_meta": {SERVER_KEY: server}}
    kept = {"ttlMs": CACHED_MS, "cacheScope": "private"}
    assert found == {"supportedVersions": [REVISION], "capabilities": {"tools": {}}} | whole | kept
    assert (len(tools["tools"]), {name: tools[name] for name in (*whole, *kept)}) == (6, whole | kept)
    assert (made["content"][0]["type"], made["resultType"], made["isError"]) == ("image", "complete", False)
    assert encoded["content"][0]["type"] == "image"


@pytest.mark.parametrize(
    ("changed", "code", "reason"),
    [
        ({"meta": None}, -32602, f"params._meta lacks {REVISION_KEY} or {CAPABILITIES_KEY}"),
        (
            {"meta": {REVISION_KEY: REVISION}},
            -32602,
            f"params._meta lacks {REVISION_KEY} or {CAPABILITIES_KEY}",
        ),
        (
            {"headers": {"Mcp-Method": "tools/call"}},
            -32020,
            "the header mcp-method says another thing than the body",
        ),
        ({"headers": {"Mcp-Method": None}}, -32020, "the header mcp-method says another thing than the body"),
        (
            {"meta": META | {REVISION_KEY: 7}},
            -32020,
            "the header mcp-protocol-version says another thing than the body",
        ),
        (
            {"headers": {"MCP-Protocol-Version": "2999-01-01"}},
            -32020,
            "the header mcp-protocol-version says another thing than the body",
        ),
    ],
)
async def test_attack_a_body_that_says_another_thing_than_its_headers(changed, code, reason):
    async with client() as http:
        answer = await say(http, "tools/list", **changed)
    assert (answer.status_code, answer.json()) == (
        400,
        {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": reason}},
    )


@pytest.mark.parametrize("name", ["list_models", None, "=?base64?!!?=", "=?base64?"])
async def test_attack_a_tool_that_its_header_does_not_name(name):
    async with client() as http:
        call = {"name": "generate_image", "arguments": {"prompt": "a cat"}}
        answer = await say(http, "tools/call", call, {"Mcp-Name": name})
    reason = "the header mcp-name says another thing than the body"
    assert (answer.status_code, answer.json()["error"]) == (400, {"code": -32020, "message": reason})


async def test_attack_a_header_that_comes_twice():
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}})
    headers = [
        ("Content-Type", "application/json"),
        ("MCP-Protocol-Version", REVISION),
        ("Mcp-Method", "tools/list"),
        ("Mcp-Method", "tools/call"),
    ]
    async with client() as http:
        answer = await http.post("/mcp", content=body, headers=headers)
    reason = "the header mcp-method comes twice"
    assert (answer.status_code, answer.json()["error"]) == (400, {"code": -32020, "message": reason})


async def test_a_later_revision_hears_which_one_is_spoken():
    later = {"MCP-Protocol-Version": "2999-01-01"}
    async with client() as http:
        answer = await say(http, "server/discover", headers=later, meta=META | {REVISION_KEY: "2999-01-01"})
        notified = await say(http, "notifications/x", headers=later, request_id=None)
        fine = await say(http, "notifications/x", request_id=None)
    data = {"supported": [REVISION], "requested": "2999-01-01"}
    error = {"code": -32022, "message": "the revision of the protocol is not spoken", "data": data}
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert (notified.status_code, notified.json()["error"], fine.status_code) == (400, error, 202)


@pytest.mark.parametrize("method", ["initialize", "ping", "resources/list", "subscriptions/listen"])
async def test_what_is_not_served_is_not_found(method):
    async with client() as http:
        answer = await say(http, method)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, -32601)


async def test_a_tools_bad_arguments_are_a_bad_request_and_older_revisions_stay_as_they_were():
    async with client() as http:
        call = {"name": "generate_image", "arguments": {"nonsense": 1}}
        assert (await say(http, "tools/call", call)).status_code == 400
        older = await say(http, "tools/call", call, {"MCP-Protocol-Version": "2025-11-25"}, meta=None)
        listed = await say(http, "tools/list", headers={"MCP-Protocol-Version": "2025-06-18"}, meta=None)
    assert (older.status_code, older.json()["error"]["code"]) == (200, -32602)
    assert set(listed.json()["result"]) == {"tools"}


@given(st.text(), st.dictionaries(st.text(), st.none() | st.integers() | st.text()), st.text(), st.text())
def test_law_any_envelope_is_coherent_or_refused(method, params, version, name):
    raw = [(b"mcp-protocol-version", version), (b"mcp-method", method), (b"mcp-name", name)]
    headers = Headers(raw=[(key, value.encode("latin-1", "replace")) for key, value in raw])
    try:
        require_coherent(
            Message(method, params | {"_meta": {REVISION_KEY: version, CAPABILITIES_KEY: {}}}, 1), headers
        )
    except NotAMessage as error:
        assert error.code < 0
    else:
        assert version == REVISION
