"""Miners outside their hours: they run, say so, and offer nothing."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from node.commands import miner as miner_cli
from tests.market.conftest import REPOSITORY, START_TIMEOUT_S, STOP_TIMEOUT_S

pytestmark = pytest.mark.process


def test_a_paused_miner_offers_nothing(tmp_path, capsys):
    hour = time.localtime().tm_hour
    folder = tmp_path / "devnet"
    with (tmp_path / "output").open("wb") as output:
        market = subprocess.Popen(
            [sys.executable, "-m", "node.devnet", "up", "--folder", str(folder), "--api-port", "0"],
            stdout=output,
            stderr=output,
            cwd=REPOSITORY,
            env=os.environ | {"CUCKOO_ACTIVE_HOURS": f"{(hour + 3) % 24}-{(hour + 4) % 24}"},
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (found := list(folder.glob("miner-*/miner-status.json"))):
            assert market.poll() is None, (tmp_path / "output").read_text()
            assert time.monotonic() < deadline, (tmp_path / "output").read_text()
            time.sleep(0.1)
        assert json.loads(found[0].read_text())["miner"]["paused"] == "outside its hours"
        miner_cli.status(found[0].parent)
        assert capsys.readouterr().out.startswith("paused: outside its hours")
        # The market waits for a miner's offer, in vain.
        assert not (folder / "market.json").exists()
    finally:
        market.send_signal(signal.SIGINT)
        market.wait(STOP_TIMEOUT_S)
