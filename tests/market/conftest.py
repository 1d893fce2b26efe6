"""A whole market of real processes and a real chain, started once for all tests of this folder."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

REPOSITORY = Path(__file__).parents[2]
START_TIMEOUT_S = 400
"""Less than after which pytest takes a test to hang; the devnet gives up sooner when nothing gets on."""
STOP_TIMEOUT_S = 60


@dataclass
class RunningMarket:
    """What `market.json` says, and the process that keeps it running."""

    folder: Path
    description: dict[str, Any]
    process: subprocess.Popen[bytes]

    @property
    def token(self) -> str:
        return Path(self.description["token_file"]).read_text().strip()

    @property
    def api_url(self) -> str:
        return self.description["api_url"]

    def client(self, token: str | None = None) -> httpx2.Client:
        token = self.token if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx2.Client(base_url=self.api_url, headers=headers, timeout=START_TIMEOUT_S, trust_env=False)

    def process_of(self, name: str) -> int:
        return self.description["nodes"][name]["process"]

    def log_of(self, name: str) -> str:
        return (Path(self.description["nodes"][name]["data_dir"]) / "node.log").read_text()


@contextmanager
def running_market(folder: Path, *arguments: str, port: int = 0, module: str = "node.devnet"):
    """`python -m node.devnet up` in a process of its own, until the context ends."""
    command = [sys.executable, "-m", module, "up", "--folder", str(folder), "--api-port", str(port)]
    command += arguments
    with (folder.parent / f"{folder.name}.out").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=REPOSITORY)
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not (folder / "market.json").exists():
                assert process.poll() is None, Path(output.name).read_text()
                assert time.monotonic() < deadline, Path(output.name).read_text()
                time.sleep(0.1)
            yield RunningMarket(folder, json.loads((folder / "market.json").read_text()), process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_TIMEOUT_S)


@pytest.fixture(scope="session")
def market(tmp_path_factory):
    """One market for all tests that leave it as it was."""
    with running_market(tmp_path_factory.mktemp("market") / "devnet") as running:
        yield running


@pytest.fixture
def own_market(tmp_path):
    """A market for one test that breaks it."""
    with running_market(tmp_path / "devnet") as running:
        yield running
