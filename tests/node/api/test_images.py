"""The OpenAI dialect: what a body of `POST /v1/images/generations` means, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.api.images import IMAGES_MAX, PARTIAL_IMAGES_MAX, model_of, parse
from node.coordinator.catalogue import UnknownModel
from node.coordinator.requests import SEED_MAX, BadRequest
from protocol.errors import Refusal
from protocol.work import WorkKind
from tests.node.builders import CATALOGUE, PACKAGE


def parsed(**body):
    return read({"prompt": "a red apple"} | body)


def read(body):
    return parse(body, model_of(body, CATALOGUE, WorkKind.TEXT_TO_IMAGE))


def test_prompt_alone_takes_the_models_defaults():
    (request,) = parsed().requests
    assert (request.model, request.prompt) == (PACKAGE, "a red apple")
    assert (request.width, request.height, request.steps) == (32, 32, 20)
    assert (request.guidance_milli, request.previews, request.negative_prompt) == (4000, 0, "")


def test_seeds_are_random_unless_given():
    assert parsed().requests[0].seed != parsed().requests[0].seed
    assert parsed(seed=5).requests[0].seed == 5


def test_several_images_have_different_seeds():
    requests = parsed(n=3, seed=SEED_MAX).requests
    assert [request.seed for request in requests] == [SEED_MAX, 0, 1]


def test_model_by_name_or_by_id():
    assert parsed(model="cuckoo-icons").requests[0].model is PACKAGE
    assert parsed(model=PACKAGE.model_id.hex()).requests[0].model is PACKAGE


def test_fields_of_stock_clients_are_taken():
    request = parsed(
        size="auto", quality="high", user="me", background="auto", response_format="b64_json"
    ).requests[0]
    assert (request.width, request.height) == (32, 32)
    assert parsed(size="64x64").requests[0].width == 64


def test_previews_belong_to_streams():
    assert parsed(stream=True, partial_images=2).requests[0].previews == 2
    assert parsed(partial_images=2).requests[0].previews == 0
    assert parsed(stream=True, partial_images=3).requests[0].preview_every_steps == 5


def test_guidance_becomes_thousandths():
    assert parsed(guidance=1.5).requests[0].guidance_milli == 1500


def test_unknown_model_is_refused():
    with pytest.raises(UnknownModel):
        parsed(model="dall-e-3")


@pytest.mark.parametrize(
    ("parameter", "body"),
    [
        ("prompt", {"prompt": ""}),
        ("prompt", {"prompt": "  \n"}),
        ("prompt", {"prompt": 5}),
        ("prompt", {"prompt": "x" * (PACKAGE.card.prompt_characters_max + 1)}),
        ("prompt", {"prompt": "ä" * (PACKAGE.card.prompt_characters_max + 1)}),
        ("prompt", {"prompt": "an apple \ud83c"}),
        ("negative_prompt", {"negative_prompt": "x" * (PACKAGE.card.prompt_characters_max + 1)}),
        ("negative_prompt", {"negative_prompt": "\ud83c"}),
        ("n", {"n": 0}),
        ("n", {"n": IMAGES_MAX + 1}),
        ("n", {"n": True}),
        ("n", {"n": 2, "stream": True}),
        ("stream", {"stream": "yes"}),
        ("partial_images", {"stream": True, "partial_images": PARTIAL_IMAGES_MAX + 1}),
        ("size", {"size": "33x32"}),
        ("size", {"size": "0x0"}),
        ("size", {"size": "big"}),
        ("size", {"size": "-1x32"}),
        ("size", {"size": "²x32"}),
        ("size", {"size": "9" * 400 + "x1"}),
        ("steps", {"steps": 0}),
        ("steps", {"steps": 101}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": SEED_MAX + 1}),
        ("guidance", {"guidance": "much"}),
        ("guidance", {"guidance": -1}),
        ("guidance", {"guidance": 15.001}),
        ("guidance", {"guidance": 20}),
        ("guidance", {"guidance": float("nan")}),
        ("guidance", {"guidance": 1e9}),
        ("response_format", {"response_format": "url"}),
        ("output_format", {"output_format": "webp"}),
        ("size_of_hat", {"size_of_hat": 1}),
    ],
)
def test_bad_field_is_named(parameter, body):
    with pytest.raises(BadRequest) as caught:
        parsed(**body)
    assert caught.value.field == parameter
    assert caught.value.reason


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
FIELDS = [
    "prompt",
    "model",
    "n",
    "size",
    "stream",
    "partial_images",
    "steps",
    "seed",
    "guidance",
    "negative_prompt",
]


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), VALUES, max_size=6))
def test_any_body_gives_requests_or_a_refusal(body):
    try:
        generation = read(json.loads(json.dumps(body)))
    except Refusal as refusal:
        assert refusal.reason
    else:
        assert 1 <= len(generation.requests) <= IMAGES_MAX
