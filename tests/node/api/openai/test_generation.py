"""The OpenAI dialect: what a body of `POST /v1/images/generations` means, and what is refused."""

import json
import re
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.api.aliases import parse_aliases
from node.api.fields import Fields
from node.api.openai.generation import parse, target_of
from node.api.openai.parameters import (
    IMAGES_MAX,
    PARTIAL_IMAGES_MAX,
    REFUSED,
    WITHOUT_EFFECT,
    WORKING,
)
from node.api.serving import json_object
from node.coordinator.catalogue import UnknownModel
from node.coordinator.requests import SEED_MAX, BadRequest
from protocol.audit import Audits
from protocol.errors import Refusal
from protocol.pay import PRICE_MICRO_CAI_MAX
from protocol.work import WorkKind
from tests.node.builders import CATALOGUE, PACKAGE

ALIASES = parse_aliases(["dall-e-3=cuckoo-icons@64x64", "dall-e-2=cuckoo-icons", "gone=nothing"])


def parsed(**body):
    return read({"prompt": "a red apple"} | body)


def read(body):
    fields = Fields(json_object(json.dumps(body).encode()))
    return parse(fields, target_of(fields, CATALOGUE, ALIASES, WorkKind.TEXT_TO_IMAGE))


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
    assert len(parsed(n=10).requests) == IMAGES_MAX == 10


def test_model_by_name_or_by_id():
    assert parsed(model="cuckoo-icons").requests[0].model is PACKAGE
    assert parsed(model=PACKAGE.model_id.hex()).requests[0].model is PACKAGE


def test_null_is_as_absent_in_every_field():
    names = WORKING | WITHOUT_EFFECT.keys() | REFUSED.keys() | {"unknown"}
    bare = parsed(seed=1)
    assert read(dict.fromkeys(names) | {"prompt": "a red apple", "seed": 1}) == bare


def test_what_has_no_effect_is_named_and_what_was_left_to_us_is_not():
    generation = parsed(quality="high", user="me", style="vivid", background="opaque", moderation="auto")
    assert generation.headers() == {"x-cuckoo-ignored": "quality, style, user"}
    assert parsed(quality="auto", background="auto", output_compression=100).headers() == {}
    assert parsed(partial_images=2, output_compression=50).headers() == {
        "x-cuckoo-ignored": "output_compression, partial_images"
    }
    assert parsed(stream=True, response_format="url").headers() == {"x-cuckoo-ignored": "response_format"}


@pytest.mark.parametrize("kind", ["generate", "edit"])
def test_every_parameter_of_the_stock_client_has_its_place(kind):
    from openai.types import image_edit_params, image_generate_params

    base = {
        "generate": image_generate_params.ImageGenerateParamsBase,
        "edit": image_edit_params.ImageEditParamsBase,
    }[kind]
    theirs = set(base.__annotations__) - {"image"}
    assert theirs - WORKING - WITHOUT_EFFECT.keys() - REFUSED.keys() == set()


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_the_stock_clients_words_are_the_ones_that_are_taken(name):
    from openai.types.image_edit_params import ImageEditParamsBase
    from openai.types.image_generate_params import ImageGenerateParamsBase

    bases = (ImageGenerateParamsBase, ImageEditParamsBase)
    hints = [get_type_hints(base).get(name) for base in bases]
    theirs = {word for hint in hints for word in re.findall(r"'([a-z]+)'", str(hint))}
    assert hints != [None, None]
    assert theirs - {"str"} == set(WITHOUT_EFFECT[name])


def test_previews_belong_to_streams():
    assert parsed(stream=True, partial_images=2).requests[0].previews == 2
    assert parsed(partial_images=2).requests[0].previews == 0
    assert parsed(stream=True, partial_images=3).requests[0].preview_every_steps == 5


def test_guidance_becomes_thousandths():
    assert parsed(guidance=1.5).requests[0].guidance_milli == 1500


def test_a_ceiling_is_for_all_pictures_together():
    requests = parsed(n=3, price_max_micro_cai=10_000).requests
    assert [request.price_max_micro_cai for request in requests] == [3333] * 3
    assert requests[0].order(1_000_000).price_max_micro_cai == 3333
    assert requests[0].order(3_000).price_max_micro_cai == 3_000
    assert parsed().requests[0].order(1_000_000).price_max_micro_cai == 1_000_000


def test_an_app_says_whether_strangers_may_audit_its_pictures():
    wishes = [parsed(), parsed(audits="public"), parsed(audits="buyer")]
    assert [wish.requests[0].order(1).audits for wish in wishes] == [
        Audits.PUBLIC,
        Audits.PUBLIC,
        Audits.BUYER_ONLY,
    ]


def test_unknown_model_is_refused():
    for name in ("gpt-image-2", "gone"):
        with pytest.raises(UnknownModel):
            parsed(model=name)


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ({"model": "dall-e-3"}, "64x64"),
        ({"model": "dall-e-3", "size": "auto"}, "64x64"),
        ({"model": "dall-e-3", "size": "1024x1024"}, "64x64"),
        ({"model": "dall-e-3", "size": "32x32"}, "32x32"),
        ({"model": "dall-e-2"}, "32x32"),
        ({"model": "dall-e-2", "size": "64x64"}, "64x64"),
    ],
)
def test_an_alias_is_the_model_behind_it_and_says_so(body, size):
    generation = parsed(**body)
    assert generation.requests[0].model is PACKAGE
    assert generation.size == size
    assert generation.headers() == {"x-cuckoo-alias": f"{body['model']}=cuckoo-icons@{size}"}


def test_an_alias_without_a_size_names_the_sizes_there_are():
    with pytest.raises(BadRequest, match="cuckoo-icons draws 32x32, 64x64, not 1024x1024") as caught:
        parsed(model="dall-e-2", size="1024x1024")
    assert caught.value.field == "size"


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
        ("model", {"model": "\ud83c"}),
        ("size", {"size": "\ud83c"}),
        ("user", {"user": "\ud83c"}),
        ("quality", {"quality": "\ud83c"}),
        ("\\ud83c", {"\ud83c": "x"}),
        ("model", {"model": 5}),
        ("n", {"n": 0}),
        ("n", {"n": IMAGES_MAX + 1}),
        ("n", {"n": "1"}),
        ("n", {"n": True}),
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
        ("guidance", {"guidance": 10**300}),
        ("response_format", {"response_format": "file"}),
        ("output_format", {"output_format": "gif"}),
        ("output_format", {"output_format": "svg"}),
        ("output_compression", {"output_compression": 101}),
        ("output_compression", {"output_compression": "50"}),
        ("quality", {"quality": "nonsense"}),
        ("quality", {"quality": ""}),
        ("background", {"background": "nonsense"}),
        ("background", {"background": "transparent"}),
        ("style", {"style": "plain"}),
        ("moderation", {"moderation": "none"}),
        ("user", {"user": 5}),
        ("frame_count", {"frame_count": 4}),
        ("frame_duration_ms", {"frame_duration_ms": 100}),
        ("svg", {"svg": {"model": "x"}}),
        ("mask", {"mask": "x"}),
        ("truncation", {"truncation": "never"}),
        ("dry_run", {"dry_run": "yes"}),
        ("audits", {"audits": "nobody"}),
        ("price_max_micro_cai", {"price_max_micro_cai": -1}),
        ("price_max_micro_cai", {"price_max_micro_cai": PRICE_MICRO_CAI_MAX + 1}),
        ("size_of_hat", {"size_of_hat": 1}),
        ("x" * 64, {"x" * 1000: 1}),
    ],
)
def test_bad_field_is_named(parameter, body):
    with pytest.raises(BadRequest) as caught:
        parsed(**body)
    assert caught.value.field == parameter
    assert caught.value.reason
    assert caught.value.reason.encode()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
FIELDS = sorted(WORKING | WITHOUT_EFFECT.keys() | REFUSED.keys())


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), VALUES, max_size=6))
def test_any_body_gives_requests_or_a_refusal(body):
    try:
        generation = read(body)
    except Refusal as refusal:
        assert refusal.reason
    else:
        assert 1 <= len(generation.requests) <= IMAGES_MAX
        assert generation.headers().keys() <= {"x-cuckoo-ignored", "x-cuckoo-alias"}
