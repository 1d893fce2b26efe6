"""Tokens of an app's users against a real coordinator: made by the command's act, used by stock clients."""

from pathlib import Path

import openai
import pytest

from node.system.control_client import ask

pytestmark = pytest.mark.process
LIMITS = {
    "images_per_day": 0,
    "requests_per_minute": 0,
    "micro_cai_per_day": 0,
    "price_max_micro_cai": 0,
    "models": "",
    "expires_at_ms": 0,
}


def new_token(market, name, **limits):
    folder = Path(market.description["nodes"]["coordinator"]["data_dir"])
    return ask(folder, "token_new", LIMITS | {"name": name} | limits)["token"]


def client(market, token):
    return openai.OpenAI(base_url=market.api_url + "/v1", api_key=token, max_retries=0)


def test_a_token_pays_for_what_it_asked_and_nobody_else_sees_it(market):
    ann, bob = new_token(market, "ann", images_per_day=2), new_token(market, "bob")
    with client(market, ann) as sdk:
        answer = sdk.images.generate(prompt="a red apple", extra_body={"steps": 3})
        with pytest.raises(openai.RateLimitError) as caught:
            sdk.images.generate(prompt="a red apple", n=2)
    assert caught.value.code == "quota_exceeded"
    path = f"/v1/cuckoo/tasks/{answer.cuckoo['tasks'][0]}"
    with market.client(bob) as http:
        assert http.get(path).status_code == 404
    with market.client(ann) as http:
        receipt = http.get(path)
        assert receipt.status_code == 200
        used = http.get("/v1/cuckoo/usage").json()["used"][0]
    assert (used["requests"], used["images"]) == (1, 1)
    assert int(used["spent_wei"]) > 0


def test_a_revoked_token_is_none_at_once(market):
    token = new_token(market, "eve")
    with client(market, token) as sdk:
        assert sdk.models.list().data
        folder = Path(market.description["nodes"]["coordinator"]["data_dir"])
        ask(folder, "token_revoke", {"name": "eve"})
        with pytest.raises(openai.AuthenticationError):
            sdk.models.list()


def test_a_named_order_is_found_again_within_a_spent_quota(market):
    token, tasks = new_token(market, "cat", images_per_day=1, micro_cai_per_day=1_000_000), []
    with client(market, token) as sdk:
        for _ in range(2):
            answer = sdk.images.generate(
                prompt="a blue apple",
                extra_body={"steps": 3, "seed": 5},
                extra_headers={"Idempotency-Key": "blue"},
            )
            tasks += answer.cuckoo["tasks"]
        with pytest.raises(openai.RateLimitError) as caught:
            sdk.images.generate(prompt="a blue apple")
    assert caught.value.code == "quota_exceeded"
    assert len(set(tasks)) == 1
    with market.client(token) as http:
        used = http.get("/v1/cuckoo/usage").json()["used"][0]
    assert (used["requests"], used["images"]) == (2, 1)
    assert int(used["spent_wei"]) > 0
