"""A whole market of real processes and a real chain, started once for all tests of this folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from node.system.lifetime import NODE_FILE
from tests.conftest import path_of, scope_of
from tests.market import rogues

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
    restarted: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

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

    def data_dir(self, name: str) -> Path:
        return Path(self.description["nodes"][name]["data_dir"])

    def log_of(self, name: str) -> str:
        return (self.data_dir(name) / "node.log").read_text()

    @contextmanager
    def ordered(self, name: str, orders: str):
        """A node that goes wrong as `orders` says, until the context ends; see `rogues`."""
        path = self.data_dir(name) / rogues.ORDERS_FILE
        path.write_text(orders)
        try:
            yield
        finally:
            path.unlink()

    def kill(self, name: str) -> list[str]:
        """SIGKILL for a node; returns the command that starts it again, see `mend`."""
        process = psutil.Process(self.process_of(name))
        command = process.cmdline()
        process.send_signal(signal.SIGKILL)
        earlier = self.restarted.pop(name, None)
        if earlier is not None:
            earlier.wait(STOP_TIMEOUT_S)
            earlier.stdin.close()
        return command

    def start_again(self, commands: dict[str, list[str]], **environment: str) -> None:
        """Start nodes that were killed, on their data directories; returns when they are ready."""
        for name, command in commands.items():
            with (self.data_dir(name) / "node.log").open("ab") as log:
                # It ends when its standard input does.
                self.restarted[name] = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    cwd=REPOSITORY,
                    env=os.environ | environment,
                )
        for name in commands:
            self._wait(name, lambda process, name=name: self._is_ready(name, process))

    def mend(self, commands: dict[str, list[str]]) -> None:
        """`start_again`, and wait until the market works as before."""
        self.start_again(commands)
        self._wait(next(iter(commands)), lambda _process: self._works())

    def _wait(self, name: str, condition) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not condition(self.restarted[name]):
            assert self.restarted[name].poll() is None, self.log_of(name)[-2000:]
            assert time.monotonic() < deadline, self.log_of(name)[-2000:]
            time.sleep(0.1)

    def _is_ready(self, name: str, process: subprocess.Popen[bytes]) -> bool:
        document = json.loads((self.data_dir(name) / NODE_FILE).read_text())
        if document["process"] != process.pid:
            return False
        self.description["nodes"][name]["process"] = process.pid
        if document.get("api_url"):
            self.description["api_url"] = document["api_url"]
        health = httpx2.get(document["health_url"] + "/readyz", timeout=START_TIMEOUT_S, trust_env=False)
        return "starting" not in health.json()["reasons"]

    def _works(self) -> bool:
        with self.client() as client:
            models = client.get("/v1/models").json()["data"]
            is_ready = client.get("/readyz").status_code == 200
        miners = sum("miner" in name for name in self.description["nodes"])
        return is_ready and any(model["cuckoo"]["miners"] == miners for model in models)

    def stop_restarted(self) -> None:
        for process in self.restarted.values():
            process.send_signal(signal.SIGTERM)
        for process in self.restarted.values():
            process.wait(STOP_TIMEOUT_S)
            process.stdin.close()


@contextmanager
def running_market(folder: Path, *arguments: str, port: int = 0, module: str = "node.devnet"):
    """`python -m node.devnet up` in a process of its own, until the context ends."""
    command = [sys.executable, "-m", module, "up", "--folder", str(folder), "--api-port", str(port)]
    command += ["--portal-port", "0"]
    command += arguments
    with (folder.parent / f"{folder.name}.out").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=REPOSITORY)
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not (folder / "market.json").exists():
                assert process.poll() is None, Path(output.name).read_text()
                assert time.monotonic() < deadline, Path(output.name).read_text()
                time.sleep(0.1)
            running = RunningMarket(folder, json.loads((folder / "market.json").read_text()), process)
            try:
                yield running
            finally:
                running.stop_restarted()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_TIMEOUT_S)


SHARED: dict[str, ExitStack] = {}
"""By the name of the fixture, what ends a market that is up."""


def shared(fixture: str, folder: Path, **named: str):
    """One market from the first test that asks for it to the last one; see `pytest_runtest_teardown`."""
    with SHARED.setdefault(fixture, ExitStack()) as stack:
        yield stack.enter_context(running_market(folder / "devnet", **named))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem):
    """A market is ten processes: it does not slow the tests of other rooms until the end of the run."""
    result = yield
    for fixture, stack in SHARED.items():
        if nextitem is None or scope_of(path_of(nextitem.nodeid)) != fixture:
            stack.close()
    return result


@pytest.fixture(scope="session")
def market(tmp_path_factory):
    """One market for all tests that leave it as it was."""
    yield from shared("market", tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="session")
def rogue_market(tmp_path_factory):
    """One market for all tests that let its nodes go wrong and leave them as they were; see `rogues`."""
    yield from shared("rogue_market", tmp_path_factory.mktemp("rogues"), module=rogues.MODULE)
