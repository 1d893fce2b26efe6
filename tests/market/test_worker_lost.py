"""A miner's inference process dies in mid-task: the image comes from the next, and the node stays."""

import json
import os
import signal
import time
from contextlib import suppress

import psutil
import pytest

from tests.market.test_local_api import events_of

pytestmark = pytest.mark.process
RESTART_TIMEOUT_S = 120
FINISHED_TIMEOUT_S = 60
"""Generous; about two seconds on a machine that has time."""


def worker_of(process_id):
    """The inference process of a node, or None while there is none."""
    for child in psutil.Process(process_id).children():
        with suppress(psutil.Error):
            if "node.inference.worker.worker" in child.cmdline():
                return child.pid
    return None


def test_worker_killed_in_mid_task(market):
    names = {address: name for name, address in market.description["addresses"].items()}
    body = {"prompt": "a red apple", "steps": 20, "stream": True}
    lost, killed_at, comments, finished_s = None, 0.0, [], 0.0
    with market.client() as client, client.stream("POST", "/v1/images/generations", json=body) as response:
        assert response.status_code == 200, response.read()
        for name, data in events_of(response):
            if name == "comment":
                comments.append(data)
                if lost is None and data.startswith("step 3 "):
                    lost = data.rpartition(" ")[2]
                    node = market.process_of(names[lost])
                    killed_at = time.monotonic()
                    os.kill(worker_of(node), signal.SIGKILL)
            elif name == "image_generation.completed":
                finished_s = time.monotonic() - killed_at
                assert json.loads(data)["cuckoo"]["tasks"]
    assert any(comment.startswith(f"lost {lost}") for comment in comments), comments
    assert 0 < finished_s < FINISHED_TIMEOUT_S, finished_s
    assert market.process_of(names[lost]) == node
    deadline = time.monotonic() + RESTART_TIMEOUT_S
    while worker_of(node) is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    log = market.log_of(names[lost])
    assert "model tested" in log
