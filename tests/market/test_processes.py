"""No process of a market outlives it, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.limits import CHILD_TIMEOUT_S
from tests.market.conftest import REPOSITORY, START_TIMEOUT_S

pytestmark = pytest.mark.process

GONE_TIMEOUT_S = 60


def processes_that_name(folder: Path) -> list[str]:
    """Command lines of all processes that mention the market's folder, its workers and its chain included."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                environment = (entry / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(folder) in line or f"CUCKOO_TEST_MARKET={folder}" in environment:
                found.append(f"{entry.name} {line}")
    return found


def start(folder: Path, output: Path) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "node.devnet", "up", "--folder", str(folder), "--api-port", "0"],
            stdout=file,
            stderr=file,
            cwd=REPOSITORY,
            env=os.environ | {"CUCKOO_TEST_MARKET": str(folder)},
            start_new_session=True,
        )


def wait_until(condition, timeout_s, what):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("blow", "status"),
    [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["ctrl-c", "sigterm", "sigkill"],
)
def test_no_process_outlives_its_market(tmp_path, blow, status):
    folder = tmp_path / "devnet"
    output = tmp_path / "output"
    market = start(folder, output)
    try:
        # As soon as nodes are starting: an early end must be as clean as a late one.
        wait_until(
            lambda: len(processes_that_name(folder)) >= 6,
            START_TIMEOUT_S,
            lambda: processes_that_name(folder),
        )
        if blow == signal.SIGINT:
            os.killpg(market.pid, blow)  # what a terminal does
        else:
            market.send_signal(blow)
        assert market.wait(GONE_TIMEOUT_S) == status, output.read_text()
        wait_until(
            lambda: not processes_that_name(folder), GONE_TIMEOUT_S, lambda: processes_that_name(folder)
        )
    finally:
        market.kill()
        market.wait(CHILD_TIMEOUT_S)
