"""What the attacks have in common: nodes of their own, and how the market's nodes fare."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from node.signing.guard_file import GUARD_FILE, GuardUnavailable
from node.signing.history import export_history
from node.system.lifetime import KEY_FILE, NODE_FILE
from tests.attacks.siege import nodes
from tests.limits import CHILD_TIMEOUT_S
from tests.market.conftest import REPOSITORY, RunningMarket

POLL_S = 0.02
LOG_BYTES_SHOWN = 2_000
KIB = 1024
MIB = KIB * KIB


class SiegeFailed(Exception):
    """An attack could not be carried out to its end; the text says what was seen."""


def wait_for(condition: Callable[[], bool], timeout_s: float, what: str) -> float:
    """Seconds until `condition` held.

    :raises SiegeFailed: it did not in time; the text is `what`.
    """
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > timeout_s:
            raise SiegeFailed(f"not in {timeout_s:.0f} s: {what}")
        time.sleep(POLL_S)
    return time.monotonic() - began_s


def longest_step(folder: Path, since_s: float) -> tuple[float, float]:
    """The longest that a node's event loop stood still since a time of day, by the clock and the processor.

    :returns: seconds each; 0 where no step was worth writing down.
    """
    found = [line.split()[:3] for line in (folder / nodes.LAG_FILE).read_text().splitlines()]
    steps = [(float(took), float(cpu)) for end, took, cpu in found if float(end) >= since_s]
    return max((took for took, _ in steps), default=0.0), max((cpu for _, cpu in steps), default=0.0)


def peak_memory(process_id: int) -> float:
    """The most that a process ever held at once, MiB."""
    status = Path(f"/proc/{process_id}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / KIB


def copied(source: Path, folder: Path) -> Path:
    """A data directory with the key and the guard of another one, and nothing else."""
    folder.mkdir(mode=0o700)
    shutil.copy(source / KEY_FILE, folder)
    for path in source.glob(f"{GUARD_FILE}*"):
        if path.suffix != ".lock":
            shutil.copy(path, folder)
    return folder


class Node:
    """A node of the siege's own. It ends with this process."""

    def __init__(self, market: RunningMarket, folder: Path, role: str) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "node.devnet.child", nodes.MODULE, "--role", role]
        command += ["--data-dir", str(folder), "--network", str(market.folder / "network")]
        command += ["--password-file", str(market.folder / "password")]
        command += ["--api-port", "0"] if role == "coordinator" else []
        self.began_s = time.monotonic()
        with (folder / "node.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=REPOSITORY
            )

    def log_end(self) -> str:
        """The last of what it said."""
        return (self.folder / "node.log").read_text()[-LOG_BYTES_SHOWN:]

    def is_up(self) -> bool:
        """Whether it says where it is. :raises SiegeFailed: it has ended."""
        if self.process.poll() is not None:
            raise SiegeFailed(f"a node ended with {self.process.returncode}: {self.log_end()}")
        path = self.folder / NODE_FILE
        return path.exists() and json.loads(path.read_text())["process"] == self.process.pid

    def wait_until_up(self) -> float:
        """Seconds from its start. :raises SiegeFailed: it has ended, or is not up in time."""
        wait_for(self.is_up, 2 * CHILD_TIMEOUT_S, "a node is up")
        return time.monotonic() - self.began_s

    def stop(self) -> float:
        """SIGTERM; seconds until it has ended."""
        began_s = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(CHILD_TIMEOUT_S)
        finally:
            self.process.kill()
            self.process.wait(CHILD_TIMEOUT_S)
            if self.process.stdin is not None:
                self.process.stdin.close()
        return time.monotonic() - began_s


@contextmanager
def node(market: RunningMarket, folder: Path, role: str) -> Iterator[Node]:
    """A node, until the context ends."""
    running = Node(market, folder, role)
    try:
        yield running
    finally:
        running.stop()


def killed(market: RunningMarket, name: str) -> Path:
    """SIGKILL for one of the market's nodes; its data directory, once nothing of it holds that."""
    market.kill(name)
    folder = market.data_dir(name)
    wait_for(lambda: _is_free(folder / GUARD_FILE), CHILD_TIMEOUT_S, f"{name} is dead")
    return folder


def _is_free(guard: Path) -> bool:
    try:
        export_history(guard)
    except GuardUnavailable:
        return False
    return True


def contradictions(market: RunningMarket, name: str) -> list[Path]:
    """Every file of an equivocation by one of the market's nodes that any node keeps."""
    address = market.description["addresses"][name].removeprefix("0x")
    return sorted(market.folder.glob(f"*/evidence/equivocation-{address}.json"))
