"""Very many logs: a node reads what costs stake, in small pieces, and stops at once when it is told to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.contracts.log_server import METADATA, REGISTERED, log_server
from tests.limits import CHILD_TIMEOUT_S

pytestmark = pytest.mark.process
REPOSITORY = Path(__file__).parents[2]
PIECE_S_MAX = 0.25
"""Of CPU, that the event loop may give to one piece of work."""
STOP_S_MAX = 5.0
"""Of CPU, from SIGTERM to the end; how long a busy machine takes for it says nothing of us."""


@contextmanager
def reader(server, file, *until):
    command = [sys.executable, "-m", "tests.contracts.registry_reader", server.url, str(file), *until]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY) as process:
        try:
            assert process.stdout.readline() == b"reading\n"
            yield process
        finally:
            process.kill()


def cpu_s(process):
    return sum(psutil.Process(process.pid).cpu_times()[:2])


def test_sigterm_is_answered_while_logs_are_decoded(tmp_path):
    """A million registrations that do not end soon."""
    with (
        log_server(blocks=100_000, nodes_per_block=10) as server,
        reader(server, tmp_path / "list") as process,
    ):
        deadline = time.monotonic() + CHILD_TIMEOUT_S
        while server.asked[REGISTERED] < 4:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        before = cpu_s(process)
        process.terminate()
        # The last figure that there is of it: it ends between two looks.
        after = before
        while process.poll() is None:
            assert time.monotonic() < deadline
            try:
                after = cpu_s(process)
            except psutil.Error:
                break
            time.sleep(0.02)
        assert process.wait(CHILD_TIMEOUT_S) == 0
        assert after - before < STOP_S_MAX


def test_attack_1_100_000_metadata_events_cost_a_node_nothing(tmp_path):
    """They are asked for by nobody: 2,000 nodes are read beside them, in small pieces."""
    with (
        log_server(blocks=1_000, nodes_per_block=2, metadata_per_block=1_100) as server,
        reader(server, tmp_path / "list", "end") as process,
    ):
        told = json.loads(process.stdout.readline())
        assert process.wait(CHILD_TIMEOUT_S) == 0
    assert set(server.asked) == {REGISTERED}
    assert METADATA not in server.asked
    assert told["nodes"] == 2_000
    assert told["piece_s"] < PIECE_S_MAX, told
