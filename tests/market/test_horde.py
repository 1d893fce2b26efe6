"""AI Horde's dialect against a coordinator with real miners behind it, polled as its clients do."""

import base64
import io
import time

import pytest
from PIL import Image

from tests.limits import HANG_S
from tests.node.api.horde.recorded import PAYLOAD

pytestmark = pytest.mark.process


def test_a_request_is_polled_until_its_picture_is_there(market):
    with market.client("") as http:
        taken = http.post("/api/v2/generate/async", json=PAYLOAD, headers={"apikey": market.token})
        assert taken.status_code == 202
        entry_id, deadline = taken.json()["id"], time.monotonic() + HANG_S
        while not http.get(f"/api/v2/generate/check/{entry_id}").json()["done"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (generation,) = http.get(f"/api/v2/generate/status/{entry_id}").json()["generations"]
    assert Image.open(io.BytesIO(base64.b64decode(generation["img"]))).size == (32, 32)
    with market.client() as http:
        assert http.get(f"/v1/cuckoo/tasks/{generation['id']}").status_code == 200


def test_a_request_that_is_ended_costs_no_more(market):
    body = PAYLOAD | {"params": PAYLOAD["params"] | {"steps": 100, "n": 2}}
    with market.client("") as http:
        taken = http.post("/api/v2/generate/async", json=body, headers={"apikey": market.token})
        ended = http.delete(f"/api/v2/generate/status/{taken.json()['id']}").json()
    assert ended["done"]
    assert len(ended["generations"]) < 2
    deadline = time.monotonic() + HANG_S
    with market.client() as http:
        while http.get("/v1/cuckoo/status").json()["coordinator"]["tasks_active"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
