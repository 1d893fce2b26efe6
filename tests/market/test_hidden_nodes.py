"""A market whose nodes nobody can dial: everything goes through the bootstrap peer's relay, and goes."""

import json
import urllib.request
from pathlib import Path

import pytest

from tests.market.conftest import running_market

pytestmark = pytest.mark.process


def test_a_task__goes_through_where_nobody_can_be_dialled(tmp_path, monkeypatch):
    monkeypatch.setenv("CUCKOO_REACHABLE", "no")
    with running_market(tmp_path / "devnet") as market:
        nodes = {name: Path(node["data_dir"]) for name, node in market.description["nodes"].items()}
        with market.client() as client:
            answer = client.post("/v1/images/generations", json={"prompt": "a red apple"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"][0]["b64_json"]
        bootstrap = json.loads((nodes["bootstrap"] / "node.json").read_text())
        with urllib.request.urlopen(f"{bootstrap['health_url']}/status", timeout=20) as page:
            relaying = json.load(page)["relay"]["relaying"]
        assert relaying["reservations"] == len(nodes) - 1
        assert relaying["counts"]["circuits"] > 0
