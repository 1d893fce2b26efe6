"""A real Ray cluster of two hosts on loopback, started as the guide says, and one of them killed."""

import importlib.util
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import trio

from node.inference.backends import choose_backend
from node.inference.jobs.job import Finished, Progress, WorkerError
from node.inference.pool.pool import open_pool
from node.inference.pool.process import Machine
from node.inference.ray.ray_workers import RayWorkers
from node.inference.traces.trace_file import TraceFile
from tests.node.inference.builders import REPOSITORY, a_job, embedded
from tests.node.inference.exactness import image_distance

PACKAGE = embedded()
GUIDE = (REPOSITORY / "node" / "inference" / "FARM.md").read_text()
BLOCKS = dict(re.findall(r"^```sh (\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL))
HEAD, HOST = "127.0.0.2", "127.0.0.3"
READY_SECONDS = 120
TYPED_SECONDS = 170
FINISHED_SECONDS = 60

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra is not installed")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")


class Farm:
    """The cluster. Its processes are known by their folder, which is in their command lines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind((HEAD, 0))
            self.port = free.getsockname()[1]
        self.address = f"{HEAD}:{self.port}"

    def type_in(self, name: str) -> tuple[str, str]:
        """Run a block of the guide, with a port that nobody else uses; return what it prints."""
        run = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", BLOCKS[name].replace("6379", str(self.port))],
            env=os.environ
            | {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "RAY_TMPDIR": str(self.folder / "ray"),
                "XDG_CACHE_HOME": str(self.folder / "cache"),
                "TMPDIR": str(self.folder),
            },
            capture_output=True,
            text=True,
            timeout=TYPED_SECONDS,
        )
        assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
        return run.stdout, run.stderr

    def kill(self, address: str = "") -> None:
        """Kill the processes of a host, or of all, at once and without a word, as a power cut does."""
        found = []
        for process in psutil.process_iter():
            try:
                line = " ".join(process.cmdline())
                of_host = not address or f"node_ip_address={address}" in line.replace("-", "_")
                if str(self.folder) in line and of_host:
                    found += [process, *process.children(recursive=True)]
            except psutil.Error:
                continue
        for process in found:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(found, timeout=10)


@pytest.fixture(scope="module")
def farm():
    # Short, because the paths of sockets are.
    folder = Path(tempfile.mkdtemp(prefix="farm-", dir="/tmp"))
    farm = Farm(folder)
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
        yield from running(farm)


def running(farm):
    try:
        farm.type_in("head")
        farm.type_in("host")
        yield farm
    finally:
        farm.kill()
        shutil.rmtree(farm.folder, ignore_errors=True)


class Batch:
    """Jobs, what has come of them, and a moment in the middle of all."""

    def __init__(self, folder: Path, count: int) -> None:
        self.jobs = [
            a_job(
                PACKAGE.model_id,
                job_id=str(number),
                seed=number,
                steps=40,
                trace_path=str(folder / f"{number}.trace"),
            )
            for number in range(count)
        ]
        self.ended: dict[str, Finished] = {}
        self.all_begun = trio.Event()
        self._begun: set[str] = set()

    async def run(self, pool, *jobs):
        async with trio.open_nursery() as nursery:
            for job in jobs or self.jobs:
                nursery.start_soon(self._one, pool, job)

    async def _one(self, pool, job):
        async with pool.run(job) as events:
            async for event in events:
                if isinstance(event, Progress) and event.step >= 2:
                    self._begun.add(job.job_id)
                    if len(self._begun) == len(self.jobs):
                        self.all_begun.set()
                elif isinstance(event, Finished):
                    self.ended[job.job_id] = event


@needs_ray
@on_linux
@pytest.mark.process
async def test_a_batch_over_two_hosts_of_which_one_is_killed(farm, tmp_path):
    backend, workers = await choose_backend([PACKAGE], [Machine()], ray_address=farm.address)
    assert workers == 2
    farmed, alone = Batch(tmp_path, 4), Batch(tmp_path, 0)
    async with open_pool([PACKAGE], backend, workers) as pool:
        with trio.fail_after(READY_SECONDS):
            while pool.statistics().workers_ready < workers:
                await trio.sleep(0.05)
        with trio.fail_after(FINISHED_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(farmed.run, pool)
                await farmed.all_begun.wait()
                assert pool.statistics().batches == 2
                await trio.to_thread.run_sync(farm.kill, HOST)
        statistics = pool.statistics()
        with trio.fail_after(FINISHED_SECONDS):
            for job in farmed.jobs[::3]:
                await alone.run(pool, replace(job, trace_path=""))
    assert statistics.jobs_finished == len(farmed.ended) == 4
    assert (statistics.jobs_failed, statistics.jobs_run_again) == (0, 2)
    # More than one if Ray tried the dead host again before it knew.
    assert statistics.workers_lost >= 1
    for job in farmed.jobs:
        finished = farmed.ended[job.job_id]
        with TraceFile(Path(job.trace_path)) as trace:
            assert tuple(trace.leaves) == finished.leaves
            assert trace.tensors(job.steps - 1)
    assert len(alone.ended) == 2
    for name, finished in alone.ended.items():
        assert finished.leaves[0].latent == farmed.ended[name].leaves[0].latent
        assert image_distance(finished.png, farmed.ended[name].png) <= 1
    measured, told = await trio.to_thread.run_sync(bench_a_farm_that_has_just_lost_a_host, farm)
    assert "cuckoo-icons: 32x32" in measured
    assert "measuring the 1 that are ready" in told


def bench_a_farm_that_has_just_lost_a_host(farm):
    """Ray still counts it, and gives it a worker."""
    farm.type_in("host")
    farm.kill(HOST)
    return farm.type_in("bench")


@needs_ray
@pytest.mark.process
async def test_a_cluster_that_is_not_there(monkeypatch):
    monkeypatch.setattr("node.inference.ray.ray_workers.COUNT_SECONDS_MAX", 0.5)
    with pytest.raises(
        WorkerError, match=r"the Ray cluster at 127\.0\.0\.1:9 gives no workers: it does not answer"
    ):
        await RayWorkers("127.0.0.1:9", Machine()).fitted([PACKAGE])
