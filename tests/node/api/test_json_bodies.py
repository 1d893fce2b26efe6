"""Bodies in JSON: what is refused before and after parsing, in every dialect, and what passes."""

import json
import threading

import pytest

from node.api import json_bodies
from node.api.errors import Refused
from node.api.json_bodies import (
    DEPTH_MAX,
    INLINE_BYTES_MAX,
    NOT_FINITE,
    PARTS_MAX,
    SCAN_BYTES,
    TOO_DEEP,
    TOO_MANY_PARTS,
    parse_object,
    read_object,
)
from node.inference.packages.package import PROMPT_CHARACTERS_MAX
from tests.node.api.a1111.recorded import OPEN_WEBUI, SILLY_TAVERN
from tests.node.api.desk import client
from tests.node.api.horde.recorded import PAYLOAD

PATHS = (
    "/v1/images/generations",
    "/v1/cuckoo/quote",
    "/sdapi/v1/txt2img",
    "/sdapi/v1/img2img",
    "/sdapi/v1/options",
    "/api/v2/generate/async",
    "/mcp",
)
DENSE = b'{"prompt":[' + b"{}," * PARTS_MAX + b"{}]}"


def message_of(document):
    """Of an error, in any dialect."""
    error = document.get("error")
    return document.get("detail") or document.get("message") or error["message"]


async def ask(path, content):
    async with client() as http:
        http.headers["apikey"] = "secret-token"
        return await http.post(path, content=content, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("path", PATHS)
async def test_attack_a_body_of_many_parts_is_refused_before_it_is_parsed(path, monkeypatch):
    monkeypatch.setattr(json_bodies, "json_object", lambda body: pytest.fail("it was parsed"))
    answer = await ask(path, DENSE)
    assert (answer.status_code, message_of(answer.json())) == (413, TOO_MANY_PARTS.message)
    assert TOO_MANY_PARTS.message == "the request's body has more than 4,096 commas, brackets and braces"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("NaN", NOT_FINITE),
        ("1e999", NOT_FINITE),
        ("-Infinity", NOT_FINITE),
        ('{"a":[Infinity]}', NOT_FINITE),
        ("[" * DEPTH_MAX + "]" * DEPTH_MAX, TOO_DEEP),
        ("[" * 200 + "]" * 200, TOO_DEEP),
    ],
)
async def test_attack_numbers_that_are_none_and_depths_that_no_answer_can_repeat(path, value, error):
    answer = await ask(path, b'{"prompt":"x","jsonrpc":"2.0","eta":' + value.encode() + b"}")
    assert (answer.status_code, message_of(answer.json())) == (400, error.message)


def test_bounds_are_met_to_the_part():
    def body(parts):
        return json.dumps({"prompt": "," * (parts - 1)}).encode()

    assert parse_object(body(PARTS_MAX))
    with pytest.raises(Refused, match=r"^the request's body has more than 4,096 commas"):
        parse_object(body(PARTS_MAX + 1))
    deep = {"a": 1}
    for _ in range(DEPTH_MAX - 1):
        deep = {"a": deep}
    assert parse_object(json.dumps(deep).encode()) == deep
    with pytest.raises(Refused, match=r"^the body is nested more than 32 deep$"):
        parse_object(json.dumps({"a": deep}).encode())


def test_parts_are_counted_over_the_whole_of_a_long_body():
    spread = b" " * SCAN_BYTES + b"," * (PARTS_MAX - 1)
    with pytest.raises(Refused, match=r"^the request's body has more than"):
        parse_object(b"{" + spread + b" " * SCAN_BYTES + b",}")


@pytest.mark.parametrize("recorded", [OPEN_WEBUI, SILLY_TAVERN, PAYLOAD])
def test_what_clients_send_passes_with_prompts_of_commas_alone(recorded):
    commas = "," * PROMPT_CHARACTERS_MAX
    body = {**recorded, "prompt": commas, "negative_prompt": commas}
    assert parse_object(json.dumps(body).encode()) == body


async def test_a_long_body_is_read_in_a_thread(monkeypatch):
    threads = []
    monkeypatch.setattr(json_bodies, "json_object", lambda body: threads.append(threading.get_ident()) or {})
    for size in (INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1):
        await read_object(b"x" * size)
    here = threading.get_ident()
    assert [thread == here for thread in threads] == [True, False]
