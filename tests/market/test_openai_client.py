"""The stock `openai` SDK, unmodified, against a coordinator with real miners behind it."""

import base64
import io

import openai
import pytest
from PIL import Image

from protocol.receipt import verify_document

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
