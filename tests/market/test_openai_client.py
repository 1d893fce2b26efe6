"""The stock `openai` SDK, unmodified, against a coordinator with real miners behind it."""

import base64
import io
import time

import openai
import pytest
from PIL import Image

from protocol.receipt import verify_document
from protocol.work import WorkKind

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def client(market):
    with openai.OpenAI(base_url=market.api_url + "/v1", api_key=market.token, max_retries=0) as opened:
        yield opened


def picture(b64):
    image = Image.open(io.BytesIO(base64.b64decode(b64)))
    image.load()
    return image


def test_models_lists_what_live_miners_offer(client):
    models = client.models.list().data
    assert [model.id for model in models] == ["cuckoo-icons"]
    assert models[0].cuckoo["miners"] == 3
    assert models[0].cuckoo["work_kinds"] == ["text-to-image", "image-to-image"]


def test_one_model_is_found_by_its_name(client):
    model = client.models.retrieve("cuckoo-icons")
    assert model == client.models.list().data[0]
    assert time.time() - model.created < 24 * 60 * 60
    assert model.cuckoo["prompt_tokens_max"] == 16
    assert model.cuckoo["prompt_tokens_counted"]


def test_a_link_leads_to_a_picture_whose_receipt_proves_the_png(client, market):
    answer = client.images.generate(
        prompt="a red apple", response_format="url", output_format="webp", extra_body={"steps": 3}
    )
    url = answer.data[0].url
    assert url.startswith(f"{market.api_url}/v1/cuckoo/pictures/")
    with market.client("") as stranger:
        shown = Image.open(io.BytesIO(stranger.get(url).content))
    assert (shown.format, shown.size) == ("WEBP", (32, 32))
    with market.client() as http:
        task = f"/v1/cuckoo/tasks/{answer.cuckoo['tasks'][0]}"
        receipt = verify_document(http.get(task).json())
        assert receipt.matches(http.get(f"{task}/output").content)


def test_ten_at_once_as_jpeg_with_what_has_no_effect_named(client):
    raw = client.images.with_raw_response.generate(
        prompt="a yellow star",
        n=10,
        output_format="jpeg",
        output_compression=80,
        quality="hd",
        background=None,
        extra_body={"steps": 2},
    )
    assert raw.headers["x-cuckoo-ignored"] == "quality"
    assert raw.request_id.startswith("req_")
    pictures = [Image.open(io.BytesIO(base64.b64decode(item.b64_json))) for item in raw.parse().data]
    assert [image.format for image in pictures] == ["JPEG"] * 10


def test_a_prompt_that_is_cut_is_named_or_refused(client):
    hindi = "नीली पृष्ठभूमि पर एक लाल सेब"
    raw = client.images.with_raw_response.generate(prompt=hindi, extra_body={"steps": 2})
    assert raw.headers["x-cuckoo-prompt-cut"] == "prompt;tokens=71;read=16"
    assert raw.parse().usage.input_tokens_details.text_tokens == 71
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt=hindi, extra_body={"truncation": "disabled"})
    assert caught.value.param == "prompt"


def test_what_it_costs_is_known_before_the_work_and_has_a_ceiling(client, market):
    dry = client.images.generate(prompt="a cat", n=2, extra_body={"steps": 10, "dry_run": True})
    assert dry.data == []
    quote = dry.cuckoo["quote"]
    assert (quote["images"], quote["miners"]) == (2, 3)
    with market.client() as http:
        body = {"prompt": "a cat", "n": 2, "steps": 10}
        assert http.post("/v1/cuckoo/quote", json=body).json()["most_micro_cai"] == quote["most_micro_cai"]
    least = 2 * quote["cheapest_micro_cai"]
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(
            prompt="a cat", n=2, extra_body={"steps": 10, "price_max_micro_cai": least - 1}
        )
    assert caught.value.param == "price_max_micro_cai"
    answer = client.images.generate(
        prompt="a cat",
        n=2,
        extra_body={"steps": 10, "price_max_micro_cai": quote["total_most_micro_cai"]},
    )
    with market.client() as http:
        for task in answer.cuckoo["tasks"]:
            receipt = verify_document(http.get(f"/v1/cuckoo/tasks/{task}").json())
            assert receipt.announcement.message.price_micro_cai <= quote["most_micro_cai"]


def test_half_an_emoji_is_a_400_that_names_its_field(market):
    body = b'{"prompt": "an apple", "negative_prompt": "\\ud83c"}'
    with market.client() as http:
        response = http.post(
            "/v1/images/generations", content=body, headers={"Content-Type": "application/json"}
        )
    assert (response.status_code, response.json()["error"]["param"]) == (400, "negative_prompt")


def test_generate_answers_with_an_image_and_its_receipt(client, market):
    answer = client.images.generate(prompt="a red apple on a blue background", model="cuckoo-icons")
    image = picture(answer.data[0].b64_json)
    assert image.size == (32, 32)
    with market.client() as http:
        receipt = verify_document(http.get(f"/v1/cuckoo/tasks/{answer.cuckoo['tasks'][0]}").json())
    assert receipt.matches(base64.b64decode(answer.data[0].b64_json))
    assert not receipt.matches(b"another image")


def test_same_seed_gives_the_same_image_from_whichever_miner(client):
    first, second = (
        client.images.generate(prompt="a blue fish", extra_body={"seed": 3, "steps": 8}).data[0].b64_json
        for _ in range(2)
    )
    assert first == second


def test_several_images_at_once(client):
    answer = client.images.generate(prompt="a yellow star", n=3, extra_body={"seed": 1, "steps": 5})
    assert len({image.b64_json for image in answer.data}) == 3
    assert len(answer.cuckoo["tasks"]) == 3


def test_stream_shows_partial_images_then_the_completed_one(client):
    events = list(client.images.generate(prompt="a green tree", stream=True, partial_images=2))
    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + [
        "image_generation.completed"
    ]
    assert [event.partial_image_index for event in events[:-1]] == [0, 1]
    assert all(picture(event.b64_json).size == (32, 32) for event in events)
    assert len({event.b64_json for event in events}) == 3


def test_a_stream_of_several_pictures_completes_each(client):
    events = list(client.images.generate(prompt="a green tree", n=3, stream=True, partial_images=1))
    assert len(events) == 6
    completed = [event for event in events if event.type == "image_generation.completed"]
    assert {event.image_index for event in completed} == {0, 1, 2}
    assert len({event.b64_json for event in completed}) == 3


@pytest.fixture(scope="module")
def apple(client):
    answer = client.images.generate(prompt="a red apple on a blue background", extra_body={"seed": 3})
    return base64.b64decode(answer.data[0].b64_json)


def ground_of(png):
    """Mean red and blue of the upper left corner."""
    image = Image.open(io.BytesIO(png)).convert("RGB").crop((0, 0, 4, 4))
    pixels = [image.getpixel((x, y)) for x in range(4) for y in range(4)]
    return sum(pixel[0] for pixel in pixels) / 16, sum(pixel[2] for pixel in pixels) / 16


def test_edit_changes_an_image_as_asked_and_has_a_receipt(client, market, apple):
    answer = client.images.edit(
        image=apple,
        prompt="a red apple on a yellow background",
        model="cuckoo-icons",
        extra_body={"strength": 0.3, "seed": 5},
    )
    edited = base64.b64decode(answer.data[0].b64_json)
    red, blue = ground_of(apple)
    assert blue - red > 50
    red, blue = ground_of(edited)
    assert red - blue > 50
    with market.client() as http:
        receipt = verify_document(http.get(f"/v1/cuckoo/tasks/{answer.cuckoo['tasks'][0]}").json())
    assert receipt.matches(edited)
    announcement = receipt.announcement.message
    assert (announcement.work.kind, announcement.work.units) == (WorkKind.IMAGE_TO_IMAGE, 6)


def test_edit_takes_what_cameras_make_and_gives_several(client):
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((300, 200)).save(buffer, "JPEG")
    answer = client.images.edit(
        image=("photo.jpg", buffer.getvalue()), prompt="a blue fish", n=2, extra_body={"steps": 5, "seed": 1}
    )
    assert len({image.b64_json for image in answer.data}) == 2


def test_edit_streams_partial_images_then_the_completed_one(client, apple):
    events = list(
        client.images.edit(
            image=apple,
            prompt="a green apple on a blue background",
            stream=True,
            partial_images=2,
            extra_body={"strength": 0.5},
        )
    )
    assert [event.type for event in events] == ["image_edit.partial_image"] * 2 + ["image_edit.completed"]
    assert [event.partial_image_index for event in events[:-1]] == [0, 1]
    assert all(picture(event.b64_json).size == (32, 32) for event in events)


def test_what_cannot_be_edited_is_a_400_that_names_it(client, apple):
    for parameter, arguments in (
        ("image", {"image": b"no image"}),
        ("mask", {"image": apple, "mask": apple}),
        ("strength", {"image": apple, "extra_body": {"strength": 2}}),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            client.images.edit(prompt="a cat", **arguments)
        assert caught.value.param == parameter


def test_unknown_model_is_a_404(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.images.generate(prompt="a cat", model="dall-e-3")
    assert caught.value.code == "model_not_found"


def test_empty_prompt_is_a_400_that_names_it(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt="  ")
    assert caught.value.param == "prompt"


def test_wrong_token_is_a_401(market):
    with (
        openai.OpenAI(base_url=market.api_url + "/v1", api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        stranger.models.list()
    assert "api-token" in caught.value.message
