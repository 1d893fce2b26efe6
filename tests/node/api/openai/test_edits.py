"""The form of `POST /v1/images/edits`: what its fields mean, and each thing that is refused by name."""

import base64
import io
from encodings.aliases import aliases

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from starlette.datastructures import Headers

from node.api.openai.edits import FIELDS_MAX, FILES_MAX, FORM_BYTES_MAX, UPLOAD_BYTES_MAX, parse, read_form
from node.api.openai.parameters import WITHOUT_EFFECT, WORKING
from node.api.serving import JSON_BYTES_MAX
from node.coordinator.catalogue import UnknownModel
from node.coordinator.outcomes import NoMiner
from node.coordinator.requests import BadRequest
from protocol.errors import Refusal
from protocol.messages import PROMPT_BYTES_MAX
from protocol.png import is_plain_png
from protocol.work import WorkKind
from tests.node.api.desk import Watched, api, client, client_of, held_while_drawing, large_image
from tests.node.builders import CATALOGUE, PACKAGE
from tests.node.inference.builders import a_source
from tests.protocol.strategies import lawful, mutations

IMAGE = a_source(80, 50)


def form(fields=None, files=None):
    """Headers and body as a client of somebody else's makes them."""
    files = {"image": ("apple.png", IMAGE, "image/png")} if files is None else files
    request = httpx2.Request(
        "POST", "http://node/", data={"prompt": "a red apple"} | (fields or {}), files=files
    )
    return Headers(dict(request.headers)), request.read()


async def parsed(fields=None, files=None):
    return await parse(await read_form(*form(fields, files)), CATALOGUE, {})


async def test_attack_a_long_image_is_not_held_while_its_picture_is_made():
    coordinator, image = Watched(), base64.b64decode(large_image())
    headers, body = form(files={"image": ("large.png", image, "image/png")})
    async with client_of(api(coordinator)) as http:
        path, sent = "/v1/images/edits", ({"Content-Type": headers["content-type"]}, body)
        assert await held_while_drawing(http, path, sent, coordinator) < len(image)


async def test_prompt_and_image_take_the_models_defaults():
    generation = await parsed()
    (request,) = generation.requests
    assert (request.model, request.prompt, generation.parameters.stream) == (PACKAGE, "a red apple", False)
    assert is_plain_png(request.source, 32, 32)
    assert request.work_kind == WorkKind.IMAGE_TO_IMAGE
    assert (request.steps, request.strength_milli, request.run_steps) == (20, 600, 12)


async def test_fields_are_numbers_as_in_json():
    fields = {"n": "2", "seed": "5", "steps": "10", "guidance": "1.5", "strength": "0.25", "size": "64x64"}
    requests = (await parsed(fields)).requests
    assert [request.seed for request in requests] == [5, 6]
    first = requests[0]
    assert (first.guidance_milli, first.steps, first.strength_milli, first.run_steps) == (1500, 10, 250, 2)
    assert is_plain_png(first.source, 64, 64)
    assert {request.source for request in requests} == {first.source}


async def test_previews_are_counted_among_the_steps_that_are_run():
    fields = {"stream": "true", "partial_images": "3", "strength": "0.4"}
    generation = await parsed(fields)
    assert generation.parameters.stream
    assert (generation.requests[0].run_steps, generation.requests[0].preview_every_steps) == (8, 2)


async def test_the_least_strength_runs_one_step():
    (request,) = (await parsed({"strength": "0.0001"})).requests
    assert (request.strength_milli, request.run_steps) == (1, 1)


async def test_fields_of_stock_clients_are_taken():
    fields = {
        "quality": "high",
        "user": "me",
        "background": "auto",
        "input_fidelity": "high",
        "stream": "false",
    }
    files = {"image[]": ("photo", IMAGE, "application/octet-stream")}
    generation = await parsed(fields, files)
    assert len(generation.requests) == 1
    assert generation.headers() == {"x-cuckoo-ignored": "input_fidelity, quality, user"}


@pytest.mark.parametrize("nothing", ["", "null"])
async def test_what_clients_send_for_nothing_is_as_absent(nothing):
    names = WORKING | WITHOUT_EFFECT.keys() | {"strength", "mask"}
    generation = await parsed(
        dict.fromkeys(names - {"prompt", "negative_prompt", "seed"}, nothing) | {"seed": "1"}
    )
    assert generation == await parsed({"seed": "1"})
    assert (await parsed({"prompt": "null"})).requests[0].prompt == "null"


async def test_unknown_model_is_refused():
    with pytest.raises(UnknownModel):
        await parsed({"model": "gpt-image-2"})


@pytest.mark.parametrize(
    ("parameter", "fields"),
    [
        ("prompt", {"prompt": " "}),
        ("prompt", {"prompt": "x" * (PROMPT_BYTES_MAX + 1)}),
        ("n", {"n": "0"}),
        ("n", {"n": "1.0"}),
        ("n", {"n": "1_0"}),
        ("seed", {"seed": "many"}),
        ("steps", {"steps": "101"}),
        ("guidance", {"guidance": "nan"}),
        ("strength", {"strength": "0"}),
        ("strength", {"strength": "1.001"}),
        ("strength", {"strength": "-0.5"}),
        ("strength", {"strength": "nan"}),
        ("strength", {"strength": "strong"}),
        ("stream", {"stream": "yes"}),
        ("size", {"size": "33x32"}),
        ("size_of_hat", {"size_of_hat": "1"}),
        ("response_format", {"response_format": "file"}),
        ("background", {"background": "transparent"}),
        ("mask", {"mask": "x"}),
        ("strength", {"strength": "1e300"}),
        ("n", {"n": ["1", "2"]}),
    ],
)
async def test_bad_field_is_named(parameter, fields):
    with pytest.raises(BadRequest) as caught:
        await parsed(fields)
    assert caught.value.field == parameter


@pytest.mark.parametrize(
    ("parameter", "files"),
    [
        ("image", {}),
        ("image", {"image": ("a.png", b"", "image/png")}),
        ("image", {"image": ("a.txt", b"hello", "text/plain")}),
        ("image", {"image": ("a.png", IMAGE[:100], "image/png")}),
        ("image", [("image", ("a", IMAGE)), ("image[]", ("b", IMAGE))]),
        ("image", [("image[]", ("a", IMAGE)), ("image[]", ("b", IMAGE))]),
        ("mask", {"image": ("a.png", IMAGE), "mask": ("m.png", IMAGE)}),
        ("hat", {"hat": ("a.png", IMAGE)}),
    ],
    ids=["none", "empty", "text", "cut", "two", "two in a list", "mask", "another"],
)
async def test_bad_file_is_named(parameter, files):
    with pytest.raises(BadRequest) as caught:
        await parsed(files=files)
    assert caught.value.field == parameter


async def test_several_images_are_refused_in_so_many_words():
    with pytest.raises(BadRequest, match=r"^the form has 16 images; one at a time is edited$"):
        await parsed(files=[("image[]", ("a", IMAGE))] * FILES_MAX)


ENCODINGS = sorted(
    {*aliases.values(), "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"}
)


@pytest.mark.parametrize("charset", ENCODINGS)
async def test_attack_a_form_in_whatever_encoding(charset):
    """Each that Python knows, of which some raise errors of their own, or give half of a surrogate pair."""
    headers, body = form({"prompt": "\\ud83c xn--80ak6aa92e", "\\ud83c": "1"})
    headers = {"content-type": f"{headers['content-type']}; charset={charset}"}
    async with client() as http:
        response = await http.post("/v1/images/edits", content=body, headers=headers)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"]


async def test_a_model_for_edits_alone_is_asked():
    from node.coordinator.catalogue import Catalogue
    from tests.node.inference.builders import with_card

    edits_alone = with_card(PACKAGE, work_kinds=(WorkKind.IMAGE_TO_IMAGE,))
    generation = await parse(await read_form(*form()), Catalogue([edits_alone]), {})
    assert generation.requests[0].model is edits_alone


async def test_a_model_for_text_alone_is_not_asked():
    from node.coordinator.catalogue import Catalogue
    from tests.node.inference.builders import with_card

    text_alone = with_card(PACKAGE, work_kinds=(WorkKind.TEXT_TO_IMAGE,))
    catalogue = Catalogue([text_alone])
    with pytest.raises(BadRequest, match="text-to-image, not image-to-image") as caught:
        await parse(await read_form(*form({"model": PACKAGE.name})), catalogue, {})
    assert caught.value.field == "model"
    with pytest.raises(BadRequest, match="has no default model for image-to-image; name one") as caught:
        await parse(await read_form(*form()), catalogue, {})
    assert caught.value.field == "model"


async def test_attack_a_flood_of_fields():
    with pytest.raises(BadRequest, match="Too many fields"):
        await parsed({f"field{number}": "x" for number in range(FIELDS_MAX + 1)})


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=a", b"--b\r\n"),
        ("multipart/form-data; boundary=a", b"--a\r\nContent-Disposition: form-data\r\n\r\nx\r\n--a--\r\n"),
    ],
)
async def test_what_is_no_form(content_type, body):
    with pytest.raises(BadRequest) as caught:
        await read_form(Headers({"content-type": content_type}), body)
    assert caught.value.field == "image"


@lawful
@given(mutations(st.just(form()[1])))
async def test_any_body_gives_requests_or_a_refusal(body):
    try:
        generation = await parse(await read_form(form()[0], body), CATALOGUE, {})
    except Refusal as refusal:
        assert refusal.reason
    else:
        assert is_plain_png(generation.requests[0].source, 32, 32)


@pytest.mark.parametrize(
    ("length", "reason"), [(UPLOAD_BYTES_MAX, "no PNG"), (UPLOAD_BYTES_MAX + 1, "16,777,216 bytes")]
)
async def test_uploads_have_a_limit_that_is_told(length, reason):
    headers, body = form(files={"image": ("a.png", bytes(length), "image/png")})
    async with client(NoMiner("")) as http:
        response = await http.post(
            "/v1/images/edits", content=body, headers={"content-type": headers["content-type"]}
        )
    assert response.status_code == 400
    assert reason in response.json()["error"]["message"]
    assert len(body) < FORM_BYTES_MAX


async def test_an_edit_has_its_price_before_the_work():
    async with client(NoMiner("nobody does this")) as http:
        fields = {"prompt": "a cat", "dry_run": "true", "n": "2"}
        answer = await http.post("/v1/images/edits", data=fields, files={"image": ("a.png", IMAGE)})
    assert (answer.status_code, answer.json()["data"]) == (200, [])
    assert answer.json()["cuckoo"]["quote"]["total_most_micro_cai"] == 20_000


async def test_a_form_that_is_sent_again_is_the_same_request_in_other_boundaries():
    first, second, other = [await read_form(*form(fields)) for fields in ({"n": "2"}, {"n": "2"}, {"n": "3"})]
    assert form()[0] != form()[0]
    assert first.content == second.content != other.content


async def test_errors_have_the_openai_shape():
    async with client(NoMiner("nobody does this")) as http:
        files = {"image": ("a.png", IMAGE, "image/png")}
        answers = [
            await http.post("/v1/images/edits", data={"prompt": "a cat"}, files=files),
            await http.post("/v1/images/edits", json={"prompt": "a cat"}),
            await http.post("/v1/images/edits", data={"prompt": ""}, files=files),
        ]
    assert [answer.status_code for answer in answers] == [503, 415, 400]
    assert [answer.json()["error"]["param"] for answer in answers] == [None, "Content-Type", "prompt"]
    assert JSON_BYTES_MAX < UPLOAD_BYTES_MAX


def test_the_upload_of_the_tests_is_not_of_the_models_size():
    assert Image.open(io.BytesIO(IMAGE)).size == (80, 50)
