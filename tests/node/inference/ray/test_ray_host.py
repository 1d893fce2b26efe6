"""One worker on another host, without Ray: the model arrives, jobs run, traces come before the end."""

import os
import shutil
import threading
import time

import pytest

from node.inference.jobs.frames import (
    LENGTH_BYTES,
    Batch,
    Broken,
    Cancel,
    FilePart,
    FileWanted,
    Ready,
    TracePart,
    decode_frame,
    encode_frame,
)
from node.inference.jobs.job import CANCELLED, Failed, Finished, Progress
from node.inference.pool import process
from node.inference.pool.process import Machine
from node.inference.ray.ray_host import (
    FRAMES_WAITING_MAX,
    RayHost,
    default_models_folder,
    locked,
    own_traces_folder,
)
from tests.node.inference.builders import a_job, embedded, is_alive

PACKAGE = embedded()
SECONDS = 20.0


@pytest.fixture(autouse=True)
def _fake_worker(monkeypatch, tmp_path):
    monkeypatch.setattr(process, "WORKER_MODULE", "tests.node.inference.fake_worker")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def part_of(wanted):
    with (PACKAGE.folder / wanted.path).open("rb") as file:
        file.seek(wanted.offset)
        return file.read(1 << 20)


class Node:
    """The other end: answers what the host wants, and keeps what it says."""

    def __init__(self, folder, part_of=part_of):
        self.host = RayHost(str(folder), [PACKAGE.model_id], Machine())
        self.wanted = []
        self._part_of = part_of
        self._frames = self._read()

    def _read(self):
        while (taken := self.host.take(SECONDS)) is not None:
            for data in taken:
                frame = decode_frame(data[LENGTH_BYTES:])
                if isinstance(frame, FileWanted):
                    self.wanted.append((frame.path, frame.offset))
                    self.give(FilePart(self._part_of(frame)))
                else:
                    yield frame

    def give(self, frame):
        self.host.give(encode_frame(frame))

    def hear(self, kind):
        return next(frame for frame in self._frames if isinstance(frame, kind))

    def rest(self):
        return list(self._frames)

    def kill(self):
        self.host._process.kill()
        return self.rest()


@pytest.mark.process
def test_a_model_is_fetched_once_and_kept(tmp_path):
    node = Node(tmp_path / "models")
    node.hear(Ready)
    assert {path for path, _ in node.wanted} == {"manifest.json", *PACKAGE.files}
    node.kill()
    again = Node(tmp_path / "models")
    again.hear(Ready)
    assert again.wanted == []
    again.kill()


@pytest.mark.process
def test_a_transfer_goes_on_where_it_broke_off(tmp_path):
    partial = tmp_path / f"{PACKAGE.model_id.hex()}.partial"
    largest = max(PACKAGE.files, key=lambda path: PACKAGE.files[path].size_bytes)
    shutil.copytree(PACKAGE.folder, partial)
    os.truncate(partial / largest, 1000)
    node = Node(tmp_path)
    node.hear(Ready)
    assert {path for path, _ in node.wanted} == {largest}
    assert node.wanted[0] == (largest, 1000)
    node.kill()


def test_a_model_with_a_false_byte_is_not_run(tmp_path):
    def flipped(wanted):
        data = part_of(wanted)
        return data[:-1] + bytes([data[-1] ^ 1]) if wanted.path.endswith("NOTICE") and data else data

    node = Node(tmp_path, flipped)
    (broken,) = node.rest()
    assert isinstance(broken, Broken)
    assert "NOTICE is not the file of the manifest" in broken.reason
    assert not (tmp_path / PACKAGE.model_id.hex()).exists()


@pytest.mark.process
def test_jobs_cancellation_and_the_end(tmp_path):
    node = Node(tmp_path)
    node.hear(Ready)
    node.give(Batch((a_job(PACKAGE.model_id, steps=3),)))
    assert [node.hear(Progress).step for _ in range(3)] == [1, 2, 3]
    assert node.hear(Finished).job_id == "job-1"
    node.give(Batch((a_job(PACKAGE.model_id, steps=50),)))
    node.hear(Progress)
    node.give(Cancel("job-1"))
    assert node.hear(Failed).reason == CANCELLED
    process_id = node.host._process.pid
    assert node.kill() == []
    assert not is_alive(process_id)
    # Who comes late hears of the end as well, and nobody minds what he says.
    assert node.host.take(SECONDS) is None
    node.give(Cancel("job-1"))


@pytest.mark.process
def test_a_worker_that_dies_is_the_end_of_its_host(tmp_path):
    node = Node(tmp_path)
    node.hear(Ready)
    node.give(Batch((a_job(PACKAGE.model_id, prompt="die 2"),)))
    assert [type(frame) for frame in node.rest()] == [Progress, Progress]


@pytest.mark.process
def test_nobody_takes_and_so_the_worker_waits(tmp_path):
    node = Node(tmp_path)
    node.hear(Ready)
    node.give(Batch((a_job(PACKAGE.model_id, steps=50),)))
    ends = time.monotonic() + SECONDS
    while not node.host._frames.full():
        assert time.monotonic() < ends
        time.sleep(0.01)
    assert node.host._frames.qsize() == FRAMES_WAITING_MAX
    assert [node.hear(Progress).step for _ in range(50)] == list(range(1, 51))
    node.kill()


@pytest.mark.process
def test_the_trace_comes_before_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "WORKER_MODULE", "node.inference.worker.worker")
    node = Node(tmp_path / "models")
    node.hear(Ready)
    node.give(Batch((a_job(PACKAGE.model_id, steps=2, trace_path="wanted"),)))
    frames = [next(node._frames) for _ in range(4)]
    assert [type(frame) for frame in frames] == [Progress, Progress, TracePart, Finished]
    assert frames[3].final_latent in frames[2].data
    node.kill()
    assert not list(tmp_path.glob("cuckoo-traces-*/*"))


def test_traces_of_killed_hosts_are_swept(tmp_path):
    parent = own_traces_folder().parent
    (parent / str(2**22 + 1)).mkdir()
    (parent / "something else").mkdir()
    own = own_traces_folder()
    assert sorted(path.name for path in parent.iterdir()) == sorted([own.name, "something else"])


def test_two_on_one_host_do_not_fetch_at_a_time(tmp_path):
    inside = []

    def enter():
        with locked(tmp_path / "lock"):
            inside.append("second")

    with locked(tmp_path / "lock"):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join(0.05)
        inside.append("first")
    thread.join(SECONDS)
    assert inside == ["first", "second"]


def test_where_models_are_kept_by_default(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_models_folder() == tmp_path / "cuckoo-peer" / "models"
