"""One key in two places, on a running market: the second stops with status 2, the first goes on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from node.system.lifetime import KEY_FILE
from tests.market.conftest import REPOSITORY, START_TIMEOUT_S, STOP_TIMEOUT_S

pytestmark = pytest.mark.process
OFFERS_S = 10
"""Some offers' time on a devnet."""


def run_to_its_end(market, folder: Path, role: str) -> tuple[int, str]:
    """Exit status of a node with this data directory, and the end of its log."""
    command = [sys.executable, "-m", "node.cli", "--role", role, "--data-dir", str(folder)]
    command += [
        "--network",
        str(market.folder / "network"),
        "--password-file",
        str(market.folder / "password"),
    ]
    command += ["--api-port", "0"] if role == "coordinator" else []
    log = folder / "node.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=REPOSITORY)
        try:
            status = process.wait(START_TIMEOUT_S)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(STOP_TIMEOUT_S)
    return status, log.read_text().splitlines()[-1]


def copied(market, name: str, *, guard: bool) -> Path:
    """A careless operator's copy of a running node's data directory."""
    old, new = market.folder / name, market.folder / f"{name}-again"
    new.mkdir(mode=0o700)
    shutil.copy(old / KEY_FILE, new)
    if guard:
        for path in old.glob("guard.sqlite*"):
            if path.suffix != ".lock":
                shutil.copy(path, new)
    return new


def test_the_second_of_two_stops_and_no_slot_has_two_statements(rogue_market):
    market = rogue_market
    for name, role in (("coordinator", "coordinator"), ("miner-1", "miner")):
        status, said = run_to_its_end(market, copied(market, name, guard=True), role)
        assert status == 2
        assert "another node runs with this key" in said or "guard adopt" in said
        os.kill(market.process_of(name), 0)
    lost = copied(market, "miner-2", guard=False)
    status, said = run_to_its_end(market, lost, "miner")
    assert status == 2
    assert f"cuckoo-peer guard init {lost} --never-signed" in said
    assert not (lost / "guard.sqlite").exists()
    # The first ones are still there, and no peer has ever heard a contradiction.
    time.sleep(OFFERS_S)
    for name in ("coordinator", "miner-1", "miner-2"):
        os.kill(market.process_of(name), 0)
    assert list(market.folder.glob("*/evidence/*.json")) == []
    with market.client() as client:
        answer = client.post("/v1/images/generations", json={"prompt": "a red apple"})
    assert answer.status_code == 200
