"""A miner outside its hours: it runs, says so, and offers nothing."""

import json
import time

import pytest

from node.commands import miner as miner_cli
from tests.limits import CHILD_TIMEOUT_S

pytestmark = pytest.mark.process
NAME = "miner-1"


def miners_on_offer(market):
    with market.client() as client:
        (model,) = [one for one in client.get("/v1/models").json()["data"] if one["id"] == "cuckoo-icons"]
    return model["cuckoo"]["miners"]


def test_a_paused_miner_offers_nothing(rogue_market, capsys):
    hour = time.localtime().tm_hour
    command = rogue_market.kill(NAME)
    try:
        hours = f"{(hour + 3) % 24}-{(hour + 4) % 24}"
        rogue_market.start_again({NAME: command}, CUCKOO_ACTIVE_HOURS=hours)
        folder = rogue_market.data_dir(NAME)
        assert (
            json.loads((folder / "miner-status.json").read_text())["miner"]["paused"] == "outside its hours"
        )
        miner_cli.status(folder)
        assert capsys.readouterr().out.startswith("paused: outside its hours")
        # What it offered before it was killed lapses, and nothing follows.
        deadline = time.monotonic() + CHILD_TIMEOUT_S
        while miners_on_offer(rogue_market) > 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        rogue_market.kill(NAME)
        rogue_market.mend({NAME: command})
