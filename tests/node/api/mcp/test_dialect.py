"""The Model Context Protocol in process: messages, tools, and refusals that a language model can read."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.api.errors import Refused
from node.api.json_bodies import parse_object
from node.api.mcp.messages import NotAMessage, parse_message
from node.coordinator.outcomes import OrderLost
from node.coordinator.records import FailureKind
from protocol.hashing import sha256
from tests.node.api.desk import (
    Watched,
    api,
    client,
    client_of,
    held_while_drawing,
    large_image,
    new_token,
    picture,
)

TASK = sha256((7).to_bytes(8, "big"))


async def say(http, method, params=None, request_id=1):
    body = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    return await http.post("/mcp", json=body | ({} if request_id is None else {"id": request_id}))


async def call(http, name, **arguments):
    return (await say(http, "tools/call", {"name": name, "arguments": arguments})).json()


async def test_introduction_and_tools():
    async with client() as http:
        begun = (await say(http, "initialize", {"protocolVersion": "2025-06-18"})).json()["result"]
        newest = (await say(http, "initialize", {"protocolVersion": "2999-01-01"})).json()["result"]
        assert (await say(http, "notifications/initialized", request_id=None)).status_code == 202
        assert (await say(http, "ping")).json() == {"jsonrpc": "2.0", "id": 1, "result": {}}
        tools = (await say(http, "tools/list", request_id="a")).json()
    assert (begun["protocolVersion"], newest["protocolVersion"]) == ("2025-06-18", "2025-11-25")
    assert tools["id"] == "a"
    assert [tool["name"] for tool in tools["result"]["tools"]] == [
        "generate_image",
        "edit_image",
        "list_models",
        "task_status",
        "explain",
        "verify_receipt",
    ]


async def test_pictures_are_made_and_edited():
    async with client() as http:
        made = (await call(http, "generate_image", prompt="a cat", seed=7))["result"]
        image = base64.b64encode(picture(50, 40)).decode()
        edited = (await call(http, "edit_image", prompt="a dog", image=image, strength=0.5))["result"]
        listed = (await call(http, "list_models"))["result"]
    assert not made["isError"]
    assert base64.b64decode(made["content"][0]["data"]).startswith(b"\x89PNG")
    assert json.loads(made["content"][1]["text"])["task"] == TASK.hex()
    assert edited["content"][0]["type"] == "image"
    assert json.loads(listed["content"][0]["text"])["models"][0]["name"] == "cuckoo-icons"


@pytest.mark.parametrize(
    ("tool", "arguments", "text"),
    [
        ("generate_image", {"prompt": " "}, "invalid_value: the prompt is empty"),
        ("generate_image", {"prompt": "a cat", "model": "x"}, "model_not_found: "),
        ("edit_image", {"prompt": "a cat", "image": "https://evil.example/"}, "this node fetches no URLs"),
        ("task_status", {"task": "00"}, "no task of that id is remembered"),
        ("verify_receipt", {"task": TASK.hex()}, "no finished task of that id is remembered"),
    ],
)
async def test_a_refusal_is_an_answer_in_words(tool, arguments, text):
    async with client() as http:
        answer = (await call(http, tool, **arguments))["result"]
    assert answer["isError"]
    assert text in answer["content"][0]["text"]


async def test_a_lost_order_is_told():
    async with client(OrderLost(FailureKind.FAILED, "out of memory")) as http:
        answer = (await call(http, "generate_image", prompt="a cat"))["result"]
    assert (answer["isError"], answer["content"][0]["text"]) == (True, "task_failed: out of memory")


async def test_a_tokens_limits_hold_here_too():
    built = api()
    async with client_of(built, new_token(built, images_per_day=1)) as http:
        assert not (await call(http, "generate_image", prompt="a cat"))["result"]["isError"]
        beyond = (await call(http, "generate_image", prompt="a cat"))["result"]
    assert beyond["content"][0]["text"].startswith("quota_exceeded: ")


async def test_what_is_not_served_says_so():
    async with client() as http:
        assert (await say(http, "resources/list")).json()["error"]["code"] == -32601
        assert (await call(http, "no_such_tool"))["error"]["code"] == -32602
        unknown = await call(http, "generate_image", prompt="a cat", nonsense=1)
        assert unknown["error"]["message"].startswith("generate_image takes: prompt")
        stream = await http.get("/mcp", headers={"Accept": "text/event-stream"})
        assert (stream.status_code, stream.headers["allow"]) == (405, "POST")
        garbage = await http.post("/mcp", content=b"{", headers={"Content-Type": "application/json"})
        assert (garbage.status_code, garbage.json()["error"]["code"]) == (400, -32700)
        without_id = [await say(http, "initialize", request_id=None)]
        without_id.append(await http.post("/mcp", json={"jsonrpc": "2.0", "id": None, "method": "ping"}))
    reason = "a request has an id; only notifications have none"
    assert [answer.status_code for answer in without_id] == [400, 400]
    assert [answer.json()["error"] for answer in without_id] == [{"code": -32600, "message": reason}] * 2


async def test_without_a_token_there_are_no_tools_but_a_file_says_where_they_are():
    async with client_of(api(public_url="https://node.example"), token="") as stranger:
        refused = await say(stranger, "tools/list")
        text = (await stranger.get("/llms.txt")).text
    assert (refused.status_code, refused.json()["error"]["data"]["code"]) == (401, "invalid_api_key")
    assert "https://node.example/mcp" in text
    assert "verify_receipt" in text


async def test_attack_a_long_image_is_not_held_while_its_picture_is_made():
    coordinator, image = Watched(), large_image()
    arguments = {"prompt": "a cat", "image": image}
    params = {"name": "edit_image", "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    async with client_of(api(coordinator)) as http:
        assert await held_while_drawing(http, "/mcp", body, coordinator) < len(image) / 2


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps)
)
def test_any_bytes_are_a_message_or_none(body):
    data = body if isinstance(body, bytes) else body.encode()
    try:
        parse_message(parse_object(data))
    except NotAMessage as error:
        assert error.code < 0
    except Refused as refusal:
        assert refusal.error.status in {400, 413}
