"""Plain and streamed answers: formats, links, prices, names of requests, models; the market is scripted."""

import base64
import io
import json
import time
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from node.api.openai.parameters import REFUSED, WITHOUT_EFFECT, WORKING
from node.api.serving import JSON_BYTES_MAX, KEY_HEADER_BYTES_MAX, json_object
from node.coordinator.actions import Failure
from node.coordinator.drawing import NotReady
from node.coordinator.records import FailureKind
from node.coordinator.watching import Watch
from protocol.errors import Refusal
from protocol.hashing import sha256
from tests.node.api.desk import FakeCoordinator, api, client, client_of
from tests.node.builders import PACKAGE


async def generate(http, key="", **body):
    headers = {"Idempotency-Key": key} if key else {}
    return await http.post("/v1/images/generations", json={"prompt": "a cat"} | body, headers=headers)


def opened(data):
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


async def test_a_plain_answer_has_all_that_clients_read():
    before = int(time.time())
    async with client() as http:
        answer = await generate(http, n=3, seed=1)
    document = answer.json()
    assert document["created"] >= before
    assert [document[name] for name in ("background", "output_format", "size")] == ["opaque", "png", "32x32"]
    assert document["usage"]["total_tokens"] == 0
    pictures = [base64.b64decode(item["b64_json"]) for item in document["data"]]
    assert [opened(data).getpixel((0, 0))[0] for data in pictures] == [1, 2, 3]
    assert len(document["cuckoo"]["tasks"]) == 3
    assert document["cuckoo"]["model_id"] == PACKAGE.model_id.hex()


@pytest.mark.parametrize(("name", "kind"), [("webp", "WEBP"), ("jpeg", "JPEG"), ("png", "PNG")])
@pytest.mark.parametrize("stream", [False, True])
async def test_pictures_come_in_the_format_that_is_asked_for(name, kind, stream):
    async with client() as http:
        answer = await generate(http, output_format=name, stream=stream, partial_images=2)
    if stream:
        lines = [line for line in answer.text.splitlines() if line.startswith("data: ")]
        documents = [json.loads(line.removeprefix("data: ")) for line in lines]
        assert len(documents) == 3
        data = [item["b64_json"] for item in documents]
        assert {item["output_format"] for item in documents} == {name}
    else:
        data = [item["b64_json"] for item in answer.json()["data"]]
    assert {opened(base64.b64decode(item)).format for item in data} == {kind}


async def test_compression_is_the_encoders_quality():
    async with client() as http:
        sizes = [
            len((await generate(http, seed=3, output_format="jpeg", output_compression=quality)).content)
            for quality in (0, 100)
        ]
    assert sizes[0] < sizes[1]


async def test_without_a_public_url_a_link_begins_with_the_bound_address():
    async with client() as http:
        answer = await generate(http, response_format="url")
        lying = await http.post(
            "/v1/images/generations",
            json={"prompt": "a cat", "response_format": "url"},
            headers={"Host": "localhost:1", "X-Forwarded-Host": "evil.example"},
        )
    for response in (answer, lying):
        assert response.json()["data"][0]["url"].startswith("http://127.0.0.1/v1/cuckoo/pictures/")


async def test_a_dry_run_says_the_price_and_places_nothing():
    coordinator = FakeCoordinator()
    async with client_of(api(coordinator)) as http:
        dry = await generate(http, n=2, dry_run=True)
        quote = await http.post("/v1/cuckoo/quote", json={"prompt": "a cat", "n": 2})
        wrong = await http.post("/v1/cuckoo/quote", json={"prompt": "a cat", "n": 0})
    assert coordinator.placed == []
    prices = {
        "images": 2,
        "miners": 3,
        "cheapest_micro_cai": 8_000,
        "most_micro_cai": 10_000,
        "total_most_micro_cai": 20_000,
        "total_most": None,
        "ceiling_micro_cai": 1_000_000,
    }
    assert dry.json()["data"] == []
    assert dry.json()["cuckoo"]["quote"] == prices
    assert {name: quote.json()[name] for name in prices} == prices
    assert (quote.json()["size"], quote.json()["steps"]) == ("32x32", 20)
    assert (wrong.status_code, wrong.json()["error"]["parameter"]) == (400, "n")


async def test_a_stream_of_several_pictures_says_which_one_an_event_is_of():
    async with client() as http:
        answer = await generate(http, n=3, seed=7, stream=True, partial_images=2)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    for index in range(3):
        mine = [event for event in events if event["image_index"] == index]
        assert [event["type"].rpartition(".")[2] for event in mine] == ["partial_image"] * 2 + ["completed"]
        assert [event["partial_image_index"] for event in mine[:-1]] == [0, 1]
        assert mine[-1]["cuckoo"]["tasks"] == [sha256((7 + index).to_bytes(8, "big")).hex()]


async def test_a_stream_of_several_pictures_ends_with_the_first_that_fails():
    class Poor(FakeCoordinator):
        """The second order is lost once all are placed; the others never end."""

        @asynccontextmanager
        async def submit(self, request, *, key="", body_hash=b""):
            watch = Watch(bytes(32))
            self.placed.append(request)
            if len(self.placed) == 2:
                watch.finish(Failure(FailureKind.FAILED, "out of memory"))
            yield watch

    async with client_of(api(Poor())) as http:
        answer = await generate(http, n=3, stream=True)
    assert answer.status_code == 200
    assert answer.text.count("event: ") == 1
    assert '"code": "task_failed"' in answer.text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_ceiling_below_the_cheapest_offer_is_refused_before_the_work(stream):
    coordinator = FakeCoordinator()
    async with client_of(api(coordinator)) as http:
        poor = await generate(http, stream=stream, price_max_micro_cai=7_999)
        enough = await generate(http, stream=stream, price_max_micro_cai=8_000)
        shared = await generate(http, n=2, price_max_micro_cai=15_999)
        known = await generate(http, price_max_micro_cai=1, key="k")
        coordinator.outcome = NotReady("the chain has no epoch seed yet")
        nobody = await generate(http, price_max_micro_cai=1)
    for refused in (poor, shared):
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "price_max_micro_cai")
    assert poor.json()["error"]["message"] == (
        "price_max_micro_cai leaves 7999 for a picture, and the cheapest costs 8000 now"
    )
    assert [request.price_max_micro_cai for request in coordinator.placed] == [8_000, 1]
    assert (enough.status_code, known.status_code) == (200, 200)
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (503, "node_not_ready")


async def test_a_request_has_the_name_that_its_app_gives_it():
    coordinator = FakeCoordinator()
    async with client_of(api(coordinator)) as http:
        http.headers["Idempotency-Key"] = "k"
        await generate(http, n=2)
        await generate(http, stream=True)
        http.headers["Idempotency-Key"] = "k" * (KEY_HEADER_BYTES_MAX + 1)
        long = await generate(http)
    assert sorted(coordinator.keys) == ["/k/0", "/k/0", "/k/1"]
    assert (long.status_code, long.json()["error"]["param"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/cuckoo/quote"])
async def test_json_needs_its_content_type(content_type, status, path):
    async with client() as http:
        response = await http.post(
            path, content=b'{"prompt":"a cat"}', headers={"content-type": content_type}
        )
    assert response.status_code == status


@pytest.mark.parametrize(
    ("content", "parameter"),
    [
        (b'{"prompt":"an apple \\ud83c"}', "prompt"),
        (b'{"prompt":"\\udf4e"}', "prompt"),
        (b'{"prompt":"\xed\xa0\xbd"}', "prompt"),
        (b'{"prompt":"a","negative_prompt":"\\ud83c"}', "negative_prompt"),
        (b'{"prompt":"a","\\ud83c":1}', "\\ud83c"),
        (b'{"prompt":"a","model":"\\ud83c"}', "model"),
        (b'{"prompt":"a","size":"\\ud83c"}', "size"),
        (b'{"prompt":"a","user":"\\ud83c"}', "user"),
    ],
)
async def test_attack_half_an_emoji(content, parameter):
    async with client() as http:
        http.headers["content-type"] = "application/json"
        response = await http.post("/v1/images/generations", content=content)
    assert (response.status_code, response.json()["error"]["param"]) == (400, parameter)


async def test_what_is_too_long_is_refused():
    async with client() as http:
        response = await generate(http, user="x" * JSON_BYTES_MAX)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


JSON_LIKE = st.binary(max_size=60) | st.text(max_size=30).flatmap(
    lambda text: st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-16-le"]).map(
        lambda encoding: json.dumps({"prompt": text}).encode(encoding)
    )
)


@given(JSON_LIKE)
def test_any_bytes_give_an_object_or_a_refusal(body):
    try:
        document = json_object(body)
    except Refusal as refusal:
        assert refusal.reason
    else:
        assert None not in document.values()


WORDS = st.text(st.characters(codec=None), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from(sorted(WORKING | WITHOUT_EFFECT.keys() | REFUSED.keys())) | WORDS


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.sampled_from(["ascii", "utf-16", "utf-32"]))
async def test_attack_any_body_in_any_encoding_is_never_our_fault(body, encoding):
    async with client() as http:
        http.headers["content-type"] = "application/json"
        content = json.dumps({"prompt": "a cat"} | body).encode(encoding)
        response = await http.post("/v1/images/generations", content=content)
    assert response.status_code in {200, 400, 404}, response.text
    assert response.headers["x-request-id"]
