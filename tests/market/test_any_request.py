"""Schemathesis against a real node: no 5xx, no answer but what `/openapi.json` says, whatever is sent."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from node.system.control_client import ask
from tests.clients import FOLDER, PYTHON
from tests.market.asking import WHOLE, tell
from tests.market.test_tokens import LIMITS

pytestmark = pytest.mark.process
CASES = 10_000 if WHOLE else 500
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
MARGIN = 1.35
"""An operation that takes nothing is not tried as often as it might be."""
TIMEOUT_S = 900


def sensible(document):
    """The same document with the model's name and size in it, so that many requests are whole ones."""
    text = json.dumps(document)
    text = text.replace('"pattern": "^(auto|[0-9]{1,5}x[0-9]{1,5})$"', '"enum": ["auto", "32x32"]')
    document = json.loads(text)
    for operations in document["paths"].values():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                properties = content["schema"].get("properties", {})
                if "model" in properties:
                    properties["model"] = {"enum": ["cuckoo-icons"]}
    return document


def test_any_request_has_an_answer_of_its_form(market, tmp_path):
    # A token whose pictures are all too dear: what is whole is refused at the last moment, and costs no work.
    folder = Path(market.description["nodes"]["coordinator"]["data_dir"])
    token = ask(folder, "token_new", LIMITS | {"name": "any-request", "price_max_micro_cai": 1})["token"]
    with market.client("") as http:
        document = sensible(http.get("/openapi.json").json())
    schema = tmp_path / "openapi.json"
    schema.write_text(json.dumps(document))
    operations = sum(map(len, document["paths"].values()))
    command = [PYTHON / "schemathesis", "run", schema, "--url", market.api_url]
    command += ["--header", f"Authorization: Bearer {token}", "--phases", "fuzzing", "--seed", "1"]
    command += ["--max-examples", str(int(CASES * MARGIN) // operations), "--checks", ",".join(CHECKS)]
    # Two at a time: the client thinks as long as the node does.
    command += ["--workers", "2"]
    command += ["--generation-database", "none", "--continue-on-failure", "--no-color", "--warnings", "off"]
    run = subprocess.run(
        [str(part) for part in command],
        cwd=FOLDER,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert run.returncode == 0, run.stdout[-6000:]
    cases = int(re.search(r"([\d,]+) generated", run.stdout)[1].replace(",", ""))
    tell(f"{cases} requests to {operations} operations, no 5xx, no answer of another form")
    assert cases >= CASES
