"""The stock client of the Model Context Protocol, unmodified, against a coordinator with real miners."""

import json
import os
import subprocess

import pytest

from tests.clients import FOLDER, PYTHON
from tests.limits import CHILD_TIMEOUT_S

pytestmark = pytest.mark.process


def test_the_stock_client_makes_edits_proves_and_hears_refusals(market):
    environment = os.environ | {"API_URL": market.api_url, "API_TOKEN": market.token}
    done = subprocess.run(
        [PYTHON / "python", "mcp_client.py"],
        cwd=FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "older": ["2025-11-25", 6, "cuckoo-icons"],
        "newest": "2026-07-28",
        "tools": [
            "generate_image",
            "edit_image",
            "list_models",
            "task_status",
            "explain",
            "verify_receipt",
        ],
        "beginning": "PNG",
        "edited": "image",
        "valid": True,
        "outcome": "delivered by",
        "refused": [True, "invalid_value: the prompt is empty"],
    }
