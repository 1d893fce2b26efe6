"""AUTOMATIC1111's dialect in process: what clients of it send, and what a token sees of others."""

import base64
import json
from dataclasses import replace

import pytest
import trio

from node.api.a1111 import dialect
from node.api.a1111.bodies import REFUSED, WITHOUT_EFFECT, handle_of
from node.api.a1111.sessions import JOBS_MAX, SESSIONS_MAX, Sessions
from node.api.aliases import parse_aliases
from node.api.tokens.caller import Caller
from node.coordinator.catalogue import AmbiguousModel, Catalogue
from node.coordinator.outcomes import OrderLost, Preview, Progress
from node.coordinator.records import FailureKind
from node.inference.packages.model import Model
from tests.limits import HANG_S
from tests.node.api.a1111.recorded import OPEN_WEBUI, SILLY_TAVERN, SILLY_TAVERN_READS
from tests.node.api.desk import (
    FakeCoordinator,
    Watched,
    api,
    client,
    client_of,
    held_while_drawing,
    large_image,
    new_token,
    picture,
)
from tests.node.builders import CARD, PACKAGE

TXT2IMG, IMG2IMG = "/sdapi/v1/txt2img", "/sdapi/v1/img2img"
TITLE = f"cuckoo-icons [{PACKAGE.model_id.hex()[:10]}]"


async def test_what_open_webui_sends():
    async with client() as http:
        options = (await http.get("/sdapi/v1/options")).json()
        assert options["sd_model_checkpoint"] == TITLE
        models = (await http.get("/sdapi/v1/sd-models")).json()
        assert [(model["title"], model["model_name"]) for model in models] == [(TITLE, "cuckoo-icons")]
        # It sends back all options that it got, with another model.
        options["sd_model_checkpoint"] = "cuckoo-icons"
        assert (await http.post("/sdapi/v1/options", json=options)).status_code == 200
        answer = (await http.post(TXT2IMG, json=OPEN_WEBUI)).json()
    assert len(answer["images"]) == 1
    assert json.loads(answer["info"])["all_seeds"]


async def test_what_silly_tavern_sends():
    coordinator = FakeCoordinator()
    async with client_of(api(coordinator)) as http:
        for name in SILLY_TAVERN_READS:
            assert (await http.get(f"/sdapi/v1/{name}")).status_code == 200, name
        answer = await http.post(TXT2IMG, json=SILLY_TAVERN)
        assert (await http.post("/sdapi/v1/interrupt")).status_code == 200
    assert answer.status_code == 200
    assert base64.b64decode(answer.json()["images"][0]).startswith(b"\x89PNG")
    assert "clip_skip" in answer.headers["x-cuckoo-ignored"]
    (request,) = coordinator.placed
    assert (request.negative_prompt, request.guidance_milli, request.width) == ("blurry", 7000, 64)
    assert request.seed >= 0


async def test_several_pictures_and_an_image_to_start_from():
    coordinator = FakeCoordinator()
    image = "data:image/png;base64," + base64.b64encode(picture(50, 40)).decode()
    async with client_of(api(coordinator)) as http:
        several = await http.post(TXT2IMG, json={"prompt": "a cat", "batch_size": 2, "n_iter": 2, "seed": 5})
        edited = await http.post(
            IMG2IMG, json={"prompt": "a cat", "init_images": [image], "denoising_strength": 0.5}
        )
    assert json.loads(several.json()["info"])["all_seeds"] == [5, 6, 7, 8]
    assert edited.status_code == 200
    assert "init_images" not in edited.json()["parameters"]
    assert coordinator.placed[-1].run_steps == 10


@pytest.mark.parametrize(
    ("path", "body", "parameter"),
    [
        (TXT2IMG, {"prompt": ""}, "prompt"),
        (TXT2IMG, {"width": 512, "height": 512}, "width"),
        (TXT2IMG, {"width": 64}, "height"),
        (TXT2IMG, {"steps": 1000}, "steps"),
        (TXT2IMG, {"steps": "many"}, "steps"),
        (TXT2IMG, {"seed": -2}, "seed"),
        (TXT2IMG, {"cfg_scale": 90}, "cfg_scale"),
        (TXT2IMG, {"batch_size": 4, "n_iter": 4}, "batch_size"),
        (TXT2IMG, {"sampler_name": "Euler a"}, "sampler_name"),
        (TXT2IMG, {"scheduler": "Karras"}, "scheduler"),
        (TXT2IMG, {"override_settings": {"sd_vae": "mine.safetensors"}}, "override_settings.sd_vae"),
        (TXT2IMG, {"override_settings": []}, "override_settings"),
        (TXT2IMG, {"override_settings": {"sd_model_checkpoint": 3}}, "override_settings.sd_model_checkpoint"),
        (TXT2IMG, {"enable_hr": True}, "enable_hr"),
        (TXT2IMG, {"no_such_field": 1}, "no_such_field"),
        (IMG2IMG, {}, "init_images"),
        (IMG2IMG, {"init_images": ["https://app.example/cat.png"]}, "init_images"),
        (IMG2IMG, {"init_images": ["!!!"]}, "init_images"),
        (IMG2IMG, {"init_images": ["AAAA"]}, "init_images"),
        (IMG2IMG, {"init_images": ["AAAA", "AAAA"]}, "init_images"),
        (IMG2IMG, {"init_images": [base64.b64encode(picture()).decode()], "mask": "AAAA"}, "mask"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(path, body, parameter):
    async with client() as http:
        response = await http.post(path, json={"prompt": "a cat"} | body)
    assert (response.status_code, response.json()["parameter"]) == (400, parameter)
    assert response.json()["detail"]


async def test_every_field_of_a_stock_client_at_its_default_is_taken():
    nothing = dict.fromkeys(REFUSED) | {"alwayson_scripts": {}, "styles": [], "tiling": False}
    async with client() as http:
        answer = await http.post(
            TXT2IMG, json={"prompt": "a cat"} | nothing | dict.fromkeys(WITHOUT_EFFECT, 0)
        )
        unknown = await http.post(
            TXT2IMG, json={"prompt": "a cat", "override_settings": {"sd_model_checkpoint": "x"}}
        )
    assert answer.status_code == 200
    assert (unknown.status_code, unknown.json()["error"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ('"A' + "a" * 4096 + '"', False),
        ("[[[[1]]]]", False),
        ('{"a":1}', False),
        ('"\\ud83d"', True),
        ("1" * 4000, True),
        ("true", True),
    ],
)
async def test_attack_an_answer_repeats_only_what_it_can(value, shown):
    """A field without effect is not looked at before the picture is made, and paid."""
    content = '{"prompt":"a cat","eta":' + value + "}"
    async with client() as http:
        answer = await http.post(TXT2IMG, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    assert ("eta" in answer.json()["parameters"]) == shown


@pytest.mark.parametrize("vae", [[], {}, 3, ["Automatic"], True])
async def test_attack_an_autoencoder_that_is_no_name(vae):
    async with client() as http:
        answer = await http.post(TXT2IMG, json={"prompt": "a cat", "override_settings": {"sd_vae": vae}})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "override_settings.sd_vae")
    assert answer.json()["detail"] == "sd_vae: a model has one autoencoder, its own"


async def test_an_image_has_a_limit(monkeypatch):
    monkeypatch.setattr(dialect, "BODY_BYTES_MAX", 1000)
    async with client() as http:
        response = await http.post(IMG2IMG, json={"init_images": ["A" * 1000]})
    assert (response.status_code, response.json()["error"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Basic " + base64.b64encode(b"anybody:secret-token").decode(), 200),
        ("basic " + base64.b64encode(b":secret-token").decode(), 200),
        ("Bearer secret-token", 200),
        ("Basic " + base64.b64encode(b"secret-token").decode(), 401),
        ("Basic !", 401),
        ("Basic " + base64.b64encode(b"a:wrong").decode(), 401),
    ],
)
async def test_a_token_is_the_password_and_no_browser_asks_for_one(authorization, status):
    async with client() as http:
        answer = await http.get("/sdapi/v1/options", headers={"Authorization": authorization})
        elsewhere = await http.get("/v1/models", headers={"Authorization": authorization})
    assert answer.status_code == status
    assert answer.headers.get("www-authenticate", "Bearer") == "Bearer"
    if authorization.lower().startswith("basic"):
        assert elsewhere.status_code == 401


async def test_attack_a_long_body_is_not_held_while_its_picture_is_made():
    coordinator, image = Watched(), large_image()
    async with client_of(api(coordinator)) as http:
        body = {"prompt": "a cat", "init_images": [image], "infotext": image}
        assert await held_while_drawing(http, IMG2IMG, body, coordinator) < len(image) / 2


GROUND = bytes([7] * 16 + [0] * 16)
"""An id that begins with the digits of another's title."""


def two_models(name):
    """A ground card, which comes first, and the one whose digits it has."""
    ground = Model(GROUND, replace(CARD, name=name))
    return Catalogue([ground, PACKAGE] if name != CARD.name else [PACKAGE, ground])


async def test_attack_a_card_whose_id_begins_with_the_digits_of_another_title():
    """Neither under another name nor under the same is it taken for the model of the title."""
    for catalogue in (two_models("aardvark"), two_models(CARD.name)):
        assert handle_of(TITLE, catalogue) == PACKAGE.model_id.hex()
        coordinator = FakeCoordinator()
        body = {"prompt": "a cat", "override_settings": {"sd_model_checkpoint": TITLE}}
        async with client_of(api(coordinator, catalogue=catalogue)) as http:
            assert (await http.post(TXT2IMG, json=body)).status_code == 200
        assert coordinator.placed[0].model.model_id == PACKAGE.model_id


@pytest.mark.parametrize(
    "title", ["other [0707070707]", "cuckoo-icons [0808080808]", "cuckoo-icons [07]", "cuckoo-icons []"]
)
async def test_a_title_of_no_model_is_refused(title):
    async with client() as http:
        answer = await http.post("/sdapi/v1/options", json={"sd_model_checkpoint": title})
    assert (answer.status_code, answer.json()["error"]) == (404, "model_not_found")


def test_attack_a_title_that_several_models_fit():
    title = "cuckoo-icons@07070707 [0707070707]"
    with pytest.raises(AmbiguousModel) as caught:
        handle_of(title, two_models(CARD.name))
    assert caught.value.reason == f"several models are called '{title}'; name more digits of the id"


async def until(condition):
    while not condition():
        await trio.lowlevel.checkpoint()


async def test_state_is_of_one_token_alone(nursery):
    coordinator = Watched()
    built = api(coordinator, aliases=parse_aliases(["sd15=cuckoo-icons@32x32"]))
    answers = []
    ann, bob = client_of(built, new_token(built)), client_of(built, new_token(built, "bob"))
    async with ann, bob:
        await ann.post("/sdapi/v1/options", json={"sd_model_checkpoint": "sd15", "sd_vae": "x"})
        assert (await ann.get("/sdapi/v1/options")).json()["sd_model_checkpoint"] == "sd15"
        assert (await bob.get("/sdapi/v1/options")).json()["sd_model_checkpoint"] == TITLE

        async def make():
            body = {"prompt": "a cat", "batch_size": 2, "width": 512, "height": 512}
            answers.append(await ann.post(TXT2IMG, json=body))

        nursery.start_soon(make)
        await until(lambda: len(coordinator.watches) == 2)
        coordinator.watches[0].tell(Progress(bytes(20), 5, 20))
        coordinator.watches[0].tell(Preview(5, picture()))
        await trio.testing.wait_all_tasks_blocked()
        mine = (await ann.get("/sdapi/v1/progress")).json()
        assert (mine["progress"], mine["state"]["sampling_steps"]) == (0.125, 20)
        assert base64.b64decode(mine["current_image"]) == picture()
        hidden = (await ann.get("/sdapi/v1/progress?skip_current_image=true")).json()
        assert hidden["current_image"] is None
        others = (await bob.get("/sdapi/v1/progress")).json()
        assert (others["progress"], others["current_image"]) == (0.0, None)
        for path in ("interrupt", "skip"):
            await bob.post(f"/sdapi/v1/{path}")
        await trio.testing.wait_all_tasks_blocked()
        assert coordinator.left == 0
        await ann.post("/sdapi/v1/skip")
        await until(lambda: coordinator.left == 1)
        assert not answers
        await ann.post("/sdapi/v1/interrupt")
        await until(lambda: answers)
        assert answers[0].status_code == 200
        assert answers[0].json()["images"] == []
        assert answers[0].headers["x-cuckoo-alias"] == "sd15=cuckoo-icons@32x32"
        assert (await ann.get("/sdapi/v1/progress")).json()["state"]["job_count"] == 0


async def test_a_lost_order_is_an_error_that_clients_show():
    async with client(OrderLost(FailureKind.FAILED, "out of memory")) as http:
        response = await http.post(TXT2IMG, json=OPEN_WEBUI)
    assert (response.status_code, response.json()["detail"]) == (502, "out of memory")


async def test_sessions_and_jobs_are_bounded(nursery):
    sessions = Sessions()
    for number in range(SESSIONS_MAX + 5):
        sessions.of(Caller(str(number)))
    assert len(sessions._sessions) == SESSIONS_MAX
    async with client_of(api(Watched())) as http:
        for _ in range(JOBS_MAX + 3):
            nursery.start_soon(lambda: http.post(TXT2IMG, json=OPEN_WEBUI))
        jobs = 0
        with trio.fail_after(HANG_S):
            # Bodies are read in threads, for which a task that waits is as good as blocked.
            while jobs < JOBS_MAX:
                await trio.testing.wait_all_tasks_blocked(0.01)
                jobs = (await http.get("/sdapi/v1/progress")).json()["state"]["job_count"]
        assert jobs == JOBS_MAX
        nursery.cancel_scope.cancel()
