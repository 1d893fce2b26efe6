"""What Open WebUI and SillyTavern send, replayed against a coordinator with real miners behind it."""

import base64
import json
import threading
import time

import httpx2
import pytest

from protocol.receipt import verify_document
from tests.limits import HANG_S
from tests.node.api.a1111.recorded import OPEN_WEBUI, SILLY_TAVERN, SILLY_TAVERN_READS

pytestmark = pytest.mark.process
SIZE = {"width": 32, "height": 32}
"""Of the devnet's model; SillyTavern asks for what its user has chosen."""


@pytest.fixture
def sdapi(market):
    base = f"{market.api_url}/sdapi/v1/"
    with httpx2.Client(
        base_url=base, auth=("anybody", market.token), timeout=HANG_S, trust_env=False
    ) as opened:
        yield opened


def test_both_get_their_pictures_and_the_receipt_proves_them(sdapi, market):
    for name in SILLY_TAVERN_READS:
        assert sdapi.get(name).status_code == 200, name
    assert [item["name"] for item in sdapi.get("samplers").json()] == ["DDIM"]
    for body in (OPEN_WEBUI, SILLY_TAVERN | SIZE):
        answer = sdapi.post("txt2img", json=body).json()
        png = base64.b64decode(answer["images"][0])
        (task,) = json.loads(answer["info"])["cuckoo"]["tasks"]
        with market.client() as http:
            assert verify_document(http.get(f"/v1/cuckoo/tasks/{task}").json()).matches(png)
    edited = sdapi.post(
        "img2img",
        json={
            "prompt": "a yellow star",
            "init_images": [answer["images"][0]],
            "steps": 4,
        },
    )
    assert len(edited.json()["images"]) == 1


def test_progress_shows_a_picture_and_interrupt_ends_the_work(sdapi, market):
    answers = []
    body = OPEN_WEBUI | {"steps": 100, "batch_size": 2}
    worker = threading.Thread(target=lambda: answers.append(sdapi.post("txt2img", json=body)), daemon=True)
    worker.start()
    deadline = time.monotonic() + HANG_S
    with httpx2.Client(
        base_url=sdapi.base_url, auth=("", market.token), timeout=HANG_S, trust_env=False
    ) as other:
        while other.get("progress").json()["current_image"] is None:
            assert time.monotonic() < deadline
            assert not answers
        other.post("interrupt")
    worker.join(HANG_S)
    assert answers[0].status_code == 200
    assert len(answers[0].json()["images"]) < 2


def test_without_a_token_nothing_is_told(market):
    with httpx2.Client(base_url=market.api_url, timeout=HANG_S, trust_env=False) as stranger:
        answer = stranger.get("/sdapi/v1/options")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
