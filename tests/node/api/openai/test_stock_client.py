"""The stock `openai` SDK, unmodified, against the application in process; the market is scripted."""

import base64
import io

import httpx2
import openai
import pytest
from PIL import Image

from node.api.aliases import parse_aliases
from node.coordinator.outcomes import NoMiner
from tests.node.api.desk import TOKEN, FakeCoordinator, api, picture


def sdk(built, **settings):
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=built.application(TOKEN)))
    settings = {"max_retries": 0, "api_key": TOKEN} | settings
    return openai.AsyncOpenAI(base_url="http://127.0.0.1/v1", http_client=http, **settings)


def format_of(b64):
    return Image.open(io.BytesIO(base64.b64decode(b64))).format


async def test_an_app_that_was_made_for_dall_e():
    built = api(aliases=parse_aliases(["dall-e-3=cuckoo-icons@64x64"]))
    async with sdk(built) as client:
        answer = await client.images.generate(
            model="dall-e-3",
            prompt="a red apple",
            n=10,
            size="1024x1024",
            quality="hd",
            style="vivid",
            response_format="url",
            user="somebody",
        )
        pictures = [(await client._client.get(item.url)).content for item in answer.data]
    assert len({item.url for item in answer.data}) == 10
    assert {Image.open(io.BytesIO(data)).size for data in pictures} == {(64, 64)}
    assert answer.size == "64x64"
    assert answer.usage.total_tokens == 0


async def test_every_parameter_at_once_as_generated_clients_send_them():
    async with sdk(api()) as client:
        raw = await client.images.with_raw_response.generate(
            prompt="a red apple",
            model=None,
            n=None,
            size=None,
            background=None,
            moderation="low",
            output_compression=50,
            output_format="webp",
            partial_images=None,
            quality="medium",
            response_format=None,
            safety_identifier="somebody",
            style=None,
            stream=None,
        )
        answer = raw.parse()
    assert format_of(answer.data[0].b64_json) == "WEBP"
    assert answer.output_format == "webp"
    assert raw.headers["x-cuckoo-ignored"] == "moderation, quality, safety_identifier"
    assert raw.request_id.startswith("req_")


async def test_edit_takes_the_parameters_that_the_sdk_has():
    async with sdk(api()) as client:
        raw = await client.images.with_raw_response.edit(
            image=("a.png", picture(), "image/png"),
            prompt="a red apple",
            background="auto",
            input_fidelity="high",
            n=2,
            output_format="jpeg",
            quality="low",
            size="32x32",
            user="somebody",
        )
        with pytest.raises(openai.BadRequestError) as several:
            await client.images.edit(image=[picture(), picture()], prompt="a red apple")
        with pytest.raises(openai.BadRequestError) as masked:
            await client.images.edit(image=picture(), mask=picture(), prompt="a red apple")
    assert [format_of(item.b64_json) for item in raw.parse().data] == ["JPEG", "JPEG"]
    assert raw.headers["x-cuckoo-ignored"] == "input_fidelity, quality, user"
    assert (several.value.param, masked.value.param) == ("image", "mask")
    assert several.value.body["message"] == "the form has 2 images; one at a time is edited"


async def test_a_stream_ends_with_the_picture():
    async with sdk(api()) as client:
        stream = await client.images.generate(
            prompt="a red apple", stream=True, partial_images=2, output_format="webp"
        )
        events = [event async for event in stream]
    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + [
        "image_generation.completed"
    ]
    assert {format_of(event.b64_json) for event in events} == {"WEBP"}


async def test_models_are_listed_and_found():
    async with sdk(api()) as client:
        listed = [model async for model in client.models.list()]
        found = await client.models.retrieve("cuckoo-icons")
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.models.retrieve("gpt-image-1")
    assert listed == [found]
    assert found.created > 1_700_000_000
    assert unknown.value.request_id == unknown.value.body["request_id"]


class Counting(FakeCoordinator):
    """Refuses, and counts how often it was asked."""

    asked = 0

    def submit(self, request, **named):
        self.asked += 1
        return super().submit(request, **named)


@pytest.mark.parametrize(("prompt", "times"), [("a cat", 3), ("", 0)])
async def test_the_sdk_asks_again_only_where_that_can_help(autojump_clock, prompt, times):
    coordinator = Counting(NoMiner("nobody is here"))
    async with sdk(api(coordinator), max_retries=2) as client:
        with pytest.raises(openai.APIStatusError):
            await client.images.generate(prompt=prompt)
    assert coordinator.asked == times
