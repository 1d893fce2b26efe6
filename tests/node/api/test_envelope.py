"""What holds of every answer: the request's id, and the end of a connection whose body was not read."""

import re

import pytest
import trio

from node.api.envelope import LINGER_BYTES_MAX, LINGER_S, Envelope
from tests.node.api.desk import TOKEN, api, client


def scope(**headers):
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "POST", "path": "/", "headers": raw, "server": ("127.0.0.1", 8420)}


async def exchange(application, parts, **headers):
    """Messages that an application sends, and how many parts of the body were taken."""
    sent, taken = [], []

    async def receive():
        if len(taken) == len(parts):
            await trio.sleep_forever()
        taken.append(parts[len(taken)])
        return {"type": "http.request", "body": taken[-1], "more_body": len(taken) < len(parts)}

    async def send(message):
        sent.append(message)

    await application(scope(**headers), receive, send)
    return sent, len(taken)


def nameless(path):
    """No error is worded in these tests."""


async def refuses(scope, receive, send):
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"no"})


async def reads(scope, receive, send):
    while (await receive())["more_body"]:
        pass
    await refuses(scope, receive, send)


def header(sent, name):
    return dict(sent[0]["headers"]).get(name)


async def test_a_body_that_was_not_read_is_taken_in_after_the_answer_and_ends_the_connection():
    sent, taken = await exchange(Envelope(refuses, nameless), [b"x" * 1000] * 3, content_length="3000")
    assert header(sent, b"connection") == b"close"
    assert [message.get("body") for message in sent[1:]] == [b"no", b""]
    assert [message.get("more_body", False) for message in sent[1:]] == [True, False]
    assert taken == 3


@pytest.mark.parametrize("headers", [{"content_length": "3000"}, {"transfer_encoding": "chunked"}])
async def test_a_body_that_was_read_keeps_the_connection(headers):
    sent, _ = await exchange(Envelope(reads, nameless), [b"x" * 1000] * 3, **headers)
    assert header(sent, b"connection") is None
    assert [message.get("body") for message in sent[1:]] == [b"no"]


async def test_a_request_without_a_body_keeps_the_connection():
    sent, taken = await exchange(Envelope(refuses, nameless), [b""])
    assert header(sent, b"connection") is None
    assert taken == 0


async def test_attack_a_body_without_end():
    part = b"x" * 1_000_000
    sent, taken = await exchange(Envelope(refuses, nameless), [part] * 100, content_length="100000000")
    assert taken == -(-LINGER_BYTES_MAX // len(part))
    assert sent[-1] == {"type": "http.response.body", "body": b""}


async def test_attack_a_body_that_does_not_come(autojump_clock):
    started = trio.current_time()

    async def receive():
        await trio.sleep_forever()

    sent = []

    async def send(message):
        sent.append(message)

    await Envelope(refuses, nameless)(scope(content_length="5"), receive, send)
    assert trio.current_time() - started == LINGER_S
    assert sent[-1] == {"type": "http.response.body", "body": b""}


async def test_the_application_lives_and_dies_without_a_word():
    sent, events = [], ["lifespan.startup", "lifespan.shutdown"]

    async def receive():
        return {"type": events.pop(0)}

    async def send(message):
        sent.append(message["type"])

    await api().application(TOKEN)({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_every_answer_has_an_id_of_its_own():
    async with client() as http:
        answers = [
            await http.get("/v1/models"),
            await http.get("/v1/models", headers={"Authorization": ""}),
            await http.get("/"),
            await http.get("/v1/models", headers={"Host": "evil.example"}),
            await http.post("/v1/images/generations", json={"prompt": "a cat"}),
            await http.post("/v1/images/generations", json={"prompt": "a cat", "stream": True}),
        ]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("req_[0-9a-f]{32}", name) for name in ids)


@pytest.mark.parametrize("length", ["99999999999999", "65537"])
async def test_a_body_over_its_limit_is_refused_on_its_header(length):
    """Nothing of it has come: only its length is known."""
    application = api().application(TOKEN)
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        if not sent:
            raise AssertionError("the body was asked for")
        return {"type": "http.disconnect"}

    asked = scope(
        content_length=length,
        content_type="application/json",
        host="127.0.0.1",
        authorization=f"Bearer {TOKEN}",
    )
    asked |= {"path": "/v1/images/generations", "query_string": b"", "root_path": "", "http_version": "1.1"}
    await application(asked, receive, send)
    assert sent[0]["status"] == 413
    assert header(sent, b"connection") == b"close"
