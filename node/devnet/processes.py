"""Node processes of the devnet: start, wait until ready, stop; none outlives its parent.

Is: care for children. Each runs `cuckoo-peer` as a user would, with its log in a file.
Is not: their configuration; that is `market`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from node.devnet.patience import Activity, Patience, cpu_seconds
from node.system.lifetime import NODE_FILE
from protocol.errors import LocalError

READY_POLL_S = 0.05
LOOK_S = 1.0
"""How often the activity of a process is looked at while it starts."""
INTERRUPT_GRACE_S = 1
STOP_TIMEOUT_S = 30
"""From SIGTERM to SIGKILL."""
LOG_LINES_SHOWN = 15


class NodeDied(LocalError):
    """A node ended by itself or has stopped getting on; the text ends with the end of its log."""


@dataclass(slots=True)
class NodeProcess:
    """One child.

    :ivar name: for people, such as ``miner-1``.
    :ivar data_dir: its own.
    :ivar log_file: its standard error.
    :ivar process: the child itself.
    """

    name: str
    data_dir: Path
    log_file: Path
    process: trio.Process

    async def ready(self) -> dict[str, Any]:
        """Wait until the node says where it is.

        :returns: the content of its `node.json`.
        :raises NodeDied: it ended, or has stopped getting on, as `Patience` sees it.
        """
        patience = Patience(trio.current_time(), self.activity())
        looked_s = trio.current_time()
        while self.process.poll() is None and not patience.given_up:
            # Written whole: what exists is complete. A file of an earlier process does not count.
            path = self.data_dir / NODE_FILE
            if path.exists():
                document: dict[str, Any] = json.loads(path.read_text())
                if document["process"] == self.process.pid:
                    return document
            await trio.sleep(READY_POLL_S)
            if trio.current_time() - looked_s >= LOOK_S:
                looked_s = trio.current_time()
                patience.update(looked_s, self.activity())
        if self.process.returncode == -signal.SIGINT:
            # Ctrl-C reached it before it had left our session; the same signal is about to stop us.
            await trio.sleep(INTERRUPT_GRACE_S)
        ended = f"ended with status {self.process.returncode}"
        why = f"did not write {NODE_FILE}, {patience.given_up}" if patience.given_up else ended
        raise NodeDied(f"{self.name} {why}; the end of {self.log_file}:\n{self.log_end()}")

    def activity(self) -> Activity:
        """Its activity since it started."""
        log_bytes = self.log_file.stat().st_size if self.log_file.exists() else 0
        return Activity(log_bytes, cpu_seconds(self.process.pid))

    def log_end(self) -> str:
        """The last lines of the log."""
        if not self.log_file.exists():
            return "(empty)"
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])

    def kill(self) -> None:
        """SIGKILL: the node has no chance to say goodbye."""
        self.process.send_signal(signal.SIGKILL)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after `STOP_TIMEOUT_S`; waits for the end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with trio.move_on_after(STOP_TIMEOUT_S):
                await self.process.wait()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def node_process(
    name: str, data_dir: Path, arguments: Sequence[str], module: str = "node.cli"
) -> AsyncIterator[NodeProcess]:
    """A child that runs ``python -m module arguments``; stopped when the context ends.

    :param module: ``node.cli`` is `cuckoo-peer`.
    """
    log_file = data_dir / "node.log"
    data_dir.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as log:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "node.devnet.child", module, *arguments],
            stdin=subprocess.PIPE,  # never written to: it closes when we die, see `child`
            stdout=log,
            stderr=log,
            # A session of its own: Ctrl-C reaches the devnet, which then stops its nodes in order.
            start_new_session=True,
        )
    child = NodeProcess(name, data_dir, log_file, process)
    try:
        yield child
    finally:
        with trio.CancelScope(shield=True):
            await child.stop()
