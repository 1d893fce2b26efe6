"""The worker by itself: it outlives Ctrl-C, but never its parent."""

import os
import signal
import subprocess
import sys
import time

import pytest

from node.inference.jobs.frames import (
    LENGTH_BYTES,
    Batch,
    Cancel,
    Ready,
    decode_frame,
    encode_frame,
    frame_length,
)
from node.inference.jobs.job import CANCELLED, Finished, Progress
from tests.limits import CHILD_TIMEOUT_S
from tests.node.inference.builders import EMBEDDED_FOLDER, REPOSITORY, a_job, embedded, is_alive

pytestmark = pytest.mark.process
COMMAND = [sys.executable, "-m", "node.inference.worker.worker", str(EMBEDDED_FOLDER)]


def start():
    return subprocess.Popen(
        COMMAND, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def read(worker):
    return decode_frame(worker.stdout.read(frame_length(worker.stdout.read(LENGTH_BYTES))))


def wait_until_dead(process_id, seconds):
    ends = time.monotonic() + seconds
    while is_alive(process_id) and time.monotonic() < ends:
        time.sleep(0.02)
    return not is_alive(process_id)


def test_ignores_interrupts_and_ends_with_stdin():
    with start() as worker:
        assert isinstance(read(worker), Ready)
        worker.send_signal(signal.SIGINT)
        package = embedded()
        worker.stdin.write(encode_frame(Batch((a_job(package.model_id, steps=2),))))
        worker.stdin.flush()
        assert isinstance([read(worker) for _ in range(3)][-1], Finished)
        # In the middle of a job, too.
        worker.stdin.write(encode_frame(Batch((a_job(package.model_id, steps=100),))))
        worker.stdin.flush()
        read(worker)
        worker.stdin.close()
        assert worker.wait(timeout=30) == 0


def test_cancelled_it_stops_within_a_step():
    with start() as worker:
        assert isinstance(read(worker), Ready)
        package = embedded()
        worker.stdin.write(encode_frame(Batch((a_job(package.model_id, steps=100),))))
        worker.stdin.flush()
        step = read(worker).step
        worker.stdin.write(encode_frame(Cancel("job-1")))
        worker.stdin.flush()
        while isinstance(event := read(worker), Progress):
            step = event.step
        assert (event.reason, event.retryable) == (CANCELLED, True)
        # The one that was being computed, and one or two that were before the reader looked.
        assert step <= 4
        worker.stdin.close()
        worker.wait(timeout=30)


def test_nonsense_on_stdin_ends_it():
    with start() as worker:
        worker.stdin.write(b"\xff" * 16)
        worker.stdin.flush()
        assert worker.wait(timeout=10) == 3


_PARENT = """
import sys, trio
from node.inference.pool.pool import open_pool
from tests.node.inference.builders import embedded

async def main():
    async with open_pool([embedded()]) as pool:
        await pool.ready()
        print(*pool.statistics().process_ids, flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


def test_worker_ends_when_its_parent_is_killed():
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        process_id = int(parent.stdout.readline())
        assert is_alive(process_id)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(CHILD_TIMEOUT_S)
        assert wait_until_dead(process_id, seconds=5)
