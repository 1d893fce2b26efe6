"""Stock clients for Node, unmodified: the openai SDK and the Vercel AI SDK's image call."""

import json
import os
import subprocess

import pytest

from tests.clients import FOLDER
from tests.limits import CHILD_TIMEOUT_S

pytestmark = pytest.mark.process


def run(market, script):
    """What a script of `tests/clients/` found."""
    environment = os.environ | {"API_URL": market.api_url, "API_TOKEN": market.token}
    done = subprocess.run(
        ["node", script], cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=CHILD_TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_openai_sdk_generates_streams_edits_and_shows_errors(market):
    assert run(market, "openai_sdk.js") == {
        "plain": 2,
        "events": ["image_generation.partial_image", "image_generation.completed"],
        "edited": 1,
        "models": ["cuckoo-icons"],
        "unknown": "NotFoundError 404 model_not_found model",
        "empty": "BadRequestError 400 invalid_value prompt",
    }


def test_the_vercel_ai_sdk_generates_and_shows_errors(market):
    found = run(market, "ai_sdk.js")
    assert found["media"] == ["image/png"] * 2
    assert found["beginning"] == "PNG"
    assert found["refusal"].startswith("404 ")
