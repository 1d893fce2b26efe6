"""litellm, unmodified, against a coordinator with real miners."""

import json
import os
import subprocess

import pytest

from tests.clients import FOLDER, PYTHON
from tests.limits import CHILD_TIMEOUT_S

pytestmark = pytest.mark.process


def test_litellm_generates_edits_and_shows_errors(market):
    # Its list of others' prices comes with it; without this it would ask the internet for a newer one.
    offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(
        [PYTHON / "python", "litellm_client.py"],
        cwd=FOLDER,
        env=os.environ | offline | {"API_URL": market.api_url, "API_TOKEN": market.token},
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "plain": ["32x32", "PNG"],
        "two": ["32x32", "WEBP", "WEBP"],
        "async": 1,
        "edited": "PNG",
        "empty": "BadRequestError 400 the prompt is empty",
        "unknown": "NotFoundError 404 the model 'nothing' is not known",
        "size": "BadRequestError 400 cuckoo-icons draws 32x32, not 512x512",
        "token": "AuthenticationError 401 the token is missing, wrong, expired or revoked",
    }
