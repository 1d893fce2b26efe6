"""The route table, the open routes, and how refusals are told: in process, over ASGI."""

import base64
from dataclasses import dataclass

import pytest

from node.coordinator.coordinator import KeyConflict
from node.coordinator.drawing import NotReady
from node.coordinator.outcomes import Busy, NoMiner, OrderLost
from node.coordinator.records import FailureKind
from node.pay.purse import DepositUsedUp
from protocol.errors import LocalError
from tests.node.api.desk import Context, api, client, client_of, picture

OPEN = {
    "/",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/llms.txt",
    "/v1/cuckoo/pictures/{name}",
    # The id in these is as good as a token.
    "/api/v2/generate/check/{entry_id}",
    "/api/v2/generate/status/{entry_id}",
    "/api/v2/status/heartbeat",
}


@pytest.mark.parametrize(
    ("outcome", "status", "code", "retry"),
    [
        (NoMiner("nobody is here"), 503, "no_miner_available", 5),
        (Busy("as many as we carry"), 429, "too_many_requests", 2),
        (NotReady("the chain has no epoch seed yet"), 503, "node_not_ready", 5),
        (DepositUsedUp(bytes(20), 2, 1), 402, "deposit_used_up", 0),
        (KeyConflict("of another request"), 422, "idempotency_key_reused", 0),
        (OrderLost(FailureKind.REFUSED, "the prompt is too long"), 400, "refused_by_miners", 0),
        (OrderLost(FailureKind.FAILED, "out of memory"), 502, "task_failed", 0),
        (OrderLost(FailureKind.EXPIRED, "too late"), 504, "task_expired", 0),
        (OrderLost(FailureKind.UNPAID, "nothing is left"), 402, "deposit_used_up", 0),
        (OrderLost(FailureKind.NO_MINER, "nobody is here"), 503, "no_miner_available", 5),
        (LocalError("our disk is full: /secret/path"), 500, "internal_error", 0),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_outcomes_are_told_in_the_openai_shape(outcome, status, code, retry, stream):
    async with client(outcome) as http:
        response = await http.post("/v1/images/generations", json={"prompt": "a cat", "stream": stream})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert error["request_id"] == response.headers["x-request-id"]
    assert (response.headers.get("retry-after"), response.headers.get("retry-after-ms")) == (
        (str(retry), str(1000 * retry)) if retry else (None, None)
    )
    assert (response.headers.get("x-should-retry") == "false") is not bool(retry)
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("path", "body", "parameter", "reason"),
    [
        (
            "/v1/images/generations",
            {"mask": "AAAA"},
            "mask",
            "masks are not served; models here draw whole images",
        ),
        ("/v1/images/edits", {"mask": "AAAA"}, "mask", "masks are not served; models here draw whole images"),
        ("/sdapi/v1/img2img", {"mask": "AAAA"}, "mask", "masks are not served; models draw whole images"),
        (
            "/sdapi/v1/img2img",
            {"latent_mask": "AAAA"},
            "latent_mask",
            "masks are not served; models draw whole images",
        ),
        (
            "/api/v2/generate/async",
            {"source_mask": "AAAA"},
            "source_mask",
            "masks are not served; models draw whole images",
        ),
    ],
)
async def test_masks_are_refused_by_name_with_the_reason(path, body, parameter, reason):
    """No package inpaints; a mask that was passed over in silence would be a picture of something else."""
    image = base64.b64encode(picture()).decode()
    further = {"init_images": [image]} if "img2img" in path else {}
    async with client() as http:
        if path.endswith("edits"):
            files = {"image": ("a.png", picture(), "image/png"), "mask": ("m.png", picture(), "image/png")}
            response = await http.post(path, data={"prompt": "a cat"}, files=files)
        else:
            response = await http.post(path, json={"prompt": "a cat"} | further | body)
    assert response.status_code == 400
    assert reason in response.text
    assert parameter in response.text


async def test_every_route_asks_for_the_token_or_is_one_of_the_few_open_ones():
    built = api()
    assert {route.path for route in built.open_routes()} == OPEN
    async with client_of(built, token="") as stranger:
        for route in built.routes():
            assert route.path not in OPEN
            for method in route.methods:
                response = await stranger.request(method, route.path.replace("{", "x").replace("}", "x"))
                assert (response.status_code, method, route.path) == (401, method, route.path)
                assert response.headers["www-authenticate"] == "Bearer"
        for path in OPEN:
            response = await stranger.get(path)
            assert (response.status_code == 401, path) == (False, path)


async def test_each_dialect_words_its_errors():
    async with client() as http:
        openai = await http.get("/v1/nothing")
        cuckoo = await http.get("/v1/cuckoo/tasks/00")
    assert openai.status_code == cuckoo.status_code == 404
    assert openai.json() == {
        "error": {
            "message": "there is no GET /v1/nothing here",
            "type": "invalid_request_error",
            "param": None,
            "code": "not_found",
            "request_id": openai.headers["x-request-id"],
        }
    }
    assert cuckoo.json() == {
        "error": {
            "code": "task_not_found",
            "message": "no finished task of that id is remembered",
            "parameter": None,
            "retry_after_ms": None,
            "request_id": cuckoo.headers["x-request-id"],
        }
    }


async def test_probes_need_no_token_and_hear_why_the_node_is_not_ready():
    context, reasons = Context(), {"no_offer": "nobody is here"}
    context.readiness.register("no_offer", lambda: reasons["no_offer"])
    async with client(NoMiner(""), context) as http:
        http.headers.clear()
        alive = await http.get("/healthz")
        not_ready = await http.get("/readyz")
        reasons["no_offer"] = None
        ready = await http.get("/readyz")
        gone = await http.get("/health")
    assert (alive.status_code, alive.json()) == (200, {"alive": True})
    assert (not_ready.status_code, not_ready.json()) == (
        503,
        {"ready": False, "reasons": {"no_offer": "nobody is here"}},
    )
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": {}})
    assert gone.status_code == 401


async def test_status_is_the_observable():
    @dataclass(frozen=True)
    class Pay:
        free_wei: int

    context = Context()
    context.observable.register("pay", lambda: Pay(1 << 70))
    async with client(NoMiner(""), context) as http:
        response = await http.get("/v1/cuckoo/status")
    assert response.json() == {
        "pay": {"free_wei": str(1 << 70)},
        "picture_links": {"links": 0, "size_bytes": 0, "given": 0, "dropped": 0},
        "picture_threads": {"working": 0, "waiting": 0},
        "horde": {"under_way": 0, "kept": 0, "refused": 0, "dropped": 0, "failed": 0},
        "queue": {"waiting": 0, "at_coordinator": 0, "refused": 0},
        "currency": {"currency": "", "per_cai": "", "problem": ""},
        "tokens": {"working": 0, "tasks_owned": 0, "pays": 0},
        "webhooks": {"waiting": 0, "called": 0, "failed": 0, "refused": 0, "dropped": 0},
    }


async def test_a_browser_finds_a_page_that_says_what_this_is():
    context = Context()
    context.readiness.register("clock", lambda: "the clock is <wrong>")
    async with client_of(api(context=context, public_url="https://node.example"), token="") as browser:
        page = await browser.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none';")
    for text in (
        "<code>cuckoo-icons</code><td>32x32, 64x64<td>8,000<td>3",
        "the clock is &lt;wrong&gt;",
        "https://node.example/v1",
        "$(cat DATA-DIR/api-token)",
    ):
        assert text in page.text
